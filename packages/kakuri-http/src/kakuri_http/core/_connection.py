"""The core: one side of one HTTP/1.1 connection, bytes in, events out, no I/O.

    connection.receive_data(data)            bytes from the peer
    while (event := connection.next_event()) not in (NEED_DATA, PAUSED): ...
    transport.write(connection.send(event))  bytes to the peer

Exchanges follow one another. While a response is still being sent, `next_event` returns PAUSED
instead of the next request, so that pipelined requests are processed in order. When both messages
of an exchange have ended, the next exchange begins automatically. ServerConnection and
ClientConnection differ in which heads they read and write; the tables are in `_states`.
"""

from typing import Any

from kakuri_http._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http._headers import Headers
from kakuri_http._limits import DEFAULT_LIMITS, Limits, checked
from kakuri_http._messages import piece_of
from kakuri_http.core._bodies import (
    BodyMeter,
    ChunkedReader,
    LengthReader,
    UntilCloseReader,
    encode_chunk,
    encode_last_chunk,
)
from kakuri_http.core._states import (
    END_OF_MESSAGE,
    REQUEST_TABLE,
    RESPONSE_TABLE,
    Data,
    EndOfMessage,
    Kind,
    State,
)

Reader = LengthReader | UntilCloseReader | ChunkedReader


class CoreConnection:
    """The base class of both roles: the buffer, the states, and content in both directions.

    Attributes:
        limits: What the peer may send.
        body_limit: Maximum size of content in bytes, for messages that begin from now on.
        request_state: State of the request's side of the current exchange.
        response_state: State of the response's side.
        keep_alive: Whether the connection may serve another exchange after this one. Set it to
            False before sending a message to close the connection after it.
        exchanges: Number of exchanges that have ended.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        limits = DEFAULT_LIMITS if limits is None else checked(limits, Limits, "limits")
        self.limits: Limits = limits
        self.body_limit: int = limits.body
        self.request_state: State = State.IDLE
        self.response_state: State = State.IDLE
        self.keep_alive: bool = True
        self._buffer = b""  # parsed up to _position
        self._position = 0
        self._incoming: list[bytes] = []
        self._incoming_size = 0
        self._has_eof = False
        self._reader: Reader | None = None
        self._meter = BodyMeter(limits.body)
        self.exchanges: int = 0
        self._sends_chunked = False
        self._left_to_send: int | None = None

    def __repr__(self) -> str:
        states = f"request {self.request_state.name}, response {self.response_state.name}"
        return f"<{type(self).__name__} {states}>"

    # Bytes in.

    def receive_data(self, data: bytes) -> None:
        """Add bytes from the peer; `next_event` parses them.

        Nothing is parsed here, so this never raises. Bytes of a later message are buffered until
        the current exchange has ended; stop reading from the peer while `buffered` is too large.

        Args:
            data: Any number of bytes, split anywhere. They are only copied if they have to be
                buffered.
        """
        if self._position >= len(self._buffer) and not self._incoming:
            self._buffer = data
            self._position = 0
        else:
            self._incoming.append(data)
            self._incoming_size += len(data)

    def receive_eof(self) -> None:
        """Record that the peer will send no more; `next_event` returns what follows from it."""
        self._has_eof = True

    @property
    def buffered(self) -> int:
        """Number of bytes that have not been parsed."""
        return len(self._buffer) - self._position + self._incoming_size

    @property
    def content_received(self) -> int:
        """Number of bytes of content of the current message that have been read."""
        return self._meter.received

    def _gather(self) -> None:
        if self._incoming:
            self._buffer = self._buffer[self._position :] + b"".join(self._incoming)
            self._position = 0
            self._incoming_size = 0
            self._incoming.clear()

    # States.

    def _move_request(self, kind: Kind) -> None:
        state = REQUEST_TABLE[self.request_state].get(kind)
        if state is None:
            raise _wrong_state(kind, "request", self.request_state)
        self.request_state = state

    def _move_response(self, kind: Kind) -> None:
        state = RESPONSE_TABLE[self.response_state].get(kind)
        if state is None:
            raise _wrong_state(kind, "response", self.response_state)
        self.response_state = state

    def _end_exchange(self) -> None:
        """Begin the next exchange, or close, if both messages have ended."""
        if self.request_state is State.DONE and self.response_state is State.DONE:
            self.exchanges += 1
            if self.keep_alive:
                self.request_state = self.response_state = State.IDLE
                self._begin_exchange()
            else:
                self._move_request(Kind.CLOSE)
                self._move_response(Kind.CLOSE)

    def _begin_exchange(self) -> None:
        """Reset the state of the last exchange; each role has its own."""

    def _fail(self) -> None:
        """End the connection after this exchange, because the peer violated the protocol."""
        self.keep_alive = False

    # Content in.

    def limit_body(self, limit: int) -> None:
        """Change the limit on the content of the message being read.

        Raises:
            LimitExceeded: The announced length exceeds the limit.
        """
        self._meter.limit = limit
        if isinstance(self._reader, LengthReader):
            self._meter.add(0, self._reader.left)

    def discard_content(self, limit: int) -> None:
        """Limit how much content is still read and dropped in order to keep the connection.

        If more than the limit has been announced, the connection closes after this exchange.
        """
        if isinstance(self._reader, LengthReader) and self._reader.left > limit:
            self.keep_alive = False
        self._meter.limit = self._meter.received + limit

    def _start_reading(self, reader: Reader) -> None:
        self._reader = reader
        self._meter = BodyMeter(self.body_limit)

    def _read_content(self) -> Data | EndOfMessage | None:
        """Return a piece or the end of the content; None if bytes are missing."""
        reader = self._reader
        if reader is None:
            return END_OF_MESSAGE
        if self._incoming:
            self._gather()
        piece, self._position = reader.read(self._buffer, self._position)
        if piece:
            announced = reader.announced() if isinstance(reader, ChunkedReader) else 0
            self._meter.add(len(piece), announced)
            return Data(piece)
        if isinstance(reader, ChunkedReader):
            self._meter.add(0, reader.announced())
        if isinstance(reader, UntilCloseReader) and self._has_eof:
            reader.has_ended = True
        if reader.has_ended:
            self._reader = None
            return EndOfMessage(reader.trailers) if reader.trailers else END_OF_MESSAGE
        return None

    # Content out.

    def _start_sending(self, *, chunked: bool, length: int | None) -> None:
        self._sends_chunked = chunked
        self._left_to_send = length

    @staticmethod
    def _kind_of(event: Any) -> Kind:
        """Return the kind of a Data or EndOfMessage event.

        Raises:
            TypeError: It is another object, or its trailers are not Headers.
        """
        if isinstance(event, Data):
            return Kind.DATA
        if not isinstance(event, EndOfMessage):
            raise TypeError(f"expected an event that this side sends, got {type(event).__name__}")
        checked(event.trailers, Headers, "trailers")
        return Kind.END

    def _send_content(self, event: Data | EndOfMessage) -> bytes:
        if isinstance(event, EndOfMessage):
            if self._sends_chunked:
                return encode_last_chunk(event.trailers)
            if self._left_to_send:
                raise LocalProtocolError(
                    f"the content ended {self._left_to_send} bytes before its announced length"
                )
            return b""
        data = piece_of(event.data)
        if self._sends_chunked:
            return encode_chunk(data)
        if self._left_to_send is not None:
            if len(data) > self._left_to_send:
                raise LocalProtocolError(
                    f"expected at most {self._left_to_send} more bytes of content, got {len(data)}"
                )
            self._left_to_send -= len(data)
        return data


class TruncatedMessage(RemoteProtocolError):
    """The peer closed the connection in the middle of a message; clients raise ConnectionBroken."""


def truncated(what: str) -> TruncatedMessage:
    """Return the error for a connection that closed in the middle of a message."""
    return TruncatedMessage(f"the peer closed the connection before the end of {what}")


def _wrong_state(kind: Kind, side: str, state: State) -> LocalProtocolError:
    return LocalProtocolError(f"{kind.value} can't be sent: the {side} is in state {state.value!r}")
