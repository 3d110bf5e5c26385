"""Drives a connection over an asyncio transport, and gives each exchange an object to await.

All that one pass of the event loop brings leaves in one write: acknowledgements, credit and the
messages of all exchanges together. While the transport is full nothing is taken out of the core, so
content stays bounded by what callers have handed over, and answers by `Limits.unsent_answers`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar, cast

from kakuri_http2._client import ClientConnection
from kakuri_http2._connection import Connection
from kakuri_http2._errors import ErrorCode, RemoteProtocolError
from kakuri_http2._events import (
    ConnectionEnded,
    Data,
    Drained,
    Event,
    GoingAway,
    Processed,
    Request,
    Response,
    SettingsReceived,
    StreamReset,
    Trailers,
)
from kakuri_http2._exchange import Exchange, ExchangeEnded
from kakuri_http2._limits import Limits
from kakuri_http2._server import ServerConnection

SETTINGS_TIMEOUT = 10.0
"""Seconds within which the peer has to acknowledge our SETTINGS (RFC 9113 section 6.5.3)."""

FLOOD_INTERVAL = 10.0
"""Seconds after which the core counts frames without progress, and resets, anew."""

C = TypeVar("C", bound=Connection)


class Driver(asyncio.Protocol, Generic[C]):
    """The protocol of one connection.

    Attributes:
        connection: the core.
        closed: done when the transport is closed.

    """

    def __init__(self, connection: C) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._half_ended: set[int] = set()  # the peer has ended them, this side not yet
        self._flush_handle: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing_paused = False
        self._interval_end = self._loop.time() + FLOOD_INTERVAL

    # What exchanges call.

    def send(self, message: Request | Response | Data | Trailers) -> int | None:
        """Queue a message and write it in this pass of the event loop."""
        stream: int | None = self.connection.send(message)  # type: ignore[attr-defined]
        self._flush_soon()
        return stream

    def consumed(self, stream: int, amount: int) -> None:
        """Return flow-control credit to the peer."""
        self.connection.consumed(stream, amount)
        self._flush_soon()

    def reset(self, stream: int, code: ErrorCode) -> None:
        """End a stream."""
        self.connection.reset(stream, code)
        self._exchanges.pop(stream, None)
        self._flush_soon()

    def close(self) -> None:
        """Send GOAWAY, and close at once; exchanges that are open end."""
        if not self.connection.is_over:
            self.connection.go_away()
        self.flush()
        if self._transport is not None:
            self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection on a transport; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)
        self._timer = self._loop.call_later(SETTINGS_TIMEOUT, self._check_settings)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Process bytes from the peer; asyncio calls this."""
        now = self._loop.time()
        if now >= self._interval_end:
            self._interval_end = now + FLOOD_INTERVAL
            self.connection.start_interval()
        self.connection.receive_data(data)
        self._handle_events()

    def eof_received(self) -> None:
        """Handle the end of the peer's stream; asyncio calls this."""
        self.connection.receive_eof()
        self._handle_events()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - exchanges say it
        """Handle the end of the transport; asyncio calls this."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        self.connection.receive_eof()
        self._handle_events()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """Stop writing; asyncio calls this when its buffer is full."""
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """Continue writing; asyncio calls this when its buffer has room again."""
        self._is_writing_paused = False
        self.flush()

    # Events.

    def _handle_events(self) -> None:
        while (event := self.connection.next_event()) is not None:
            self._handle(event)
        if self.connection.is_over and self._transport is not None:
            self.flush()
            self._transport.close()
        else:
            self._flush_soon()

    def _handle(self, event: Event) -> None:
        if isinstance(event, (Response, Data, Trailers)):
            exchange = self._exchanges.get(event.stream)
            if exchange is not None:
                exchange.receive(event)
                if exchange.is_complete:
                    self._half_ended.add(event.stream)
        elif isinstance(event, Drained):
            exchange = self._exchanges.get(event.stream)
            if exchange is not None:
                exchange.drained()
        elif isinstance(event, StreamReset):
            exchange = self._exchanges.pop(event.stream, None)
            if exchange is not None:
                exchange.end(
                    ExchangeEnded(
                        event.message or f"the peer ended the exchange (code {event.code})",
                        event.code,
                        by_peer=event.by_peer,
                        processed=event.processed,
                    )
                )
        elif isinstance(event, ConnectionEnded):
            self._ended(event.error)
        elif isinstance(event, (SettingsReceived, GoingAway)):
            self._settings_changed()
        elif isinstance(event, Request):
            self._receive_request(event)

    def _settings_changed(self) -> None:
        """Handle a change of the number of streams; clients override this."""

    def _ended(self, error: RemoteProtocolError | None) -> None:
        """Handle the end of the connection; clients override this."""

    def _receive_request(self, request: Request) -> None:
        """Begin an exchange that the peer requests; servers override this."""

    def _check_settings(self) -> None:
        if not self.connection.settings_acknowledged:
            self.connection.fail(
                f"expected an acknowledgement of SETTINGS within {SETTINGS_TIMEOUT:g} s",
                ErrorCode.SETTINGS_TIMEOUT,
            )
            self._handle_events()

    def _flush_soon(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what the core has to send, as far as the transport accepts it."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        while self._transport is not None and not self._is_writing_paused:
            data = self.connection.data_to_send()
            if not data:
                break
            self._transport.write(data)
        while (event := self.connection.next_event()) is not None:  # Drained
            self._handle(event)
        if self._half_ended:
            for stream in [one for one in self._half_ended if not self.connection.has_stream(one)]:
                self._half_ended.discard(stream)
                self._exchanges.pop(stream, None)


class ClientDriver(Driver[ClientConnection]):
    """A client's connection: opens exchanges, as many at a time as the server allows.

    >>> async def version(path: str) -> bytes:
    ...     loop = asyncio.get_running_loop()
    ...     _, client = await loop.create_unix_connection(ClientDriver, path)
    ...     async with client:
    ...         exchange = await client.open(Request(b"GET", b"/", b"localhost", end=True))
    ...         await exchange.response()
    ...         return await exchange.read()

    """

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(ClientConnection(limits))
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._granted = 0  # streams that requests were given which have not opened them yet

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()
        await self.closed

    async def open(self, request: Request) -> Exchange:
        """Send a request; waits, first come first served, while the server allows no more streams.

        Raises:
            ExchangeEnded: the connection accepts no request any more; `processed` is NO.

        """
        exchange = self.open_now(request)
        if exchange is None:
            await self._turn()
            exchange = self._opened(request)
        return exchange

    def open_now(self, request: Request) -> Exchange | None:
        """Send a request if there is a stream for it and no other waits; otherwise return None."""
        if self._waiting or self._free_streams <= 0:
            return None
        return self._opened(request)

    def _opened(self, request: Request) -> Exchange:
        if not self.connection.available_streams:
            raise _not_sent()
        stream = self.send(request)
        assert stream is not None
        exchange = Exchange(cast("Driver[Connection]", self), stream)
        self._exchanges[stream] = exchange
        return exchange

    @property
    def _free_streams(self) -> int:
        """Number of free streams that are not yet assigned to a waiting request."""
        return self.connection.available_streams - self._granted

    async def _turn(self) -> None:
        """Wait until there is a stream for this request, or until the connection accepts none."""
        if not self.connection.accepts_streams:
            raise _not_sent()
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            is_granted = await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.result():
                self._granted -= 1
                self._grant()
            raise
        if not is_granted:
            raise _not_sent()
        self._granted -= 1

    def _grant(self) -> None:
        """Assign free streams to the requests that have waited longest."""
        while self._waiting and self._free_streams > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                self._granted += 1

    def _handle_events(self) -> None:
        super()._handle_events()
        self._grant()

    def _ended(self, error: RemoteProtocolError | None) -> None:  # noqa: ARG002 - exchanges have it
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(False)

    def _settings_changed(self) -> None:
        if not self.connection.accepts_streams:
            self._ended(None)

    def reset(self, stream: int, code: ErrorCode) -> None:
        """End a stream; a request that waits may take its place."""
        super().reset(stream, code)
        self._grant()


def _not_sent() -> ExchangeEnded:
    return ExchangeEnded(
        "the connection accepts no more requests",
        ErrorCode.NO_ERROR,
        by_peer=True,
        processed=Processed.NO,
    )


class ServerDriver(Driver[ServerConnection]):
    """A server's connection: runs a handler for each request, in a task of its own."""

    def __init__(
        self, handler: Callable[[Exchange], Awaitable[None]], limits: Limits | None = None
    ) -> None:
        """Create the protocol of a server's connection.

        Args:
            handler: sends the response with the exchange's methods. If it raises, or returns
                without having ended the exchange, the exchange is reset with INTERNAL_ERROR.
            limits: what the client may do.

        """
        super().__init__(ServerConnection(limits))
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()

    def _receive_request(self, request: Request) -> None:
        if len(self._tasks) >= 2 * self.connection.limits.concurrent_streams:
            # Handlers of streams that the client has reset still run (CVE-2023-44487).
            self.reset(request.stream, ErrorCode.REFUSED_STREAM)
            return
        exchange = Exchange(cast("Driver[Connection]", self), request.stream)
        exchange.receive(request)
        self._exchanges[request.stream] = exchange
        task = self._loop.create_task(self._run(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except ExchangeEnded:
            return  # the peer no longer waits for it
        finally:
            self.connection.reset_unfinished(exchange.stream)
            self._exchanges.pop(exchange.stream, None)
            self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the transport: cancel the handlers that still run."""
        super().connection_lost(exc)
        for task in self._tasks:
            task.cancel()
