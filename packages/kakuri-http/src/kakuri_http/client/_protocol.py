"""A client's connection: one exchange at a time over the core."""

import asyncio
import contextlib
import os
import select
import socket
import time
from typing import Any

from kakuri_tcp import Connection, ConnectionFault

from kakuri_http._body_stream import StreamedBody
from kakuri_http._errors import (
    ConnectionBroken,
    RemoteProtocolError,
    RequestTimeout,
    ResponseClosed,
)
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits, Timeouts
from kakuri_http._messages import ReceivedResponse, Request, piece_of
from kakuri_http._sent_body import closing_pieces
from kakuri_http.client._requests import (
    CONTINUE,
    CONTINUE_WAIT,
    Content,
    connection_closed,
    request_timeout,
    response_fault,
)
from kakuri_http.core._client import ClientConnection
from kakuri_http.core._states import (
    END_OF_MESSAGE,
    ConnectionClosed,
    Data,
    InterimResponse,
    NeedData,
    Paused,
    State,
)


class Exchange:
    """One request and its response: the futures that wait for them, and the content.

    Separate from the connection, which serves other exchanges later, so that a caller that still
    holds this exchange can't read the data of another.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.head: asyncio.Future[ReceivedResponse] = asyncio.get_running_loop().create_future()
        self.head.add_done_callback(retrieve_exception)
        self.continued: asyncio.Future[None] | None = None
        self.writable: asyncio.Future[None] | None = None
        self.sender: asyncio.Task[None] | None = None
        self.content: StreamedBody | None = None
        self.is_over: bool = False
        self.sender_cancelled: bool = False
        self.slice_end: float = 0.0  # monotonic time at which sending lets other tasks run

    def fail(self, error: BaseException) -> None:
        """Raise an error in everything that waits for the exchange, and stop sending."""
        for future in (self.head, self.writable):
            if future is not None and not future.done():
                future.set_exception(error)
        if self.content is not None:
            self.content.fail(error)
        self.stop_sending()

    def stop_sending(self) -> None:
        """Cancel the sender, once: another cancellation would interrupt a generator's cleanup."""
        if self.sender is not None and not self.sender_cancelled:
            self.sender_cancelled = True
            self.sender.cancel()

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if the sender was cancelled and the body suppressed that."""
        if self.sender_cancelled:
            raise asyncio.CancelledError

    def finish(self) -> None:
        """End the exchange: reading from it now raises ResponseClosed, and sending stops."""
        self.is_over = True
        self.stop_sending()
        if self.content is not None:
            self.content.fail(_closed())


def _closed() -> ResponseClosed:
    return ResponseClosed("the response was read after the block of its stream() had ended")


def retrieve_exception(future: "asyncio.Future[ReceivedResponse] | asyncio.Future[None]") -> None:
    """Retrieve a failure that no caller awaits, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()


SLICE_SECONDS = 0.005
"""Seconds of uninterrupted sending before other tasks get a turn."""
_READ_SIZE = 1 << 16
_READS_AFTER_LOSS = 64  # of _READ_SIZE each: more than the buffer of a socket usually holds


class ClientProtocol(Connection):
    """One connection of a pool, over the core."""

    __slots__ = ("_exchange", "_http_limits", "core", "idle_since")

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.core: ClientConnection = ClientConnection(limits)
        self.idle_since: float = 0.0
        self._http_limits = limits
        self._exchange: Exchange | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent."""
        return not self.is_closing and self.core.is_reusable and self._exchange is None

    def has_input(self) -> bool:
        """Return whether unread bytes, or the end of the stream, have arrived.

        If so, an idle connection can't be used: the bytes are unsolicited, or the server has closed
        it. The kernel is asked, because the event loop may not have reported either yet.
        """
        assert self._transport is not None
        poller = select.poll()
        poller.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poller.poll(0))

    # From the transport.

    def data_received(self, data: bytes) -> None:
        """Process bytes; asyncio calls this."""
        self.core.receive_data(data)
        self._advance()

    def receive_eof(self) -> None:
        """Process the end of the server's stream."""
        if self._was_truncated():
            return  # connection_lost() follows
        self.core.receive_eof()
        self._advance()
        self.close()

    def _was_truncated(self) -> bool:
        """Return whether TLS ended without close_notify, as after a truncation attack.

        Content that ends with the connection is then incomplete (RFC 9112 9.8). asyncio reports
        such an end, uvloop does not, so OpenSSL is asked.
        """
        assert self._transport is not None
        tls = self._transport.get_extra_info("ssl_object")
        if tls is None:
            return False
        import ssl  # noqa: PLC0415 (loaded already, as the connection has TLS)

        try:
            return bool(tls.read(1))
        except ssl.SSLZeroReturnError:
            return False
        except ssl.SSLError:
            return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection; asyncio calls this."""
        if exc is not None and self._exchange is not None:
            self._receive_unread()
        super().connection_lost(exc)

    def _receive_unread(self) -> None:
        """Read what the server sent before a write failed, which may explain the failure."""
        transport = self._transport
        if transport is None or transport.get_extra_info("ssl_object") is not None:
            return
        with contextlib.suppress(OSError):
            descriptor = os.dup(transport.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as unread:
                for _ in range(_READS_AFTER_LOSS):
                    data = unread.recv(_READ_SIZE, socket.MSG_DONTWAIT)
                    if not data:
                        break
                    self.core.receive_data(data)
        self._advance()

    def writing_resumed(self) -> None:
        """Continue sending."""
        exchange = self._exchange
        if exchange is not None and exchange.writable is not None and not exchange.writable.done():
            exchange.writable.set_result(None)

    def closed(self, fault: ConnectionFault | None) -> None:
        """Fail the exchange in progress."""
        error = connection_closed(self.peer)
        error.__cause__ = fault
        self._fail(error)

    def close_with_client(self) -> None:
        """Close immediately because the client was closed, and fail the exchange in progress."""
        self._fail(ConnectionBroken("the client was closed before the response was complete"))
        self.abort()

    def _fail(self, error: Exception) -> None:
        if self._exchange is not None:
            self._exchange.fail(error)

    def _advance(self) -> None:
        exchange = self._exchange
        try:
            while True:
                event = self.core.next_event()
                if isinstance(event, NeedData | Paused | ConnectionClosed):
                    break
                if exchange is None:
                    continue  # its caller was cancelled; the connection is about to close
                if isinstance(event, Data):
                    if exchange.content is not None:
                        exchange.content.feed(event.data)
                elif isinstance(event, InterimResponse):
                    if event.status == CONTINUE:
                        self._allow_content(exchange)
                elif isinstance(event, ReceivedResponse):
                    exchange.content = StreamedBody(
                        self._http_limits.stream_buffer, self.pause_reading, self.resume_reading
                    )
                    if not exchange.head.done():
                        exchange.head.set_result(event)
                else:
                    self._end_response(exchange, event.trailers)
                    break
        except RemoteProtocolError as error:
            self._fail(response_fault(error, self.peer))
            self.abort()

    def _end_response(self, exchange: Exchange, trailers: Headers) -> None:
        # A response that is complete before the request means that the server needs no more of it.
        if self.core.request_state is State.BODY:
            exchange.stop_sending()
        if exchange.content is not None:
            exchange.content.end(trailers)
        if not self.core.is_reusable:
            self.close()

    # For the client.

    async def start(
        self, request: Request, body: Content, timeouts: Timeouts, *, body_limit: int
    ) -> tuple[ReceivedResponse, Exchange]:
        """Send a request; return the head of the response, and the exchange with its content.

        Args:
            request: The head.
            body: Its content.
            timeouts: Timeouts for this request.
            body_limit: Largest content of the response in bytes.

        Raises:
            ConnectionBroken: The connection closed.
            RequestTimeout: The server did not read, or did not respond, in time.
            RemoteProtocolError: The response is not valid HTTP/1.1.
        """
        self.core.body_limit = body_limit
        self._exchange = exchange = Exchange(timeouts)
        self.write(self.core.send(request))
        sending = None
        if self.core.request_state is State.BODY:
            sending = self._send(exchange, body, expects_continue=request.expects_continue)
        elif self.is_writing_paused:
            sending = self._until_writable(exchange)
        if sending is not None:
            exchange.sender = asyncio.get_running_loop().create_task(sending)
            exchange.sender.add_done_callback(self._sender_done)
            # While the request is being sent, the write timeout applies, not the read timeout.
            waiting: list[asyncio.Future[Any]] = [exchange.head, exchange.sender]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        deadline = asyncio.timeout(timeouts.read)
        try:
            async with deadline:
                return await exchange.head, exchange
        except TimeoutError as error:
            if not deadline.expired():
                raise  # from the sender, or from the caller's own content
            self.abort()
            raise request_timeout("read", self.peer, timeouts.read) from error

    @property
    def sender(self) -> asyncio.Task[None] | None:
        """The task that sends the content of a request; None if no such task is running."""
        return None if self._exchange is None else self._exchange.sender

    def end_exchange(self) -> None:
        """End the exchange, complete or not; the pool then keeps or aborts the connection."""
        exchange = self._exchange
        if exchange is not None:
            exchange.finish()
            if exchange.sender is None:
                self._exchange = None

    async def _send(self, exchange: Exchange, body: Content, *, expects_continue: bool) -> None:
        if expects_continue:
            # If the server does not respond to the expectation, the content is sent after a second
            # (RFC 9110 10.1.1).
            exchange.continued = asyncio.get_running_loop().create_future()
            await asyncio.wait([exchange.continued], timeout=CONTINUE_WAIT)
            if exchange.head.done():
                return  # the final response came first, so the content is not sent
        if isinstance(body, bytes):
            await self._send_piece(exchange, body)
        else:
            async with closing_pieces(body) as pieces:
                async for piece in pieces:
                    await self._send_piece(exchange, piece_of(piece))
        exchange.raise_if_cancelled()
        self.write(self.core.send(END_OF_MESSAGE))

    async def _send_piece(self, exchange: Exchange, piece: bytes) -> None:
        exchange.raise_if_cancelled()
        if self.is_closing:
            # The transport is closing, and asyncio warns about each write. Wait until
            # connection_lost(), which first reads a possible early response, cancels this task.
            await asyncio.get_running_loop().create_future()
        if self.is_writing_paused:
            await self._until_writable(exchange)
        elif time.monotonic() >= exchange.slice_end:  # writing never paused
            await asyncio.sleep(0)
            exchange.slice_end = time.monotonic() + SLICE_SECONDS
        self.write(self.core.send(Data(piece)))

    async def _until_writable(self, exchange: Exchange) -> None:
        """Wait until the server has caught up; raise RequestTimeout if it reads nothing."""
        seconds = exchange.timeouts.write
        while self.is_writing_paused:
            before = self.outstanding()
            exchange.writable = asyncio.get_running_loop().create_future()
            exchange.writable.add_done_callback(retrieve_exception)
            try:
                async with asyncio.timeout(seconds):
                    await exchange.writable
            except TimeoutError as error:
                if not self.outstanding().has_progressed_since(before):
                    raise request_timeout("write", self.peer, seconds) from error

    def _allow_content(self, exchange: Exchange) -> None:
        if exchange.continued is not None and not exchange.continued.done():
            exchange.continued.set_result(None)

    def _sender_done(self, task: asyncio.Task[None]) -> None:
        exchange = self._exchange
        assert exchange is not None  # it is kept while its sender runs
        exchange.sender = None
        if exchange.is_over:
            self._exchange = None
        if task.cancelled():
            self.close()  # no other request can follow one that was cut off
        elif error := task.exception():
            exchange.fail(error)
            self.abort()

    async def next_piece(self, exchange: Exchange) -> bytes:
        """Return the next piece of the content of an exchange's response.

        Raises:
            StopAsyncIteration: The content has ended.
            ResponseClosed: The exchange is over.
            RequestTimeout: No content arrived for `Timeouts.read`.
        """
        assert exchange.content is not None
        if exchange.is_over:
            raise _closed()
        deadline = asyncio.timeout(exchange.timeouts.read)
        try:
            async with deadline:
                return await anext(exchange.content)
        except TimeoutError as error:
            if not deadline.expired():
                raise  # from the sender, or from the caller's own content
            self.abort()
            raise RequestTimeout(
                f"{self.peer} sent nothing for {exchange.timeouts.read} s", phase="read"
            ) from error
