"""An HTTP/2 connection without I/O: bytes in, events out (RFC 9113).

`receive_data` accepts bytes from the peer, `next_event` returns the resulting events, `send`
accepts messages, and `data_to_send` returns the bytes to write. Nothing here waits, and nothing
that a peer does raises an exception: a stream error is the event `StreamReset`, a connection error
is `ConnectionEnded`, and `data_to_send` includes the frame that reports it to the peer.

Out of scope: push, priorities (read and ignored), the upgrade from HTTP/1.1, and CONNECT.
"""

from collections.abc import Callable

from kakuri_http2 import _frames as frames
from kakuri_http2._errors import (
    ErrorCode,
    LocalProtocolError,
    RemoteProtocolError,
)
from kakuri_http2._events import (
    ConnectionEnded,
    Event,
    GoingAway,
    PingAcknowledged,
    Processed,
    SettingsReceived,
    StreamReset,
)
from kakuri_http2._inbound import Inbound
from kakuri_http2._limits import DEFAULT_WINDOW, LARGEST_WINDOW, Limits
from kakuri_http2._outbound import StreamError
from kakuri_http2._states import Input, StreamState
from kakuri_http2._stream import Stream


class Connection(Inbound):
    """The base class of both roles, split into a chain of base classes (see `_outbound`).

    Attributes:
        limits: What the peer may do.
        peer_settings_received: Whether the peer's first SETTINGS frame has arrived.
        settings_acknowledged: Whether the peer has acknowledged our SETTINGS.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        if not isinstance(limits, Limits | None):
            raise TypeError(f"expected Limits as limits, got {limits!r:.80}")
        super().__init__(limits or Limits())
        limits = self.limits
        self._partial_frame = bytearray()
        self._needed_bytes = 0
        self._peer_streams = 100
        self._last_peer_stream = 0
        self.peer_settings_received: bool = False
        self.settings_acknowledged: bool = False
        self._is_going_away = False
        self._handlers: tuple[Callable[[int, int, bytes], None], ...] = (
            self._receive_data_frame,
            self._receive_headers,
            self._receive_priority,
            self._receive_rst_stream,
            self._receive_settings,
            self._receive_push_promise,
            self._receive_ping,
            self._receive_goaway,
            self._receive_window_update,
            self._receive_continuation,
        )

    def __repr__(self) -> str:
        state = "over" if self._is_over else "going away" if self._is_going_away else "open"
        return f"<{type(self).__name__} {state}, {len(self._streams)} streams>"

    # Events.

    def next_event(self) -> Event | None:
        """Return the next event, or None if more data is needed."""
        return self._events.popleft() if self._events else None

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended; `data_to_send` may still return bytes."""
        return self._is_over

    @property
    def has_events(self) -> bool:
        """Whether `next_event` would return an event."""
        return bool(self._events)

    @property
    def open_streams(self) -> int:
        """The number of streams that have not ended."""
        return len(self._streams)

    def receive_data(self, data: bytes) -> None:
        """Process bytes from the peer; `next_event` returns the events."""
        if self._is_over or not data:
            return
        if self._partial_frame:
            self._partial_frame += data
            if len(self._partial_frame) < self._needed_bytes:
                return
            data = bytes(self._partial_frame)
            self._partial_frame = bytearray()
        try:
            position = self._process_frames(data)
        except RemoteProtocolError as error:
            self._fail(error)
            return
        if position < len(data):
            self._partial_frame = bytearray(data[position:])

    def receive_eof(self) -> None:
        """Handle the end of the peer's stream: every open exchange ends."""
        if not self._is_over:
            self._end(None, ErrorCode.NO_ERROR)

    def _process_frames(self, data: bytes) -> int:
        """Process all complete frames, and return the position after them."""
        position, end = 0, len(data)
        max_size, max_control_frames = self.limits.frame_size, self.limits.unsent_control_frames
        unpack, handlers = frames.HEAD.unpack_from, self._handlers
        while end - position >= frames.HEADER_SIZE:
            length_and_kind, flags, stream = unpack(data, position)
            length, kind = length_and_kind >> 8, length_and_kind & 0xFF
            if length > max_size:
                raise RemoteProtocolError(
                    f"expected a frame of at most {max_size} bytes, got {length}",
                    ErrorCode.FRAME_SIZE_ERROR,
                )
            after = position + 9 + length
            if after > end:
                self._needed_bytes = 9 + length
                return position
            stream &= frames.STREAM_MASK
            if self._block_stream or not self.peer_settings_received:
                self._check_expected(kind, flags, stream)
            if kind < len(handlers):
                try:
                    handlers[kind](flags, stream, data[position + 9 : after])
                except StreamError as error:
                    self._reset_broken(stream, error)
            else:
                self._count_idle()
            if self._control_frames > max_control_frames:
                what = "control frames that the peer does not read"
                self._raise_exceeded("unsent_control_frames", what)
            position = after
        self._needed_bytes = frames.HEADER_SIZE
        return position

    def _check_expected(self, kind: int, flags: int, stream: int) -> None:
        """Check the type of a frame where only one is allowed: first, and inside a header block."""
        if not self.peer_settings_received and (kind != frames.SETTINGS or flags & frames.ACK):
            raise RemoteProtocolError("expected SETTINGS as the first frame")
        if self._block_stream and (kind != frames.CONTINUATION or stream != self._block_stream):
            raise RemoteProtocolError("expected the CONTINUATION of a header block")

    # Errors and ends.

    def _reset_broken(self, number: int, error: StreamError) -> None:
        """Reset a stream on which the peer violated the protocol.

        An idle stream cannot be reset (RFC 9113 section 6.4), so the connection ends.
        """
        if self._state_of(number) is StreamState.IDLE and number not in self._streams:
            raise RemoteProtocolError(str(error), error.code)
        self._queue_control(frames.rst_stream(number, error.code))
        stream = self._streams.get(number)
        if stream is not None:
            reset = StreamReset(number, error.code, by_peer=False, message=str(error))
            self._end_stream(stream, reset)
        elif number not in self._ended:
            window = self.limits.stream_window
            self._keep_ended(Stream(number, StreamState.RESET_LOCAL, 0, window))
        self._count_own_reset()

    def _end_stream(self, stream: Stream, reset: StreamReset) -> None:
        """Drop a stream before both sides have ended it, and report its end."""
        stream.state = StreamState.RESET_REMOTE if reset.by_peer else StreamState.RESET_LOCAL
        receiver = stream.receiver
        self._forget(stream)
        receiver.receive_reset(reset)

    def _fail(self, error: RemoteProtocolError) -> None:
        self._out.append(
            frames.goaway(self._last_peer_stream, error.code, error.message.encode()[:200])
        )
        self._end(error, error.code)

    def _end(self, error: RemoteProtocolError | None, code: ErrorCode) -> None:
        self._is_over = True
        message = "" if error is None else error.message
        for number, stream in sorted(self._streams.items()):
            reset = StreamReset(number, code, error is None, self._processed(number), message)
            stream.receiver.receive_reset(reset)
        self._streams.clear()
        self._queued = 0
        self._ready.clear()
        self._blocked.clear()
        self._partial_frame.clear()
        self._events.append(ConnectionEnded(error))

    def _processed(self, number: int) -> Processed:  # noqa: ARG002 - clients know more
        """Return whether the peer may have processed a stream when the connection ends."""
        return Processed.UNKNOWN

    def fail(self, message: str, code: ErrorCode) -> None:
        """End the connection because of an error that only the program detects, such as a timeout.

        The peer receives a GOAWAY frame, all exchanges end, and ConnectionEnded has the error.
        """
        if not self._is_over:
            self._fail(RemoteProtocolError(message, code))

    def go_away(self, code: ErrorCode = ErrorCode.NO_ERROR, debug: bytes = b"") -> None:
        """Send GOAWAY: accept no more streams from the peer, and let open ones continue.

        Raises:
            TypeError: An argument has the wrong type.
        """
        if not isinstance(code, ErrorCode):
            raise TypeError(f"expected an ErrorCode, got {code!r:.80}")
        if not isinstance(debug, bytes):
            raise TypeError(f"expected bytes as debug, got {debug!r:.80}")
        if not self._is_over:
            self._is_going_away = True
            self._out.append(frames.goaway(self._last_peer_stream, code, debug))

    def ping(self, data: bytes) -> None:
        """Send a PING frame with eight bytes; the acknowledgement is a PingAcknowledged event.

        Raises:
            LocalProtocolError: The data does not have eight bytes.
            TypeError: The data is not bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"expected bytes in a ping, got {data!r:.80}")
        if len(data) != 8:
            raise LocalProtocolError(f"expected eight bytes in a ping, got {len(data)}")
        if not self._is_over:
            self._out.append(frames.frame(frames.PING, 0, 0, data))

    def start_interval(self) -> None:
        """Reset the counters of frames without progress and of resets.

        The core has no clock. Drivers call this every ten seconds, which turns the limits into
        rates. Without it, pings on an otherwise idle connection would add up to a flood.
        """
        self._idle_frames = self._settings_frames = 0
        self._peer_resets = self._own_resets = 0

    # The other frames.

    def _receive_priority(self, flags: int, number: int, payload: bytes) -> None:  # noqa: ARG002
        if number == 0:
            raise RemoteProtocolError("expected PRIORITY on a stream, got it on the connection")
        if len(payload) != 5:
            raise StreamError("expected five bytes in PRIORITY", ErrorCode.FRAME_SIZE_ERROR)
        if int.from_bytes(payload[:4], "big") & frames.STREAM_MASK == number:
            raise StreamError("expected a stream that does not depend on itself")
        self._count_idle()

    def _receive_rst_stream(self, flags: int, number: int, payload: bytes) -> None:  # noqa: ARG002
        if number == 0:
            raise RemoteProtocolError("expected RST_STREAM on a stream, got it on the connection")
        if len(payload) != 4:
            raise RemoteProtocolError(
                "expected four bytes in RST_STREAM", ErrorCode.FRAME_SIZE_ERROR
            )
        stream = self._streams.get(number)
        if stream is None:
            self._unsent_ends.discard(number)
            self._receive_late(number, Input.RST_STREAM)
            return
        code = int.from_bytes(payload, "big")
        is_refused = code == ErrorCode.REFUSED_STREAM
        processed = Processed.NO if is_refused else Processed.UNKNOWN
        reset = StreamReset(number, code, by_peer=True, processed=processed)
        self._end_stream(stream, reset)
        self._peer_resets += 1
        if self._peer_resets > self.limits.peer_resets:
            self._raise_exceeded("peer_resets", "streams that are reset and not finished")

    def _receive_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number != 0:
            raise RemoteProtocolError("expected SETTINGS on the connection, got it on a stream")
        if flags & frames.ACK:
            if payload:
                raise RemoteProtocolError(
                    "expected an empty acknowledgement of SETTINGS", ErrorCode.FRAME_SIZE_ERROR
                )
            if not self.settings_acknowledged:
                self.settings_acknowledged = True
                self._decoder.allow_table_size(self.limits.header_table)
            else:
                self._count_idle()
            return
        if len(payload) % 6:
            raise RemoteProtocolError(
                "expected entries of six bytes in SETTINGS", ErrorCode.FRAME_SIZE_ERROR
            )
        if len(payload) > 6 * self.limits.settings:
            self._raise_exceeded("settings", "entries of SETTINGS")
        self._settings_frames += 1
        if self._settings_frames > self.limits.settings_frames:
            self._raise_exceeded("settings_frames", "SETTINGS frames without progress")
        window = self._peer_window
        for start in range(0, len(payload), 6):
            key = int.from_bytes(payload[start : start + 2], "big")
            value = int.from_bytes(payload[start + 2 : start + 6], "big")
            if key == frames.INITIAL_WINDOW_SIZE:
                if value > LARGEST_WINDOW:
                    raise RemoteProtocolError(
                        "expected an initial window of 31 bits", ErrorCode.FLOW_CONTROL_ERROR
                    )
                window = value
            else:
                self._apply_setting(key, value)
        if window != self._peer_window:  # once for each frame, because it visits every stream
            self._change_windows(window - self._peer_window)
        self.peer_settings_received = True
        self._queue_control(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._events.append(SettingsReceived())

    def _apply_setting(self, key: int, value: int) -> None:
        if key == frames.HEADER_TABLE_SIZE:
            self._encoder.limit_table_size(value)
        elif key == frames.ENABLE_PUSH:
            self._check_push(value)
        elif key == frames.MAX_CONCURRENT_STREAMS:
            self._peer_streams = value
        elif key == frames.MAX_FRAME_SIZE_SETTING:
            if not frames.MIN_FRAME_SIZE <= value <= frames.MAX_FRAME_SIZE:
                raise RemoteProtocolError(
                    f"expected a frame size from {frames.MIN_FRAME_SIZE} to"
                    f" {frames.MAX_FRAME_SIZE}, got {value}"
                )
            self._peer_frame_size = value
        elif key == frames.MAX_HEADER_LIST_SIZE:
            self._peer_header_list = value

    def _change_windows(self, change: int) -> None:
        """Apply a change of SETTINGS_INITIAL_WINDOW_SIZE (section 6.9.2)."""
        self._peer_window += change
        for stream in self._streams.values():
            stream.send_window += change
            if stream.send_window > LARGEST_WINDOW:
                raise RemoteProtocolError(
                    "expected windows of 31 bits", ErrorCode.FLOW_CONTROL_ERROR
                )
            self._wake(stream)

    def _check_push(self, value: int) -> None:
        if value not in (0, 1):
            raise RemoteProtocolError(f"expected 0 or 1 as ENABLE_PUSH, got {value}")

    def _receive_push_promise(self, flags: int, number: int, payload: bytes) -> None:  # noqa: ARG002
        raise RemoteProtocolError("expected no PUSH_PROMISE")

    def _receive_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number != 0:
            raise RemoteProtocolError("expected PING on the connection, got it on a stream")
        if len(payload) != 8:
            raise RemoteProtocolError("expected eight bytes in PING", ErrorCode.FRAME_SIZE_ERROR)
        self._count_idle()
        if flags & frames.ACK:
            self._events.append(PingAcknowledged(payload))
        else:
            self._queue_control(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _receive_goaway(self, flags: int, number: int, payload: bytes) -> None:  # noqa: ARG002
        if number != 0:
            raise RemoteProtocolError("expected GOAWAY on the connection, got it on a stream")
        if len(payload) < 8:
            raise RemoteProtocolError(
                "expected eight bytes or more in GOAWAY", ErrorCode.FRAME_SIZE_ERROR
            )
        last = int.from_bytes(payload[:4], "big") & frames.STREAM_MASK
        code = int.from_bytes(payload[4:8], "big")
        self._count_idle()
        self._end_unprocessed(last, code)
        self._events.append(GoingAway(last, code, payload[8:]))

    def _end_unprocessed(self, last: int, code: int) -> None:
        """End the streams that the peer has said it will not process."""

    def _queue_first_frames(self, settings: dict[int, int]) -> None:
        """Queue SETTINGS, and a WINDOW_UPDATE that raises the connection's window to its limit."""
        limits = self.limits
        settings |= {
            frames.INITIAL_WINDOW_SIZE: limits.stream_window,
            frames.MAX_HEADER_LIST_SIZE: limits.header_list,
        }
        if limits.frame_size != frames.MIN_FRAME_SIZE:
            settings[frames.MAX_FRAME_SIZE_SETTING] = limits.frame_size
        if limits.header_table != 4096:
            settings[frames.HEADER_TABLE_SIZE] = limits.header_table
        self._out.append(frames.settings_frame(settings))
        if limits.connection_window > DEFAULT_WINDOW:
            self._out.append(frames.window_update(0, limits.connection_window - DEFAULT_WINDOW))
