"""Converts entries to rows of a table and back: a column for each field.

Text is stored as text, or as bytes if UTF-8 can't encode it (lone surrogates). A list is stored as
one line for each item, with backslash, newline and NUL escaped; a mapping as the list of its keys
and values in turn. Empty lists and mappings are NULL.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from kakuri_workload import (
    IMAGE_REFERENCE,
    MAX_ID_LENGTH,
    MAX_IMAGE_LENGTH,
    WORKLOAD_ID,
    DesiredState,
    History,
    PullPolicy,
    RestartPolicy,
    Run,
    Transition,
    Workload,
    WorkloadState,
)

from kakuri_registry._change_log import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._frozen import EMPTY, FrozenDict

Cell: TypeAlias = str | bytes | int | float | None
"""A value that SQLite can store."""

COLUMNS = (
    "id", "version", "state", "registered_at", "changed_at", "reason", "message", "exit_code",
    "address", "started_at", "ended_at", "attempt", "restart_at",
    "wanted", "grace_seconds", "failures", "image", "runtime_class", "memory_mb", "cpu_millicores",
    "command", "args", "env", "working_dir", "user", "labels", "restart_policy", "max_restarts",
    "history", "pull", "image_digest",
)  # fmt: skip
"""The columns of a row, in this order; `wanted` has the desired state."""

LARGEST = 2**63 - 1
"""The largest integer that SQLite can store: they are signed and have 64 bits."""

MAX_STORED_TEXT = 4 << 20
"""Characters of the longest text that is stored or read; no line of an agent is so long."""

_NUMBERS = ("version", "exit_code", "attempt", "failures", "grace_seconds", "memory_mb",
            "cpu_millicores", "max_restarts")  # fmt: skip
_TIMES = ("registered_at", "changed_at", "started_at", "ended_at", "restart_at")
_KINDS: dict[str, type] = {
    name: int if name in _NUMBERS else float if name in _TIMES else str for name in COLUMNS
}
_KIND_NAMES: dict[type, str] = {int: "a whole number", float: "a time", str: "text"}
_OPTIONAL = frozenset(
    ("reason", "message", "exit_code", "address", "started_at",
     "ended_at", "restart_at", "command", "args", "env", "working_dir", "user", "labels", "history",
     "pull", "image_digest")
)  # fmt: skip

MAX_SHARED = 1024
"""The number of texts that rows share; above it, texts are not common enough to share."""

_STATES = {state.value: state for state in WorkloadState}
_DESIRED = {desired.value: desired for desired in DesiredState}
_POLICIES = {policy.value: policy for policy in RestartPolicy}
_PULLS = {policy.value: policy for policy in PullPolicy}
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\0": "\\0"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}
_TO_ESCAPE = re.compile(r"[\\\n\0]")
_TO_UNESCAPE = re.compile(r"\\(?s:.|$)")
_ID = re.compile(WORKLOAD_ID)
_IMAGE = re.compile(IMAGE_REFERENCE)


class BadRow(ValueError):
    """A row is not a valid entry."""


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
        run.state.value,
        entry.registered_at,
        entry.changed_at,
        run.reason,
        message,
        run.exit_code,
        run.address,
        run.started_at,
        run.ended_at,
        run.attempt,
        entry.restart_at,
        entry.desired.value,
        entry.grace_seconds,
        entry.failures,
        workload.image,
        workload.runtime_class,
        workload.memory_mb,
        workload.cpu_millicores,
        _lines(workload.command) if workload.command else None,
        _lines(workload.args) if workload.args else None,
        _lines(_flat(workload.env)) if workload.env else None,
        workload.working_dir,
        workload.user,
        _lines(_flat(workload.labels)) if workload.labels else None,
        workload.restart_policy.value,
        workload.max_restarts,
        _history(change.history) if change.history else None,
        None if workload.pull is None else workload.pull.value,
        run.image_digest,
    )


def storable(cell: Cell) -> Cell:
    """Return what SQLite can store of a cell: bytes for lone surrogates, the nearest number."""
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
        (
            workload_id, version, state, registered_at, changed_at, reason, message, exit_code,
            address, started_at, ended_at, attempt, restart_at,
            desired, grace_seconds, failures, image, runtime_class, memory_mb, cpu_millicores,
            command, args, env, working_dir, user, labels, restart_policy, max_restarts, history,
            pull, image_digest,
        ) = row  # fmt: skip
        if len(workload_id) > MAX_ID_LENGTH or not _ID.fullmatch(workload_id):
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
            () if command is None else tuple(_read_lines("command", command)),
            () if args is None else tuple(_read_lines("args", args)),
            EMPTY if env is None else FrozenDict(_read_mapping("env", env)),
            working_dir,
            user,
            EMPTY if labels is None else FrozenDict(_read_mapping("labels", labels)),
            _POLICIES.get(restart_policy) or _unknown("restart_policy", restart_policy, _POLICIES),
            max_restarts,
            None if pull is None else _PULLS.get(pull) or _unknown("pull", pull, _PULLS),
        )
        run = Run(
            _STATES.get(state) or _unknown("state", state, _STATES),
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
            _DESIRED.get(desired) or _unknown("wanted", desired, _DESIRED),
            grace_seconds,
        )
        transitions = () if history is None else self._read_history(history)
        return Change(workload_id, version, entry, transitions)

    def _name(self, text: str) -> str:
        """Return a text, shared with other rows that have the same one."""
        if len(text) > MAX_ID_LENGTH or len(self._names) >= MAX_SHARED:
            return text
        return self._names.setdefault(text, text)

    def _read_image(self, image: str) -> str:
        if len(image) > MAX_IMAGE_LENGTH or not _IMAGE.fullmatch(image):
            raise BadRow(f"expected an image reference in image, got {shorten(image)}")
        if len(self._images) < MAX_SHARED:
            self._images[image] = image
        return image

    def _read_history(self, text: str) -> History:
        lines = _read_lines("history", text)
        if len(lines) % 6:
            raise BadRow(f"expected six lines for each transition in history, got {len(lines)}")
        transitions = []
        try:
            for start in range(0, len(lines), 6):
                at, state, numbers, reason, message, exit_code = lines[start : start + 6]
                attempt, _, count = numbers.partition("*")
                transitions.append(
                    Transition(
                        float(at),
                        _STATES.get(state) or _unknown("state", state, _STATES),
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


def _lines(items: Iterable[str]) -> str:
    text = "\n".join(items := list(items))
    if text.count("\n") < len(items) and "\\" not in text and "\0" not in text:
        return text
    return "\n".join(map(_escaped, items))


def _flat(mapping: Mapping[str, str]) -> Iterable[str]:
    for key, value in mapping.items():
        yield key
        yield value


def _history(history: History) -> str:
    """Return six lines for each transition; a mark distinguishes an empty text from None."""
    transitions = []
    for each in history:
        reason, message = each.reason, each.message
        reason = "" if reason is None else "=" + _escaped(reason)
        message = "" if message is None else "=" + _escaped(message)
        code = "" if each.exit_code is None else each.exit_code
        attempt = f"{each.attempt}" if each.count == 1 else f"{each.attempt}*{each.count}"
        transitions.append(
            f"{each.at!r}\n{each.state.value}\n{attempt}\n{reason}\n{message}\n{code}"
        )
    return "\n".join(transitions)


def _escaped(text: str) -> str:
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)


def _checked(column: str, cell: object) -> object:
    """Return a cell if its type is valid for the column; bytes are decoded to text."""
    kind = _KINDS[column]
    if cell is None and column in _OPTIONAL:
        return None
    if type(cell) is bytes and kind is str:
        try:
            return cell.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            pass  # reported below like any other type
    if type(cell) is not kind:
        raise BadRow(f"expected {_KIND_NAMES[kind]} in {column}, got {shorten(cell)}")
    return cell


def _unknown(column: str, cell: str, members: Mapping[str, object]) -> NoReturn:
    raise BadRow(f"expected {', '.join(members)} in {column}, got {shorten(cell)}")


def _read_lines(column: str, text: str) -> list[str]:
    items = text.split("\n")
    if "\\" not in text:
        return items
    return [_TO_UNESCAPE.sub(lambda match: _unescaped(column, match[0]), item) for item in items]


def _unescaped(column: str, escape: str) -> str:
    if escape not in _UNESCAPES:
        raise BadRow(f"expected an escape in {column}, got {escape!r}")
    return _UNESCAPES[escape]


def _read_mapping(column: str, text: str) -> dict[str, str]:
    items = _read_lines(column, text)
    mapping = dict(zip(items[::2], items[1::2], strict=False))
    if 2 * len(mapping) != len(items):
        raise BadRow(f"expected keys and values in {column}, got {len(items)} lines")
    return mapping


def shorten(value: object) -> str:
    """Return a value for a message, shortened to a readable length."""
    text = repr(value[:64] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 80 else f"{text[:79]}…"
