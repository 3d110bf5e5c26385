"""The states of an exchange, as tables; the core walks them, the diagrams are made from them.

Each side of an exchange, the request and the response, moves by what is sent on it. Both go back
to IDLE together, when both are DONE and the connection persists (RFC 9112 9.3).
"""

from collections.abc import Callable
from enum import Enum
from typing import ClassVar


class State(Enum):
    """Where one side of the present exchange is."""

    IDLE = "idle"
    BODY = "body"
    DONE = "done"
    CLOSED = "closed"
    ERROR = "error"

    # Each member is one object, so the hash that is written in C will do: tables are quick.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing follows on this side."""
        return self is State.CLOSED or self is State.ERROR


class Kind(Enum):
    """What moves a side."""

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

# A response may begin before its request has ended, or, to refuse what is no request, without one.
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
