"""Opening the database of a store."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from kakuri_registry._directory import open_file, sync_directory
from kakuri_registry._schema import migrate, prepare
from kakuri_registry._write_ahead_log import check_log, count_logged_pages


def open_database(path: Path, log_bytes: int) -> tuple[sqlite3.Connection, int, int]:
    """Open a database or create it, check its log, migrate it, and checkpoint.

    The connection never checkpoints by itself. The caller holds the store's lock.

    Args:
        path: The database.
        log_bytes: Bytes that the log's file keeps: SQLite cuts a longer file to this length when it
            begins to overwrite it.

    Returns:
        The connection, the number of pages in the log, and how many of them belong to an
        incomplete transaction at its end and were dropped.

    Raises:
        StoreError: The log or the database belongs to another run, version or application.
        sqlite3.Error: The database is damaged or can't be written.
        OSError: The system failed.
    """
    # SQLite creates the log with the mode of the database.
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
    check_log(path)
    complete = logged = count_logged_pages(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        # Exclusive first: then the log needs no shared memory, whose file could not grow.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        prepare(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # A pragma accepts no parameters; `d` ensures that this is a number.
        connection.execute(f"PRAGMA journal_size_limit = {log_bytes:d}")
        connection.execute("PRAGMA temp_store = MEMORY")
        # The store checkpoints, because it has to know when a log begins.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        migrate(connection, str(path))
        with suppress(sqlite3.OperationalError):  # not possible on a full disk
            (_, complete, _) = connection.execute("PRAGMA wal_checkpoint").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection, logged, max(logged - complete, 0)
