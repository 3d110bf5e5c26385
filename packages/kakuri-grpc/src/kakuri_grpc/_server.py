"""A server: handlers of methods, over connections of HTTP/2."""

import asyncio
import contextlib
import functools
import inspect
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, cast

from kakuri_http2 import Exchange, ExchangeEnded, Request, ServerDriver
from kakuri_protobuf import DecodeError, Method
from kakuri_tcp import Endpoint, ListeningSockets, ServerTLS, open_listening_sockets

from kakuri_grpc._arguments import check_number, checked_or_default, parsed_endpoint
from kakuri_grpc._deadlines import Deadlines
from kakuri_grpc._errors import MessageTooLarge, StatusError, status_error
from kakuri_grpc._framing import CompressedMessage, MessageReader, frame_message
from kakuri_grpc._limits import Limits
from kakuri_grpc._messages import LARGE_MESSAGE, LargeMessages, from_bytes, to_bytes
from kakuri_grpc._metadata import (
    Metadata,
    decode_metadata,
    decode_timeout,
    encode_message,
    encode_metadata,
    is_grpc,
)
from kakuri_grpc._status import StatusCode

log = logging.getLogger("kakuri_grpc")

Handler = Callable[..., Any]

_HEAD = ((b"content-type", b"application/grpc"),)


class ServerCall:
    """The call that a handler answers, apart from its messages.

    Attributes:
        path: Path of the method.
        metadata: What the client sent along.
        deadline: When the client stops waiting, by `time.monotonic()`; None if it waits for ever.
        trailers: Metadata to send at the end; a handler may set it.
    """

    def __init__(
        self, exchange: Exchange, path: str, metadata: Metadata, deadline: float | None
    ) -> None:
        self.path = path
        self.metadata = metadata
        self.deadline = deadline
        self.trailers: Metadata = ()
        self._exchange = exchange
        self._has_head = False

    @property
    def remaining(self) -> float | None:
        """Seconds until the client stops waiting; None if it waits for ever."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def send_metadata(self, metadata: Metadata = ()) -> None:
        """Send metadata before the first message; without this call, it is empty."""
        if not self._has_head:
            self._exchange.respond(200, (*_HEAD, *encode_metadata(metadata)))
            self._has_head = True

    async def send(self, data: bytes) -> None:
        """Send an encoded message."""
        self.send_metadata()
        data = frame_message(data)  # the message without its prefix is released before the wait
        await self._exchange.send(data)

    def finish(self, code: StatusCode, message: str = "") -> None:
        """Send the status."""
        status: tuple[tuple[bytes, bytes], ...] = ((b"grpc-status", b"%d" % code),)
        if message:
            status += ((b"grpc-message", encode_message(message)),)
        fields = (*status, *encode_metadata(self.trailers))
        if self._has_head:
            self._exchange.send_trailers(fields)
        else:
            self._exchange.respond(200, (*_HEAD, *fields), end=True)
            self._has_head = True


class Server:
    """Answers calls of methods that were added.

    A handler of a method in which

    - neither side streams: `async def handler(request, call) -> answer`
    - the server streams: `async def handler(request, call)`, an async generator of answers
    - the client streams: `async def handler(requests, call) -> answer`; `requests` is an async
      iterator
    - both stream: `async def handler(requests, call)`, an async generator

    A handler that raises a StatusError, such as `NotFound("no order 7")`, ends its call with that
    status. Any other exception is logged and ends it with INTERNAL; the client does not see what it
    says. When the client's deadline is over, or it has cancelled the call, the handler is
    cancelled.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = checked_or_default(limits, Limits, "limits")
        self._methods: dict[bytes, tuple[Method[Any, Any], Handler]] = {}
        self._drivers: set[ServerDriver] = set()
        self._listeners: list[asyncio.Server] = []
        self._opened: list[ListeningSockets] = []
        self._running: set[asyncio.Task[Any]] = set()
        self._large_messages = LargeMessages()

    def __repr__(self) -> str:
        state = "listening" if self._listeners else "not listening"
        counts = f"{len(self._drivers)} connections, {len(self._running)} calls"
        return f"<{type(self).__name__} {state}, {counts}>"

    def add(self, method: Method[Any, Any], handler: Handler) -> None:
        """Register the handler that answers a method.

        Raises:
            TypeError: The handler is not of the kind that the method needs, or the method is not a
                Method.
            ValueError: The method has a handler already.
        """
        if not isinstance(method, Method):
            raise TypeError(f"expected a Method, got {method!r:.80}")
        kind = "an async generator function" if method.server_streams else "a coroutine function"
        is_kind: Callable[[object], bool] = (
            inspect.isasyncgenfunction if method.server_streams else inspect.iscoroutinefunction
        )
        if not (is_kind(handler) or is_kind(getattr(handler, "__call__", None))):  # noqa: B004
            raise TypeError(f"expected {kind} as the handler of {method.path}, got {handler!r}")
        path = method.path.encode()
        if path in self._methods:
            raise ValueError(f"{method.path} has a handler already")
        self._methods[path] = method, handler

    async def listen(self, endpoint: Endpoint | str, *, tls: ServerTLS | None = None) -> Endpoint:
        """Listen on an endpoint, and return it with the port that the kernel chose.

        A Unix socket is only for this user and root. One that a killed process has left is
        replaced, and `close` removes the file.

        Raises:
            OSError: The endpoint is taken, or may not be used (`kakuri_tcp.ListenFailed`).
            TypeError: An argument is of another type.
        """
        where = parsed_endpoint(endpoint)
        if tls is not None and not isinstance(tls, ServerTLS):
            raise TypeError(f"expected ServerTLS as tls, got {tls!r:.80}")
        loop = asyncio.get_running_loop()
        context = None if tls is None else tls.context()
        (opened,) = await asyncio.to_thread(open_listening_sockets, where, 1)
        self._opened.append(opened)
        for listening in opened.sockets:
            if where.scheme == "unix":
                listener = await loop.create_unix_server(self._accept, sock=listening)
            else:
                listener = await loop.create_server(self._accept, sock=listening, ssl=context)
            self._listeners.append(listener)
        return opened.endpoint

    async def close(self, grace: float = 0.0) -> None:
        """Accept no more calls; those that run get `grace` seconds to end."""
        check_number(grace, "grace")
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        while self._opened:
            self._opened.pop().close()
        for driver in self._drivers:
            driver.connection.go_away()
            driver.flush()
        if grace and self._running:
            await asyncio.wait(self._running, timeout=grace)
        drivers = [*self._drivers]
        for driver in drivers:
            driver.close()
        for driver in drivers:
            await driver.closed
        for listener in listeners:
            await listener.wait_closed()
        self._deadlines.close()

    def abort_connections(self) -> None:
        """Break every connection without GOAWAY, for tests; new ones are accepted.

        Clients see what they see of a killed process: they cannot know whether the calls under
        way were processed. Handlers of these calls are cancelled.
        """
        for driver in self._drivers:
            driver.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @functools.cached_property
    def _deadlines(self) -> Deadlines:
        return Deadlines(asyncio.get_running_loop())

    def _accept(self) -> asyncio.BaseProtocol:
        if len(self._drivers) >= self._limits.connections:
            return _Refused()
        driver = ServerDriver(self._handle, self._limits.http2)
        self._drivers.add(driver)
        driver.closed.add_done_callback(lambda _: self._drivers.discard(driver))
        return driver

    # One call.

    async def _handle(self, exchange: Exchange) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        head = cast("Request", exchange.head)
        fields = dict(head.fields)
        if head.method != b"POST":
            exchange.respond(405, ((b"allow", b"POST"),), end=True)
            return
        if not is_grpc(fields.get(b"content-type", b"")):
            exchange.respond(415, end=True)
            return
        call = ServerCall(exchange, head.path.decode("latin-1"), (), None)
        try:
            call.metadata = decode_metadata(head.fields)
            timeout = fields.get(b"grpc-timeout")
            if timeout is not None:
                call.deadline = time.monotonic() + decode_timeout(timeout)
        except ValueError as error:
            call.finish(StatusCode.INTERNAL, str(error))
            return
        await self._run(exchange, head.path, call)

    async def _run(self, exchange: Exchange, path: bytes, call: ServerCall) -> None:
        found = self._methods.get(path)
        if found is None:
            call.finish(StatusCode.UNIMPLEMENTED, f"there is no method {call.path:.200}")
            return
        method, handler = found
        messages = _Messages(exchange, method, self._limits.received, self._large_messages)
        running = _Running(call.remaining)
        exchange.on_end = running.end
        if running.deadline < math.inf:
            self._deadlines.add(running)
        try:
            await self._answer(method, handler, messages, call)
            call.finish(StatusCode.OK)
        except asyncio.CancelledError as error:
            # Raised again, it would stay in the task, and with it the frames and their messages.
            if running.is_over:
                return
            if running.is_late:
                text = "the deadline of the call is over"
                self._fail(call, status_error(StatusCode.DEADLINE_EXCEEDED, text))
            elif running.task.cancelling():
                raise
            else:
                self._fail(call, error)  # something that the handler awaited was cancelled
        except ExchangeEnded:
            raise  # the client no longer waits
        except Exception as error:  # noqa: BLE001 - each becomes a status or is logged
            self._fail(call, error)
        finally:
            self._deadlines.discard(running)
            exchange.on_end = None

    def _fail(self, call: ServerCall, error: BaseException) -> None:
        """Send the status that stands for what a handler raised."""
        if isinstance(error, MessageTooLarge):
            error = status_error(StatusCode.RESOURCE_EXHAUSTED, str(error))
        if isinstance(error, StatusError):
            call.trailers = call.trailers or error.trailers
            try:
                call.finish(error.code, error.message)
            except ExchangeEnded:
                raise
            except Exception as mistake:  # noqa: BLE001 - of the handler, in its trailers
                self._report(call, mistake)
        else:
            self._report(call, error)

    @staticmethod
    def _report(call: ServerCall, error: BaseException) -> None:
        """Log what a handler did wrong, and tell the client only that it did."""
        log.error("%s failed", call.path, exc_info=error)
        call.trailers = ()
        call.finish(StatusCode.INTERNAL, "the server failed; its log says why")

    async def _answer(
        self, method: Method[Any, Any], handler: Handler, messages: "_Messages", call: ServerCall
    ) -> None:
        argument: Any = messages
        if not method.client_streams:
            argument = await messages.sole()
        result = handler(argument, call)
        if method.server_streams:
            async with contextlib.aclosing(cast("Any", result)) as answers:
                async for answer in answers:
                    await call.send(to_bytes(answer, method.response))
        else:
            answer = await cast("Awaitable[object]", result)
            await call.send(to_bytes(answer, method.response))


class _Running:
    """The task of a call, which is cancelled when the client no longer waits."""

    def __init__(self, remaining: float | None) -> None:
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())
        now = asyncio.get_running_loop().time()
        self.deadline = math.inf if remaining is None else now + remaining
        self.is_late = False
        self.is_over = False

    def expire(self) -> None:
        """Cancel the handler at the deadline of its call."""
        self.is_late = True
        self.task.cancel()

    def end(self) -> None:
        """Cancel the handler because the client or the connection has ended the call."""
        self.is_over = True
        self.task.cancel()


class _Refused(asyncio.Protocol):
    """Aborts a connection beyond `Limits.connections`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class _Messages(AsyncIterator[Any]):
    """The messages that a client sends in one call."""

    def __init__(
        self,
        exchange: Exchange,
        method: Method[Any, Any],
        limit: int,
        large_messages: LargeMessages,
    ) -> None:
        self._exchange = exchange
        self._method = method
        self._reader = MessageReader(limit)
        self._large_messages = large_messages

    async def __anext__(self) -> Any:
        message = await self._next()
        if message is None:
            raise StopAsyncIteration
        return message

    async def sole(self) -> Any:
        """Return the message of a call that has exactly one."""
        message = await self._next()
        if message is None or await self._next() is not None:
            got = "none" if message is None else "more"
            raise status_error(StatusCode.INTERNAL, f"expected one message, got {got}")
        return message

    async def _next(self) -> Any:
        await self._reader.let_others_run()
        try:
            while (data := self._reader.next_message()) is None:
                piece = await self._exchange.read()
                if not piece:
                    if not self._reader.is_empty:
                        raise status_error(StatusCode.INTERNAL, "the last message was cut off")
                    return None
                self._reader.feed(piece)
            if len(data) > LARGE_MESSAGE:
                return await self._large_messages.decode(data, self._method.request)
            return from_bytes(data, self._method.request)
        except CompressedMessage as error:
            raise status_error(StatusCode.UNIMPLEMENTED, str(error)) from error
        except DecodeError as error:
            name = self._method.request.__name__
            raise status_error(
                StatusCode.INTERNAL, f"the message is not a valid {name}: {error}"
            ) from error
