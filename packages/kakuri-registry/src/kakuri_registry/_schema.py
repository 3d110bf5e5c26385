"""The tables of a durable registry, and migrations from earlier schemas.

A row of `workloads` is one workload with a column for each field (see `_rows`). The single row of
`registry` has the random identity of the database, the version of the latest change, and the index
up to which events are not stored. A row of `events` has the events that one write stored (see
`_event_rows`), and the index of the last of them. A row of `tombstones` is one removed workload
(see `_tombstone_rows`). A row of `accepted` has the registrations that one write stored (see
`_accepted_rows`), until another write stores their own rows and events. Clients wait only for the
first of these writes.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from kakuri_registry._directory import companion, open_file
from kakuri_registry._errors import StoreFailed, StoreTooNew

APPLICATION_ID = 0x4B414B55
"""Identifies databases of this package ("KAKU"), also for file(1)."""

_EVENTS = """
    CREATE TABLE events (
        "index" INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        events TEXT NOT NULL
    );
"""

_ACCEPTED = """
    CREATE TABLE accepted (
        number INTEGER PRIMARY KEY,
        changes TEXT NOT NULL
    );
"""

_COLUMNS = """
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER,
    state TEXT,
    registered_at REAL,
    changed_at REAL,
    reason TEXT,
    message TEXT,
    exit_code INTEGER,
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
    max_restarts INTEGER,
    history TEXT,
"""
"""The columns that workloads and tombstones both had in schema 8."""

_TOMBSTONES = f"""
    CREATE TABLE tombstones (
        {_COLUMNS}
        failures INTEGER,
        pull TEXT,
        image_digest TEXT,
        removed_at REAL,
        zone TEXT,
        container TEXT,
        log_bytes INTEGER,
        verified_by TEXT,
        log BLOB
    );
"""

MIGRATIONS = {
    0: (
        10,
        f"""
        CREATE TABLE workloads (
            {_COLUMNS}
            failures INTEGER NOT NULL DEFAULT 0,
            pull TEXT,
            image_digest TEXT,
            trace TEXT
        );
        CREATE TABLE registry (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            version INTEGER NOT NULL,
            session INTEGER,
            replaced INTEGER,
            compacted INTEGER NOT NULL DEFAULT 0,
            identity TEXT
        );
        INSERT INTO registry (only, version, identity) VALUES (1, 0, lower(hex(randomblob(16))));
        """  # noqa: S608 (a constant)
        + _EVENTS
        + _TOMBSTONES
        + "ALTER TABLE tombstones ADD COLUMN trace TEXT;"
        + _ACCEPTED,
    ),
    1: (2, "ALTER TABLE workloads ADD COLUMN history TEXT"),
    2: (3, "ALTER TABLE workloads ADD COLUMN failures INTEGER NOT NULL DEFAULT 0"),
    3: (
        4,
        """
        ALTER TABLE workloads ADD COLUMN pull TEXT;
        ALTER TABLE workloads ADD COLUMN image_digest TEXT;
        """,
    ),
    4: (
        5,
        """
        ALTER TABLE registry ADD COLUMN session INTEGER;
        ALTER TABLE registry ADD COLUMN replaced INTEGER;
        """,
    ),
    # In place, unlike a copy of the table; needs SQLite 3.35 (2021).
    5: (
        6,
        """
        ALTER TABLE workloads DROP COLUMN pod_sandbox_id;
        ALTER TABLE workloads DROP COLUMN container_id;
        """,
    ),
    6: (
        7,
        """
        ALTER TABLE workloads ADD COLUMN events TEXT;
        ALTER TABLE registry ADD COLUMN compacted INTEGER NOT NULL DEFAULT 0;
        UPDATE registry SET compacted =
            max(version, (SELECT coalesce(max(version), 0) FROM workloads));
        """  # noqa: S608 (a constant)
        + _EVENTS,
    ),
    7: (8, _TOMBSTONES),
    8: (
        9,
        """
        ALTER TABLE workloads ADD COLUMN trace TEXT;
        ALTER TABLE tombstones ADD COLUMN trace TEXT;
        ALTER TABLE registry ADD COLUMN identity TEXT;
        UPDATE registry SET identity = lower(hex(randomblob(16)));
        """,
    ),
    # Schemas 7 to 9 had triggers that copied events from the rows of workloads.
    9: (
        10,
        """
        DROP TRIGGER IF EXISTS registered;
        DROP TRIGGER IF EXISTS changed;
        ALTER TABLE workloads DROP COLUMN events;
        """
        + _ACCEPTED,
    ),
}
"""For each schema version, a later version and the script that migrates to it; 0 is an empty
file."""

SCHEMA_VERSION = max(later for later, _ in MIGRATIONS.values())

# The database's header (SQLite's file format, section 1.3).
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"


def refuse_foreign(path: Path) -> None:
    """Check that a database belongs to this package, before anything in it is changed.

    Only the header of the file is read; `migrate` checks what is only in the log. A file without
    the header of a database counts as a damaged database only if the lock of a store is next to it;
    otherwise, the path is most likely wrong.

    Raises:
        StoreTooNew: A later version of this package has written it.
        StoreFailed: Another application has written it, or it never was a database.
        OSError: It can't be read.
    """
    try:
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        if header and not companion(path, ".lock").exists():
            raise StoreFailed(
                f"expected a database of this package in {str(path)!r}, got another kind of file"
            )
        return
    pages, version, application_id = (
        int.from_bytes(header[at : at + 4], "big") for at in (28, 60, 68)
    )
    has_log = companion(path, "-wal").exists()
    # Our own database has no application id yet while its first transaction is only in the log.
    if application_id != APPLICATION_ID and (application_id or (pages > 1 and not has_log)):
        raise _foreign(str(path))
    if application_id == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StoreTooNew(str(path), SCHEMA_VERSION, version)


def prepare(connection: sqlite3.Connection) -> None:
    """Configure how a database erases removed content; call this before anything is written.

    Removed content is overwritten with zeros, because a workload may have had secrets in its
    environment, and not every build of SQLite does so by default. A new database can return free
    pages to the file system; a database of an earlier version keeps them for later rows.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if not pages:  # on an existing database, this would be a write
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA secure_delete = ON")


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements; a statement that creates a trigger contains semicolons."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if part.strip() and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _foreign(path: str) -> StoreFailed:
    return StoreFailed(
        f"expected a database of this package in {path!r}, got another application's"
    )


def check_schema(connection: sqlite3.Connection, path: str) -> int:
    """Return the schema version of a database; 0 for an empty one.

    Raises:
        StoreTooNew: A later version of this package has written the database.
        StoreFailed: Another application has written it.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version < 0 or (application_id != APPLICATION_ID and (tables or application_id or version)):
        raise _foreign(path)
    if version > SCHEMA_VERSION:
        raise StoreTooNew(path, SCHEMA_VERSION, version)
    return int(version)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Migrate a database to the current schema in one transaction.

    Raises:
        StoreTooNew, StoreFailed: See `check_schema`.
    """
    version = check_schema(connection, path)
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        while version != SCHEMA_VERSION:
            version, script = MIGRATIONS[version]
            for statement in _statements(script):
                connection.execute(statement)
        # A pragma takes no parameters; both are numbers of this module.
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
