"""The sending half of a connection: fields, content within the windows, and acknowledgements.

It also keeps track of streams, and counts frames that make no progress. It is the first of a chain
of base classes, which are split by frame type and share the state of one connection:

    Outbound    the table of streams, and everything that is sent
    Inbound     received content and fields
    Connection  the other frames, and the public methods of both roles
"""

from collections import OrderedDict, deque

from kakuri_http2 import _frames as frames
from kakuri_http2._errors import (
    ErrorCode,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from kakuri_http2._events import Data, Event, Fields, Response, Trailers, checked_content
from kakuri_http2._fields import Head, MalformedMessage, check_fields, status_of
from kakuri_http2._limits import DEFAULT_WINDOW, Limits
from kakuri_http2._receiver import DROPPED, QueuedEvents, Receiver
from kakuri_http2._states import (
    FINISHED,
    LOCAL_END,
    MAY_SEND,
    RECEIVE,
    Fault,
    Input,
    StreamState,
)
from kakuri_http2._stream import Queued, Stream
from kakuri_http2.hpack import Encoder

OUTPUT_AT_ONCE = 256 << 10
"""Maximum content that one `data_to_send` returns, so that acknowledgements never wait long."""

LARGEST_HEADER_LIST = (1 << 32) - 1
"""SETTINGS_MAX_HEADER_LIST_SIZE of a peer that has not set it."""

_MAX_ENDED_STREAMS = 256
_MAX_CACHED_HEADS = 64


class StreamError(Exception):
    """A frame is invalid in a way that ends its stream, but not the connection."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = code


class Outbound:
    """The sending half that both roles share, and the state that it depends on."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._encoder = Encoder()
        self._streams: dict[int, Stream] = {}
        # The streams that ended last, for frames that still arrive for them.
        self._ended: OrderedDict[int, Stream] = OrderedDict()
        self._events: deque[Event] = deque()
        self._out: list[bytes | memoryview] = []
        self._control_frames = 0  # in _out
        self._ready: deque[Stream] = deque()  # streams that have something queued
        self._blocked: deque[Stream] = deque()  # those that only the connection's window blocks
        self._queued = 0  # bytes of content in the queues of all streams
        self._room = OUTPUT_AT_ONCE  # bytes of content that `_out` may still take
        self._due_updates = 0  # WINDOW_UPDATE frames that our content justifies
        self._unsent_ends: set[int] = set()  # streams whose last frame of this side is in _out
        self._send_window = DEFAULT_WINDOW  # of the connection; each stream has its own
        # The settings of the peer.
        self._peer_frame_size = frames.MIN_FRAME_SIZE
        self._peer_window = DEFAULT_WINDOW
        self._peer_header_list = LARGEST_HEADER_LIST
        # The number of received frames since the last one that made progress.
        self._idle_frames = self._settings_frames = 0
        self._is_over = False
        # The number of streams that were reset, minus those that completed.
        self._peer_resets = self._own_resets = 0
        self._sent_heads: dict[Fields, Head] = {}  # a cache of heads that were checked

    def _new_stream(self, number: int, receiver: Receiver | None = None) -> Stream:
        stream = Stream(
            number,
            StreamState.OPEN,
            self._peer_window,
            self.limits.stream_window,
            receiver or QueuedEvents(self._events, number),
        )
        self._streams[number] = stream
        return stream

    # Content.

    def _send_data(self, message: Data) -> None:
        stream = self._stream_to_send(message.stream)
        if stream is not None:
            self._send_content(stream, checked_content(message.data), is_end=message.end)

    def _send_content(self, stream: Stream, content: bytes, *, is_end: bool) -> None:
        """Write content if all windows allow it, otherwise queue it."""
        size = len(content)
        if (
            size <= self._peer_frame_size
            and size <= stream.send_window
            and size <= self._send_window
            and size <= self._room
            and not (stream.queue or self._ready or self._blocked)
        ):
            self._write_frame(stream, content, size, is_end=is_end)
        else:
            self._enqueue(stream, (content, (), is_end), size, is_end=is_end)

    def _send_trailers(self, message: Trailers) -> None:
        if self._checked_fields(message.fields).pseudo:
            raise LocalProtocolError("expected trailers without pseudo-header fields")
        stream = self._stream_to_send(message.stream)
        if stream is None:
            return
        if stream.queue:
            self._enqueue(stream, (None, message.fields, True), 0, is_end=True)
        else:
            self._write_fields(stream, message.fields, is_end=True)

    def _send_response(self, message: Response) -> None:
        fields = ((b":status", b"%d" % message.status), *message.fields)
        try:
            status = status_of(self._checked_fields(fields))
        except MalformedMessage as error:
            raise LocalProtocolError(str(error)) from error
        stream = self._stream_to_send(message.stream, is_head=True)
        if stream is None:
            return
        if stream.has_sent_head:
            raise LocalProtocolError(f"the response on stream {message.stream} was already sent")
        if status >= 200:
            stream.has_sent_head = True
        elif message.end:
            raise LocalProtocolError("expected an interim response not to end its stream")
        self._write_fields(stream, fields, is_end=message.end)

    def _stream_to_send(self, number: int, *, is_head: bool = False) -> Stream | None:
        """Return a stream that this side may send on; None if the peer has already reset it."""
        stream = self._streams.get(number)
        if stream is None:
            if number in self._ended or self._is_over:
                return None
            raise LocalProtocolError(f"expected a stream that was opened, got {number}")
        if stream.is_ending or stream.state not in MAY_SEND:
            raise LocalProtocolError(f"stream {number} was ended by this side")
        if not (stream.has_sent_head or is_head):
            raise LocalProtocolError(f"expected a response on stream {number} before its content")
        return stream

    def _enqueue(self, stream: Stream, item: Queued, size: int, *, is_end: bool) -> None:
        if stream.queue is None:
            stream.queue = deque()
        stream.queue.append(item)
        stream.queued += size
        self._queued += size
        stream.is_ending = is_end
        if not stream.is_scheduled:
            self._schedule(stream)

    def _schedule(self, stream: Stream) -> None:
        stream.is_scheduled = True
        self._ready.append(stream)

    def _write_fields(self, stream: Stream, fields: Fields, *, is_end: bool) -> None:
        self._write_block(stream, self._encoder.encode(fields), is_end=is_end)

    def _write_block(self, stream: Stream, block: bytes, *, is_end: bool) -> None:
        flags = frames.END_STREAM if is_end else 0
        self._out.append(frames.header_frames(block, stream.number, flags, self._peer_frame_size))
        if is_end:
            stream.is_ending = True
            self._end_locally(stream)

    def _checked_fields(self, fields: Fields) -> Head:
        """Check fields before they are sent; recently sent ones are known to be valid."""
        head = self._sent_heads.get(fields)
        if head is None:
            try:
                head = check_fields(fields)
            except MalformedMessage as error:
                raise LocalProtocolError(str(error)) from error
            except TypeError as error:
                raise TypeError(f"expected bytes in all fields, got {fields!r:.200}") from error
            if len(self._sent_heads) >= _MAX_CACHED_HEADS:
                self._sent_heads.clear()
            self._sent_heads[fields] = head
        return head

    # What leaves.

    @property
    def has_output(self) -> bool:
        """Whether `data_to_send` may return anything."""
        return bool(self._out or self._ready or self._blocked)

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the peer, and clear them.

        Streams take turns to send a frame of content, as far as the windows allow. The result has
        at most `OUTPUT_AT_ONCE` bytes of content; call this again after writing it, until it is
        empty.
        """
        if self._ready or self._blocked:
            self._write_content()
        out, self._out = self._out, []
        self._control_frames = 0
        self._unsent_ends.clear()
        self._room = OUTPUT_AT_ONCE
        return out[0] if len(out) == 1 and isinstance(out[0], bytes) else b"".join(out)

    def _write_content(self) -> None:
        ready, blocked = self._ready, self._blocked
        while self._room > 0:
            if blocked and self._send_window > 0:
                stream = blocked.popleft()
            elif ready:
                stream = ready.popleft()
            else:
                return
            stream.is_scheduled = False
            queue, receiver = stream.queue, stream.receiver
            if not queue:
                continue  # it was reset
            content, fields, is_end = queue[0]
            if content is None:
                queue.popleft()
                self._write_fields(stream, fields, is_end=True)
            elif not self._write_piece(stream, queue, content, is_end=is_end):
                continue
            if queue:
                self._schedule(stream)
            elif stream.reports_drained:  # also if the stream has ended with it
                stream.reports_drained = False
                receiver.drained()

    def _write_piece(
        self,
        stream: Stream,
        queue: deque[Queued],
        content: bytes | memoryview,
        *,
        is_end: bool,
    ) -> bool:
        """Write one DATA frame; return False if a window is used up."""
        size = len(content)
        allowed = min(self._peer_frame_size, stream.send_window, self._send_window)
        if size > allowed:
            if allowed <= 0:
                stream.reports_drained = True
                if stream.send_window > 0:  # else a WINDOW_UPDATE of the stream schedules it again
                    stream.is_scheduled = True
                    self._blocked.append(stream)
                return False
            view = memoryview(content)
            queue[0] = view[allowed:], (), is_end
            content, size, is_end = view[:allowed], allowed, False
        else:
            queue.popleft()
        stream.queued -= size
        self._queued -= size
        self._write_frame(stream, content, size, is_end=is_end)
        return True

    def _write_frame(
        self, stream: Stream, content: bytes | memoryview, size: int, *, is_end: bool
    ) -> None:
        """Write content as a DATA frame; the caller has checked the windows."""
        self._out.append(frames.HEAD.pack(size << 8 | frames.DATA, is_end, stream.number))
        if size:
            self._out.append(content)
        stream.send_window -= size
        self._send_window -= size
        self._room -= size + 1
        self._due_updates += 2 + (size >> 11)
        if is_end:
            stream.is_ending = True
            self._end_locally(stream)

    def _queue_control(self, data: bytes) -> None:
        self._out.append(data)
        self._control_frames += 1

    # The end of streams.

    def _end_locally(self, stream: Stream) -> None:
        stream.state = LOCAL_END[stream.state]
        if stream.state in FINISHED:
            self._unsent_ends.add(stream.number)
            self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        """Drop a stream that has ended, and return the credit for its unread content."""
        del self._streams[stream.number]
        stream.queue = None
        self._queued -= stream.queued
        stream.queued = 0
        self._keep_ended(stream)
        if stream.state is StreamState.CLOSED:
            if self._peer_resets:
                self._peer_resets -= 1
            if self._own_resets:
                self._own_resets -= 1
        if stream.unread:
            self._return_credit(stream.unread)
            stream.unread = 0
        stream.receiver = DROPPED

    def _keep_ended(self, stream: Stream) -> None:
        """Keep a stream that has ended, for frames that still arrive for it."""
        self._ended[stream.number] = stream
        if len(self._ended) > _MAX_ENDED_STREAMS:
            self._ended.popitem(last=False)

    def _return_credit(self, amount: int) -> None:
        """Return the connection's credit for content; implemented by the receiving half."""
        raise NotImplementedError

    def reset(self, stream: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """Reset a stream. Frames that still arrive for it are ignored."""
        known = self._streams.get(stream)
        if known is not None:
            known.state = StreamState.RESET_LOCAL
            self._out.append(frames.rst_stream(stream, code))
            self._unsent_ends.add(stream)
            self._forget(known)

    def has_stream(self, stream: int) -> bool:
        """Return whether a stream is open: at least one side has not ended it."""
        return stream in self._streams

    def report_drained(self, stream: int) -> None:
        """Report Drained once all content of a stream is sent, even if it never had to wait."""
        known = self._streams.get(stream)
        if known is not None:
            known.reports_drained = True

    @property
    def unsent(self) -> int:
        """Bytes of content, of all streams together, that wait for a window or `data_to_send`."""
        return self._queued

    def unsent_on(self, stream: int) -> int:
        """Return how many bytes of content of a stream wait for a window or `data_to_send`."""
        known = self._streams.get(stream)
        return 0 if known is None else known.queued

    # Frames that are not allowed, and frames that make no progress.

    def _raise_exceeded(
        self, limit: str, what: str, code: ErrorCode = ErrorCode.ENHANCE_YOUR_CALM
    ) -> None:
        maximum: int = getattr(self.limits, limit)
        raise LimitExceeded(f"expected at most {maximum} {what}", code, limit, maximum)

    def _count_idle(self) -> None:
        """Count a frame that makes no progress."""
        self._idle_frames += 1
        if self._idle_frames > self.limits.idle_frames:
            self._raise_exceeded("idle_frames", "frames without progress")

    def _count_own_reset(self) -> None:
        """Count a stream that this side has to reset."""
        self._own_resets += 1
        if self._own_resets > self.limits.own_resets:
            self._raise_exceeded("own_resets", "streams that have to be reset")

    def _receive_late(self, number: int, what: Input) -> None:
        """Handle a frame for a stream that is not open or that the peer has ended."""
        stream = self._streams.get(number)
        state = stream.state if stream is not None else self._state_of(number)
        outcome = RECEIVE[state][what]
        if isinstance(outcome, tuple):
            fault, code = outcome
            message = f"expected no {what.value} on a stream that is {state.value}"
            if fault is Fault.CONNECTION:
                raise RemoteProtocolError(message, code)
            if fault is Fault.STREAM:
                raise StreamError(message, code)
        self._count_idle()

    def _state_of(self, number: int) -> StreamState:
        """Return the state of a stream that is not open."""
        raise NotImplementedError
