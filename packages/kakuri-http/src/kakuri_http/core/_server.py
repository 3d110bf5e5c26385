"""The core of a server: requests in, responses out."""

from kakuri_http._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits, check_count, checked
from kakuri_http._messages import Request, Response
from kakuri_http.core._bodies import ChunkedReader, LengthReader
from kakuri_http.core._connection import CoreConnection, truncated
from kakuri_http.core._fast_head import FastHeadReader, compile_fast_head
from kakuri_http.core._heads import HeadParser, parse_request_head
from kakuri_http.core._states import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    REQUEST_TABLE,
    RESPONSE_TABLE,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    Kind,
    NeedData,
    Paused,
    State,
)
from kakuri_http.core._writers import (
    WITHOUT_CONTENT,
    compose_interim,
    compose_response_head,
    compose_trace,
    response_beginning,
)

_IDLE, _BODY, _DONE = State.IDLE, State.BODY, State.DONE
_REQUEST, _RESPONSE, _END = Kind.REQUEST, Kind.RESPONSE, Kind.END
# The states after reading or writing a whole message at once.
_REQUEST_COMPLETE = REQUEST_TABLE[REQUEST_TABLE[_IDLE][_REQUEST]][_END]
_RESPONSE_COMPLETE = RESPONSE_TABLE[RESPONSE_TABLE[_IDLE][_RESPONSE]][_END]

ServerEvent = Request | Data | EndOfMessage | ConnectionClosed | NeedData | Paused


class ServerConnection(CoreConnection):
    r"""The server's side of a connection.

    Attributes:
        omits_content: Whether the response being sent has no content (HEAD, 204, 304). Data events
            are then accepted but not sent.

    Example:
        >>> connection = ServerConnection()
        >>> connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        >>> connection.next_event(), connection.next_event()
        (<Request GET />, EndOfMessage(trailers=Headers([])))
        >>> connection.send(Response(200, b"hello"))[:15]
        b'HTTP/1.1 200 OK'
    """

    keep_alive: bool
    request_state: State
    response_state: State
    exchanges: int

    def __init__(
        self, limits: Limits | None = None, read_fast: FastHeadReader | None = None
    ) -> None:
        """Create a connection.

        Args:
            limits: What the client may send; None for the defaults.
            read_fast: The result of `compile_fast_head` for the same limits, to share its caches
                among connections. None for separate caches.
        """
        super().__init__(limits)
        self._read_fast: FastHeadReader = read_fast or compile_fast_head(self.limits)
        self._matched: tuple[Request, int] | None = None  # by receive_request, for next_event
        self._parser: HeadParser | None = None
        self._request: Request | None = None
        self.omits_content: bool = False  # of the response that is being sent

    @property
    def head_has_begun(self) -> bool:
        """Whether a part of a request's head has arrived."""
        return self._parser is not None and (self._parser.has_begun or bool(self.buffered))

    @property
    def held(self) -> int:
        """Number of bytes held for requests whose content has not begun."""
        return self.buffered + (self._parser.size if self._parser is not None else 0)

    def drop_input(self) -> None:
        """Drop unparsed bytes, because the connection is about to close."""
        self._buffer, self._position = b"", 0
        self._incoming.clear()
        self._incoming_size = 0
        self._parser = self._matched = None
        self._fail()

    def receive_request(self, data: bytes) -> Request | None:
        """Add bytes like `receive_data`; return the request if they are exactly one request.

        This is a fast path: a request in the usual form that arrives complete, with nothing after
        it, is returned with its content in `body`, and `next_event` does not return it again. In
        all other cases, the result is None, and `next_event` returns the events.
        """
        if (
            self.request_state is _IDLE
            and self._position >= len(self._buffer)
            and not self._incoming
            and self._parser is None
        ):
            self._buffer = data
            self._position = 0
            fast = self._read_fast(data, 0)
            if fast is not None:
                request, end = fast
                size = len(data)
                if end != size or request.length:
                    length = request.length or 0
                    if end + length != size or length > self.limits.body:
                        self._matched = fast
                        return None
                    request.body = data[end:]
                self._position = size
                self._request = request
                self.request_state = _REQUEST_COMPLETE
                return request
            return None
        self.receive_data(data)
        return None

    def release_if_idle(self) -> bool:
        """Release the buffer if the connection is idle; return whether it is idle.

        It is idle if `next_event` would return NEED_DATA between two exchanges: all bytes are
        parsed, and the client can send more.
        """
        if (
            self.request_state is not _IDLE
            or self._position < len(self._buffer)
            or self._incoming
            or self._has_eof
            or self._parser is not None
        ):
            return False
        self._buffer = b""
        self._position = 0
        return True

    def next_event(self) -> ServerEvent:
        """Parse the next event from the bytes received so far, and return it.

        Call it until it returns NEED_DATA or PAUSED. Each request consists of one Request event,
        any number of Data, and one EndOfMessage, even without content.

        Returns:
            Request, Data or EndOfMessage of the current request;
            NEED_DATA: All bytes are parsed. Call `receive_data` or `receive_eof`, then this again.
            PAUSED: The request is complete, and the next one is not parsed until the response has
                been sent. Call `send`, then this again. Until then, do not read more from the peer.
            ConnectionClosed: The client closed the connection between two requests, or the
            connection must no longer be used. Close it after sending all responses.

        Raises:
            RemoteProtocolError: The bytes are not a valid request, or exceed a limit
                (LimitExceeded). Raised once. Respond with its `status` if no response has begun,
                then close the connection; all further events are ConnectionClosed.
        """
        state = self.request_state
        try:
            if state is _IDLE:
                if self._position < len(self._buffer) or self._incoming or self._has_eof:
                    return self._next_head()
                self._buffer = b""  # an idle connection holds nothing
                self._position = 0
                return NEED_DATA
            if state is _BODY:
                event = self._read_content() if self._reader is not None else END_OF_MESSAGE
                if event is not None:
                    if event is END_OF_MESSAGE or isinstance(event, EndOfMessage):
                        self.request_state = REQUEST_TABLE[state][_END]
                        if self.response_state is _DONE:
                            self._end_exchange()
                    return event
                if self._has_eof:
                    raise truncated("the content")
                return NEED_DATA
        except RemoteProtocolError:
            self._fail()
            self._move_request(Kind.FAULT)
            raise
        return PAUSED if state is State.DONE else CONNECTION_CLOSED

    def _next_head(self) -> ServerEvent:
        if self._incoming:
            self._gather()
        if self._parser is None:
            if self._position >= len(self._buffer):
                return self._at_end()
            fast = self._matched or self._read_fast(self._buffer, self._position)
            if fast is not None:
                self._matched = None
                request, self._position = fast
                if request.length:
                    self._start_reading(LengthReader(request.length))
                self.request_state = REQUEST_TABLE[_IDLE][_REQUEST]
                self._request = request
                return request
            self._parser = HeadParser(self.limits, folds=False)
        parser = self._parser
        complete, self._position = parser.parse(self._buffer, self._position)
        if not complete:
            return self._at_end()
        self._parser = None
        request, framing = parse_request_head(parser.start_line or b"", parser.fields, self.limits)
        if framing.chunked:
            self._start_reading(ChunkedReader(self.limits))
        elif request.length:
            self._start_reading(LengthReader(request.length))
        self.keep_alive = self.keep_alive and request.keep_alive
        self._move_request(Kind.REQUEST)
        self._request = request
        return request

    def _at_end(self) -> ServerEvent:
        """Return the event for the case that no complete head has been received."""
        if not self._has_eof:
            return NEED_DATA
        if self.buffered or (self._parser is not None and self._parser.has_begun):
            raise truncated("a request's head")
        self._move_request(Kind.CLOSE)
        return CONNECTION_CLOSED

    def _begin_exchange(self) -> None:
        self._request = None
        self._reader = None

    def send(self, event: Response | InterimResponse | Data | EndOfMessage) -> bytes:
        """Return the bytes to send for an event.

        The core chooses the framing: none if the response has no content, Content-Length if the
        length is known, otherwise chunked, or for HTTP/1.0 the end of the connection. It writes
        Date, and `Connection: close` if `keep_alive` is False.

        Args:
            event: A Response whose body is bytes is a complete message. After any other Response,
                send its content as Data, then EndOfMessage. InterimResponse events, such as 103,
                may precede it. A response may begin before its request has ended.

        Returns:
            Bytes, in the order in which they have to be written; empty for content that the
            response does not have.

        Raises:
            LocalProtocolError: The event can't be sent in this state, or the content does not match
                the announced length. The state does not change.
            TypeError: The event, or one of its attributes, has the wrong type.
            ValueError: The length is negative.
            AttributeError: The `headers` of a Response are not a Headers object (not checked, for
                speed).
        """
        if isinstance(event, Response):
            body, request = event.body, self._request
            trace = b""
            if request is not None and request.traceparent is not None:
                trace = compose_trace(request.traceparent)
            if (
                isinstance(body, bytes)
                and request is not None
                and request.method != "HEAD"
                and request.http_version == "1.1"
                and event.status not in WITHOUT_CONTENT
                and self.keep_alive
                and self.response_state is _IDLE
            ):
                # The usual response, without the checks that only others need.
                data = b"%b%b%bContent-Length: %d\r\n\r\n%b" % (
                    response_beginning(event.status, event.content_type),
                    event.headers.lines,
                    trace,
                    len(body),
                    body,
                )
                if self.request_state is _DONE:
                    self.exchanges += 1
                    self._request = None
                    self.request_state = _IDLE
                else:
                    self.response_state = _RESPONSE_COMPLETE
                return data
            state, keep_alive = self.response_state, self.keep_alive
            omits_content, framing = self.omits_content, (self._sends_chunked, self._left_to_send)
            try:
                return self._send_response(event, trace)
            except Exception:  # nothing was sent
                self.response_state, self.keep_alive = state, keep_alive
                self.omits_content = omits_content
                self._sends_chunked, self._left_to_send = framing
                raise
        if isinstance(event, InterimResponse):
            checked(event.headers, Headers, "headers")
            check_count(event.status, "status")
            if not 100 <= event.status <= 199 or event.status == 101:
                raise LocalProtocolError(
                    f"expected a status from 100 to 199 except 101, got {event.status}"
                )
            self._move_response(Kind.INTERIM)
            return compose_interim(event)
        before = self.response_state
        self._move_response(self._kind_of(event))
        try:
            data = b"" if self.omits_content else self._send_content(event)
        except Exception:
            self.response_state = before  # the content has not ended
            raise
        self._end_exchange()
        return data

    def _send_response(self, response: Response, trace: bytes) -> bytes:
        body = response.body
        request = self._request
        self._move_response(_RESPONSE)
        if request is None or self.request_state is State.ERROR:
            self.keep_alive = False
        is_http_1_0 = request is not None and request.http_version == "1.0"
        omits = response.status in WITHOUT_CONTENT or (
            request is not None and request.method == "HEAD"
        )
        if isinstance(body, bytes):
            option = self._connection_option(is_http_1_0=is_http_1_0)
            head = compose_response_head(
                response, length=len(body), chunked=False, option=option, trace=trace
            )
            data = head if omits else head + body
            self.response_state = RESPONSE_TABLE[_BODY][_END]
            self._end_exchange()
            return data
        self.omits_content = omits
        length_known = response.length is not None
        if response.length is not None:
            check_count(response.length, "length")
        if is_http_1_0 and not length_known:
            self.keep_alive = False  # RFC 9112 6.3 rule 8: the connection's end is the content's
        chunked = not length_known and not is_http_1_0
        self._start_sending(chunked=chunked, length=response.length)
        option = self._connection_option(is_http_1_0=is_http_1_0)
        return compose_response_head(
            response, length=response.length, chunked=chunked, option=option, trace=trace
        )

    def _connection_option(self, *, is_http_1_0: bool) -> bytes:
        """Return the value of the field Connection, or nothing if the field is left out."""
        if not self.keep_alive:
            return b"close"
        return b"keep-alive" if is_http_1_0 else b""
