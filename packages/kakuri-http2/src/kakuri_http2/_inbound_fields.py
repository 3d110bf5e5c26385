"""Receives fields: HEADERS and CONTINUATION (RFC 9113 sections 6.2 and 6.10)."""

from kakuri_http2 import _frames as frames
from kakuri_http2._errors import ErrorCode, HeaderListTooLarge, RemoteProtocolError
from kakuri_http2._events import Fields
from kakuri_http2._fields import Head, MalformedMessage, check_fields
from kakuri_http2._inbound_content import InboundContent, without_padding
from kakuri_http2._limits import Limits
from kakuri_http2._outbound import StreamError
from kakuri_http2._states import Input
from kakuri_http2._stream import Stream
from kakuri_http2.hpack import Decoder

_DEPENDS_ON_ITSELF = 0x100
"""Set in addition to a frame's flags if its priority depends on its own stream."""

_MAX_CACHED_HEADS = 64
_WEIGHT_OF_LARGE_HEADS = 20
"""Number of resets as which a head over `Limits.header_list` counts, because decoding it takes that
long."""

_MAX_CACHED_BLOCK = 1024
"""Maximum size of a header block whose checked fields are cached, because peers repeat small
ones."""


class InboundFields(InboundContent):
    """Handles HEADERS and CONTINUATION."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._decoder = Decoder(max_list_size=limits.header_list)
        # An incomplete header block: stream, flags of HEADERS, pieces.
        self._block_stream = 0
        self._block_flags = 0
        self._block: list[bytes] = []
        self._block_size = 0
        # A cache of heads that were checked, by the id of the fields, which HPACK's decoder caches.
        self._received_heads: dict[int, tuple[Fields, Head]] = {}
        self._untrimmed: frozenset[bytes] = frozenset()

    def _receive_headers(self, flags: int, number: int, payload: bytes) -> None:
        if number == 0:
            raise RemoteProtocolError("expected HEADERS on a stream, got it on the connection")
        if flags & frames.PADDED:
            payload = without_padding(payload)
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
            self._receive_message(stream, head, is_end=bool(flags & frames.END_STREAM))
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
