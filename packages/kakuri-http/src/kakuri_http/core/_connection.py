"""The core: one side of one HTTP/1.1 connection, bytes in, events out, no I/O.

    connection.receive_data(data)           what came
    while (event := connection.next_event()) not in (NEED_DATA, PAUSED): ...
    transport.write(connection.send(event)) what to answer

Exchanges follow one another: while a response is still being sent, `next_event` gives PAUSED
where the next request would begin, so that pipelined requests are answered in their order. When
both messages of an exchange have ended, the next begins by itself. ServerConnection and
ClientConnection differ in which heads they read and write; the tables are in `_states`.
"""

from kakuri_http._errors import LocalProtocolError, RemoteProtocolError
from kakuri_http._limits import DEFAULT_LIMITS, Limits
from kakuri_http.core._bodies import (
    BodyMeter,
    ChunkedReader,
    LengthReader,
    UntilCloseReader,
    encode_chunk,
    encode_last_chunk,
)
from kakuri_http.core._events import (
    END_OF_MESSAGE,
    Data,
    EndOfMessage,
)
from kakuri_http.core._states import REQUEST_TABLE, RESPONSE_TABLE, Kind, State

Reader = LengthReader | UntilCloseReader | ChunkedReader


class Connection:
    """What both roles share: the buffer, the states, content in both directions."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.body_limit: int = limits.body
        """Largest content of each message that begins from now on, in bytes."""
        self.request_state: State = State.IDLE
        self.response_state: State = State.IDLE
        self.keep_alive: bool = True
        """Whether the connection may serve another exchange after this one."""
        self._rest = b""  # what has not been consumed
        self._position = 0
        self._incoming: list[bytes] = []
        self._waiting = 0  # bytes in _incoming
        self._has_eof = False
        self._reader: Reader | None = None
        self._meter = BodyMeter(limits.body)
        self.exchanges: int = 0
        """How many exchanges have ended."""
        self._sends_chunked = False
        self._left_to_send: int | None = None

    # Bytes in.

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; events come from `next_event`."""
        if self._position >= len(self._rest) and not self._incoming:
            self._rest = data
            self._position = 0
        else:
            self._incoming.append(data)
            self._waiting += len(data)

    def receive_eof(self) -> None:
        """Take note that the peer will send no more."""
        self._has_eof = True

    @property
    def buffered(self) -> int:
        """How many bytes wait to be looked at."""
        return len(self._rest) - self._position + self._waiting

    @property
    def content_received(self) -> int:
        """How many bytes of content of the present message have come."""
        return self._meter.received

    def _gather(self) -> None:
        if self._incoming:
            self._rest = self._rest[self._position :] + b"".join(self._incoming)
            self._position = 0
            self._waiting = 0
            self._incoming.clear()

    # States.

    def _move_request(self, kind: Kind) -> None:
        state = REQUEST_TABLE[self.request_state].get(kind)
        if state is None:
            raise LocalProtocolError(f"expected no {kind.value} on a request side that is "
                                     f"{self.request_state.value}")  # fmt: skip
        self.request_state = state

    def _move_response(self, kind: Kind) -> None:
        state = RESPONSE_TABLE[self.response_state].get(kind)
        if state is None:
            raise LocalProtocolError(f"expected no {kind.value} on a response side that is "
                                     f"{self.response_state.value}")  # fmt: skip
        self.response_state = state

    def _end_exchange(self) -> None:
        """Begin the next exchange, or none, when both messages have ended."""
        if self.request_state is State.DONE and self.response_state is State.DONE:
            self.exchanges += 1
            if self.keep_alive:
                self.request_state = self.response_state = State.IDLE
                self._begin_exchange()
            else:
                self._move_request(Kind.CLOSE)
                self._move_response(Kind.CLOSE)

    def _begin_exchange(self) -> None:
        """Forget the last exchange; for the roles."""

    def _fail(self) -> None:
        """Note that the peer broke the protocol: nothing more is read."""
        self.keep_alive = False

    # Content in.

    def limit_body(self, limit: int) -> None:
        """Set another bound on the content of the message that is being read."""
        self._meter.limit = limit
        if isinstance(self._reader, LengthReader):
            self._meter.add(0, self._reader.left)

    def discard_content(self, limit: int) -> None:
        """Read no more than `limit` bytes of the present content for the connection's sake.

        Where more has been announced, the connection ends with this exchange.
        """
        if isinstance(self._reader, LengthReader) and self._reader.left > limit:
            self.keep_alive = False
        self._meter.limit = self._meter.received + limit

    def _start_reading(self, reader: Reader) -> None:
        self._reader = reader
        self._meter = BodyMeter(self.body_limit)

    def _read_content(self) -> Data | EndOfMessage | None:
        """Read a piece or the end of the content; None where bytes are missing."""
        reader = self._reader
        if reader is None:
            return END_OF_MESSAGE
        if self._incoming:
            self._gather()
        piece, self._position = reader.read(self._rest, self._position)
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

    def _send_content(self, event: Data | EndOfMessage) -> bytes:
        if isinstance(event, EndOfMessage):
            if self._sends_chunked:
                return encode_last_chunk(event.trailers)
            if self._left_to_send:
                raise LocalProtocolError(
                    f"expected {self._left_to_send} more bytes of content, got its end"
                )
            return b""
        if self._sends_chunked:
            return encode_chunk(event.data)
        if self._left_to_send is not None:
            if len(event.data) > self._left_to_send:
                raise LocalProtocolError(
                    f"expected at most {self._left_to_send} bytes of content, got {len(event.data)}"
                )
            self._left_to_send -= len(event.data)
        return event.data


def cut_off(what: str) -> RemoteProtocolError:
    """Make the error for a stream that ends inside a message."""
    return RemoteProtocolError(f"expected {what}, got the end of the stream")
