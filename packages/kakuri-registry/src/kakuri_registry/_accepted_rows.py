"""Converts the registrations of one write to text and back.

A registration has one line for each of FIELDS, with the escapes of `_cells`. A leading `=`
distinguishes an empty string from None. The entry and the event of the registration are derived
from these fields.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kakuri_workload import DesiredState, EventType, Workload, WorkloadState

from kakuri_registry._cells import BadRow, escaped, flat, lines, marked, read_lines, readable
from kakuri_registry._change import Change
from kakuri_registry._events import workload_event
from kakuri_registry._rows import COLUMNS, RowReader

FIELDS = (
    "version", "id", "registered_at", "trace", "image", "runtime_class", "memory_mb",
    "cpu_millicores", "restart_policy", "max_restarts", "pull", "working_dir", "user", "command",
    "args", "env", "labels",
)  # fmt: skip
"""The columns of a registration, in the order of its lines.

`_text` and `_optional_text` must write them in the same order, which tests check.
"""

_INTEGERS = ("version", "memory_mb", "cpu_millicores", "max_restarts")
_OPTIONAL = ("trace", "pull", "working_dir", "user", "command", "args", "env", "labels")

_PENDING, _RUN = WorkloadState.PENDING, DesiredState.RUN

_SAME: dict[str, Any] = dict.fromkeys(COLUMNS) | {
    "state": _PENDING.value, "wanted": _RUN.value, "attempt": 0, "grace_seconds": 0, "failures": 0,
}  # fmt: skip
"""The columns that are the same in the rows of all registrations."""

_NO_OPTIONS = "\n" * 6
"""The lines of the optional fields, from `pull` on, for a workload that sets none of them."""


def is_acceptable(change: Change) -> bool:
    """Return whether a change only registers a workload, so that its text records it completely."""
    return (
        change.is_registration
        and change.tombstone is None
        and not change.history
        and len(change.events) == 1
        and change.events[0].index == change.version
        and change.events[0].type is EventType.WORKLOAD
    )


def accepted_text(changes: Iterable[Change]) -> str:
    """Convert acceptable registrations to text."""
    return "\n".join(map(_text, changes))


def read_accepted(reader: RowReader, text: object) -> Iterator[Change]:
    """Parse registrations from text; yield each with its event.

    Args:
        reader: Reads the row that each registration represents.
        text: What `accepted_text` returned.

    Raises:
        BadRow: The text is not valid.
    """
    items = read_lines("changes", readable("changes", text))
    size = len(FIELDS)
    if len(items) % size:
        raise BadRow(f"expected a multiple of {size} lines in changes, got {len(items)}")
    for start in range(0, len(items), size):
        change = reader.read(_row(items[start : start + size]))
        entry = change.entry
        assert entry is not None
        event = workload_event(EventType.WORKLOAD, entry, entry.version, entry.registered_at, None)
        yield change._replace(is_registration=True, events=(event,))


def is_later_than_row(registration: Change, row_version: int | None) -> bool:
    """Return whether a registration is later than the row of its workload.

    A failed write may have stored the row, or the row of a later change, without deleting the
    registration. And a removed workload may have been registered again.

    Args:
        registration: The change that registers a workload.
        row_version: The version of the workload's row; None if there is none.
    """
    return row_version is None or row_version < registration.version


def _text(change: Change) -> str:
    entry = change.entry
    assert entry is not None
    workload = entry.workload
    image, runtime_class, trace = workload.image, workload.runtime_class, entry.trace
    return (  # in the order of FIELDS
        f"{entry.version}\n{workload.id}\n{entry.registered_at!r}\n"
        f"{'' if trace is None else marked(trace)}\n{escaped(image)}\n{escaped(runtime_class)}\n"
        f"{workload.memory_mb}\n{workload.cpu_millicores}\n"
        f"{workload.restart_policy._value_}\n{workload.max_restarts}\n{_optional_text(workload)}"
    )


def _optional_text(workload: Workload) -> str:
    pull, working_dir, user = workload.pull, workload.working_dir, workload.user
    command, args, env, labels = workload.command, workload.args, workload.env, workload.labels
    has_texts = command or args or env or labels
    if not has_texts and pull is None and working_dir is None and user is None:
        return _NO_OPTIONS  # most workloads
    return (
        f"{'' if pull is None else '=' + pull._value_}\n{marked(working_dir)}\n{marked(user)}\n"
        f"{_list(command)}\n{_list(args)}\n{_mapping(env)}\n{_mapping(labels)}"
    )


def _row(items: Sequence[str]) -> list[object]:
    """Return the row of a registration, as `_rows` has it."""
    cells: dict[str, Any] = _SAME | dict(zip(FIELDS, items, strict=True))
    try:
        for name in _INTEGERS:
            cells[name] = int(cells[name])
        cells["registered_at"] = cells["changed_at"] = float(cells["registered_at"])
    except ValueError as error:
        raise BadRow(f"expected numbers in changes: {error}") from error
    for name in _OPTIONAL:
        cells[name] = cells[name][1:] if cells[name] else None
    return [cells[name] for name in COLUMNS]


def _list(items: Sequence[str]) -> str:
    return "=" + escaped(lines(items)) if items else ""


def _mapping(mapping: Mapping[str, str]) -> str:
    return "=" + escaped(lines(flat(mapping))) if mapping else ""
