"""Receives content: windows, credit and content-length (RFC 9113 sections 5.2 and 8.1.1)."""

from kakuri_http2 import _frames as frames
from kakuri_http2._errors import ErrorCode, RemoteProtocolError
from kakuri_http2._limits import LARGEST_WINDOW, Limits
from kakuri_http2._outbound import Outbound, StreamError
from kakuri_http2._states import REMOTE_END, Input, StreamState
from kakuri_http2._stream import Stream

_END_STREAM, _PADDED = frames.END_STREAM, frames.PADDED


class InboundContent(Outbound):
    """Handles DATA and WINDOW_UPDATE."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._receive_window = limits.connection_window
        self._credit = 0
        self._empty_frames = 0

    @property
    def unread(self) -> int:
        """Bytes of received content, of all streams together, that are not `consumed` yet."""
        return self.limits.connection_window - self._receive_window - self._credit

    def _receive_data_frame(self, flags: int, number: int, payload: bytes) -> None:
        if number == 0:
            raise RemoteProtocolError("expected DATA on a stream, got it on the connection")
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise RemoteProtocolError(
                "expected content within the connection's window", ErrorCode.FLOW_CONTROL_ERROR
            )
        content = without_padding(payload) if flags & _PADDED else payload
        stream = self._streams.get(number)
        if stream is None or stream.state is StreamState.HALF_CLOSED_REMOTE:
            self._return_credit(size)
            self._receive_late_data(number, size)
            return
        stream.receive_window -= size
        if stream.receive_window < 0:
            self._return_credit(size)
            raise StreamError(
                "expected content within the stream's window", ErrorCode.FLOW_CONTROL_ERROR
            )
        if not stream.has_head:
            self._return_credit(size)
            raise StreamError("expected the head of the message before its content")
        stream.unread += size
        if size > len(content):
            self.consumed(number, size - len(content))
        stream.received += len(content)
        is_end = bool(flags & _END_STREAM)
        if content or is_end:
            self._idle_frames = self._empty_frames = self._settings_frames = 0
        else:
            self._empty_frames += 1
            if self._empty_frames > self.limits.empty_frames:
                self._raise_exceeded("empty_frames", "empty DATA frames in a row")
        if stream.length is not None or stream.is_bodiless:
            self._check_length(stream, is_end=is_end)
        is_taken = stream.receiver.receive_content(content, is_end=is_end)
        if is_end:
            self._end_remotely(stream)
        elif is_taken:
            self.consumed(number, len(content))

    def _receive_late_data(self, number: int, size: int) -> None:
        """Handle content on a stream that is not open or that the peer has ended.

        A peer that has not read our RST_STREAM yet may still use up the stream's window.
        """
        ended = self._ended.get(number)
        if ended is None or ended.state is not StreamState.RESET_LOCAL or not size:
            self._receive_late(number, Input.DATA)
            return
        ended.receive_window -= size
        if ended.receive_window < 0:
            raise RemoteProtocolError(
                "expected content within the window of a stream that was reset",
                ErrorCode.FLOW_CONTROL_ERROR,
            )

    def _check_length(self, stream: Stream, *, is_end: bool) -> None:
        """Check content-length against the content (section 8.1.1)."""
        expected = 0 if stream.is_bodiless else stream.length
        if expected is not None and (
            stream.received > expected or (is_end and stream.received != expected)
        ):
            raise StreamError(
                f"expected {expected} bytes of content, got {stream.received}"
                + ("" if is_end else " or more")
            )

    def consumed(self, stream: int, amount: int) -> None:
        """Return flow-control credit for content that the program has consumed.

        Without it, the peer stops sending once the stream's window is used up. When a stream ends,
        the connection's credit for unread content is returned automatically.
        """
        known = self._streams.get(stream)
        if known is None:
            return
        amount = min(amount, known.unread)
        known.unread -= amount
        self._return_credit(amount)
        known.credit += amount
        if known.credit * 2 >= self.limits.stream_window:
            if known.state in (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL):
                self._queue_control(frames.window_update(stream, known.credit))
                known.receive_window += known.credit
            known.credit = 0

    def _return_credit(self, amount: int) -> None:
        self._credit += amount
        if self._credit * 2 >= self.limits.connection_window and not self._is_over:
            self._queue_control(frames.window_update(0, self._credit))
            self._receive_window += self._credit
            self._credit = 0

    def _receive_window_update(self, flags: int, number: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != 4:
            raise RemoteProtocolError(
                "expected four bytes in WINDOW_UPDATE", ErrorCode.FRAME_SIZE_ERROR
            )
        increment = int.from_bytes(payload, "big") & LARGEST_WINDOW
        if number == 0:
            if increment == 0:
                raise RemoteProtocolError("expected an increment of a window, got 0")
            self._send_window += increment
            if self._send_window > LARGEST_WINDOW:
                raise RemoteProtocolError(
                    "expected a window of 31 bits", ErrorCode.FLOW_CONTROL_ERROR
                )
            if not self._blocked:
                self._count_update()
            return
        stream = self._streams.get(number)
        if stream is None:
            self._receive_late(number, Input.WINDOW_UPDATE)
            return
        if increment == 0:
            raise StreamError("expected an increment of a window, got 0")
        stream.send_window += increment
        if stream.send_window > LARGEST_WINDOW:
            raise StreamError("expected a window of 31 bits", ErrorCode.FLOW_CONTROL_ERROR)
        if not self._wake(stream):
            self._count_update()

    def _wake(self, stream: Stream) -> bool:
        """Schedule a stream that was blocked by its window; return whether it was blocked."""
        if stream.is_scheduled or not stream.queue or stream.send_window <= 0:
            return False
        self._schedule(stream)
        return True

    def _count_update(self) -> None:
        """Count a WINDOW_UPDATE that unblocks nothing."""
        if self._due_updates > 0:
            self._due_updates -= 1
        else:
            self._count_idle()

    def _end_remotely(self, stream: Stream) -> None:
        stream.state = REMOTE_END[stream.state]
        if stream.state is StreamState.CLOSED:
            self._forget(stream)


def without_padding(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise RemoteProtocolError("expected padding shorter than its frame")
    return payload[1 : len(payload) - payload[0]]
