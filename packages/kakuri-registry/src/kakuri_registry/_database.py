"""Opening the database of a store, and freeing its pages."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from kakuri_registry._directory import companion, open_file, sync_directory
from kakuri_registry._schema import check_schema, migrate, prepare
from kakuri_registry._sqlite_errors import damaged_schema
from kakuri_registry._store import StoreProblem
from kakuri_registry._write_ahead_log import check_log, log_problem, read_logged_pages


def open_database(path: Path, log_bytes: int) -> tuple[sqlite3.Connection, StoreProblem | None]:
    """Open or create a database: check its log, checkpoint, and migrate it.

    The connection does not checkpoint automatically. The caller holds the store's lock.

    Args:
        path: The database.
        log_bytes: Size in bytes that the log's file keeps: SQLite truncates a longer file to this
            size when it begins to overwrite it.

    Returns:
        The connection; and a problem if the database of an earlier run is missing or SQLite dropped
        pages of the log, otherwise None.

    Raises:
        StoreError: The log or the database belongs to another run, version or application.
        sqlite3.Error: The database is damaged or can't be written.
        OSError: The system failed.
    """
    # SQLite creates the log with the mode of the database.
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        os.fchmod(descriptor, 0o600)
        is_empty = os.fstat(descriptor).st_size == 0
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
    check_log(path)
    logged = read_logged_pages(path)
    complete = logged.number
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        # Set before journal_mode, so that the log needs no shared memory, whose file could not
        # grow.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        prepare(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # A pragma accepts no parameters; the format `d` ensures that this is a number.
        connection.execute(f"PRAGMA journal_size_limit = {log_bytes:d}")
        connection.execute("PRAGMA temp_store = MEMORY")
        # The store itself checkpoints, because it has to know when a log begins.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # Before the checkpoint, which would change the database of another application or version.
        check_schema(connection, str(path))
        with suppress(sqlite3.OperationalError):  # not possible on a full disk
            (_, complete, _) = connection.execute("PRAGMA wal_checkpoint").fetchone()
        migrate(connection, str(path))
    except UnicodeDecodeError as error:
        connection.close()
        raise damaged_schema(error) from error
    except BaseException:
        connection.close()
        raise
    if is_empty and companion(path, ".lock").stat().st_size:  # it has the latest run's session id
        return connection, StoreProblem(f"the database {str(path)!r} was deleted or emptied")
    return connection, log_problem(logged, complete)


def free_pages(connection: sqlite3.Connection, number: int) -> bool:
    """Return at most this number of free pages to the file system.

    Returns:
        Whether there are more.

    Raises:
        sqlite3.Error: The database can't be written.
    """
    (before,) = connection.execute("PRAGMA freelist_count").fetchone()
    # Fetching a row of the result frees one page, so fetch all of them.
    connection.execute(f"PRAGMA incremental_vacuum({number:d})").fetchall()
    (after,) = connection.execute("PRAGMA freelist_count").fetchone()
    return 0 < int(after) < int(before)
