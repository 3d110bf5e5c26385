"""The core of a client: requests out, responses in."""

from kakuri_http._errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from kakuri_http._limits import Limits
from kakuri_http._messages import ReceivedResponse, Request
from kakuri_http.core._bodies import ChunkedReader, LengthReader, UntilCloseReader
from kakuri_http.core._connection import CoreConnection, truncated
from kakuri_http.core._heads import Framing, HeadParser, not_a_status_line, parse_response_head
from kakuri_http.core._states import (
    CONNECTION_CLOSED,
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    Kind,
    NeedData,
    Paused,
    State,
)
from kakuri_http.core._writers import WITHOUT_CONTENT, compose_request_head

_NAME = b"HTTP/"  # as every status line begins

ClientEvent = (
    ReceivedResponse | InterimResponse | Data | EndOfMessage | ConnectionClosed | NeedData | Paused
)


class ClientConnection(CoreConnection):
    r"""The client's side of a connection; one request at a time.

    Example:
        >>> connection = ClientConnection()
        >>> connection.send(Request("GET", "/", Headers(), host="example.com"))
        b'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'
        >>> connection.receive_data(b"HTTP/1.1 204 No Content\r\n\r\n")
        >>> connection.next_event(), connection.next_event()
        (<ReceivedResponse 204>, EndOfMessage(trailers=Headers([])))
    """

    keep_alive: bool

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self._parser: HeadParser | None = None
        self._method = ""
        self._interims = 0

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent.

        True if no exchange is in progress and no unsolicited bytes have arrived.
        """
        return (
            self.request_state is State.IDLE
            and self.keep_alive
            and not self.buffered
            and not self._has_eof
        )

    @property
    def trailing_data(self) -> bytes:
        """Bytes received after the last response, which belong to none."""
        self._gather()
        return bytes(self._buffer[self._position :])

    def send(self, event: Request | Data | EndOfMessage) -> bytes:
        """Return the bytes to send for an event.

        Args:
            event: A Request whose `length` equals the size of its `body` is a complete message. If
                it has no body and `length` is None (chunked) or more than 0, send its content as
                Data, then EndOfMessage. `host` is required.

        Returns:
            Bytes, in the order in which they have to be written.

        Raises:
            LocalProtocolError: The event can't be sent, or not in this state. The state does not
                change.
            TypeError: The event, or one of its attributes, has the wrong type.
        """
        if isinstance(event, Request):
            return self._send_request(event)
        before = self.request_state
        self._move_request(self._kind_of(event))
        try:
            data = self._send_content(event)
        except Exception:
            self.request_state = before  # the content has not ended
            raise
        self._end_exchange()
        return data

    def _send_request(self, request: Request) -> bytes:
        if not self.keep_alive or self.buffered:
            raise LocalProtocolError("the connection can't be used for another request")
        head = compose_request_head(request)
        self._move_request(Kind.REQUEST)
        self._method = request.method
        if not request.keep_alive:
            self.keep_alive = False
        if request.length is not None and request.length == len(request.body):
            self._move_request(Kind.END)
            return head + request.body
        if request.body:
            raise LocalProtocolError(
                f"expected a body of {request.length} bytes, got {len(request.body)}"
            )
        self._start_sending(chunked=request.length is None, length=request.length)
        return head

    def next_event(self) -> ClientEvent:
        """Parse the next event from the bytes received so far, and return it.

        Call it until it returns NEED_DATA or PAUSED. Each response consists of any number of
        InterimResponse events, one ReceivedResponse, any number of Data, and one EndOfMessage, even
        without content.

        Returns:
            InterimResponse, ReceivedResponse, Data or EndOfMessage of the current response;
            NEED_DATA: All bytes are parsed. Call `receive_data` or `receive_eof`, then this again.
            PAUSED: The response is complete, but the request is still being sent.
            ConnectionClosed: The server closed the connection between two exchanges, or the
            connection must no longer be used.

        Raises:
            RemoteProtocolError: The bytes are not a valid response, exceed a limit (LimitExceeded),
                are unsolicited, or were truncated. Close the connection.
        """
        state = self.response_state
        if state.is_terminal:
            return CONNECTION_CLOSED
        if state is State.DONE:
            return PAUSED
        if self.request_state is State.IDLE:
            return self._next_unsolicited()
        try:
            if state is State.IDLE:
                return self._next_head()
            event = self._read_content()
            if event is None:
                if self._has_eof:
                    raise truncated("the content")
                return NEED_DATA
        except RemoteProtocolError:
            self._fail()
            self._move_response(Kind.FAULT)
            raise
        if isinstance(event, EndOfMessage):
            self._move_response(Kind.END)
            self._end_exchange()
        return event

    def _next_unsolicited(self) -> ClientEvent:
        if self.buffered:
            self._fail()
            self._move_response(Kind.FAULT)
            raise RemoteProtocolError("the server sent unsolicited bytes")
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
        complete, self._position = parser.parse(self._buffer, self._position)
        if not complete:
            if self._has_eof:
                raise _truncated_head(parser.start_line or bytes(self._buffer[self._position :]))
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
            raise RemoteProtocolError(
                "the server switched protocols (101), which was not requested"
            )
        self._interims += 1
        if self._interims > self.limits.interim_responses:
            raise LimitExceeded(
                f"expected at most {self.limits.interim_responses} interim responses, got more",
                limit="interim_responses", status=502, code="bad_gateway",
            )  # fmt: skip
        self._move_response(Kind.INTERIM)
        return InterimResponse(response.status, response.headers)

    def _choose_reader(self, response: ReceivedResponse, framing: Framing) -> None:
        """Choose how the content ends (RFC 9112 6.3)."""
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


def _truncated_head(start: bytes) -> RemoteProtocolError:
    """Return the error for a truncated head, or for bytes that are not HTTP at all."""
    if _NAME.startswith(start[: len(_NAME)]):
        return truncated("a response's head")
    return not_a_status_line(start)
