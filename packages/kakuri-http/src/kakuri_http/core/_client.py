"""The core of a client: requests out, responses in."""

from kakuri_http._errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from kakuri_http._limits import DEFAULT_LIMITS, Limits
from kakuri_http._messages import ReceivedResponse, Request
from kakuri_http.core._bodies import ChunkedReader, LengthReader, UntilCloseReader
from kakuri_http.core._connection import Connection, cut_off
from kakuri_http.core._events import (
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
from kakuri_http.core._framing import Framing
from kakuri_http.core._heads import HeadParser, parse_response_head
from kakuri_http.core._states import Kind, State
from kakuri_http.core._writers import WITHOUT_CONTENT, compose_request_head

ClientEvent = (
    ReceivedResponse | InterimResponse | Data | EndOfMessage | ConnectionClosed | NeedData | Paused
)


class ClientConnection(Connection):
    """A client's side of a connection; one request at a time, the next when both have ended."""

    keep_alive: bool

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._parser: HeadParser | None = None
        self._method = ""
        self._interims = 0

    @property
    def is_reusable(self) -> bool:
        """Tell whether another request may be sent.

        That is: nothing is under way, and nothing came that no request asked for.
        """
        return (
            self.request_state is State.IDLE
            and self.keep_alive
            and not self.buffered
            and not self._has_eof
        )

    @property
    def leftover(self) -> bytes:
        """What came behind the last response and belongs to none."""
        self._gather()
        return bytes(self._rest[self._position :])

    def send(self, event: Request | Data | EndOfMessage) -> bytes:
        """Return the bytes to send for an event.

        A Request whose `length` is that of its body is sent whole, its end included; where there
        is no body and `length` is None (chunked) or more, Data and EndOfMessage follow.
        Raises LocalProtocolError for what may not be sent, or not now.
        """
        if isinstance(event, Request):
            return self._send_request(event)
        self._move_request(Kind.END if isinstance(event, EndOfMessage) else Kind.DATA)
        data = self._send_content(event)
        self._end_exchange()
        return data

    def _send_request(self, request: Request) -> bytes:
        if not self.keep_alive or self.buffered:
            raise LocalProtocolError("expected a connection that can be used again, got a used one")
        head = compose_request_head(request)
        self._move_request(Kind.REQUEST)
        self._method = request.method
        if not request.keep_alive:
            self.keep_alive = False
        if request.length is not None and request.length == len(request.body):
            self._move_request(Kind.END)
            return head + request.body
        if request.body:
            raise LocalProtocolError(f"expected a body of {request.length} bytes, got another")
        self._start_sending(chunked=request.length is None, length=request.length)
        return head

    def next_event(self) -> ClientEvent:
        """Return what came next: interim responses, the response, its content, its end.

        Raises RemoteProtocolError when it is not HTTP/1.1, or was cut off; the connection is
        then to be closed.
        """
        state = self.response_state
        if state.is_terminal:
            return CONNECTION_CLOSED
        if state is State.DONE:
            return PAUSED
        if self.request_state is State.IDLE:
            return self._unasked()
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
            self._move_response(Kind.FAULT)
            raise
        if isinstance(event, EndOfMessage):
            self._move_response(Kind.END)
            self._end_exchange()
        return event

    def _unasked(self) -> ClientEvent:
        if self.buffered:
            self._fail()
            self._move_response(Kind.FAULT)
            raise RemoteProtocolError("expected nothing without a request, got bytes")
        if self._has_eof:
            self.keep_alive = False
            self._move_response(Kind.CLOSE)
            return CONNECTION_CLOSED
        return NEED_DATA

    def _next_head(self) -> ClientEvent:
        self._gather()
        if self._parser is None:
            self._parser = HeadParser(self.limits, folds=True)
        parser = self._parser
        complete, self._position = parser.parse(self._rest, self._position)
        if not complete:
            if self._has_eof:
                raise cut_off("the rest of a response's head")
            return NEED_DATA
        self._parser = None
        response, framing = parse_response_head(parser.start_line or b"", parser.fields)
        if response.status < 200:
            return self._take_interim(response)
        self._choose_reader(response, framing)
        self.keep_alive = self.keep_alive and response.keep_alive
        self._move_response(Kind.RESPONSE)
        return response

    def _take_interim(self, response: ReceivedResponse) -> InterimResponse:
        if response.status == 101:
            raise RemoteProtocolError("expected no other protocol, got 101 Switching Protocols")
        self._interims += 1
        if self._interims > self.limits.interim_responses:
            raise LimitExceeded(
                f"expected at most {self.limits.interim_responses} interim responses, got more",
                limit="interim_responses", status=502, code="bad_gateway",
            )  # fmt: skip
        self._move_response(Kind.INTERIM)
        return InterimResponse(response.status, response.headers)

    def _choose_reader(self, response: ReceivedResponse, framing: Framing) -> None:
        """RFC 9112 6.3."""
        if self._method == "HEAD" or response.status in WITHOUT_CONTENT:
            self._reader = None
        elif framing.chunked:
            self._start_reading(ChunkedReader(self.limits))
        elif framing.length is not None:
            self._start_reading(LengthReader(framing.length))
            self._meter.add(0, framing.length)
        else:
            self._start_reading(UntilCloseReader())
            self.keep_alive = False

    def _begin_exchange(self) -> None:
        self._interims = 0
        self._reader = None
