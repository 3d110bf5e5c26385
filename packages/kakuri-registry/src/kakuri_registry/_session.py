"""Whether a log and a database belong together.

SQLite applies to a database whatever log lies beside it. If an operator puts a backup beside the
log of a later run, the result is neither of the two: pages of both, merged. So each run marks the
database:

1. At its start it gives the database a random session, and writes down which one it replaces.
   Then it brings the log into the database and empties it: the file has the session now.
2. The first transaction in each log after that writes the row again, without the session that it
   replaced.

After a crash the session in the file is therefore the one in the log, or the log has nothing but
the replacement of it. Anything else is a log of another run.
"""

import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeAlias

from kakuri_registry._errors import StoreMismatch
from kakuri_registry._recovery import beside

_Marks: TypeAlias = tuple[int | None, int | None]

SESSION_BITS = 62
"""SQLite's integers have 64 bits, with a sign."""


def check_log(path: Path) -> None:
    """Check that the log beside a database is its own, without changing either.

    A log that is empty, or a database that was never marked, passes. No other process may have
    the database open.

    Raises:
        StoreMismatch: the log is that of another run.

    """
    log = beside(path, "-wal")
    if not log.exists() or log.stat().st_size == 0:
        return
    try:
        in_file = _marks(path, "immutable=1")  # which does not look at the log
        in_log = _marks(path, "mode=ro")  # which does not end with bringing it into the database
    finally:
        beside(path, "-shm").unlink(missing_ok=True)
    if in_file is None or in_log is None or in_file[0] is None:
        return
    if in_file[0] not in in_log:
        raise StoreMismatch(str(path), str(log))


def begin_session(connection: sqlite3.Connection) -> bool:
    """Mark a database as that of a new run, and empty its log.

    Returns whether that succeeded: without room on the disk it may not, and the marks then stay
    such that the log still belongs to the database. Raises sqlite3.Error for other faults.
    """
    with suppress(sqlite3.OperationalError):
        session = secrets.randbits(SESSION_BITS)
        connection.execute("UPDATE registry SET replaced = session, session = ?", (session,))
        return empty_log(connection)
    return False


def empty_log(connection: sqlite3.Connection) -> bool:
    """Bring the log into the database and empty it, if there is room; return whether it is."""
    with suppress(sqlite3.Error):
        (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy
    return False


def _marks(path: Path, how: str) -> _Marks | None:
    """Return a database's session and the one that it replaced; None if they can't be read."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as connection,
    ):
        row = connection.execute("SELECT session, replaced FROM registry").fetchone()
        return None if row is None else (row[0], row[1])
    return None
