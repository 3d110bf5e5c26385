"""Converts events to text and back: the events of one workload that one write stores.

An event is eleven lines, one for each field, with the escapes of `_rows`. A mark distinguishes an
empty text from None. The line of the type has the trace, too, after a space: so rows of schema 8,
which have none, are read in the same way.
"""

from collections.abc import Iterable

from kakuri_workload import Event, EventType, Removal

from kakuri_registry._cells import (
    DESIRED,
    STATES,
    BadRow,
    escaped,
    flat,
    is_trace,
    lines,
    read_lines,
    read_mapping,
    readable,
    unknown,
)
from kakuri_registry._events import RegistryEvent
from kakuri_registry._frozen import EMPTY, FrozenDict

LINES = 11
"""Lines of an event; the last one is about the node, or has the receipt of a removal."""

REMOVAL_LINES = 4

_TYPES = {each.value: each for each in EventType}


def events_text(events: Iterable[RegistryEvent]) -> str:
    """Return some events as text."""
    return "\n".join(map(_text, events))


def read_events(workload_id: object, text: object) -> list[RegistryEvent]:
    """Return the events that a text has.

    Args:
        workload_id: The workload that they are about; empty for events of the node.
        text: What `events_text` returned.

    Raises:
        BadRow: The text is not valid.
    """
    workload_id, text = readable("id", workload_id), readable("events", text)
    items = read_lines("events", text)
    if len(items) % LINES:
        raise BadRow(f"expected {LINES} lines for each event in events, got {len(items)}")
    try:
        return [
            _read(workload_id or None, items[start : start + LINES])
            for start in range(0, len(items), LINES)
        ]
    except BadRow:
        raise
    except ValueError as error:
        raise BadRow(f"expected numbers in events: {error}") from error


def _text(event: RegistryEvent) -> str:
    state, exit_code = event.state, event.exit_code
    desired, available = event.desired, event.available
    labels = escaped(lines(flat(event.labels))) if event.labels else ""
    version = _marked(event.version) if available is None else int(available)
    trace = "" if event.trace is None else f" {event.trace}"
    return (
        f"{event.index}\n{event.at!r}\n{event.type._value_}{trace}\n"
        f"{'' if state is None else state._value_}\n{_marked(event.reason)}\n"
        f"{_marked(event.message)}\n{'' if exit_code is None else exit_code}\n{event.attempt}\n"
        f"{'' if desired is None else desired._value_}\n{labels}\n"
        f"{_removal_text(event.removal) if event.removal else version}"
    )


def _read(workload_id: str | None, items: list[str]) -> RegistryEvent:
    index, at, kind, state, reason, message, exit_code, attempt, desired, labels, last = items
    kind, _, trace = kind.partition(" ")
    return Event(
        int(index),
        float(at),
        _TYPES.get(kind) or unknown("events", kind, _TYPES),
        workload_id,
        (STATES.get(state) or unknown("events", state, STATES)) if state else None,
        reason[1:] if reason else None,
        message[1:] if message else None,
        int(exit_code) if exit_code else None,
        int(attempt),
        (DESIRED.get(desired) or unknown("events", desired, DESIRED)) if desired else None,
        FrozenDict(read_mapping("events", labels)) if labels else EMPTY,
        _read_removal(last[1:]) if last.startswith("-") else None,
        {"0": False, "1": True}.get(last),
        last[1:] if last.startswith("=") else None,
        trace if is_trace(trace) else None,
    )


def _removal_text(removal: Removal) -> str:
    log_bytes = "" if removal.log_bytes is None else str(removal.log_bytes)
    texts = (removal.zone, removal.container, removal.verified_by)
    marked = ["" if text is None else "=" + text for text in texts]
    return "-" + escaped(lines([log_bytes, *marked]))


def _read_removal(text: str) -> Removal:
    items = read_lines("events", text)
    if len(items) != REMOVAL_LINES:
        raise BadRow(f"expected {REMOVAL_LINES} lines for a removal in events, got {len(items)}")
    zone, container, verified_by = (each[1:] if each else None for each in items[1:])
    return Removal(zone, container, int(items[0]) if items[0] else None, verified_by)


def _marked(text: str | None) -> str:
    return "" if text is None else "=" + escaped(text)
