"""The base class of connections.

There is no layer between asyncio and a protocol: asyncio calls the subclass's `data_received`
directly, and `write` is the transport's own method. No timer runs per connection or per request:
the server calls `sweep` of all connections once per `sweep_interval`, which compares a few
attributes.
"""

import asyncio
import contextvars
import math
import time
from collections.abc import Callable
from typing import Protocol, cast

from kakuri_tcp._errors import ConnectionFault, ConnectionLost, IdleTimeout, WriteTimeout
from kakuri_tcp._kernel import Outstanding, hides_unsent_data, outstanding, reset_on_close
from kakuri_tcp._limits import DEFAULT_SERVER_LIMITS, ServerLimits
from kakuri_tcp._lingering import Lingering
from kakuri_tcp._readable import BY_TURNS, PAUSE_ABOVE_BYTES, Readable
from kakuri_tcp._shared import SharedConnection, SharedResources
from kakuri_tcp._turns import Turns


class ConnectionObserver(Protocol):
    """A server or a client, which has a list of its connections."""

    def connection_ended(self, connection: "Connection", fault: ConnectionFault | None) -> None:
        """Remove a connection; `fault` is None if it was closed normally."""


class Connection(Readable):
    """One stream to a peer; subclass it to implement a protocol.

        class Echo(Connection):
            def data_received(self, data: bytes) -> None:
                self.made_progress = True
                self.write(data)

        async with await listen("127.0.0.1:0", Echo) as server:
            ...

    A subclass implements `data_received(data)`, which asyncio calls directly. It may override
    `opened`, `receive_eof`, `writing_paused`, `writing_resumed`, `drain`, `idle` and `closed`. Its
    `__init__` calls `super().__init__()`. It sets `made_progress = True` whenever the peer has
    advanced the exchange, which restarts the idle timeout. The subclass decides what counts as
    progress, so that a peer that trickles bytes without completing anything still times out.

    A protocol with expensive requests calls `process()` in `data_received` and does the work in
    `work()`, so that connections take turns when the event loop is busy.

    Call all methods in the event loop's thread. `close`, `close_lingering` and `abort` may be
    called at any time and any number of times; `closed` is called exactly once, at the end.

    Attributes:
        peer: The other end, as text for logs.
        uid: The user of this machine who connected, in a server; None if that is not known.
        limits: The server's limits; the default limits in a client.
        write: Sends bytes in order, without waiting. Bytes written after the connection has ended
            are dropped.
        made_progress: Whether the peer made progress since the last sweep.
        is_writing_paused: Whether the peer reads too slowly; if so, produce nothing more for now.
        context: The context (contextvars) of the call that started the server. Copy it for each
            request, and run the application's code for the request in the copy.
        turns: The server's turns; when `turns.slice_left()` is 0 or less, this connection's slice
            of time is over.
    """

    __slots__ = (
        "__weakref__", "_fault", "_held", "_is_new", "_last_measured", "_observer", "_quiet_since",
        "_shared", "_stalled_since", "context", "is_writing_paused", "limits", "made_progress",
        "peer", "turns", "uid", "write",
    )  # fmt: skip

    write: Callable[[bytes | bytearray | memoryview], None]

    def __init__(self) -> None:
        super().__init__()
        self.peer: str = ""
        self.uid: int | None = None
        self.limits: ServerLimits = DEFAULT_SERVER_LIMITS
        self.write = _drop
        self.made_progress: bool = True
        self.is_writing_paused: bool = False
        self._observer: ConnectionObserver | None = None
        self._quiet_since = math.inf  # before it is open
        self._is_new = True  # until the first sweep
        self._stalled_since = 0.0  # when the peer last received something
        self._last_measured: Outstanding | None = None
        self._shared: SharedResources | None = None
        self.turns: Turns[SharedConnection] = _UNLIMITED
        self.context: contextvars.Context = contextvars.copy_context()
        self._held = 0  # unprocessed bytes, as they were last reported
        self._fault: ConnectionFault | None = None

    def __repr__(self) -> str:
        if self._transport is None:
            state = "new" if self.write is _drop and self._closing_since is None else "closed"
        elif self._closing_since is not None:
            state = "closing"
        else:
            state = "open, writing paused" if self.is_writing_paused else "open"
        return f"<{type(self).__name__} {self.peer} {state}>"

    def attach(
        self,
        observer: ConnectionObserver,
        peer: str,
        limits: ServerLimits,
        shared: SharedResources | None = None,
        refusal: ConnectionFault | None = None,
        uid: int | None = None,
    ) -> None:
        """Attach the connection to its server; called once, before it opens.

        With a refusal, it reads nothing: `refuse` follows `opened`.
        """
        self._observer, self._fault = observer, refusal
        self.peer, self.uid, self.limits = peer, uid, limits
        if shared is not None:
            self._shared, self.turns, self.context = shared, shared.turns, shared.context

    # What a subclass may override.

    def opened(self) -> None:
        """Handle the start of the connection."""

    def receive_eof(self) -> None:
        """Handle the end of the peer's stream; the default closes the connection.

        Over TCP and Unix sockets, an override may still write replies and then has to close the
        connection. Over TLS, the connection closes as soon as this method returns.
        """
        self.close()

    def writing_paused(self) -> None:
        """Stop producing output, because the peer reads too slowly."""

    def writing_resumed(self) -> None:
        """Resume producing output, because the peer has caught up."""

    def drain(self) -> None:
        """Complete the requests in progress, then close; the default closes immediately."""
        self.close()

    def idle(self) -> None:
        """Handle the idle timeout; the default closes the connection."""
        self.close_with(IdleTimeout(f"no progress within {self.limits.idle_timeout:g} s"))

    def discard_input(self, fault: ConnectionFault) -> None:
        """Drop unprocessed input, and close with `fault`; the default aborts.

        The server calls this when its connections together hold too much. An override may send a
        last reply, which an abort would destroy, and call `close_lingering`.
        """
        self.abort(fault)

    def refuse(self, fault: ConnectionFault) -> None:
        """Close a connection that the server refuses, with `fault`; the default aborts.

        The server calls this right after `opened`, instead of reading, if the client's user may not
        connect (ForbiddenUser). An override may send a reply and call `close_lingering`.
        """
        self.abort(fault)

    def closed(self, fault: ConnectionFault | None) -> None:
        """Handle the end of the connection; `fault` is None if it was closed normally."""

    def work(self) -> None:
        """Process received data until this connection's slice of time is over.

        Called by `process`, at once or when it is this connection's turn. If data remains when
        `turns.slice_left() <= 0`, call `process_later` and return.
        """

    def unprocessed(self) -> int:
        """Return the number of received bytes that are not processed yet; the default returns 0.

        Call `account` whenever the number has changed.
        """
        return 0

    def held_output(self) -> int:
        """Return how many bytes of output count towards `unsent_output`.

        By default `unsent` while writing is paused. Call `account_output` when it has changed.
        """
        return self.unsent if self.is_writing_paused else 0

    @property
    def is_sending(self) -> bool:
        """Whether data is being sent that an abort would cut off."""
        return self.unsent > 0

    @property
    def is_busy(self) -> bool:
        """Whether the peer is waiting for this side; if so, it is not closed to make room."""
        return self.unsent > 0

    def sweep(self, now: float) -> None:
        """Enforce the timeouts at `now`, in seconds of `time.monotonic`.

        An override may check timeouts of its own, or set `made_progress` while the peer waits for
        this side; it then calls `super().sweep(now)`.
        """
        if self._closing_since is not None or self.is_writing_paused:
            measured = self.outstanding()
            if measured.has_progressed_since(self._last_measured):
                self._stalled_since = now  # the peer reads, even if slowly
            elif now - self._stalled_since >= (timeout := self.limits.write_timeout):
                self.abort(WriteTimeout(f"the peer read nothing within {timeout:g} s"))
            self._last_measured = measured
        elif self.made_progress:
            self.made_progress = self._is_new = False
            self._quiet_since = now
        elif now - self._quiet_since >= self.limits.idle_timeout:
            self.idle()

    # What a subclass calls.

    @property
    def quiet_since(self) -> float:
        """When the peer last made progress, by `time.monotonic`; inf if after the last sweep."""
        return math.inf if self.made_progress and not self._is_new else self._quiet_since

    @property
    def fault(self) -> ConnectionFault | None:
        """Why the connection ended abnormally; None if it was closed normally."""
        return self._fault

    @property
    def unsent(self) -> int:
        """The number of written bytes that the kernel has not accepted yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def has_reported_output(self) -> bool:
        """Whether the last reported number of held bytes of output was above 0."""
        return self._shared is not None and self in self._shared.output

    def outstanding(self) -> Outstanding:
        """Return how many written bytes the peer has received, and how many it has not."""
        return outstanding(self._transport)

    def process(self) -> None:
        """Call `work` now, or in a later turn of the event loop if this turn's time has run out."""
        self.turns.process(self)

    def process_later(self) -> None:
        """Call `work` in a later turn, after connections that have used less time."""
        self.turns.process_later(self)

    def account(self) -> int:
        """Report the number of unprocessed bytes to the server, and return it.

        If all connections together hold too much, the server stops reading from it or closes it.
        """
        size = self.unprocessed()
        if size != self._held and self._shared is not None and not self.is_closing:
            self._held = size
            self._shared.input_changed(self, size)
        return size

    def account_output(self) -> None:
        """Report the number of held bytes of output to the server.

        If all connections together hold too much, the server closes some of them, perhaps this one.
        """
        if self._shared is not None:
            self._shared.output_changed(self, self.held_output())

    def wait_turn(self) -> None:
        """Stop reading until `take_turn`; the server calls this."""
        self.pause_for(BY_TURNS)
        self.account()

    def take_turn(self) -> None:
        """Work after waiting for a turn; the server calls this."""
        if not self.is_closing:
            self.work()
        if self._pauses & BY_TURNS and not (
            self.turns.runs_again and self.unprocessed() > PAUSE_ABOVE_BYTES
        ):
            self.resume_for(BY_TURNS)

    def close(self) -> None:
        """Close after sending written data; abort if the peer reads nothing for `write_timeout`."""
        if self._transport is not None and self._closing_since is None:
            self._begin_closing()
            self._transport.close()

    def close_with(self, fault: ConnectionFault) -> None:
        """Close as `close` does, and report `fault` as the reason."""
        self._fault = self._fault or fault
        self.close()

    def close_lingering(self) -> None:
        """Send all written data, then wait for the peer to end its stream before closing.

        Use it after a last reply to a peer that may still be sending: a plain close would reset the
        connection, and the reset could destroy the reply before the peer reads it. Meanwhile, input
        is read and dropped, up to `linger_bytes` and for up to `linger_timeout`.
        """
        transport = self._transport
        if transport is None or self._closing_since is not None:
            return
        if self._eof or not transport.can_write_eof():
            self.close()
            return
        self._begin_closing()
        transport.set_protocol(Lingering(self, transport))
        try:
            transport.write_eof()
        except OSError as error:  # the peer has closed already
            self.abort(self._lost(error))
        else:
            transport.resume_reading()

    def abort(self, fault: ConnectionFault | None = None) -> None:
        """Close immediately, and drop unsent data.

        If data is unsent (`is_sending`), TCP ends with a reset and TLS without close_notify, so
        that the peer notices the truncation.
        """
        if self._transport is not None:
            if self.is_sending or hides_unsent_data(self._transport):
                reset_on_close(self._transport)
            self._fault = self._fault or fault
            self._closing_since = self._closing_since or time.monotonic()
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle the start of the connection; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self.limits.write_buffer)
        self.write = self._transport.write
        self._quiet_since = time.monotonic()
        self.opened()
        if self._fault is None:
            self.reading_begins()
        else:
            self.refuse(self._fault)

    def eof_received(self) -> bool:
        """Handle the end of the peer's stream; asyncio calls this."""
        transport = self._transport
        self._eof = True
        self.receive_eof()
        # True keeps this side open. asyncio's TLS has no half-closed state.
        return transport is not None and not self.is_closing and transport.can_write_eof()

    def pause_writing(self) -> None:
        """Handle a peer that reads too slowly; asyncio calls this."""
        self.is_writing_paused = True
        self._stalled_since = time.monotonic()
        self._last_measured = None
        self.account_output()
        self.writing_paused()

    def resume_writing(self) -> None:
        """Handle a peer that reads again; asyncio calls this."""
        self.is_writing_paused = False
        self.account_output()
        self.writing_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection; asyncio calls this."""
        if self._shared is None and self._closing_since is None and not self._eof:
            self.receive_undelivered()  # only in a client: a server can no longer reply
        if exc is not None and self._fault is None:
            self._fault = self._lost(exc)
        self.write = _drop
        self._transport = None
        self._closing_since = self._closing_since or time.monotonic()
        try:
            self.closed(self._fault)
        finally:
            if self._shared is not None:
                self._shared.ended(self)
            if self._observer is not None:
                self._observer.connection_ended(self, self._fault)

    def _begin_closing(self) -> None:
        self._closing_since = self._stalled_since = time.monotonic()
        self._last_measured = None

    def _lost(self, cause: Exception) -> ConnectionLost:
        fault = ConnectionLost(f"the connection to {self.peer or 'the peer'} was lost: {cause}")
        fault.__cause__ = cause
        return fault


_UNLIMITED: Turns[SharedConnection] = Turns(turn_time=math.inf, slice_time=math.inf)  # of clients


def _drop(data: bytes | bytearray | memoryview) -> None:
    """Stand in for `write` where there is no transport."""
