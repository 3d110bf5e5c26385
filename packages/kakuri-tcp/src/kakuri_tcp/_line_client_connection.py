"""One connection of a line client: matches replies to requests and enforces deadlines."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from kakuri_tcp._connection import Connection
from kakuri_tcp._errors import (
    ClientClosed,
    ConnectFailed,
    ConnectionFault,
    ConnectionLost,
    IdleTimeout,
    LineError,
    RequestLost,
    RequestTimeout,
    TCPError,
    UnrequestedLine,
)
from kakuri_tcp._line_limits import LineClientLimits
from kakuri_tcp._lines import LineDecoder

# Seconds between two checks of the deadlines while requests are in flight. All requests share one
# timer: a timer for each would cost more than the rest of a request.
_TICK_SECONDS = 0.02
# Replies that are handed over in one turn of the event loop: about five milliseconds of work if
# each becomes an HTTP response. A peer that was late may send thousands at once.
_LINES_PER_TURN = 200


class ReplyReceiver(Protocol):
    """An object that receives the reply to a request line; its methods must not raise."""

    def done(self) -> bool:
        """Return whether the reply is no longer needed and can be dropped."""

    def receive(self, line: bytes) -> None:
        """Receive the reply, without its end."""

    def fail(self, error: TCPError) -> None:
        """Receive the error instead of a reply: RequestLost, RequestTimeout or a RequestNotSent."""


class ReplyFuture(asyncio.Future[bytes]):
    """A future of the reply to a request line."""

    def receive(self, line: bytes) -> None:
        """Set the reply as the result."""
        self.set_result(line)

    def fail(self, error: TCPError) -> None:
        """Set the error as the exception."""
        self.set_exception(error)


class LineClientConnection(Connection):
    """Sends request lines, and hands each reply line to the oldest request without a reply."""

    __slots__ = (
        "_decoder", "_endpoint", "_has_backlog", "_is_client_closed", "_is_late", "_is_ticking",
        "_line_limits",
        "_on_closed", "_stalled_at", "_timer", "_unsent_size", "_writable", "ended",
        "loop", "pending", "replies", "unsent_lines",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: str,
        limits: LineClientLimits,
        on_closed: Callable[["LineClientConnection"], None],
    ) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._line_limits = limits
        self._on_closed = on_closed
        self.loop = asyncio.get_running_loop()
        self._decoder = LineDecoder(limit=limits.line)
        self.unsent_lines: list[bytes] = []
        self._unsent_size = 0
        self._writable: asyncio.Future[None] | None = None
        self._stalled_at = 0.0
        self._has_backlog = False  # replies have arrived that are handed over in the next turn
        self._is_client_closed = False
        self._is_late = False  # a request has timed out, and no reply came since
        self._is_ticking = False  # the timer checks deadlines, not the idle timeout
        self._timer: asyncio.TimerHandle | None = None
        self.pending: deque[tuple[ReplyReceiver, float, float]] = deque()
        self.replies = 0
        self.ended: asyncio.Future[None] = self.loop.create_future()

    def opened(self) -> None:
        self._timer = self.loop.call_later(self._line_limits.idle_timeout, self._close_idle)

    def is_writable(self) -> bool:
        """Whether a request may be sent now."""
        return (
            not self.is_writing_paused
            and self._unsent_size < self._line_limits.unsent
            and self._transport is not None
            and self._closing_since is None
        )

    @property
    def reason(self) -> str:
        """Why the connection ends, as text."""
        if self._is_client_closed:
            return "the client was closed"
        return str(self.fault or "the peer closed the connection")

    def close_with_client(self) -> None:
        """Close immediately because the client was closed, and fail the requests in flight."""
        self._is_client_closed = True
        self.abort()

    async def wait_writable(self) -> None:
        """Wait until the peer has read enough for another request, or the connection is lost."""
        if self._writable is None:
            self._writable = self.loop.create_future()
        await asyncio.shield(self._writable)

    def send(self, line: bytes, receiver: ReplyReceiver, deadline: float, timeout: float) -> None:
        """Queue a request line; it is sent at the end of this turn of the event loop.

        Args:
            line: The request, without its end.
            receiver: Receives the reply.
            deadline: When it times out, by the loop's clock.
            timeout: The caller's timeout, for the error.
        """
        if not self._is_ticking:
            self._begin_ticking()
        self.pending.append((receiver, deadline, timeout))
        if not self.unsent_lines:
            self.loop.call_soon(self._flush)
        self.unsent_lines.append(line)
        self._unsent_size += len(line)

    def data_received(self, data: bytes) -> None:
        self._decoder.receive_data(data)
        if not self._has_backlog:
            self._receive_lines(_LINES_PER_TURN)

    def _receive_lines(self, at_most: int) -> None:
        """Hand over replies; those beyond `at_most` follow in the next turn of the event loop."""
        decoder = self._decoder
        pending = self.pending
        try:
            for _ in range(at_most):
                line = decoder.next_line()
                if line is None:
                    break
                if not pending or len(pending) == len(self.unsent_lines):
                    self.abort(UnrequestedLine(line))
                    return
                self.replies += 1
                receiver = pending.popleft()[0]
                if not receiver.done():
                    receiver.receive(line)
            else:
                self._has_backlog = True
                self.pause_reading()
                self.loop.call_soon(self._receive_backlog)
        except LineError as error:
            fault = ConnectionLost(str(error))
            fault.__cause__ = error
            self.abort(fault)
            return
        self._stalled_at = 0.0
        self._is_late = False

    def _receive_backlog(self) -> None:
        if self._has_backlog and not self.is_closing:
            self._has_backlog = False
            self.resume_reading()
            self._receive_lines(_LINES_PER_TURN)

    def _receive_remaining(self) -> None:
        if self._has_backlog:
            self._has_backlog = False
            self._receive_lines(len(self.pending) + 1)

    def receive_eof(self) -> None:
        self._receive_remaining()
        if self.pending or self._decoder.has_partial_line:
            self.abort(ConnectionLost("the peer closed the connection"))
        else:
            self.close()

    def writing_resumed(self) -> None:
        self._wake_writers()

    def closed(self, fault: ConnectionFault | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._receive_remaining()
        reason = self.reason
        sent = len(self.pending) - len(self.unsent_lines)
        pending = list(self.pending)
        self.pending.clear()
        self.unsent_lines.clear()
        for position, (receiver, _, _) in enumerate(pending):
            if receiver.done():
                continue
            error: Exception
            if position < sent:
                error = RequestLost(self._endpoint, reason)
            elif self._is_client_closed:
                error = ClientClosed(f"the client of {self._endpoint} was closed")
            else:
                error = ConnectFailed(self._endpoint, reason)
            error.__cause__ = fault
            receiver.fail(error)
        self._wake_writers()
        self._on_closed(self)
        self.ended.set_result(None)

    def _flush(self) -> None:
        if self.unsent_lines and not self.is_closing:
            self.unsent_lines.append(b"")
            data = b"\n".join(self.unsent_lines)
            self.unsent_lines.clear()
            self._unsent_size = 0
            self.write(data)
            if not self.is_writing_paused:
                self._wake_writers()

    def _wake_writers(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def _begin_ticking(self) -> None:
        assert self._timer is not None
        self._timer.cancel()
        self._is_ticking = True
        self._timer = self.loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """Fail requests that timed out, and close the connection if it has stalled or is idle."""
        if self._has_backlog:  # replies have arrived that are not handed over yet
            self._timer = self.loop.call_later(_TICK_SECONDS, self._tick)
            return
        now = self.loop.time()
        is_awaited = False  # whether some request may still get its reply in time
        late = []
        for receiver, deadline, timeout in self.pending:
            if receiver.done():
                continue
            if now < deadline:
                is_awaited = True
            else:
                late.append((receiver, timeout))
        for receiver, timeout in late:
            self._is_late = True
            if not receiver.done():  # an earlier failure may have completed it
                receiver.fail(RequestTimeout(self._endpoint, timeout))
        if not self.pending:
            timeout = self._line_limits.idle_timeout
            self._is_ticking = False
            self._timer = self.loop.call_later(timeout, self._close_idle)
            return
        if not self.pending[0][0].done():
            self._stalled_at = 0.0
        elif self._is_late and not is_awaited:
            self.abort(ConnectionLost("all of its requests timed out"))
            return
        elif not self._stalled_at:
            self._stalled_at = now
        elif now - self._stalled_at >= self._line_limits.stall_timeout:
            limit = self._line_limits.stall_timeout
            self.abort(ConnectionLost(f"no reply came within {limit:g} s after a timeout"))
            return
        self._timer = self.loop.call_later(_TICK_SECONDS, self._tick)

    def _close_idle(self) -> None:
        self.close_with(IdleTimeout("no request within the idle timeout"))
