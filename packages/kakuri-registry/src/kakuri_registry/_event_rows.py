"""Converts the events that one write stores to text and back.

An event has eleven lines, one for each field, with the escapes of `_cells`. A mark distinguishes
an empty string from None. The line of the index also has the workload's id, after a space, and the
line of the type has the trace. So rows of earlier schemas, which have a column for the id and no
trace, can be read in the same way.
"""

from collections.abc import Iterable

from kakuri_workload import MAX_TIME, Event, EventType, Removal

from kakuri_registry._cells import (
    DESIRED,
    STATES,
    BadRow,
    escaped,
    flat,
    is_trace,
    lines,
    marked,
    read_lines,
    read_mapping,
    readable,
    unknown,
)
from kakuri_registry._events import RegistryEvent, event_index
from kakuri_registry._frozen import EMPTY, FrozenDict
from kakuri_registry._rows import MAX_VERSION

LINES = 11
"""Number of lines of an event; the last has the fields of a node's event or of a removal."""

REMOVAL_LINES = 4

MAX_ROW_TEXT = 8192
"""Maximum number of characters in a row with several events."""

_TYPES = {each.value: each for each in EventType}


def event_rows(events: Iterable[RegistryEvent]) -> list[tuple[int, str, str]]:
    """Return rows with several events: the index of the last one, an empty id, and the text."""
    rows: list[tuple[int, str, str]] = []
    texts: list[str] = []
    size = last = 0
    for event in sorted(events, key=event_index):
        text = _text(event)
        size += len(text)
        if texts and size > MAX_ROW_TEXT:
            rows.append((last, "", "\n".join(texts)))
            texts, size = [], len(text)
        texts.append(text)
        last = event.index
    if texts:
        rows.append((last, "", "\n".join(texts)))
    return rows


def read_events(workload_id: object, text: object) -> list[RegistryEvent]:
    """Parse events from text.

    Args:
        workload_id: The workload that they are about, in a row of schema 9 or earlier; otherwise
            empty.
        text: The text of a row.

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
    version = marked(event.version) if available is None else int(available)
    trace = "" if event.trace is None else f" {event.trace}"
    index = event.index if event.id is None else f"{event.index} {event.id}"
    return (
        f"{index}\n{event.at!r}\n{event.type._value_}{trace}\n"
        f"{'' if state is None else state._value_}\n{marked(event.reason)}\n"
        f"{marked(event.message)}\n{'' if exit_code is None else exit_code}\n{event.attempt}\n"
        f"{'' if desired is None else desired._value_}\n{labels}\n"
        f"{_removal_text(event.removal) if event.removal else version}"
    )


def _read(workload_id: str | None, items: list[str]) -> RegistryEvent:
    index, at, kind, state, reason, message, exit_code, attempt, desired, labels, last = items
    index, _, own_id = index.partition(" ")
    kind, _, trace = kind.partition(" ")
    if not (0 <= int(index) <= MAX_VERSION and 0 <= float(at) <= MAX_TIME):
        raise BadRow(f"expected an index and a time in events, got {index[:64]} and {at[:64]}")
    return Event(
        int(index),
        float(at),
        _TYPES.get(kind) or unknown("events", kind, _TYPES),
        own_id or workload_id,
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
    texts = map(marked, (removal.zone, removal.container, removal.verified_by))
    return "-" + escaped("\n".join((log_bytes, *texts)))


def _read_removal(text: str) -> Removal:
    items = read_lines("events", text)
    if len(items) != REMOVAL_LINES:
        raise BadRow(f"expected {REMOVAL_LINES} lines for a removal in events, got {len(items)}")
    zone, container, verified_by = (each[1:] if each else None for each in items[1:])
    return Removal(zone, container, int(items[0]) if items[0] else None, verified_by)
