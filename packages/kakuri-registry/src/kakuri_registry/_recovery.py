"""What becomes of a damaged database: it is kept aside, and what can be read goes into a new one.

A crash at any point leaves either the damaged database or the complete new one: the new one is
written under another name, and its last name tells that it is complete.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeAlias

from kakuri_registry._folder import open_file
from kakuri_registry._rows import COLUMNS
from kakuri_registry._schema import migrate, prepare
from kakuri_registry._statements import PUT, select

MAX_FAILED_READS = 10_000
"""Reads that may fail before the rest is given up: a second's work, and hundreds of pages."""

LAST_NUMBER = 2**63 - 1

WAL_HEADER = 32
WAL_FRAME_HEADER = 24

Row: TypeAlias = tuple[Any, ...]


def recover(path: Path) -> tuple[Path, int]:
    """Keep a damaged database aside and put what can be read of it into a new one.

    Gives the name under which it is kept and how many workloads could be read. Nobody may have
    the database open. Raises sqlite3.Error and OSError.
    """
    rows, version = _read(path)
    part = beside(path, ".part")
    part.unlink(missing_ok=True)
    os.close(open_file(part, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        prepare(connection)
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, str(part))
        connection.execute("BEGIN")
        connection.executemany(PUT[1], rows.values())
        connection.execute("UPDATE registry SET version = ?", (version,))
        connection.execute("COMMIT")
    number = 1
    while os.path.lexists(beside(path, f".damaged-{number}")):
        number += 1
    aside = beside(path, f".damaged-{number}")
    os.link(path, aside)
    with suppress(FileNotFoundError):
        os.link(beside(path, "-wal"), beside(aside, "-wal"))
    part.replace(beside(path, ".new"))
    synchronize(path.parent)
    finish(path)
    return aside, len(rows)


def finish(path: Path) -> None:
    """Put a complete new database in place of a damaged one, if there is one."""
    new = beside(path, ".new")
    if new.exists():
        # Never the old log beside the new database: it would be applied to it.
        beside(path, "-wal").unlink(missing_ok=True)
        new.replace(path)
        synchronize(path.parent)


def beside(path: Path, suffix: str) -> Path:
    """Give the name of a file that belongs to a database."""
    return path.with_name(path.name + suffix)


def synchronize(folder: Path) -> None:
    """Have the disk confirm the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def text_or_bytes(data: bytes) -> str | bytes:
    """Give text, or what a damaged database has in its place: for a reader of rows to refuse."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def logged_pages(path: Path) -> int:
    """Count the pages in the log of a database since its last reset, the last one as far as it is.

    Source: SQLite, "WAL-mode File Format".
    """
    try:
        log = os.fdopen(open_file(beside(path, "-wal"), os.O_RDONLY), "rb")
    except FileNotFoundError:
        return 0
    with log:
        header = log.read(WAL_HEADER)
        length = WAL_FRAME_HEADER + int.from_bytes(header[8:12], "big")
        salts = header[16:24]
        count = 0
        # Pages from before the reset have other salts.
        while len(salts) == 8 and log.read(WAL_FRAME_HEADER)[8:16] == salts:
            count += 1
            log.seek(WAL_HEADER + count * length)
        return count


def _read(path: Path) -> tuple[dict[object, Row], int]:
    """Read the rows that can be read, by id, and the version of the latest change."""
    found: dict[object, Row] = {}
    version = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = text_or_bytes
        # Nothing is written: this has SQLite go on where the file is shorter than it should be.
        connection.execute("PRAGMA writable_schema = ON")
        with suppress(sqlite3.Error, TypeError, ValueError):  # no row, or one without a number
            (kept,) = connection.execute("SELECT version FROM registry").fetchone()
            version = int(kept)
        with suppress(sqlite3.DatabaseError):
            there = [row[1] for row in connection.execute("PRAGMA table_info(workloads)")]
            names = [name if name in there else None for name in COLUMNS]
            for row in _rows(connection, names):
                workload_id, its_version = row[:2]
                if isinstance(workload_id, str | bytes) and isinstance(its_version, int):
                    version = max(version, its_version)
                    if workload_id not in found or found[workload_id][1] < its_version:
                        found[workload_id] = row
    return found, version


def _rows(connection: sqlite3.Connection, names: list[str | None]) -> Iterator[Row]:
    """Read from the front, then from the back, then between in ever smaller parts."""
    first, last = 0, LAST_NUMBER
    try:
        for number, *row in connection.execute(select(names, "number >= 0 ORDER BY number")):
            yield tuple(row)
            first = number + 1
    except sqlite3.DatabaseError:
        pass
    else:
        return
    try:
        for number, *row in connection.execute(
            select(names, "number >= ? ORDER BY number DESC"), (first,)
        ):
            yield tuple(row)
            last = number - 1
    except sqlite3.DatabaseError:
        pass
    between = select(names, "number BETWEEN ? AND ? ORDER BY number")
    # Of one row alone: looking for the one behind it could meet the damage.
    single = select(names, "number = ?")
    parts, failed = [(first, last)], 0
    while parts and failed < MAX_FAILED_READS:
        first, last = parts.pop()
        try:
            for number, *row in (
                connection.execute(between, (first, last))
                if first < last
                else connection.execute(single, (first,))
            ):
                yield tuple(row)
                first = number + 1
        except sqlite3.DatabaseError:
            failed += 1
            if first < last:
                middle = (first + last) // 2
                parts += [(middle + 1, last), (first, middle)]
