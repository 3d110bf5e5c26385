"""The server's side of a connection."""

from collections.abc import Callable

from kakuri_http2 import _frames as frames
from kakuri_http2._connection import Connection
from kakuri_http2._errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from kakuri_http2._events import Data, Request, Response, Trailers
from kakuri_http2._fields import Head, request_of
from kakuri_http2._limits import Limits
from kakuri_http2._outbound import StreamError
from kakuri_http2._receiver import Receiver
from kakuri_http2._states import StreamState
from kakuri_http2._stream import Stream


class ServerConnection(Connection):
    """The server's side of a connection: receives requests and sends responses."""

    def __init__(
        self, limits: Limits | None = None, accept: Callable[[Request], Receiver] | None = None
    ) -> None:
        """Create the server's side of a connection.

        Args:
            limits: What the client may do.
            accept: Called with each new request; returns the receiver of its stream. Without it,
                requests and their content are events.

        Raises:
            TypeError: An argument has the wrong type.
        """
        super().__init__(limits)
        if accept is not None and not callable(accept):
            raise TypeError(f"expected a function as accept, got {accept!r:.80}")
        self._accept = accept
        self._preface = b""
        self._has_preface = False
        self._queue_first_frames({frames.MAX_CONCURRENT_STREAMS: self.limits.concurrent_streams})

    def receive_data(self, data: bytes) -> None:
        """Process bytes from the client; `next_event` returns the events."""
        if not self._has_preface and not self._is_over:
            missing = len(frames.PREFACE) - len(self._preface)
            self._preface += data[:missing]
            data = data[missing:]
            if not frames.PREFACE.startswith(self._preface):
                self._fail(
                    RemoteProtocolError(
                        f"expected the HTTP/2 connection preface, got {self._preface!r}"
                    )
                )
                return
            self._has_preface = len(self._preface) == len(frames.PREFACE)
        super().receive_data(data)

    def send(self, message: Response | Data | Trailers) -> None:
        """Queue the head, content or trailers of a message; `data_to_send` returns the bytes.

        Content that exceeds the flow-control windows is queued; see `unsent_on` and Drained.
        Anything sent on a stream that the client has already reset is dropped.

        Raises:
            LocalProtocolError: The stream was never opened or has ended, or a field is not allowed.
            TypeError: Content is not bytes-like.
        """
        if isinstance(message, Response):
            self._send_response(message)
        elif isinstance(message, Data):
            self._send_data(message)
        elif isinstance(message, Trailers):
            self._send_trailers(message)
        else:
            raise LocalProtocolError(f"expected a Response, Data or Trailers, got {message!r}")

    def _stream_of_headers(self, number: int) -> Stream | None:
        stream = self._streams.get(number)
        if stream is not None and stream.state is not StreamState.HALF_CLOSED_REMOTE:
            return stream
        if stream is not None or number <= self._last_peer_stream:
            if stream is None and number not in self._ended:
                raise RemoteProtocolError(
                    f"expected a stream above {self._last_peer_stream}, got {number}"
                )
            self._receive_late_headers(number)
            return None
        if number % 2 == 0:
            raise RemoteProtocolError(f"expected an odd number for a client's stream, got {number}")
        if self._is_going_away:  # the client knows from GOAWAY that it was not processed
            if number not in self._ended:
                window = self.limits.stream_window
                self._keep_ended(Stream(number, StreamState.RESET_LOCAL, 0, window))
            return None
        self._last_peer_stream = number
        # A stream counts until the client can know that it has ended.
        if len(self._streams) + len(self._unsent_ends) >= self.limits.concurrent_streams:
            raise StreamError(
                f"expected at most {self.limits.concurrent_streams} streams",
                ErrorCode.REFUSED_STREAM,
            )
        return self._new_stream(number)

    def _state_of(self, number: int) -> StreamState:
        ended = self._ended.get(number)
        if ended is not None:
            return ended.state
        is_idle = number % 2 == 0 or number > self._last_peer_stream
        return StreamState.IDLE if is_idle else StreamState.CLOSED

    def _receive_message(self, stream: Stream, head: Head, *, is_end: bool) -> None:
        if stream.has_head:
            self._receive_trailers(stream, head, is_end=is_end)
            return
        request = request_of(head, stream.number, end=is_end)
        stream.has_head = True
        stream.length = head.length
        if is_end:
            self._check_length(stream, is_end=True)
        if self._accept is None:
            self._events.append(request)
        else:
            stream.receiver = self._accept(request)
        if is_end:
            self._end_remotely(stream)

    def reset_unfinished(self, number: int) -> None:
        """End a stream whose handler is done.

        If the response is complete but the request is not, the code is NO_ERROR, so that the client
        can stop sending (RFC 9113 section 8.1). If the response is incomplete, it is
        INTERNAL_ERROR.
        """
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.is_ending:
            self.reset(number, ErrorCode.INTERNAL_ERROR)
        elif not stream.queue and stream.state is StreamState.HALF_CLOSED_LOCAL:
            self.reset(number, ErrorCode.NO_ERROR)
