"""A client's connection to a server: HTTP/2 within the limits that all connections share."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from kakuri_http2 import Data, Exchange, Request, Response, ServerDriver, Trailers
from kakuri_http2 import Limits as HTTP2Limits
from kakuri_tcp import Connection, ConnectionFault

from kakuri_grpc._limits import Limits
from kakuri_grpc._messages import MessageCodec
from kakuri_grpc._turn import Turn

P = ParamSpec("P")
T = TypeVar("T")

_REPORT_ABOVE = 65_536
"""Bytes of unprocessed input or unsent output above which they are reported to the server
immediately."""

_PIECE = 16 << 10
"""Bytes of input processed in one step, as many as a frame usually has. If each byte is a field, a
step takes about 20 ms."""

_CHEAP = 4096
"""Bytes of input up to which nothing is added to the expected time of a turn."""


class _RestartableExecutor(Executor):
    """An executor with one thread, started by the first `submit`.

    `submit` still works after `shutdown` and starts a new thread, because a handler that suppresses
    its cancellation can outlive its server.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "kakuri-grpc")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in the thread."""
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, *args: bool, **options: bool) -> None:
        """End the thread once it is idle."""
        self._pool.shutdown(*args, **options)
        self._pool = ThreadPoolExecutor(1, "kakuri-grpc")


class ServerResources:
    """What all connections of a server share.

    Attributes:
        limits: The limits of the server.
        connections: The open connections.
        turn: The time that their calls may take in one turn of the event loop.
        executor: The thread that encodes and decodes their large messages.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections: set[ServerConnection] = set()
        self.turn = Turn(limits.server.turn_time)
        self.executor: Executor = _RestartableExecutor()

    def close(self) -> None:
        """End the thread once it is idle."""
        self.executor.shutdown(wait=False)


class ServerConnection(Connection, asyncio.BufferedProtocol):
    """One client of a server.

    Attributes:
        driver: The driver of its HTTP/2 connection.
        codec: Encodes and decodes the messages of its calls.
        turn: The time that the calls of all connections may take in one turn of the event loop.
        held: Bytes of messages that have arrived in part, or wait to be decoded.
        is_input_reported: Whether unprocessed input was reported to the server.
    """

    def __init__(
        self,
        handle: Callable[[Exchange, "ServerConnection"], Awaitable[None]],
        resources: ServerResources,
    ) -> None:
        """Create the protocol of a connection.

        Args:
            handle: Responds to one call.
            resources: What it shares with the server's other connections.
        """
        super().__init__()
        limits = resources.limits
        self.driver = _Driver(lambda exchange: handle(exchange, self), limits.http2, self)
        self.codec = MessageCodec(limits, resources.executor)
        self.turn: Turn = resources.turn
        self.held: int = 0
        self.is_input_reported: bool = False
        self._buffer = self.driver.get_buffer(-1)
        self._connections = resources.connections
        self._waiting: deque[bytes] = deque()  # received, and not processed yet
        self._is_draining = False
        self._abort_timer: asyncio.TimerHandle | None = None

    # asyncio calls the first two, and uvloop data_received, because this class is also a Protocol.

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio passes -1
        """Return the buffer to read into; asyncio calls this."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process the bytes read into the buffer; asyncio calls this."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Process bytes when it is this connection's turn."""
        for start in range(0, len(data), _PIECE):
            self._waiting.append(bytes(data[start : start + _PIECE]))
        self.turns.process(self)

    # What kakuri-tcp calls.

    def opened(self) -> None:
        """Start HTTP/2."""
        assert self._transport is not None
        self._connections.add(self)
        self.driver.connection_made(self._transport)

    def work(self) -> None:
        """Process what was received until this connection's slice of time is over.

        Calls that it begins are tasks, which run later.
        """
        waiting, driver, turns = self._waiting, self.driver, self.turns
        if len(waiting) > 1:
            turns.begin_slice()
        while waiting:
            data = waiting.popleft()
            before = driver.accepted
            driver.data_received(data)
            for _ in range(driver.accepted - before):
                turns.expect(0)
            if len(data) > _CHEAP:
                turns.expect(len(data))
            if waiting and turns.slice_left() <= 0:
                self.process_later()
                break
        self._report_input()

    def receive_eof(self) -> None:
        """End all calls and drop unprocessed input: HTTP/2 has no half-closed connections."""
        self._waiting.clear()
        self.is_input_reported = self.account() > 0
        self.driver.eof_received()

    def writing_paused(self) -> None:
        """Stop writing; content stays queued in the HTTP/2 core."""
        self.driver.pause_writing()

    def writing_resumed(self) -> None:
        """Continue writing."""
        self.driver.resume_writing()

    def drain(self) -> None:
        """Accept no more calls, and close when the last one has ended."""
        if not self.is_closing:
            self._is_draining = True
            self.driver.connection.go_away()
            self.driver.flush()

    def close_with(self, fault: ConnectionFault) -> None:
        """Close an idle connection with GOAWAY.

        A call that the client sends meanwhile is not processed, so that the client can retry it.
        """
        self._fault = self._fault or fault
        self.drain()

    def abort(self, fault: ConnectionFault | None = None) -> None:
        """Close at once, and cancel the handlers before they produce more that can't be sent."""
        super().abort(fault)
        self.driver.eof_received()

    def closed(self, fault: ConnectionFault | None) -> None:
        """End all calls."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self._connections.discard(self)
        self.driver.connection_lost(fault)

    def sweep(self, now: float) -> None:
        """Enforce the timeouts; a connection with a call is not idle."""
        if self.driver.connection.open_streams:
            self.made_progress = True
        super().sweep(now)

    @property
    def is_busy(self) -> bool:
        """Whether a call is open; then the connection is not closed to make room."""
        return self.driver.connection.open_streams > 0 or super().is_busy

    @property
    def unsent(self) -> int:
        """The number of bytes that wait for the client to read, or to open a window."""
        return super().unsent + self.driver.connection.unsent

    def unprocessed(self) -> int:
        """Return the number of received bytes that have not reached a handler."""
        return sum(map(len, self._waiting)) + self.driver.connection.unread + self.held

    def held_output(self) -> int:
        """Return the number of unsent bytes, whether or not writing is paused."""
        return self.unsent

    def hold(self, change: int) -> None:
        """Change the number of bytes that calls hold in messages."""
        self.held += change
        self._report_input()

    def _report_input(self) -> None:
        """Report unprocessed input if it is large, or was at the last report."""
        if self.is_input_reported or self.driver.connection.unread + self.held > _REPORT_ABOVE:
            self.is_input_reported = self.account() > 0

    def flushed(self) -> None:
        """Report unsent output, and close a drained connection; the driver calls this."""
        connection = self.driver.connection
        if self.is_writing_paused or self.has_reported_output or connection.unsent:
            self.account_output()
        if self.is_input_reported:  # a call may have ended that had not read its request
            self._report_input()
        if self._is_draining and not connection.open_streams and not connection.has_output:
            self._is_draining = False
            # A plain close could destroy the GOAWAY, if the client sends a call at this moment.
            self.close_lingering()
            self.driver.pause_writing()  # nothing follows the end of the stream
            # A server no longer enforces the timeouts of a connection that made room for another.
            self._abort_timer = asyncio.get_running_loop().call_later(
                self.limits.write_timeout, self.abort
            )


class _Driver(ServerDriver):
    """The HTTP/2 driver of a connection, which reports unsent output to it.

    Attributes:
        accepted: The number of calls so far.
    """

    def __init__(
        self,
        handle: Callable[[Exchange], Awaitable[None]],
        limits: HTTP2Limits,
        owner: ServerConnection,
    ) -> None:
        super().__init__(handle, limits)
        self.accepted: int = 0
        self._owner = owner

    def _accept(self, request: Request) -> Exchange:
        self.accepted += 1
        return super()._accept(request)

    def send(self, message: Request | Response | Data | Trailers) -> int | None:
        """Queue a message; report immediately if it is large."""
        stream = super().send(message)
        if message.__class__ is Data and len(message.data) > _REPORT_ABOVE:
            self._owner.account_output()
        return stream

    def flush(self) -> None:
        """Write as much output as the transport accepts, and report the rest."""
        super().flush()
        self._owner.flushed()
