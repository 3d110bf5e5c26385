"""The core of a server: requests in, responses out."""

from functools import lru_cache

from kakuri_http._bodies import LengthReader
from kakuri_http._chunked import ChunkedReader
from kakuri_http._composer import HEADS, compose_interim, compose_response_head
from kakuri_http._connection import Connection, cut_off
from kakuri_http._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http._events import (
    CONNECTION_CLOSED,
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    NeedData,
    Paused,
)
from kakuri_http._fast_head import FastHead, compile_fast_head
from kakuri_http._head_parser import HeadParser
from kakuri_http._limits import DEFAULT_LIMITS, Limits
from kakuri_http._request import Request
from kakuri_http._request_head import parse_request_head
from kakuri_http._response import Response
from kakuri_http._states import Kind, State
from kakuri_http._status import has_no_content

_fast_head_for = lru_cache(maxsize=16)(compile_fast_head)
ServerEvent = Request | Data | EndOfMessage | ConnectionClosed | NeedData | Paused


class ServerConnection(Connection):
    """A server's side of a connection."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._read_fast: FastHead = _fast_head_for(limits)
        self._parser: HeadParser | None = None
        self._request: Request | None = None
        self.omits_content = False  # of the response that is being sent

    @property
    def head_has_begun(self) -> bool:
        """Tell whether some bytes, but not all, of a request's head have come."""
        return self._parser is not None and (self._parser.has_begun or bool(self.buffered))

    def next_event(self) -> ServerEvent:
        """Return what came next.

        Raises RemoteProtocolError when it is not HTTP/1.1, once; its `status` is the answer that
        may still be sent where no response has begun. Afterwards the connection is to be closed.
        """
        state = self.request_state
        if state is State.DONE:
            return PAUSED
        if state.is_terminal:
            return CONNECTION_CLOSED
        try:
            if state is State.IDLE:
                return self._next_head()
            event = self._read_content()
            if event is None:
                if self._has_eof:
                    raise cut_off("the rest of the content")
                return NEED_DATA
        except RemoteProtocolError:
            self._fail()
            self._move_request(Kind.FAULT)
            raise
        if isinstance(event, EndOfMessage):
            self._move_request(Kind.END)
            self._end_exchange()
        return event

    def _next_head(self) -> ServerEvent:
        if self._incoming:
            self._gather()
        if self._parser is None:
            if self._position >= len(self._rest):
                return self._at_end()
            fast = self._read_fast(self._rest, self._position)
            if fast is not None:
                request, self._position = fast
                if request.length:
                    self._start_reading(LengthReader(request.length))
                self._move_request(Kind.REQUEST)
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
        end. After a request that was only read in part, the connection is not used again.

        Raises LocalProtocolError for what may not be sent now.
        """
        if isinstance(event, Response):
            return self._send_response(event)
        if isinstance(event, InterimResponse):
            if not 100 <= event.status <= 199 or event.status == 101:
                raise LocalProtocolError(f"expected an interim status, got {event.status}")
            self._move_response(Kind.INTERIM)
            return compose_interim(event)
        self._move_response(Kind.END if isinstance(event, EndOfMessage) else Kind.DATA)
        data = b"" if self.omits_content else self._send_content(event)
        self._end_exchange()
        return data

    def _send_response(self, response: Response) -> bytes:
        body = response.body
        request = self._request
        self._move_response(Kind.RESPONSE)
        if request is None or self.request_state.is_terminal:
            self.keep_alive = False
        if not response.keep_alive:
            self.keep_alive = False
        if isinstance(body, bytes):
            close = not self.keep_alive
            length = len(body)
            is_head = request is not None and request.method == "HEAD"
            if close or is_head or len(response.headers) or has_no_content(response.status):
                response.length = length
                head = compose_response_head(response, chunked=False, close=close)
                data = head if is_head or has_no_content(response.status) else head + body
            else:
                data = b"%bContent-Length: %d\r\n\r\n%b" % (
                    HEADS.beginning(response.status, response.content_type), length, body,
                )  # fmt: skip
            self._move_response(Kind.END)
            self._end_exchange()
            return data
        self.omits_content = has_no_content(response.status) or (
            request is not None and request.method == "HEAD"
        )
        old = request is not None and request.http_version == "1.0"
        chunked = response.length is None and not old
        if response.length is None and old:
            self.keep_alive = False
        self._start_sending(chunked=chunked, length=response.length)
        return compose_response_head(response, chunked=chunked, close=not self.keep_alive)

    def close(self) -> None:
        """Use the connection for no further exchange than the present one."""
        self.keep_alive = False
        if self.request_state is State.IDLE:
            self._move_request(Kind.CLOSE)
