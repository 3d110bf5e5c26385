"""What SQLite and the system report, as errors of a store."""

import errno
import sqlite3
from pathlib import Path

from kakuri_registry._errors import StoreError, StoreFailed, StoreFull, StoreLocked


class Damaged(sqlite3.DatabaseError):
    """The database contradicts itself in a way that SQLite did not see."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Return an error of SQLite as one of the store at `path`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"the disk is full: can't write {str(path)!r}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(f"another process has {str(path)!r} open")
    return StoreFailed(f"the store {str(path)!r} failed: {error}")


def of_the_system(error: OSError, what: str) -> StoreError:
    """Return an error of the system as one of a store; `what` could not be done."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{what}: the disk is full")
    where = "" if error.filename is None else f" ({error.filename})"
    return StoreFailed(f"{what}: {error.strerror or error}{where}")


def tells_of_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that the database is damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
