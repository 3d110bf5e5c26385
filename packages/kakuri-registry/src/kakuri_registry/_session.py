"""The session id of the latest run, and a new store id for a database that was restored or copied.

Readers of events continue after an index, and name the store that the index belongs to. The history
of a restored database differs from that of the one it replaces, so it needs a new store id. But the
content of a database does not show that it was restored. So each run also writes an id outside the
database:

1. When the store is loaded, 8 random bytes are written to its lock file. The session id is these
   bytes combined with the time of this write (ctime), which programs can't set. So a copy of the
   lock file has another session id.
2. The session id is written to the database.
3. When the store is closed, both steps are repeated, so that a snapshot that was taken during the
   run is recognized, too.

If the session ids of the database and the lock file differ when the store is loaded, the database
gets a new store id, which is stored in step 2. This also happens after a crash between the steps,
or on a full disk. Readers then list everything once more, which is harmless.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kakuri_registry._write_ahead_log import truncate_log

MARK_BYTES = 8

SESSION_MASK = (1 << 62) - 1
"""SQLite's integers are signed and have 64 bits; times in nanoseconds have 61 until 2043."""


def begin_session(
    connection: sqlite3.Connection, lock: int, store_id: str | None
) -> tuple[str, bool]:
    """Begin a run: write a new session id to the lock file and the database, and truncate the log.

    Args:
        connection: The database.
        lock: A descriptor of its lock file.
        store_id: The id in the database; None if it has no valid one.

    Returns:
        The id of the store, and whether the log was truncated. On a full disk, step 2 or the
        truncation may fail. The log then still belongs to the database, and the next run replaces a
        new store id that could not be stored.

    Raises:
        sqlite3.Error: The database can't be read, or can't be written for a reason other than
            space.
        OSError: The lock file can't be read, or can't be written for a reason other than space.
    """
    (session,) = connection.execute("SELECT session FROM registry").fetchone()
    if store_id is None or session is None or session != _session_of(lock):
        store_id = os.urandom(16).hex()  # `secrets` loads OpenSSL
    with suppress(sqlite3.OperationalError):
        return store_id, _mark(connection, lock, store_id)
    return store_id, False


def end_session(connection: sqlite3.Connection, lock: int, store_id: str) -> None:
    """Write a new session id, which no snapshot of the run has, to the lock file and the database.

    Args:
        connection: The database, before it is closed.
        lock: A descriptor of its lock file.
        store_id: The id of the store.
    """
    with suppress(sqlite3.Error, OSError):
        # If the log had two new session ids, it would no longer belong to its database.
        if truncate_log(connection):
            _mark(connection, lock, store_id)
        else:
            _erase(lock)


def _mark(connection: sqlite3.Connection, lock: int, store_id: str) -> bool:
    """Write a new session id to the lock file, then to the database; truncate the log."""
    random = os.urandom(MARK_BYTES)
    with _erased_if_disk_is_full(lock):
        os.pwrite(lock, random, 0)
    session = _session_of(lock)
    if session is None:
        session = int.from_bytes(random) & SESSION_MASK
    try:
        connection.execute(
            "UPDATE registry SET replaced = session, session = ?, identity = ?", (session, store_id)
        )
    finally:
        # After the database is marked, to keep the time between the two writes short; and before
        # the run continues, because otherwise a power failure could restore the earlier session id.
        with _erased_if_disk_is_full(lock):
            os.fsync(lock)
    return truncate_log(connection)


@contextmanager
def _erased_if_disk_is_full(lock: int) -> Iterator[None]:
    """If the disk is full, remove all session ids from the lock file, including the earlier one."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _erase(lock)


def _erase(lock: int) -> None:
    """Remove the session id from the lock file, which needs no disk space."""
    os.ftruncate(lock, 0)
    os.fsync(lock)


def _session_of(lock: int) -> int | None:
    """Return the session id of a lock file; None if it has none."""
    random = os.pread(lock, MARK_BYTES, 0)
    if len(random) < MARK_BYTES:
        return None
    return (int.from_bytes(random) ^ os.fstat(lock).st_ctime_ns) & SESSION_MASK
