"""The trace of a request: an id that joins its log lines in all processes (W3C Trace Context).

The id is in the context (contextvars) of whatever is done for the request, so that each log line
has it without being passed along.
"""

import os
import re
from contextvars import ContextVar

TRACE: ContextVar[str | None] = ContextVar("kakuri_daemon_trace", default=None)
"""The trace id of the current context, 32 hexadecimal digits."""

_PARTS = "-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])"
_TRACEPARENT = re.compile(f"(?:00{_PARTS}|(?!00|ff)[0-9a-f]{{2}}{_PARTS}(?:-.*)?)")
"""Version 00, or a later one, of which only the parts of version 00 are read (section 3.2.4)."""

_SAMPLED = frozenset("13579bdf")

_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_IDS_AT_ONCE = 128

_random: list[str] = []
"""Random digits for a trace and a span each: one call of the system makes many."""

os.register_at_fork(after_in_child=_random.clear)  # two processes must not use the same ones


def current_trace() -> str | None:
    """Return the trace id of the current context; None outside of requests."""
    return TRACE.get()


def set_trace(trace: str | None) -> None:
    """Set the trace id of the current context, for its log lines and for what it starts.

    Timers, callbacks and tasks inherit it from the context that creates them. Call it with None
    in those that serve more than one request.
    """
    TRACE.set(trace)


def accept_traceparent(given: str | None) -> str:
    """Return the `traceparent` to answer a request with.

    It has the request's trace id and its flag `sampled`, or a new id, and a new parent id.

    Args:
        given: The request's field, or None. An invalid one is ignored (section 4.3).
    """
    digits = _digits()
    if given is not None and (match := _TRACEPARENT.fullmatch(given)):
        trace, flag, later_trace, later_flag = match.groups()
        sampled = "01" if (flag or later_flag) in _SAMPLED else "00"
        return f"00-{trace or later_trace}-{digits[_TRACE_DIGITS:]}-{sampled}"
    return f"00-{digits[:_TRACE_DIGITS]}-{digits[_TRACE_DIGITS:]}-00"


def current_traceparent() -> str | None:
    """Return the `traceparent` of a request to be sent in the current context, if it has one."""
    trace = TRACE.get()
    return None if trace is None else f"00-{trace}-{_digits()[_TRACE_DIGITS:]}-00"


def _digits() -> str:
    if not _random:
        length = _TRACE_DIGITS + _SPAN_DIGITS
        text = os.urandom(_IDS_AT_ONCE * length // 2).hex()
        _random.extend(text[at : at + length] for at in range(0, len(text), length))
    return _random.pop()
