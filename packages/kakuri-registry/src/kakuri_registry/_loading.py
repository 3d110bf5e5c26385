"""Reads the complete contents of a database."""

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from kakuri_workload import History

from kakuri_registry._accepted_rows import is_later_than_row, read_accepted
from kakuri_registry._cells import BadRow, shorten
from kakuri_registry._change import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._event_rows import read_events
from kakuri_registry._events import RegistryEvent, event_index
from kakuri_registry._rows import MAX_VERSION, RowReader
from kakuri_registry._sqlite_errors import Damaged
from kakuri_registry._statements import (
    SELECT,
    SELECT_ACCEPTED,
    SELECT_EVENTS,
    SELECT_TOMBSTONES,
)
from kakuri_registry._store import Loaded, StoreProblem
from kakuri_registry._tombstone_rows import read_tombstone
from kakuri_registry._tombstones import Tombstone


def _is_version(cell: object) -> bool:
    return isinstance(cell, int) and 0 <= cell <= MAX_VERSION


_is_store_id = re.compile("[0-9a-f]{32}").fullmatch


def read_all(
    connection: sqlite3.Connection, problems: list[StoreProblem]
) -> tuple[Loaded, list[Change], list[int]]:
    """Read a database, including the accepted registrations in it.

    Args:
        connection: The database.
        problems: Receives the problems with everything that can't be loaded.

    Returns:
        The workloads and events, with the version of the latest change; the registrations among
        them that do not have their own rows and events yet; and the numbers of unreadable rows of
        registrations.

    Raises:
        Damaged: The table of workloads and its index differ, or no version is stored.
        sqlite3.Error: The database can't be read.
    """
    reader = RowReader()
    row = connection.execute("SELECT version, compacted, identity FROM registry").fetchone()
    if row is None or not all(map(_is_version, row[:2])):
        raise Damaged(f"the registry has no valid version: {shorten(row)}")
    version, compacted, store_id = row
    entries, histories = _load_workloads(connection, reader, problems)
    events, compacted = load_events(connection, compacted, problems)
    accepted, unreadable = load_accepted(connection, reader, problems)
    compacted = max([compacted, *unreadable])
    for change in accepted:
        assert change.entry is not None
        entry = entries.get(change.workload_id)
        if is_later_than_row(change, None if entry is None else entry.version):
            entries[change.workload_id] = change.entry
            histories.pop(change.workload_id, None)
        events += change.events
    events = sorted((event for event in events if event.index > compacted), key=event_index)
    tombstones = _read_tombstones(connection, reader, problems)
    version = max(
        version,
        compacted,
        events[-1].index if events else 0,
        tombstones[-1].version if tombstones else 0,
        max((entry.version for entry in entries.values()), default=0),
    )
    loaded = Loaded(
        list(entries.values()),
        histories,
        version,
        events=events,
        compacted=compacted,
        tombstones=tombstones,
        store_id=store_id if isinstance(store_id, str) and _is_store_id(store_id) else None,
    )
    return loaded, accepted, unreadable


def _load_workloads(
    connection: sqlite3.Connection, reader: RowReader, problems: list[StoreProblem]
) -> tuple[dict[str, WorkloadEntry], dict[str, History]]:
    entries: dict[str, WorkloadEntry] = {}
    histories: dict[str, History] = {}
    rows = 0
    for row in connection.execute(SELECT):
        rows += 1
        try:
            change = reader.read(row)
        except BadRow as error:
            problems.append(bad_workload(row, error))
            continue
        assert change.entry is not None
        entries[change.workload_id] = change.entry
        if change.history:
            histories[change.workload_id] = change.history
    (indexed,) = connection.execute("SELECT count(*) FROM workloads").fetchone()
    if indexed != rows:
        raise Damaged(f"the index has {indexed} workloads, the table {rows}")
    return entries, histories


def load_accepted(
    connection: sqlite3.Connection,
    reader: RowReader,
    problems: list[StoreProblem],
) -> tuple[list[Change], list[int]]:
    """Return the accepted registrations, and the numbers of unreadable rows.

    Args:
        connection: The database.
        reader: Reads the row that each registration represents.
        problems: Receives the problems with everything that can't be loaded.
    """
    accepted: list[Change] = []
    unreadable: list[int] = []
    for row_number, text in connection.execute(SELECT_ACCEPTED):
        number = abs(row_number)  # negative once the row was set aside
        if not _is_version(number):
            raise Damaged(f"new workloads have no valid version: {number}")
        try:
            accepted += read_accepted(reader, text)
        except BadRow as error:
            problems.append(
                StoreProblem(f"new workloads up to version {number} can't be loaded: {error}")
            )
            unreadable.append(number)
    return accepted, unreadable


def _read_tombstones(
    connection: sqlite3.Connection, reader: RowReader, problems: list[StoreProblem]
) -> list[Tombstone]:
    tombstones: list[Tombstone] = []
    for row in connection.execute(SELECT_TOMBSTONES):
        try:
            tombstones.append(read_tombstone(reader, row))
        except BadRow as error:
            problems.append(bad_tombstone(row, error))
    return tombstones


def bad_workload(row: Sequence[Any], error: BadRow) -> StoreProblem:
    """Return the problem of a workload that can't be read."""
    return _bad_row("workload", row[0], error)


def bad_tombstone(row: Sequence[Any], error: BadRow) -> StoreProblem:
    """Return the problem for a tombstone that can't be read."""
    return _bad_row("removed workload", row[1], error)


def _bad_row(what: str, workload_id: object, error: BadRow) -> StoreProblem:
    shown = workload_id if isinstance(workload_id, str) else shorten(workload_id)
    return StoreProblem(f"a {what} can't be loaded: {error}", shown)


def load_events(
    connection: sqlite3.Connection, compacted: int, problems: list[StoreProblem]
) -> tuple[list[RegistryEvent], int]:
    """Return the events, and the index up to which events are not stored.

    Events before an unreadable one are left out, so that the others have no gap.

    Args:
        connection: The database.
        compacted: The index up to which events were deleted.
        problems: Receives the problems with everything that can't be loaded.
    """
    events: dict[int, RegistryEvent] = {}  # a failed write may have stored some twice
    for index, workload_id, text in connection.execute(SELECT_EVENTS):
        if not _is_version(index):
            raise Damaged(f"events have no valid index: {index}")
        try:
            events |= {event.index: event for event in read_events(workload_id, text)}
        except BadRow as error:
            problems.append(StoreProblem(f"events up to {index} can't be loaded: {error}"))
            events, compacted = {}, index
    return [events[index] for index in sorted(events) if index > compacted], compacted
