"""The states of an exchange, as tables, which the core follows and the diagrams are drawn from.

Each side of an exchange, the request and the response, changes its state by what is sent on it.
Both return to IDLE together, when both are DONE and the connection persists (RFC 9112 9.3).
"""

from collections.abc import Callable
from enum import Enum
from typing import ClassVar


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
