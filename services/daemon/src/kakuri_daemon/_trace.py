"""The trace of a request: an id that correlates its log lines in all processes (W3C Trace Context).

The id is stored in a context variable, so log lines include it without passing it as an argument.
"""

import os
import re
from contextvars import ContextVar

TRACE: ContextVar[str | None] = ContextVar("kakuri_daemon_trace", default=None)
"""The trace id of the current context, 32 hexadecimal digits."""

_PARTS = "-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])"
_version_00 = re.compile(f"00{_PARTS}").fullmatch
# Of later versions, only the parts of version 00 are read (section 3.2.4).
_later_version = re.compile(f"(?!00|ff)[0-9a-f]{{2}}{_PARTS}(?:-.*)?").fullmatch

_SAMPLED = frozenset("13579bdf")

_TRACE_DIGITS = 32
_SPAN = slice(36, 52)  # of a `traceparent`
_ID_BYTES = 24  # of a trace and a span
_IDS_AT_ONCE = 128

_new: list[tuple[str, str]] = []
"""Random traces, each with the `traceparent` of its first span: made together, because each call of
the system takes time."""

os.register_at_fork(after_in_child=_new.clear)  # two processes must not use the same ones


def current_trace() -> str | None:
    """Return the trace id of the current context; None outside of requests."""
    return TRACE.get()


def set_trace(trace: str | None) -> None:
    """Set the trace id of the current context, for its log lines and for what it starts.

    Timers, callbacks and tasks inherit it from the context that creates them. Call it with None
    in those that serve more than one request.
    """
    TRACE.set(trace)


def accept_traceparent(given: str | None) -> tuple[str, str]:
    """Return the trace id of a request, and the `traceparent` to answer it with.

    The trace is that of the request with its flag `sampled`, or a new one; the parent id is new.

    Args:
        given: The request's field, or None. An invalid one is ignored (section 4.3).
    """
    new = _new.pop() if _new else _new_trace()
    match = given and (_version_00(given) or _later_version(given))
    if not match:
        return new
    trace, flag = match.groups()
    return trace, f"00-{trace}-{new[1][_SPAN]}-{'01' if flag in _SAMPLED else '00'}"


def current_traceparent() -> str | None:
    """Return the `traceparent` of a request to be sent in the current context, if it has one."""
    trace = TRACE.get()
    if trace is None:
        return None
    _, traceparent = _new.pop() if _new else _new_trace()
    return f"00-{trace}-{traceparent[_SPAN]}-00"


def _new_trace() -> tuple[str, str]:
    text = os.urandom(_IDS_AT_ONCE * _ID_BYTES).hex(" ", _ID_BYTES)
    for digits in text.split():
        trace, span = digits[:_TRACE_DIGITS], digits[_TRACE_DIGITS:]
        _new.append((trace, f"00-{trace}-{span}-00"))
    return _new.pop()
