"""Translates errors of SQLite and of the system to errors of a store."""

import errno
import os
import sqlite3
from pathlib import Path

from kakuri_registry._directory import companion
from kakuri_registry._errors import StoreError, StoreFailed, StoreFull, StoreLocked

_WRITE_PROBE_BYTES = 1 << 20
"""Size of the file whose allocation shows why a write failed."""

_WRITE_ERRORS = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC)
_DISK_ERRORS = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)


class Damaged(sqlite3.DatabaseError):
    """The database is inconsistent in a way that SQLite does not detect."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def damaged_schema(error: UnicodeDecodeError) -> Damaged:
    """Return the error for a message of SQLite that the sqlite3 module can't decode.

    Such a message quotes the damaged name of a table or an index.
    """
    return Damaged(f"the schema has text that is not valid UTF-8: {error.object!r:.200}")


def translate_sqlite_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the StoreError for an error of SQLite; `path` is the database.

    After a failed write, an unnamed file in the same directory is allocated to find the reason.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"the disk is full: can't write {str(path)!r}")
    if getattr(error, "sqlite_errorcode", 0) in _WRITE_ERRORS:
        reason = _write_error(path)
        if reason is not None:
            return translate_os_error(reason, f"can't write {str(path)!r}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(f"another process has {str(path)!r} open")
    if str(error).startswith("no such "):  # a table or a column
        return StoreFailed(f"the tables of the store {str(path)!r} are damaged: {error}")
    return StoreFailed(f"the store {str(path)!r} failed: {error}")


def _write_error(path: Path) -> OSError | None:
    """Return why the files of a database can't grow now, or None if they can.

    SQLite reports an exceeded quota, the file size limit or a read-only file system as an
    unspecified I/O error. The probe is allocated beyond the size of the largest file of the store,
    so that the file size limit (RLIMIT_FSIZE) applies to it.
    """
    try:
        files = (path, companion(path, "-wal"))
        size = max((each.stat().st_size for each in files if each.exists()), default=0)
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(descriptor, size, _WRITE_PROBE_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _DISK_ERRORS:  # not all file systems have unnamed files
            return OSError(error.errno, error.strerror)  # without the name of the directory
    return None


def translate_os_error(error: OSError, what: str) -> StoreError:
    """Return the StoreError for a system error; `what` says which operation failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{what}: the disk is full")
    where = "" if error.filename is None else f" ({error.filename})"
    if error.errno == errno.EFBIG:
        return StoreFailed(f"{what}: the file size limit (ulimit -f) is reached{where}")
    return StoreFailed(f"{what}: {error.strerror or error}{where}")


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that the database is damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
