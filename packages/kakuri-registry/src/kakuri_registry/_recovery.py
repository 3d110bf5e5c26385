"""Recovers a damaged database: keeps it, and copies all readable rows to a new one.

A crash at any point leaves either the damaged database or the complete new one, because the new
database has another name until it is complete.
"""

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeAlias

from kakuri_registry._accepted_rows import is_later_than_row, read_accepted
from kakuri_registry._cells import BadRow
from kakuri_registry._directory import companion, open_file, sync_directory
from kakuri_registry._rows import COLUMNS, MAX_VERSION, RowReader, row_of, storable
from kakuri_registry._schema import migrate, prepare
from kakuri_registry._statements import (
    COPY_TOMBSTONES,
    PUT,
    PUT_TOMBSTONES,
    SELECT_ACCEPTED,
    select,
)

MAX_FAILED_READS = 10_000
"""Number of failed reads after which recovery stops: hundreds of pages, in about a second."""

MAX_ROWID = 2**63 - 1
"""The largest row number in SQLite."""

Row: TypeAlias = tuple[Any, ...]


def recover(path: Path) -> tuple[Path, int]:
    """Replace a damaged database with a new one that has all readable rows.

    No process may have the database open.

    Args:
        path: The database.

    Returns:
        The path at which the damaged database is kept, and the number of recovered workloads.

    Raises:
        sqlite3.Error: The new database can't be written.
        OSError: The new database can't be written, or the files can't be renamed.
    """
    # Without events: readers must not miss any, so they list again.
    rows, version, tombstones = _read(path)
    part = companion(path, ".part")
    part.unlink(missing_ok=True)
    os.close(open_file(part, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        prepare(connection)
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, str(part))
        connection.execute("BEGIN")
        connection.executemany(PUT[1], rows.values())
        connection.executemany(PUT_TOMBSTONES[1], tombstones)
        connection.execute("UPDATE registry SET version = ?, compacted = ?", (version, version))
        connection.execute("COMMIT")
    number = 1
    while os.path.lexists(companion(path, f".damaged-{number}")):
        number += 1
    damaged = companion(path, f".damaged-{number}")
    os.link(path, damaged)
    with suppress(FileNotFoundError):
        os.link(companion(path, "-wal"), companion(damaged, "-wal"))
    part.replace(companion(path, ".new"))
    sync_directory(path.parent)
    complete_recovery(path)
    return damaged, len(rows)


def complete_recovery(path: Path) -> None:
    """Replace a damaged database with the new one, if an earlier recovery has completed that."""
    new = companion(path, ".new")
    if new.exists():
        # Remove the old log first, because SQLite would apply it to the new database.
        companion(path, "-wal").unlink(missing_ok=True)
        new.replace(path)
        sync_directory(path.parent)


def text_or_bytes(data: bytes) -> str | bytes:
    """Decode text; return bytes that are not valid UTF-8 unchanged, for a RowReader to reject.

    Use it as the `text_factory` of a connection to a database that may be damaged.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _read(path: Path) -> tuple[dict[object, Row], int, list[Row]]:
    """Return all readable rows by id, the version of the latest change, and tombstones."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = text_or_bytes
        # Nothing is written; this makes SQLite continue although the file is too short.
        connection.execute("PRAGMA writable_schema = ON")
        rows = _read_workloads(connection)
        _add_accepted(connection, rows)
        tombstones = _read_tombstones(connection)
        version = max(
            _read_version(connection),
            max((row[1] for row in rows.values()), default=0),
            max((row[0] for row in tombstones), default=0),
        )
    return rows, version, tombstones


def _read_version(connection: sqlite3.Connection) -> int:
    """Return the stored version of the latest change; 0 if it can't be read."""
    # There may be no row, or its version may not be a number.
    with suppress(sqlite3.Error, TypeError, ValueError):
        (version,) = connection.execute("SELECT version FROM registry").fetchone()
        if 0 <= version <= MAX_VERSION:
            return int(version)
    return 0


def _read_workloads(connection: sqlite3.Connection) -> dict[object, Row]:
    """Return the rows of workloads by id, for each the latest."""
    rows: dict[object, Row] = {}
    with suppress(sqlite3.DatabaseError):
        existing = [row[1] for row in connection.execute("PRAGMA table_info(workloads)")]
        names = [name if name in existing else None for name in COLUMNS]
        for row in _rows(connection, names):
            workload_id, version = row[:2]
            if not _is_identified(workload_id, version):
                continue
            if workload_id not in rows or rows[workload_id][1] < version:
                rows[workload_id] = _with_failures(row)
    return rows


def _add_accepted(connection: sqlite3.Connection, rows: dict[object, Row]) -> None:
    """Add a row for each accepted registration that is later than the row of its workload."""
    reader = RowReader()
    with suppress(sqlite3.DatabaseError):
        for _, text in connection.execute(SELECT_ACCEPTED):
            with suppress(BadRow):
                for change in read_accepted(reader, text):
                    row = rows.get(change.workload_id)
                    if is_later_than_row(change, None if row is None else row[1]):
                        rows[change.workload_id] = tuple(map(storable, row_of(change)))


def _read_tombstones(connection: sqlite3.Connection) -> list[Row]:
    """Return the rows of tombstones before the first unreadable one."""
    tombstones: list[Row] = []
    with suppress(sqlite3.DatabaseError):
        for row in connection.execute(COPY_TOMBSTONES):
            version, workload_id = row[:2]
            if not _is_identified(workload_id, version):
                break
            tombstones.append(row)
    return tombstones


def _is_identified(workload_id: object, version: object) -> bool:
    """Return whether a row has an id and a version, without which it can't be stored."""
    is_version = isinstance(version, int) and version <= MAX_VERSION
    return is_version and isinstance(workload_id, str | bytes)


def _with_failures(row: Row) -> Row:
    """Replace a missing number of failures with 0, because the new table requires it."""
    at = COLUMNS.index("failures")
    return row if row[at] is not None else (*row[:at], 0, *row[at + 1 :])


def _rows(connection: sqlite3.Connection, names: list[str | None]) -> Iterator[Row]:
    """Yield rows from the front, from the back, and then from ever smaller ranges in between."""
    first, is_complete = yield from _scan(connection, select(names, "TRUE ORDER BY number"))
    if is_complete:
        return
    backwards = select(names, "TRUE ORDER BY number DESC")
    last, _ = yield from _scan(connection, backwards, is_backwards=True)
    between = select(names, "number BETWEEN ? AND ? ORDER BY number")
    # For a single row, because searching for the next one could hit the damage.
    single = select(names, "number = ?")
    parts, failed = [(first, last)], 0
    while parts and failed < MAX_FAILED_READS:
        first, last = parts.pop()
        statement, limits = (between, (first, last)) if first < last else (single, (first,))
        first, is_complete = yield from _scan(connection, statement, limits)
        if not is_complete:
            failed += 1
            if first < last:
                middle = (first + last) // 2
                parts += [(middle + 1, last), (first, middle)]


def _scan(
    connection: sqlite3.Connection,
    statement: str,
    limits: tuple[int, ...] = (),
    *,
    is_backwards: bool = False,
) -> Generator[Row, None, tuple[int, bool]]:
    """Yield the rows that a statement reads, until one can't be read.

    Any row number (the column `number`, SQLite's rowid) may be damaged. So a row counts as read
    only once a row with a later number follows it, and a scan of the whole table has no limits.

    Args:
        connection: The damaged database.
        statement: Reads the row number and the columns of each row.
        limits: Its parameters: the first and the last row number; none for the whole table.
        is_backwards: Whether the statement reads in descending order.

    Returns:
        The row number at which to continue, and whether all rows were read.
    """
    first = min(limits, default=0)
    unread, step = (MAX_ROWID, -1) if is_backwards else (first, 1)
    previous = -1
    try:
        for number, *row in connection.execute(statement, limits):
            yield tuple(row)
            smaller, larger = (number, previous) if is_backwards else (previous, number)
            if first <= smaller < larger:
                unread = previous + step
            previous = number
    except sqlite3.DatabaseError:
        return unread, False
    return unread, True
