"""The states of a stream, and the effect of each frame from the peer (RFC 9113 section 5.1).

Push is not supported, so there are no reserved states. The end of a side arrives with a frame (the
flag END_STREAM), but is a separate input. The state of a stream that was reset records which side
did it: frames that were in flight when we reset a stream are ignored, but a peer that continues
after its own reset violates the protocol.
"""

import enum

from kakuri_http2._errors import ErrorCode


class StreamState(enum.Enum):
    """The state of a stream, as seen from this side."""

    IDLE = "idle"
    OPEN = "open"
    HALF_CLOSED_LOCAL = "half-closed (local)"
    HALF_CLOSED_REMOTE = "half-closed (remote)"
    CLOSED = "closed"
    RESET_LOCAL = "reset by this side"
    RESET_REMOTE = "reset by the peer"

    # Members are compared by identity, because hashing their names would be a call in Python.
    __hash__ = object.__hash__


class Input(enum.Enum):
    """The inputs from the peer for a stream."""

    HEADERS = "HEADERS"
    DATA = "DATA"
    RST_STREAM = "RST_STREAM"
    WINDOW_UPDATE = "WINDOW_UPDATE"
    END_STREAM = "END_STREAM"

    __hash__ = object.__hash__


class Fault(enum.Enum):
    """The reaction to a frame that is not allowed."""

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
"""The state after a frame, or the reaction if it is not allowed."""

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
