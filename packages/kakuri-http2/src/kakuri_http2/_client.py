"""The client's side of a connection."""

from collections.abc import Collection
from typing import NamedTuple

from kakuri_http2 import _frames as frames
from kakuri_http2._connection import Connection
from kakuri_http2._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http2._events import (
    Data,
    Fields,
    Processed,
    Request,
    StreamReset,
    Trailers,
    checked_content,
)
from kakuri_http2._fields import Head, MalformedMessage, list_size, request_of, status_of
from kakuri_http2._limits import Limits
from kakuri_http2._receiver import Receiver
from kakuri_http2._states import StreamState
from kakuri_http2._stream import Stream

_LAST_STREAM = frames.STREAM_MASK


class PreparedRequest(NamedTuple):
    """The checked head of a request; see `ClientConnection.prepare`."""

    fields: Fields
    is_bodiless: bool
    size: int


class ClientConnection(Connection):
    """The client's side of a connection: sends requests and receives responses.

    >>> connection = ClientConnection()
    >>> stream = connection.send(Request(b"GET", b"/", authority=b"localhost", end=True))
    >>> data = connection.data_to_send()  # to be written to the server
    """

    def __init__(
        self, limits: Limits | None = None, *, untrimmed: Collection[bytes] = frozenset()
    ) -> None:
        """Create the client's side of a connection.

        Args:
            limits: What the server may do.
            untrimmed: Names of fields whose received values may begin or end with white space. A
                response with such a value in another field is malformed (RFC 9113 section 8.2.1).

        Raises:
            TypeError: An argument has the wrong type.
        """
        super().__init__(limits)
        if not _are_names(untrimmed):
            raise TypeError(f"expected names in bytes as untrimmed, got {untrimmed!r:.80}")
        self._untrimmed = frozenset(untrimmed)
        self._next_stream = 1
        self._unsent_stream = 1  # the first whose request was not written yet
        self._last_stream: int | None = None  # of the server's GOAWAY
        self._out.append(frames.PREFACE)
        self._queue_first_frames({frames.ENABLE_PUSH: 0})

    @property
    def available_streams(self) -> int:
        """The number of requests that can be sent now; 0 if the connection is going to end."""
        if self._is_over or self._is_going_away or self._last_stream is not None:
            return 0
        if self._next_stream > _LAST_STREAM:
            return 0
        return max(0, self._peer_streams - len(self._streams))

    @property
    def accepts_streams(self) -> bool:
        """Whether this connection can still send requests, now or later."""
        return not (
            self._is_over
            or self._is_going_away
            or self._last_stream is not None
            or self._next_stream > _LAST_STREAM
        )

    def send(self, message: Request | Data | Trailers) -> int:
        """Queue the head, content or trailers of a message; `data_to_send` returns the bytes.

        Content that exceeds the flow-control windows is queued; see `unsent_on` and Drained.
        Anything sent on a stream that the server has already reset is dropped.

        Returns:
            The number of the stream, which is new for a Request.

        Raises:
            LocalProtocolError: No stream is available, the stream has ended, a field is not
                allowed, or a request's fields exceed the server's SETTINGS_MAX_HEADER_LIST_SIZE.
            TypeError: Content is not bytes-like.
        """
        if isinstance(message, Request):
            return self._open(message)
        if isinstance(message, Data):
            self._send_data(message)
        elif isinstance(message, Trailers):
            self._send_trailers(message)
        else:
            raise LocalProtocolError(f"expected a Request, Data or Trailers, got {message!r}")
        return message.stream

    def _open(self, request: Request) -> int:
        return self.start(self.prepare(request), is_end=request.end)

    def prepare(self, request: Request) -> PreparedRequest:
        """Check the head of a request, so that it can be sent any number of times.

        Raises:
            LocalProtocolError: A field is not allowed.
        """
        authority = ((b":authority", request.authority),) if request.authority else ()
        fields = (
            (b":method", request.method),
            (b":scheme", request.scheme),
            (b":path", request.path),
            *authority,
            *request.fields,
        )
        try:
            head = self._checked_fields(fields)
            if not head.is_request:
                request_of(head, 0, end=request.end)
                head.size = list_size(fields)
        except MalformedMessage as error:
            raise LocalProtocolError(str(error)) from error
        return PreparedRequest(fields, request.method == b"HEAD", head.size)

    def start(
        self,
        request: PreparedRequest,
        receiver: Receiver | None = None,
        *,
        fields: Fields = (),
        content: bytes = b"",
        is_end: bool,
    ) -> int:
        """Send a request like `send`, but from a prepared head.

        Args:
            request: The result of `prepare`.
            receiver: The object that receives the stream's frames, instead of events.
            fields: Additional fields, after the prepared ones. HPACK does not add them to its
                table, because their values usually differ between requests.
            content: The content after the head.
            is_end: Whether the request ends after the content.

        Returns:
            The number of the stream.

        Raises:
            LocalProtocolError: No stream is available, a field is not allowed, or the fields exceed
                the server's SETTINGS_MAX_HEADER_LIST_SIZE.
            TypeError: The content is not bytes-like.
        """
        if self.available_streams <= 0:
            raise LocalProtocolError(f"{self!r} accepts no request now")
        content = checked_content(content)
        size = request.size + list_size(fields) if fields else request.size
        if size > self._peer_header_list:
            raise LocalProtocolError(
                f"the server accepts fields of at most {self._peer_header_list} bytes, got {size}"
            )
        block = self._encoder.encode(request.fields)
        if fields:
            self._checked_fields(fields)
            block += self._encoder.encode(fields, indexes=False)
        number = self._next_stream
        self._next_stream += 2
        stream = self._new_stream(number, receiver)
        stream.has_sent_head = True
        stream.is_bodiless = request.is_bodiless
        self._write_block(stream, block, is_end=is_end and not content)
        if content:
            self._send_content(stream, content, is_end=is_end)
        return number

    def _stream_of_headers(self, number: int) -> Stream | None:
        stream = self._streams.get(number)
        if stream is not None and stream.state is not StreamState.HALF_CLOSED_REMOTE:
            return stream
        if stream is None and self._state_of(number) is StreamState.IDLE:
            raise RemoteProtocolError(f"expected a stream of a request, got {number}")
        self._receive_late_headers(number)
        return None

    def _state_of(self, number: int) -> StreamState:
        if number % 2 == 0 or number >= self._next_stream:
            return StreamState.IDLE
        ended = self._ended.get(number)
        return StreamState.RESET_LOCAL if ended is None else ended.state

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the server, and clear them."""
        self._unsent_stream = self._next_stream
        return super().data_to_send()

    def _processed(self, number: int) -> Processed:
        return Processed.NO if number >= self._unsent_stream else Processed.UNKNOWN

    def _receive_message(self, stream: Stream, head: Head, *, is_end: bool) -> None:
        if stream.has_head:
            self._receive_trailers(stream, head, is_end=is_end)
            return
        status = head.status or status_of(head)
        if status < 200:
            if is_end:
                raise MalformedMessage("expected a response after an interim one")
            stream.interim += 1
            if stream.interim > self.limits.interim_responses:
                raise MalformedMessage(
                    f"expected at most {self.limits.interim_responses} interim responses"
                )
            stream.receiver.receive_head(status, head.fields, is_end=False)
            return
        stream.has_head = True
        stream.is_bodiless |= status == 304
        stream.length = head.length
        if is_end and not stream.is_bodiless:
            self._check_length(stream, is_end=True)
        stream.receiver.receive_head(status, head.fields, is_end=is_end)
        if is_end:
            self._end_remotely(stream)

    def _check_push(self, value: int) -> None:
        if value != 0:  # a server never sends another value (RFC 9113 section 6.5.2)
            raise RemoteProtocolError(f"expected a server to send ENABLE_PUSH 0, got {value}")

    def _end_unprocessed(self, last: int, code: int) -> None:
        if self._last_stream is not None and last > self._last_stream:
            raise RemoteProtocolError("expected a GOAWAY not to raise the last stream")
        self._last_stream = last
        for number in [number for number in self._streams if number > last]:
            reset = StreamReset(number, code, by_peer=True, processed=Processed.NO)
            self._end_stream(self._streams[number], reset)


def _are_names(names: object) -> bool:
    return isinstance(names, Collection) and all(isinstance(name, bytes) for name in names)
