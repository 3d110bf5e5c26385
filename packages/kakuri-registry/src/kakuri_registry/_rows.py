"""Converts entries to rows of a table and back: a column for each field.

Text is stored as text, or as bytes if UTF-8 can't encode it (lone surrogates). Lists and mappings
are stored as text (see `_cells`); empty ones are NULL.
"""

from collections.abc import Sequence
from typing import Any

from kakuri_workload import (
    MAX_ID_LENGTH,
    MAX_IMAGE_LENGTH,
    MAX_TIME,
    History,
    PullPolicy,
    RestartPolicy,
    Run,
    Transition,
    Workload,
)

from kakuri_registry._arguments import MAX_NUMBER, is_id, is_image
from kakuri_registry._cells import (
    DESIRED,
    STATES,
    BadRow,
    Cell,
    escaped,
    flat,
    is_trace,
    lines,
    read_lines,
    read_mapping,
    readable,
    shorten,
    unknown,
)
from kakuri_registry._change import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._frozen import EMPTY, FrozenDict

COMMON_COLUMNS = (
    "id", "version", "state", "registered_at", "changed_at", "address", "started_at", "attempt",
    "wanted", "grace_seconds", "failures", "image", "runtime_class", "memory_mb", "cpu_millicores",
    "restart_policy", "max_restarts", "history", "trace",
)  # fmt: skip
"""The columns that most running workloads have; `wanted` has the desired state."""

COLUMNS = (
    *COMMON_COLUMNS,
    "reason", "message", "exit_code", "ended_at", "restart_at",
    "command", "args", "env", "working_dir", "user", "labels", "pull", "image_digest",
)  # fmt: skip
"""The columns of a row, in this order: the common ones, then those that few workloads have."""

LARGEST = 2**63 - 1
"""The largest integer that SQLite can store: they are signed and have 64 bits."""

MAX_VERSION = 2**52
"""The largest version or index that is read. JSON numbers are exact up to 2**53, which leaves room
for later ones."""

MAX_STORED_TEXT = 4 << 20
"""Maximum number of characters of a stored text: more than any line of an agent has."""

_NUMBERS = ("version", "exit_code", "attempt", "failures", "grace_seconds", "memory_mb",
            "cpu_millicores", "max_restarts")  # fmt: skip
_TIMES = ("registered_at", "changed_at", "started_at", "ended_at", "restart_at")
_KINDS: dict[str, type] = {
    name: int if name in _NUMBERS else float if name in _TIMES else str for name in COLUMNS
}
_KIND_NAMES: dict[type, str] = {int: "a whole number", float: "a time"}
_OPTIONAL = frozenset(
    ("reason", "message", "exit_code", "address", "started_at",
     "ended_at", "restart_at", "command", "args", "env", "working_dir", "user", "labels", "history",
     "pull", "image_digest", "trace")
)  # fmt: skip

_RANGES = [
    (COLUMNS.index(name), lowest, highest)
    for lowest, highest, names in (
        (0, MAX_VERSION, ["version"]),
        (0, MAX_TIME, _TIMES),
        (0, MAX_NUMBER, ["attempt", "failures", "grace_seconds", "max_restarts"]),
        (1, MAX_NUMBER, ["memory_mb", "cpu_millicores"]),
    )
    for name in names
]
"""The index of each column of numbers, with the smallest and the largest value. A client would
refuse a whole message, with all the workloads that it lists, if one number were out of range."""

MAX_SHARED = 1024
"""The number of texts that rows share; above it, texts are not common enough to share."""

_POLICIES = {policy.value: policy for policy in RestartPolicy}
_PULLS = {policy.value: policy for policy in PullPolicy}


def row_of(change: Change) -> tuple[Cell, ...]:
    """Return the row of a change that is not a removal; `storable` converts what SQLite refuses."""
    entry = change.entry
    assert entry is not None
    workload = entry.workload
    run = entry.run
    message = None if run.message is None else run.message[:MAX_STORED_TEXT]
    return (
        workload.id,
        entry.version,
        run.state._value_,  # four times as fast as `value` until Python 3.12
        entry.registered_at,
        entry.changed_at,
        run.address,
        run.started_at,
        run.attempt,
        entry.desired._value_,
        entry.grace_seconds,
        entry.failures,
        workload.image,
        workload.runtime_class,
        workload.memory_mb,
        workload.cpu_millicores,
        workload.restart_policy._value_,
        workload.max_restarts,
        _history(change.history) if change.history else None,
        entry.trace,
        run.reason,
        message,
        run.exit_code,
        run.ended_at,
        entry.restart_at,
        lines(workload.command) if workload.command else None,
        lines(workload.args) if workload.args else None,
        lines(flat(workload.env)) if workload.env else None,
        workload.working_dir,
        workload.user,
        lines(flat(workload.labels)) if workload.labels else None,
        None if workload.pull is None else workload.pull._value_,
        run.image_digest,
    )


def storable(cell: Cell) -> Cell:
    """Return a cell as SQLite can store it.

    Text with lone surrogates becomes bytes, and a number out of range the nearest one in range.
    """
    if isinstance(cell, str):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return cell.encode("utf-8", "surrogatepass")
    if isinstance(cell, int):
        return max(-LARGEST, min(cell, LARGEST))
    return cell


class RowReader:
    """Reads rows; text that many of them have in common is stored once."""

    def __init__(self) -> None:
        self._images: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._valid_kinds: set[tuple[type, ...]] = set()

    def read(self, row: Sequence[Any]) -> Change:
        """Return the change that wrote a row, with its entry and history.

        Raises:
            BadRow: The row is not a valid entry.
        """
        # Most of a million rows have the same types: types that are valid once are valid again.
        kinds = tuple(map(type, row))
        if kinds not in self._valid_kinds:
            row = [_checked(*cell) for cell in zip(COLUMNS, row, strict=True)]
            if bytes not in kinds and len(self._valid_kinds) < MAX_SHARED:
                self._valid_kinds.add(kinds)
        for at, lowest, highest in _RANGES:
            if (number := row[at]) is not None and not lowest <= number <= highest:
                raise BadRow(
                    f"expected a number from {lowest} to {highest} in {COLUMNS[at]}, got {number!r}"
                )
        (
            workload_id, version, state, registered_at, changed_at, address, started_at, attempt,
            desired, grace_seconds, failures, image, runtime_class, memory_mb, cpu_millicores,
            restart_policy, max_restarts, history, trace,
            reason, message, exit_code, ended_at, restart_at,
            command, args, env, working_dir, user, labels, pull, image_digest,
        ) = row  # fmt: skip
        if len(workload_id) > MAX_ID_LENGTH or not is_id(workload_id):
            raise BadRow(f"expected the id of a workload in id, got {shorten(workload_id)}")
        if message is not None and len(message) > MAX_STORED_TEXT:
            raise BadRow(
                f"expected at most {MAX_STORED_TEXT} characters in message, got {len(message)}"
            )
        workload = Workload(
            workload_id,
            self._images.get(image) or self._read_image(image),
            self._names.get(runtime_class) or self._name(runtime_class),
            memory_mb,
            cpu_millicores,
            () if command is None else tuple(read_lines("command", command)),
            () if args is None else tuple(read_lines("args", args)),
            EMPTY if env is None else FrozenDict(read_mapping("env", env)),
            working_dir,
            user,
            EMPTY if labels is None else FrozenDict(read_mapping("labels", labels)),
            _POLICIES.get(restart_policy) or unknown("restart_policy", restart_policy, _POLICIES),
            max_restarts,
            None if pull is None else _PULLS.get(pull) or unknown("pull", pull, _PULLS),
        )
        run = Run(
            STATES.get(state) or unknown("state", state, STATES),
            None if reason is None else self._names.get(reason) or self._name(reason),
            message,
            exit_code,
            address,
            started_at,
            ended_at,
            attempt,
            image_digest,
        )
        entry = WorkloadEntry(
            workload,
            run,
            version,
            registered_at,
            changed_at,
            failures,
            restart_at,
            DESIRED.get(desired) or unknown("wanted", desired, DESIRED),
            grace_seconds,
            trace if trace is not None and is_trace(trace) else None,
        )
        transitions = () if history is None else self._read_history(history)
        return Change(workload_id, version, entry, transitions)

    def _name(self, text: str) -> str:
        """Return a text, shared with other rows that have the same one."""
        if len(text) > MAX_ID_LENGTH or len(self._names) >= MAX_SHARED:
            return text
        return self._names.setdefault(text, text)

    def _read_image(self, image: str) -> str:
        if len(image) > MAX_IMAGE_LENGTH or not is_image(image):
            raise BadRow(f"expected an image reference in image, got {shorten(image)}")
        if len(self._images) < MAX_SHARED:
            self._images[image] = image
        return image

    def _read_history(self, text: str) -> History:
        items = read_lines("history", text)
        if len(items) % 6:
            raise BadRow(f"expected six lines for each transition in history, got {len(items)}")
        transitions = []
        try:
            for start in range(0, len(items), 6):
                at, state, numbers, reason, message, exit_code = items[start : start + 6]
                attempt, _, count = numbers.partition("*")
                transitions.append(
                    Transition(
                        _time(at),
                        STATES.get(state) or unknown("state", state, STATES),
                        self._name(reason[1:]) if reason else None,
                        message[1:] if message else None,
                        int(exit_code) if exit_code else None,
                        int(attempt),
                        int(count or 1),
                    )
                )
        except BadRow:
            raise
        except ValueError as error:
            raise BadRow(f"expected numbers in history: {error}") from error
        return tuple(transitions)


def _time(text: str) -> float:
    """Return a time of a history; raises ValueError."""
    time = float(text)
    if not 0 <= time <= MAX_TIME:
        raise ValueError(f"{text[:64]!r} is not a time")
    return time


def _history(history: History) -> str:
    """Return six lines for each transition; a mark distinguishes an empty text from None."""
    transitions = []
    for each in history:
        reason, message = each.reason, each.message
        reason = "" if reason is None else "=" + escaped(reason)
        message = "" if message is None else "=" + escaped(message)
        code = "" if each.exit_code is None else each.exit_code
        attempt = f"{each.attempt}" if each.count == 1 else f"{each.attempt}*{each.count}"
        transitions.append(
            f"{each.at!r}\n{each.state._value_}\n{attempt}\n{reason}\n{message}\n{code}"
        )
    return "\n".join(transitions)


def _checked(column: str, cell: object) -> object:
    """Return a cell if its type is valid for the column; bytes are decoded to text."""
    kind = _KINDS[column]
    if cell is None and column in _OPTIONAL:
        return None
    if kind is str:
        return readable(column, cell)
    if type(cell) is not kind:
        raise BadRow(f"expected {_KIND_NAMES[kind]} in {column}, got {shorten(cell)}")
    return cell
