"""The core's events, and the state tables that they drive.

Each side of an exchange, the request and the response, has a state, which changes with the events
on that side. When both are DONE and the connection persists, both return to IDLE (RFC 9112 9.3).
The diagrams in the documentation are generated from the tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from kakuri_http._headers import Headers
from kakuri_http._messages import Request, Response

# The events that the core returns and sends, other than Request and Response.

NO_HEADERS = Headers()


@dataclass(frozen=True, slots=True)
class InterimResponse:
    """A 1xx response (RFC 9110 15.2); the final response follows."""

    status: int
    headers: Headers = NO_HEADERS


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a message's content."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The end of a message, with the fields after its content."""

    trailers: Headers = NO_HEADERS


class _Signal:
    """An event without content; all of one class are equal."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ConnectionClosed(_Signal):
    """The peer will send no more, and no message was truncated."""

    __slots__ = ()


class NeedData(_Signal):
    """No event until `receive_data` or `receive_eof` is called."""

    __slots__ = ()


class Paused(_Signal):
    """The next message waits until the current exchange has ended."""

    __slots__ = ()


NEED_DATA = NeedData()
PAUSED = Paused()
CONNECTION_CLOSED = ConnectionClosed()
END_OF_MESSAGE = EndOfMessage()

Event = (
    Request | Response | InterimResponse | Data | EndOfMessage | ConnectionClosed
    | NeedData | Paused
)  # fmt: skip


class State(Enum):
    """State of one side of the current exchange."""

    IDLE = "idle"
    BODY = "body"
    DONE = "done"
    CLOSED = "closed"
    ERROR = "error"

    # Members are singletons, so the hash of objects, which is written in C, keeps lookups quick.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows on this side."""
        return self is State.CLOSED or self is State.ERROR


class Kind(Enum):
    """What changes the state of a side."""

    REQUEST = "request"
    INTERIM = "interim response"
    RESPONSE = "response"
    DATA = "data"
    END = "end of message"
    CLOSE = "close"
    FAULT = "fault"

    __hash__: ClassVar[Callable[[object], int]] = object.__hash__


Table = dict[State, dict[Kind, State]]

REQUEST_TABLE: Table = {
    State.IDLE: {Kind.REQUEST: State.BODY, Kind.CLOSE: State.CLOSED, Kind.FAULT: State.ERROR},
    State.BODY: {Kind.DATA: State.BODY, Kind.END: State.DONE, Kind.FAULT: State.ERROR},
    State.DONE: {Kind.CLOSE: State.CLOSED, Kind.FAULT: State.ERROR},
    State.CLOSED: {Kind.CLOSE: State.CLOSED},
    State.ERROR: {Kind.FAULT: State.ERROR, Kind.CLOSE: State.ERROR},
}

# A response may begin before its request has ended, or without one, to reject invalid input.
RESPONSE_TABLE: Table = {
    State.IDLE: {
        Kind.INTERIM: State.IDLE,
        Kind.RESPONSE: State.BODY,
        Kind.CLOSE: State.CLOSED,
        Kind.FAULT: State.ERROR,
    },
    State.BODY: {Kind.DATA: State.BODY, Kind.END: State.DONE, Kind.FAULT: State.ERROR},
    State.DONE: {Kind.CLOSE: State.CLOSED, Kind.FAULT: State.ERROR},
    State.CLOSED: {Kind.CLOSE: State.CLOSED},
    State.ERROR: {Kind.FAULT: State.ERROR, Kind.CLOSE: State.ERROR},
}
