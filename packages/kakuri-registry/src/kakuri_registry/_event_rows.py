"""Converts events to text and back: the events of one workload that one write stores.

An event is eleven lines, one for each field, with the escapes of `_rows`. A mark distinguishes an
empty text from None.
"""

from collections.abc import Iterable

from kakuri_registry._cells import (
    DESIRED,
    STATES,
    BadRow,
    escaped,
    flat,
    lines,
    read_lines,
    read_mapping,
    readable,
    unknown,
)
from kakuri_registry._events import Event, EventType
from kakuri_registry._frozen import EMPTY, FrozenDict

LINES = 11
"""Lines of an event."""

_TYPES = {each.value: each for each in EventType}


def events_text(events: Iterable[Event]) -> str:
    """Return some events as text."""
    return "\n".join(map(_text, events))


def read_events(workload_id: object, text: object) -> list[Event]:
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


def _text(event: Event) -> str:
    state, exit_code = event.state, event.exit_code
    desired, is_available = event.desired, event.is_available
    labels = escaped(lines(flat(event.labels))) if event.labels else ""
    return (
        f"{event.index}\n{event.at!r}\n{event.type.value}\n"
        f"{'' if state is None else state.value}\n{_marked(event.reason)}\n"
        f"{_marked(event.message)}\n{'' if exit_code is None else exit_code}\n{event.attempt}\n"
        f"{'' if desired is None else desired.value}\n{labels}\n"
        f"{_marked(event.version) if is_available is None else int(is_available)}"
    )


def _read(workload_id: str | None, items: list[str]) -> Event:
    index, at, kind, state, reason, message, exit_code, attempt, desired, labels, last = items
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
        {"0": False, "1": True}.get(last),
        last[1:] if last.startswith("=") else None,
    )


def _marked(text: str | None) -> str:
    return "" if text is None else "=" + escaped(text)
