"""The trace of a request: an id that correlates its log lines in all processes (W3C Trace Context).

The id is stored in a context variable, so log lines include it without passing it as an argument.
"""

import os
import re
from contextvars import ContextVar

TRACE: ContextVar[str | None] = ContextVar("kakuri_daemon_trace", default=None)
"""The trace id of the current context, 32 hexadecimal digits."""

_PARTS = "-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])"
_VERSION_00 = re.compile(f"00{_PARTS}").fullmatch
# Of later versions, only the parts of version 00 are read (section 3.2.4).
_LATER_VERSION = re.compile(f"(?!00|ff)[0-9a-f]{{2}}{_PARTS}(?:-.*)?").fullmatch

_SAMPLED = frozenset("13579bdf")

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_IDS_PER_SYSTEM_CALL = 128

_unused_ids: list[tuple[str, str]] = []
"""Pairs of random ids, of a trace and a span, that were made in advance and were not used yet."""

os.register_at_fork(after_in_child=_unused_ids.clear)  # two processes must not use the same ones


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
    trace, parent = _unused_ids.pop() if _unused_ids else _make_ids()
    match = given and (_VERSION_00(given) or _LATER_VERSION(given))
    if not match:
        return trace, f"00-{trace}-{parent}-00"
    trace, flag = match.groups()
    return trace, f"00-{trace}-{parent}-{'01' if flag in _SAMPLED else '00'}"


def current_traceparent() -> str | None:
    """Return the `traceparent` of a request to be sent in the current context, if it has one."""
    trace = TRACE.get()
    if trace is None:
        return None
    _, parent = _unused_ids.pop() if _unused_ids else _make_ids()
    return f"00-{trace}-{parent}-00"


def _make_ids() -> tuple[str, str]:
    """Make pairs of ids with two system calls; return one pair and keep the others."""
    traces = os.urandom(_IDS_PER_SYSTEM_CALL * _TRACE_BYTES).hex(" ", _TRACE_BYTES).split()
    spans = os.urandom(_IDS_PER_SYSTEM_CALL * _SPAN_BYTES).hex(" ", _SPAN_BYTES).split()
    _unused_ids.extend(zip(traces, spans, strict=True))
    return _unused_ids.pop()
