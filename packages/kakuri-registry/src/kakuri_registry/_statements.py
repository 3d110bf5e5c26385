"""The SQL statements that read and write workloads and events."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

from kakuri_registry._cells import Cell
from kakuri_registry._rows import COLUMNS, COMMON_COLUMNS, storable
from kakuri_registry._tombstone_rows import TOMBSTONE_COLUMNS

CHUNKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""The possible numbers of workloads that one statement writes.

There are few of them, so that each statement is prepared only once. They are close to each other,
because statements are filled by repeating the last workload.
"""

LARGE_ROW = 16_384
"""Length of a string from which its row gets its own statement, because SQLite keeps a copy of the
last parameters of each statement."""

# The names in these statements are constants of this package; values are always parameters.
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_NEW_VALUES = ", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS if name != "id")
_NO_UNCOMMON = (None,) * (len(COLUMNS) - len(COMMON_COLUMNS))
SELECT = f"SELECT {_NAMES} FROM workloads"  # noqa: S608
SELECT_ACCEPTED = "SELECT number, changes FROM accepted ORDER BY number"
SELECT_EVENTS = 'SELECT "index", id, events FROM events ORDER BY "index"'


def _put(columns: Sequence[str]) -> dict[int, str]:
    names = ", ".join(f'"{name}"' for name in columns)
    row = f"({', '.join('?' * len(columns))})"
    return {
        count: f"INSERT INTO workloads ({names}) VALUES {', '.join([row] * count)} "  # noqa: S608
        f"ON CONFLICT (id) DO UPDATE SET {_NEW_VALUES}"
        for count in CHUNKS
    }


PUT = _put(COLUMNS)
PUT_COMMON = _put(COMMON_COLUMNS)
"""Statements that leave the uncommon columns NULL, because binding one None takes as long as eight
numbers."""
SET_VERSION = {
    False: "UPDATE registry SET version = max(version, ?)",
    True: "UPDATE registry SET version = max(version + 1, ?), replaced = NULL",
}
"""Statements that store the version of the latest change. The key is whether the transaction is the
first in its log. If so, the row has to change, because SQLite does not write unchanged pages."""

# The row already exists if an earlier write stored some of these events and then failed.
PUT_EVENTS = {
    count: f"INSERT INTO events VALUES {', '.join(['(?, ?, ?)'] * count)} "  # noqa: S608
    'ON CONFLICT ("index") DO UPDATE SET events = events || char(10) || excluded.events '
    "WHERE instr(events, excluded.events) = 0"
    for count in CHUNKS
}
ACCEPT = {
    count: f"INSERT OR REPLACE INTO accepted VALUES {', '.join(['(?, ?)'] * count)}"  # noqa: S608
    for count in CHUNKS
}
FORGET_ACCEPTED = "DELETE FROM accepted WHERE number > 0"
SET_ASIDE_ACCEPTED = "UPDATE accepted SET number = -number WHERE number = ?"
"""Sets an unreadable row aside, so that FORGET_ACCEPTED does not delete it."""
COMPACT = (
    'DELETE FROM events WHERE "index" <= ?',
    "UPDATE registry SET compacted = max(compacted, ?)",
)
_TOMBSTONE = f"({', '.join('?' * len(TOMBSTONE_COLUMNS))})"
_TOMBSTONE_NAMES = ", ".join(f'"{name}"' for name in TOMBSTONE_COLUMNS)
PUT_TOMBSTONES = {
    count: f"INSERT OR REPLACE INTO tombstones ({_TOMBSTONE_NAMES}) "  # noqa: S608
    f"VALUES {', '.join([_TOMBSTONE] * count)}"
    for count in CHUNKS
}
_TOMBSTONE_READ = _TOMBSTONE_NAMES.removesuffix(', "log"')
SELECT_TOMBSTONES = f"SELECT {_TOMBSTONE_READ}, length(log) FROM tombstones ORDER BY number"  # noqa: S608
SELECT_REMOVED_LOG = "SELECT log FROM tombstones WHERE number = ?"
COPY_TOMBSTONES = f"SELECT {_TOMBSTONE_NAMES} FROM tombstones ORDER BY number"  # noqa: S608
DROP_TOMBSTONES = "DELETE FROM tombstones WHERE number < ?"
DELETE = {
    count: f"DELETE FROM workloads WHERE id IN ({', '.join('?' * count)})"  # noqa: S608
    for count in CHUNKS
}


def select(names: Sequence[str | None], condition: str) -> str:
    """Return the statement that reads the row number and columns; a column of None reads NULL."""
    columns = ", ".join("NULL" if name is None else f'"{name}"' for name in names)
    return f"SELECT number, {columns} FROM workloads NOT INDEXED WHERE {condition}"  # noqa: S608


def put_rows(connection: sqlite3.Connection, rows: Iterable[tuple[Cell, ...]]) -> None:
    """Insert or replace the rows of workloads."""
    common, complete = [], []
    for row in rows:
        if row[len(COMMON_COLUMNS) :] == _NO_UNCOMMON:
            common.append(row[: len(COMMON_COLUMNS)])
        else:
            complete.append(row)
    in_chunks(connection, PUT_COMMON, common)
    in_chunks(connection, PUT, complete)


def in_chunks(
    connection: sqlite3.Connection, statements: dict[int, str], rows: Sequence[tuple[Cell, ...]]
) -> None:
    """Write rows with as few statements as possible; each is filled by repeating the last row."""
    if len(rows) > 1 and (large := [row for row in rows if is_large(row)]):
        for row in large:
            in_chunks(connection, statements, [row])
        rows = [row for row in rows if not is_large(row)]
    longest = CHUNKS[-1]
    for start in range(0, len(rows), longest):
        chunk = rows[start : start + longest]
        size = next(size for size in CHUNKS if size >= len(chunk))
        cells = list(chain.from_iterable(chunk))
        cells += chunk[-1] * (size - len(chunk))
        try:
            connection.execute(statements[size], cells)
        except (UnicodeEncodeError, OverflowError):  # before anything was written
            connection.execute(statements[size], [storable(cell) for cell in cells])


def is_large(row: Sequence[Cell]) -> bool:
    """Return whether a row needs its own statement."""
    for cell in row:  # a tenth of the time of `any` with `isinstance`
        if (cell.__class__ is str or cell.__class__ is bytes) and len(cell) >= LARGE_ROW:
            return True
    return False
