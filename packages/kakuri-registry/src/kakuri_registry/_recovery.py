"""Recovers a damaged database: keeps it, and copies all readable rows to a new one.

A crash at any point leaves either the damaged database or the complete new one, because the new
database has another name until it is complete.
"""

import os
import sqlite3
from collections.abc import Iterator
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

LAST_NUMBER = 2**63 - 1

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
    rows, version, tombstones = _read(
        path
    )  # without events: readers must not miss any, so they list again
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
    """Return all readable rows by id, the version of the latest change, and tombstones.

    Reading of tombstones stops at the first unreadable one.
    """
    tombstones: list[Row] = []
    found: dict[object, Row] = {}
    version = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = text_or_bytes
        # Nothing is written; this makes SQLite continue although the file is too short.
        connection.execute("PRAGMA writable_schema = ON")
        with suppress(sqlite3.Error, TypeError, ValueError):  # no row, or one without a number
            (stored,) = connection.execute("SELECT version FROM registry").fetchone()
            if 0 <= stored <= MAX_VERSION:
                version = int(stored)
        with suppress(sqlite3.DatabaseError):
            existing = [row[1] for row in connection.execute("PRAGMA table_info(workloads)")]
            names = [name if name in existing else None for name in COLUMNS]
            for row in _rows(connection, names):
                workload_id, row_version = row[:2]
                if (
                    isinstance(workload_id, str | bytes)
                    and isinstance(row_version, int)
                    and row_version <= MAX_VERSION
                ):
                    version = max(version, row_version)
                    if workload_id not in found or found[workload_id][1] < row_version:
                        found[workload_id] = _with_failures(row)
        reader = RowReader()
        with suppress(sqlite3.DatabaseError):
            for _, text in connection.execute(SELECT_ACCEPTED):
                with suppress(BadRow):
                    for change in read_accepted(reader, text):
                        version = max(version, change.version)
                        known = found.get(change.workload_id)
                        if is_later_than_row(change, None if known is None else known[1]):
                            found[change.workload_id] = tuple(map(storable, row_of(change)))
        with suppress(sqlite3.DatabaseError):
            for row in connection.execute(COPY_TOMBSTONES):
                number, workload_id = row[:2]
                if not (
                    isinstance(number, int)
                    and number <= MAX_VERSION
                    and isinstance(workload_id, str | bytes)
                ):
                    break
                tombstones.append(row)
                version = max(version, number)
    return found, version, tombstones


def _with_failures(row: Row) -> Row:
    """Replace a missing number of failures with 0, because the new table requires it."""
    at = COLUMNS.index("failures")
    return row if row[at] is not None else (*row[:at], 0, *row[at + 1 :])


def _rows(connection: sqlite3.Connection, names: list[str | None]) -> Iterator[Row]:
    """Yield rows from the front, from the back, and then from ever smaller ranges in between.

    Any number may be damaged. A row therefore shortens the range that is left only if the next
    row's number is beyond its own, and scans from the front and from the back have no limits.
    """
    first, last = 0, LAST_NUMBER
    previous = -1
    try:
        for number, *row in connection.execute(select(names, "TRUE ORDER BY number")):
            yield tuple(row)
            if 0 <= previous < number:
                first = previous + 1
            previous = number
    except sqlite3.DatabaseError:
        pass
    else:
        return
    previous = LAST_NUMBER
    try:
        for number, *row in connection.execute(select(names, "TRUE ORDER BY number DESC")):
            yield tuple(row)
            if 0 <= number < previous:
                last = previous - 1
            previous = number
    except sqlite3.DatabaseError:
        pass
    between = select(names, "number BETWEEN ? AND ? ORDER BY number")
    # For a single row, because searching for the next one could hit the damage.
    single = select(names, "number = ?")
    parts, failed = [(first, last)], 0
    while parts and failed < MAX_FAILED_READS:
        start, last = parts.pop()
        first, previous = start, -1
        try:
            for number, *row in (
                connection.execute(between, (first, last))
                if first < last
                else connection.execute(single, (first,))
            ):
                yield tuple(row)
                if start <= previous < number:
                    first = previous + 1
                previous = number
        except sqlite3.DatabaseError:
            failed += 1
            if first < last:
                middle = (first + last) // 2
                parts += [(middle + 1, last), (first, middle)]
