"""A server: handlers of methods, over connections of HTTP/2."""

import asyncio
import contextlib
import functools
import inspect
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self, cast

import kakuri_tcp
from kakuri_http2 import ErrorCode, Exchange, ExchangeEnded, Request
from kakuri_protobuf import Method
from kakuri_tcp import Endpoint, ServerTLS, listen

from kakuri_grpc._arguments import check_number, checked_or_default, parsed_endpoint
from kakuri_grpc._deadlines import Deadlines
from kakuri_grpc._errors import MessageTooLarge, StatusError, status_error
from kakuri_grpc._framing import frame_message
from kakuri_grpc._limits import Limits
from kakuri_grpc._messages import MessageCodec
from kakuri_grpc._metadata import (
    Metadata,
    decode_metadata,
    decode_timeout,
    encode_message,
    encode_metadata,
    is_grpc,
)
from kakuri_grpc._requests import Requests
from kakuri_grpc._server_connection import ServerConnection, ServerResources
from kakuri_grpc._status import StatusCode

log = logging.getLogger("kakuri_grpc")

Handler = Callable[..., Any]

_ALWAYS_ACCEPTED = 4
"""Number of calls that each connection may have even above `Limits.calls`."""

_HEAD = ((b"content-type", b"application/grpc"),)


class ServerCall:
    """The call that a handler responds to: its metadata, deadline and trailers.

    Attributes:
        path: Path of the method.
        metadata: The client's metadata.
        deadline: When the client stops waiting, by `time.monotonic()`; None if it waits forever.
        trailers: Trailing metadata, sent with the status; a handler may set it.
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
        """Seconds until the client stops waiting; None if it waits forever."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def send_metadata(self, metadata: Metadata = ()) -> None:
        """Send initial metadata, before the first message; without this call, it is empty."""
        if not self._has_head:
            self._exchange.respond(200, (*_HEAD, *encode_metadata(metadata)))
            self._has_head = True

    async def send(self, data: bytes) -> None:
        """Send an encoded message."""
        self.send_metadata()
        data = frame_message(data)  # the message without its prefix is released before the wait
        await self._exchange.send(data)

    def finish(self, code: StatusCode, message: str = "") -> None:
        """End the call with a status."""
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
    """A server that calls a handler for each call of a method.

    Add methods and their handlers with `add`, then call `listen`. The kind of handler depends on
    which sides of the method stream:

    - Neither: `async def handler(request, call) -> response`.
    - The server: `async def handler(request, call)`, an async generator of responses.
    - The client: `async def handler(requests, call) -> response`; `requests` is an async iterator.
    - Both: `async def handler(requests, call)`, an async generator of responses.

    A handler that raises a StatusError, such as `NotFound("no order 7")`, ends its call with that
    status. Any other exception is logged and ends the call with INTERNAL, without the text of the
    exception. If the deadline passes or the client cancels the call, the handler is cancelled, but
    only once, because a second cancellation would interrupt its cleanup.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = checked_or_default(limits, Limits, "limits")
        self._methods: dict[bytes, tuple[Method[Any, Any], Handler]] = {}
        self._resources = ServerResources(self._limits)
        self._connections = self._resources.connections
        self._servers: list[kakuri_tcp.Server] = []
        self._running: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        state = "listening" if self._servers else "not listening"
        counts = f"{len(self._connections)} connections, {len(self._running)} calls"
        return f"<{type(self).__name__} {state}, {counts}>"

    def add(self, method: Method[Any, Any], handler: Handler) -> None:
        """Register the handler of a method.

        Raises:
            TypeError: The method is not a Method, or the handler is not a coroutine function (an
                async generator function if the server streams).
            ValueError: The method already has a handler.
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
            raise ValueError(f"{method.path} already has a handler")
        self._methods[path] = method, handler

    async def listen(self, endpoint: Endpoint | str, *, tls: ServerTLS | None = None) -> Endpoint:
        """Listen on an endpoint, and return it with the port that the kernel chose.

        Only this user and root can connect to a Unix socket. A socket file that a killed process
        left is replaced, and `close` removes the file.

        Raises:
            OSError: The endpoint is in use or not permitted (`kakuri_tcp.ListenFailed`).
            TypeError: An argument has the wrong type.
        """
        where = parsed_endpoint(endpoint)
        if tls is not None and not isinstance(tls, ServerTLS):
            raise TypeError(f"expected ServerTLS as tls, got {tls!r:.80}")
        server = await listen(where, self._new_connection, limits=self._limits.server, tls=tls)
        self._servers.append(server)
        return server.endpoint

    async def close(self, grace: float = 0.0) -> None:
        """Accept no more calls, wait up to `grace` seconds for running ones, and close."""
        check_number(grace, "grace")
        servers, self._servers = self._servers, []
        longest = grace + self._limits.server.write_timeout
        draining = [asyncio.ensure_future(server.drain(longest)) for server in servers]
        try:
            if draining:
                await asyncio.wait(draining, timeout=grace)
        finally:  # even if the caller is cancelled
            for connection in [*self._connections]:
                connection.driver.close()
        if draining:
            # Unlike gather, wait does not cancel them if the caller is cancelled.
            await asyncio.wait(draining)
        self._deadlines.close()
        del self._deadlines  # belongs to one event loop; the server may listen again in another
        self._resources.close()

    def abort_connections(self) -> None:
        """Break every connection without GOAWAY, for tests; new ones are accepted.

        To clients, it looks as if the process had been killed: they cannot know whether the calls
        in progress were processed. The handlers of these calls are cancelled.
        """
        for connection in self._connections:
            connection.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @functools.cached_property
    def _deadlines(self) -> Deadlines:
        return Deadlines(asyncio.get_running_loop())

    def _new_connection(self) -> ServerConnection:
        return ServerConnection(self._handle, self._resources)

    # One call.

    async def _handle(self, exchange: Exchange, connection: ServerConnection) -> None:
        if len(self._running) >= self._limits.calls and (
            connection.driver.connection.open_streams > _ALWAYS_ACCEPTED
        ):
            exchange.cancel(ErrorCode.REFUSED_STREAM)
            return
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
        await self._run(exchange, head.path, call, connection)

    async def _run(
        self, exchange: Exchange, path: bytes, call: ServerCall, connection: ServerConnection
    ) -> None:
        found = self._methods.get(path)
        if found is None:
            call.finish(StatusCode.UNIMPLEMENTED, f"there is no method {call.path:.200}")
            return
        method, handler = found
        requests = Requests(exchange, method, connection)
        running = _Running(call.remaining)
        deadlines = self._deadlines  # of this event loop, even if the handler outlives the server
        exchange.on_end = running.end
        if running.deadline < math.inf:
            deadlines.add(running)
        try:
            await self._respond(method, handler, requests, call, connection.codec)
            call.finish(StatusCode.OK)
        except asyncio.CancelledError as error:
            # If it were raised again, the task would keep it, with the frames and their messages.
            if running.is_over:
                return
            if running.is_late:
                text = "the deadline of the call has passed"
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
            requests.close()
            deadlines.discard(running)
            exchange.on_end = None

    def _fail(self, call: ServerCall, error: BaseException) -> None:
        """Send the status for an exception of a handler."""
        if isinstance(error, MessageTooLarge):
            error = status_error(StatusCode.RESOURCE_EXHAUSTED, str(error))
        if isinstance(error, StatusError):
            call.trailers = call.trailers or error.trailers
            try:
                call.finish(error.code, error.message)
            except ExchangeEnded:
                raise
            except Exception as mistake:  # noqa: BLE001 - of the handler, in its trailers
                self._fail_with_internal(call, mistake)
        else:
            self._fail_with_internal(call, error)

    @staticmethod
    def _fail_with_internal(call: ServerCall, error: BaseException) -> None:
        """Log an exception of a handler, and end its call with INTERNAL, without the text."""
        log.error("%s failed", call.path, exc_info=error)
        call.trailers = ()
        call.finish(StatusCode.INTERNAL, "the server failed; its log says why")

    @staticmethod
    async def _respond(
        method: Method[Any, Any],
        handler: Handler,
        requests: Requests,
        call: ServerCall,
        codec: MessageCodec,
    ) -> None:
        argument: Any = requests
        if not method.client_streams:
            argument = await requests.sole()
        result = handler(argument, call)
        if method.server_streams:
            async with contextlib.aclosing(cast("Any", result)) as responses:
                async for response in responses:
                    await call.send(await codec.encode(response, method.response))
        else:
            response = await cast("Awaitable[object]", result)
            await call.send(await codec.encode(response, method.response))


class _Running:
    """The task of a call, which is cancelled when the client no longer waits."""

    def __init__(self, remaining: float | None) -> None:
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())
        now = asyncio.get_running_loop().time()
        self.deadline = math.inf if remaining is None else now + remaining
        self.is_late = False
        self.is_over = False
        self._is_cancelled = False

    def expire(self) -> None:
        """Cancel the handler at the deadline of its call."""
        self.is_late = True
        self._cancel()

    def end(self) -> None:
        """Cancel the handler because the client or the connection has ended the call."""
        self.is_over = True
        self._cancel()

    def _cancel(self) -> None:
        """Cancel the handler, once: another cancellation would interrupt its cleanup."""
        if not self._is_cancelled:
            self._is_cancelled = True
            self.task.cancel()
