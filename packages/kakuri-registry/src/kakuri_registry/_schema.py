"""The tables of a durable registry, and how those of earlier versions become them.

A row of `workloads` is one workload: what was asked for and how far it has come, each field in a
column of its own; `_rows` says how. The one row of `registry` has the version of the latest change.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from kakuri_registry._errors import StoreFailed, StoreTooNew
from kakuri_registry._rows import COLUMNS

APPLICATION_ID = 0x4B414B55
"""Marks a database as one of this package ("KAKU"), for us and for file(1)."""

MIGRATIONS = (
    """
    CREATE TABLE registry (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL);
    INSERT INTO registry VALUES (1, 0);
    CREATE TABLE workloads (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        version INTEGER,
        state TEXT,
        registered_at REAL,
        changed_at REAL,
        reason TEXT,
        message TEXT,
        exit_code INTEGER,
        pod_sandbox_id TEXT,
        container_id TEXT,
        address TEXT,
        started_at REAL,
        ended_at REAL,
        attempt INTEGER,
        restart_at REAL,
        wanted TEXT,
        grace_seconds INTEGER,
        image TEXT,
        runtime_class TEXT,
        memory_mb INTEGER,
        cpu_millicores INTEGER,
        command TEXT,
        args TEXT,
        env TEXT,
        working_dir TEXT,
        "user" TEXT,
        labels TEXT,
        restart_policy TEXT,
        max_restarts INTEGER
    );
    """,
    "ALTER TABLE workloads ADD COLUMN history TEXT;",
    "ALTER TABLE workloads ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;",
    """
    ALTER TABLE workloads ADD COLUMN pull TEXT;
    ALTER TABLE workloads ADD COLUMN image_digest TEXT;
    """,
)
"""What makes schema n + 1 of schema n; schema 0 is an empty file."""

SCHEMA_VERSION = len(MIGRATIONS)

# The database's header (SQLite's file format, section 1.3).
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"

CHUNKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""How many workloads one statement writes: few sizes, so that statements are prepared once, and
close enough to fill them up with a workload said twice."""

# The names in these statements are this package's own; values only ever come as parameters.
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_NEW_VALUES = ", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS if name != "id")
_ROW = f"({', '.join('?' * len(COLUMNS))})"
SELECT = f"SELECT {_NAMES} FROM workloads"  # noqa: S608
PUT = {
    count: f"INSERT INTO workloads ({_NAMES}) VALUES {', '.join([_ROW] * count)} "  # noqa: S608
    f"ON CONFLICT (id) DO UPDATE SET {_NEW_VALUES}"
    for count in CHUNKS
}
DELETE = {
    count: f"DELETE FROM workloads WHERE id IN ({', '.join('?' * count)})"  # noqa: S608
    for count in CHUNKS
}


def select(names: Sequence[str | None], condition: str) -> str:
    """Give the statement that reads the number and these columns, NULL for one without a name."""
    columns = ", ".join("NULL" if name is None else f'"{name}"' for name in names)
    return f"SELECT number, {columns} FROM workloads NOT INDEXED WHERE {condition}"  # noqa: S608


def refuse_foreign(path: Path) -> None:
    """Look at a file before anything of it is changed.

    What is in the log of a database alone, `migrate` sees. Raises StoreTooNew for a database of a
    later version, StoreFailed for another application's, and OSError.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return
    pages, version, application_id = (
        int.from_bytes(header[at : at + 4], "big") for at in (28, 60, 68)
    )
    has_log = path.with_name(path.name + "-wal").exists()
    # A database of ours has no mark yet while its first transaction is in the log only.
    if application_id != APPLICATION_ID and (application_id or (pages > 1 and not has_log)):
        raise _foreign(str(path))
    if application_id == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StoreTooNew(str(path), SCHEMA_VERSION, version)


def _foreign(path: str) -> StoreFailed:
    return StoreFailed(
        f"expected a database of this package in {path!r}, got another application's"
    )


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring a database to the present schema, all of the way or not at all.

    Raises StoreTooNew for one of a later version and StoreFailed for one that is not ours.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id != APPLICATION_ID and (tables or application_id or version):
        raise _foreign(path)
    if version > SCHEMA_VERSION:
        raise StoreTooNew(path, SCHEMA_VERSION, version)
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        # A pragma takes no parameters; both are numbers of this module.
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
