"""The receiving half of a connection: content within the windows, and fields.

That is DATA and WINDOW_UPDATE (RFC 9113 sections 5.2 and 8.1.1), HEADERS and CONTINUATION (sections
6.2 and 6.10).
"""

from kakuri_http2 import _frames as frames
from kakuri_http2._errors import ErrorCode, HeaderListTooLarge, RemoteProtocolError
from kakuri_http2._events import Fields
from kakuri_http2._fields import Head, MalformedMessage, check_fields
from kakuri_http2._limits import LARGEST_WINDOW, Limits
from kakuri_http2._outbound import Outbound, StreamError
from kakuri_http2._states import REMOTE_END, Input, StreamState
from kakuri_http2._stream import Stream
from kakuri_http2.hpack import Decoder

_END_STREAM, _PADDED = frames.END_STREAM, frames.PADDED

_DEPENDS_ON_ITSELF = 0x100
"""Set in addition to a frame's flags if its priority depends on its own stream."""

_MAX_CACHED_HEADS = 64
_WEIGHT_OF_LARGE_HEADS = 20
"""Number of resets as which a head over `Limits.header_list` counts, because decoding it takes that
long."""

_MAX_CACHED_BLOCK = 1024
"""Maximum size of a header block whose checked fields are cached, because peers repeat small
ones."""


class Inbound(Outbound):
    """The receiving half that both roles share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._receive_window = limits.connection_window
        self._credit = 0
        self._empty_frames = 0
        self._decoder = Decoder(max_list_size=limits.header_list)
        # An incomplete header block: stream, flags of HEADERS, pieces.
        self._block_stream = 0
        self._block_flags = 0
        self._block: list[bytes] = []
        self._block_size = 0
        # A cache of heads that were checked, by the id of the fields, which HPACK's decoder caches.
        self._received_heads: dict[int, tuple[Fields, Head]] = {}
        self._untrimmed: frozenset[bytes] = frozenset()

    # Content.

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
        content = _without_padding(payload) if flags & _PADDED else payload
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

    # Fields.

    def _receive_headers(self, flags: int, number: int, payload: bytes) -> None:
        if number == 0:
            raise RemoteProtocolError("expected HEADERS on a stream, got it on the connection")
        if flags & _PADDED:
            payload = _without_padding(payload)
        if flags & frames.WITH_PRIORITY:
            if len(payload) < 5:
                raise RemoteProtocolError(
                    "expected five bytes of priority", ErrorCode.FRAME_SIZE_ERROR
                )
            if int.from_bytes(payload[:4], "big") & frames.STREAM_MASK == number:
                flags |= _DEPENDS_ON_ITSELF
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._receive_block(number, flags, payload)
            return
        self._block_stream, self._block_flags = number, flags
        self._block, self._block_size = [payload], len(payload)

    def _receive_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if not self._block_stream:
            raise RemoteProtocolError("expected CONTINUATION only within a header block")
        self._block.append(payload)
        self._block_size += len(payload)
        if len(self._block) > self.limits.continuations:
            self._raise_exceeded("continuations", "CONTINUATION frames in a header block")
        if self._block_size > self.limits.header_block:
            self._raise_exceeded("header_block", "bytes of a header block")
        if flags & frames.END_HEADERS:
            block, opening = b"".join(self._block), self._block_flags
            self._block_stream, self._block = 0, []
            self._receive_block(number, opening, block)

    def _receive_block(self, number: int, flags: int, block: bytes) -> None:
        """Handle a complete header block; it is always decoded, because that updates the table."""
        if len(block) > self.limits.header_block:
            self._raise_exceeded("header_block", "bytes of a header block")
        too_large: str | None = None
        fields: Fields = ()
        try:
            fields = self._decoder.decode(block)
        except HeaderListTooLarge as error:
            too_large = str(error)
            self._own_resets += _WEIGHT_OF_LARGE_HEADS - 1
        stream = self._stream_of_headers(number)
        if stream is None:
            self._count_idle()
            return
        if flags & _DEPENDS_ON_ITSELF:
            raise StreamError("expected a stream that does not depend on itself")
        if too_large is not None:
            raise StreamError(too_large, ErrorCode.ENHANCE_YOUR_CALM)
        try:
            head = self._checked_head(fields, len(block))
            self._receive_message(stream, head, is_end=bool(flags & _END_STREAM))
        except MalformedMessage as error:
            raise StreamError(str(error)) from None
        self._idle_frames = self._settings_frames = 0

    def _checked_head(self, fields: Fields, size: int) -> Head:
        """Check the fields of a block, unless the decoder has cached them."""
        known = self._received_heads.get(id(fields))
        if known is not None and known[0] is fields:
            return known[1]
        head = check_fields(fields, self._untrimmed)
        if size > _MAX_CACHED_BLOCK:
            return head
        if len(self._received_heads) >= _MAX_CACHED_HEADS:
            self._received_heads.clear()
        self._received_heads[id(fields)] = fields, head
        return head

    def _stream_of_headers(self, number: int) -> Stream | None:
        """Return the stream of a HEADERS frame; None if the frame is ignored."""
        raise NotImplementedError

    def _receive_message(self, stream: Stream, head: Head, *, is_end: bool) -> None:
        """Report a message's head or trailers."""
        raise NotImplementedError

    def _receive_trailers(self, stream: Stream, head: Head, *, is_end: bool) -> None:
        if head.pseudo or not is_end:
            raise MalformedMessage(
                "expected trailers that end the stream, without pseudo-header fields"
            )
        if stream.length is not None or stream.is_bodiless:
            self._check_length(stream, is_end=True)
        stream.receiver.receive_trailers(head.fields)
        self._end_remotely(stream)

    def _receive_late_headers(self, number: int) -> None:
        self._receive_late(number, Input.HEADERS)


def _without_padding(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise RemoteProtocolError("expected padding shorter than its frame")
    return payload[1 : len(payload) - payload[0]]
