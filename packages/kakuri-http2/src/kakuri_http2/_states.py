"""The states of a stream, and what a frame from the peer does in each (RFC 9113 section 5.1).

There is no push here, so the reserved states do not exist. The end of a side comes with a frame
(the flag END_STREAM) and is a step of its own. A stream that was reset keeps the side that did it:
frames that were under way when we reset a stream are ignored, while a peer that continues after its
own reset breaks the protocol.
"""

import enum

from kakuri_http2._errors import ErrorCode


class StreamState(enum.Enum):
    """How far a stream has come, seen from this side."""

    IDLE = "idle"
    OPEN = "open"
    HALF_CLOSED_LOCAL = "half-closed (local)"
    HALF_CLOSED_REMOTE = "half-closed (remote)"
    CLOSED = "closed"
    RESET_LOCAL = "reset by this side"
    RESET_REMOTE = "reset by the peer"

    # Members are compared by identity; hashing their names would be a call in Python.
    __hash__ = object.__hash__


class Input(enum.Enum):
    """What can come from the peer for a stream."""

    HEADERS = "HEADERS"
    DATA = "DATA"
    RST_STREAM = "RST_STREAM"
    WINDOW_UPDATE = "WINDOW_UPDATE"
    END_STREAM = "END_STREAM"

    __hash__ = object.__hash__


class Fault(enum.Enum):
    """How a frame that is not allowed is answered."""

    STREAM = "stream error"
    CONNECTION = "connection error"
    IGNORED = "ignored"


Outcome = StreamState | tuple[Fault, ErrorCode]

_S, _I = StreamState, Input
_IGNORED = (Fault.IGNORED, ErrorCode.NO_ERROR)
_NOT_OPEN = (Fault.CONNECTION, ErrorCode.PROTOCOL_ERROR)
_ENDED = (Fault.STREAM, ErrorCode.STREAM_CLOSED)
_CLOSED = (Fault.CONNECTION, ErrorCode.STREAM_CLOSED)

RECEIVE: dict[StreamState, dict[Input, Outcome]] = {
    _S.IDLE: {
        _I.HEADERS: _S.OPEN,
        _I.DATA: _NOT_OPEN,
        _I.RST_STREAM: _NOT_OPEN,
        _I.WINDOW_UPDATE: _NOT_OPEN,
    },
    _S.OPEN: {
        _I.HEADERS: _S.OPEN,
        _I.DATA: _S.OPEN,
        _I.RST_STREAM: _S.RESET_REMOTE,
        _I.WINDOW_UPDATE: _S.OPEN,
        _I.END_STREAM: _S.HALF_CLOSED_REMOTE,
    },
    _S.HALF_CLOSED_LOCAL: {
        _I.HEADERS: _S.HALF_CLOSED_LOCAL,
        _I.DATA: _S.HALF_CLOSED_LOCAL,
        _I.RST_STREAM: _S.RESET_REMOTE,
        _I.WINDOW_UPDATE: _S.HALF_CLOSED_LOCAL,
        _I.END_STREAM: _S.CLOSED,
    },
    _S.HALF_CLOSED_REMOTE: {
        _I.HEADERS: _ENDED,
        _I.DATA: _ENDED,
        _I.RST_STREAM: _S.RESET_REMOTE,
        _I.WINDOW_UPDATE: _S.HALF_CLOSED_REMOTE,
    },
    _S.CLOSED: {
        _I.HEADERS: _CLOSED,
        _I.DATA: _CLOSED,
        _I.RST_STREAM: _IGNORED,
        _I.WINDOW_UPDATE: _IGNORED,
    },
    _S.RESET_LOCAL: {
        _I.HEADERS: _IGNORED,
        _I.DATA: _IGNORED,
        _I.RST_STREAM: _IGNORED,
        _I.WINDOW_UPDATE: _IGNORED,
    },
    _S.RESET_REMOTE: {
        _I.HEADERS: _ENDED,
        _I.DATA: _ENDED,
        _I.RST_STREAM: _IGNORED,
        _I.WINDOW_UPDATE: _IGNORED,
    },
}
"""The state after a frame, or how it is answered."""

REMOTE_END = {
    state: after
    for state, outcomes in RECEIVE.items()
    if isinstance(after := outcomes.get(Input.END_STREAM), StreamState)
}
"""The state after the peer has ended the stream."""

LOCAL_END = {_S.OPEN: _S.HALF_CLOSED_LOCAL, _S.HALF_CLOSED_REMOTE: _S.CLOSED}
"""The state after this side has ended the stream."""

MAY_SEND = frozenset({_S.OPEN, _S.HALF_CLOSED_REMOTE})
FINISHED = frozenset({_S.CLOSED, _S.RESET_LOCAL, _S.RESET_REMOTE})
