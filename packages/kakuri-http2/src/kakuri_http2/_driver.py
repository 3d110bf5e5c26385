"""Drives a connection over an asyncio transport.

Everything queued in one turn of the event loop is sent in one write: acknowledgements, credit and
the messages of all exchanges. While the transport's buffer is full, output stays in the core, where
content is bounded by what callers have passed to `send`, and acknowledgements are bounded by
`Limits.unsent_control_frames`.

The driver is a `BufferedProtocol`, which reads into its own buffer. For a `Protocol`, asyncio would
allocate 256 KiB for each read and then shrink it, which costs more than the read itself.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from kakuri_http2._connection import Connection
from kakuri_http2._errors import ErrorCode, RemoteProtocolError
from kakuri_http2._events import (
    ConnectionEnded,
    Data,
    Event,
    Request,
    Response,
    Trailers,
)

SETTINGS_TIMEOUT = 10.0
"""Seconds for the peer to acknowledge our SETTINGS (RFC 9113 section 6.5.3)."""

FLOOD_INTERVAL = 10.0
"""Seconds between resets of the core's counters of frames without progress and of resets."""

CLOSE_TIMEOUT = 5.0
"""Seconds for the peer to read queued bytes when the connection closes."""

READ_SIZE = 64 << 10
"""Size of the read buffer, which each connection has. With 16 KiB, receiving large content would
take a fifth more CPU."""

C = TypeVar("C", bound=Connection)


class Driver(asyncio.BufferedProtocol, Generic[C]):
    """The asyncio protocol of one connection.

    Attributes:
        connection: The core.
        last_received: When the peer last sent anything, by the event loop's clock.
    """

    def __init__(self, connection: C) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._flush_handle: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing_paused = False
        self.last_received: float = self._loop.time()
        self._interval_end = self.last_received + FLOOD_INTERVAL

    def __repr__(self) -> str:
        state = " closed" if self._closed.done() else ""
        return f"<{type(self).__name__}{state} {self.connection!r}>"

    @property
    def closed(self) -> asyncio.Future[None]:
        """A future that is done when the transport is closed.

        Cancelling a task that awaits it does not affect others that await it.
        """
        return asyncio.shield(self._closed)

    # What exchanges call.

    def send(self, message: Request | Response | Data | Trailers) -> int | None:
        """Queue a message, to be written in this turn of the event loop."""
        stream: int | None = self.connection.send(message)  # type: ignore[attr-defined]
        self._flush_soon()
        return stream

    def consumed(self, stream: int, amount: int) -> None:
        """Return flow-control credit to the peer."""
        self.connection.consumed(stream, amount)
        if self.connection.has_output:
            self._flush_soon()

    def reset(self, stream: int, code: ErrorCode) -> None:
        """End a stream."""
        self.connection.reset(stream, code)
        self._flush_soon()

    def close(self) -> None:
        """Send GOAWAY and close; open exchanges end.

        If the peer does not read the queued bytes within `CLOSE_TIMEOUT`, the connection is
        aborted.
        """
        if not self.connection.is_over:
            self.connection.go_away()
        self.flush()
        self._close_transport()

    def _close_transport(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._restart_timer(CLOSE_TIMEOUT, self.abort)

    def _restart_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, callback)

    def abort(self) -> None:
        """Close without GOAWAY and without writing queued bytes, as if the process were killed."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection on a transport; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)
        self._restart_timer(SETTINGS_TIMEOUT, self._check_settings)
        self.flush()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio passes -1
        """Return the buffer to read into; asyncio calls this."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process the bytes read into the buffer; asyncio calls this."""
        self.data_received(self._buffer[:nbytes].tobytes())

    def data_received(self, data: bytes) -> None:
        """Process bytes from the peer."""
        self.last_received = now = self._loop.time()
        if now >= self._interval_end:
            self._interval_end = now + FLOOD_INTERVAL
            self.connection.start_interval()
        self.connection.receive_data(data)
        self._received()

    def eof_received(self) -> None:
        """Handle the end of the peer's stream; asyncio calls this."""
        self.connection.receive_eof()
        self._received()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """Handle the end of the transport; asyncio calls this."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        self.connection.receive_eof()
        self._received()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """Stop writing; asyncio calls this when its buffer is full."""
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """Continue writing; asyncio calls this when its buffer has room again."""
        self._is_writing_paused = False
        self.flush()

    # What the core reports.

    def _received(self) -> None:
        """Handle events of the core after receiving bytes or the end of the connection."""
        connection = self.connection
        while connection.has_events:
            self._handle(cast("Event", connection.next_event()))
        if connection.is_over and self._transport is not None:
            self.flush()
            self._close_transport()
        elif connection.has_output:
            self._flush_soon()
        self._streams_changed()

    def _handle(self, event: Event) -> None:
        """Handle an event of the whole connection; streams report to receivers."""
        if isinstance(event, ConnectionEnded):
            self._ended(event.error)

    def _streams_changed(self) -> None:
        """Handle a possible change in the number of available streams; clients override this."""

    def _ended(self, error: RemoteProtocolError | None) -> None:
        """Handle the end of the connection; clients override this."""

    def _check_settings(self) -> None:
        if not self.connection.settings_acknowledged:
            self.fail(
                f"expected an acknowledgement of SETTINGS within {SETTINGS_TIMEOUT:g} s",
                ErrorCode.SETTINGS_TIMEOUT,
            )

    def fail(self, message: str, code: ErrorCode) -> None:
        """End the connection because of an error that the core can't detect, such as a timeout."""
        self.connection.fail(message, code)
        self._received()

    def _flush_soon(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the core's output, as far as the transport accepts it."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        connection, transport = self.connection, self._transport
        if transport is not None and not transport.is_closing():
            while connection.has_output and not self._is_writing_paused:
                data = connection.data_to_send()
                if not data:
                    break
                transport.write(data)
        self._streams_changed()
