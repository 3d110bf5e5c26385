"""The core of a server: requests in, responses out."""

from functools import lru_cache

from kakuri_http._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http._limits import DEFAULT_LIMITS, Limits
from kakuri_http._messages import Request, Response
from kakuri_http.core._bodies import ChunkedReader, LengthReader
from kakuri_http.core._connection import Connection, cut_off
from kakuri_http.core._events import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    NeedData,
    Paused,
)
from kakuri_http.core._fast_head import FastHead, compile_fast_head
from kakuri_http.core._heads import HeadParser, parse_request_head
from kakuri_http.core._states import REQUEST_TABLE, RESPONSE_TABLE, Kind, State
from kakuri_http.core._writers import HEADS, WITHOUT_CONTENT, compose_interim, compose_response_head

_IDLE, _BODY, _DONE = State.IDLE, State.BODY, State.DONE
_REQUEST, _RESPONSE, _END = Kind.REQUEST, Kind.RESPONSE, Kind.END

_fast_head_for = lru_cache(maxsize=16)(compile_fast_head)
ServerEvent = Request | Data | EndOfMessage | ConnectionClosed | NeedData | Paused


class ServerConnection(Connection):
    """A server's side of a connection."""

    keep_alive: bool
    request_state: State
    response_state: State
    exchanges: int

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._read_fast: FastHead = _fast_head_for(limits)
        self._matched: tuple[Request, int] | None = None  # by receive_request, for next_event
        self._parser: HeadParser | None = None
        self._request: Request | None = None
        self.omits_content: bool = False  # of the response that is being sent

    @property
    def head_has_begun(self) -> bool:
        """Tell whether some bytes, but not all, of a request's head have come."""
        return self._parser is not None and (self._parser.has_begun or bool(self.buffered))

    @property
    def held(self) -> int:
        """Number of bytes held of requests whose content has not begun."""
        return self.buffered + (self._parser.size if self._parser is not None else 0)

    def drop_input(self) -> None:
        """Drop received bytes that were not read, because the connection is about to close."""
        self._rest, self._position = b"", 0
        self._incoming.clear()
        self._waiting = 0
        self._parser = self._matched = None
        self._fail()

    def receive_request(self, data: bytes) -> Request | None:
        """Take bytes as `receive_data` does; return the request that they are, if that is quick.

        That is one request, whole, its content in `body`, and nothing behind it; `next_event`
        would return it, its content and its end. None: ask `next_event`, as always.
        """
        if (
            self.request_state is _IDLE
            and self._position >= len(self._rest)
            and not self._incoming
            and self._parser is None
        ):
            self._rest = data
            self._position = 0
            fast = self._read_fast(data, 0)
            if fast is not None:
                request, end = fast
                length = request.length or 0
                if end + length != len(data) or length > self.limits.body:
                    self._matched = fast
                    return None
                if length:
                    request.body = data[end:]
                self._position = len(data)
                self._request = request
                self.request_state = REQUEST_TABLE[REQUEST_TABLE[_IDLE][_REQUEST]][_END]
                return request
            return None
        self.receive_data(data)
        return None

    def next_event(self) -> ServerEvent:
        """Return what came next.

        Raises RemoteProtocolError when it is not HTTP/1.1, once; its `status` is the answer that
        may still be sent where no response has begun. Afterwards the connection is to be closed.
        """
        state = self.request_state
        try:
            if state is _IDLE:
                if self._position < len(self._rest) or self._incoming or self._has_eof:
                    return self._next_head()
                self._rest = b""  # an idle connection holds nothing
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
                    raise cut_off("the rest of the content")
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
            if self._position >= len(self._rest):
                return self._at_end()
            fast = self._matched or self._read_fast(self._rest, self._position)
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
        complete, self._position = parser.parse(self._rest, self._position)
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
        if not self._has_eof:
            return NEED_DATA
        if self.buffered or (self._parser is not None and self._parser.has_begun):
            raise cut_off("the rest of a request's head")
        self._move_request(Kind.CLOSE)
        return CONNECTION_CLOSED

    def _begin_exchange(self) -> None:
        self._request = None
        self._reader = None

    def send(self, event: Response | InterimResponse | Data | EndOfMessage) -> bytes:
        """Return the bytes to send for an event.

        A Response whose body is bytes is sent whole, its end included. With any other body only
        its head is: Data and EndOfMessage follow. The framing is chosen here: none where there
        is no content, the length where it is known, chunked, or, for HTTP/1.0, the connection's
        end. To close behind a response, set `keep_alive` to False before it.

        Raises LocalProtocolError for what may not be sent now.
        """
        if isinstance(event, Response):
            body, request = event.body, self._request
            if (
                isinstance(body, bytes)
                and request is not None
                and request.method != "HEAD"
                and request.http_version == "1.1"
                and not event.has_fields
                and event.status not in WITHOUT_CONTENT
                and self.keep_alive
            ):
                # The usual response, spared the questions of the others.
                state = RESPONSE_TABLE[self.response_state].get(_RESPONSE)
                if state is None:
                    self._move_response(_RESPONSE)  # says what is wrong
                    raise AssertionError
                if self.request_state is _DONE:
                    self.exchanges += 1
                    self._request = None
                    self.request_state = self.response_state = _IDLE
                else:
                    self.response_state = RESPONSE_TABLE[state][_END]
                return b"%bContent-Length: %d\r\n\r\n%b" % (
                    HEADS.beginning(event.status, event.content_type), len(body), body,
                )  # fmt: skip
            return self._send_response(event)
        if isinstance(event, InterimResponse):
            if not 100 <= event.status <= 199 or event.status == 101:
                raise LocalProtocolError(f"expected an interim status, got {event.status}")
            self._move_response(Kind.INTERIM)
            return compose_interim(event)
        before = self.response_state
        self._move_response(Kind.END if isinstance(event, EndOfMessage) else Kind.DATA)
        try:
            data = b"" if self.omits_content else self._send_content(event)
        except LocalProtocolError:
            self.response_state = before  # the content has not ended
            raise
        self._end_exchange()
        return data

    def _send_response(self, response: Response) -> bytes:
        body = response.body
        request = self._request
        self._move_response(_RESPONSE)
        if request is None or self.request_state is State.ERROR:
            self.keep_alive = False
        old = request is not None and request.http_version == "1.0"
        omits = response.status in WITHOUT_CONTENT or (
            request is not None and request.method == "HEAD"
        )
        if isinstance(body, bytes):
            head = compose_response_head(
                response, length=len(body), chunked=False, option=self._option(is_old=old)
            )
            data = head if omits else head + body
            self.response_state = RESPONSE_TABLE[_BODY][_END]
            self._end_exchange()
            return data
        self.omits_content = omits
        length_known = response.length is not None
        if old and not length_known:
            self.keep_alive = False  # RFC 9112 6.3 rule 8: the connection's end is the content's
        chunked = not length_known and not old
        self._start_sending(chunked=chunked, length=response.length)
        option = self._option(is_old=old)
        return compose_response_head(
            response, length=response.length, chunked=chunked, option=option
        )

    def _option(self, *, is_old: bool) -> bytes:
        if not self.keep_alive:
            return b"close"
        return b"keep-alive" if is_old else b""
