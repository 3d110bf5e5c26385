"""Whether another program has changed the files of an open store.

SQLite writes to the files that it has opened. If another program deletes or replaces one of them,
SQLite continues to report success, and every later change is lost when the process ends. If one is
overwritten, as by `cp` from a backup, the database becomes a mixture of both.

The store itself changes the database only in a checkpoint. If its size or time of modification
changes at any other time, another program has changed it.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from kakuri_registry._directory import companion
from kakuri_registry._errors import StoreFailed
from kakuri_registry._sqlite_errors import translate_os_error

CHECK_SECONDS = 1.0
"""Minimum time between two checks. A check takes about a tenth of the time of a write."""

LOG_MAGIC = bytes.fromhex("377f06")
"""The beginning of a log. Source: SQLite, "WAL-mode File Format"."""

_Inode: TypeAlias = tuple[int, int]


class StoreFiles:
    """Checks that a database and its log are the files that the store has open.

    Args:
        path: The database.
        log_bytes: Bytes to which SQLite may truncate the log.
    """

    def __init__(self, path: Path, log_bytes: int) -> None:
        self._path, self._log = path, companion(path, "-wal")
        self._log_bytes = log_bytes
        self._inodes: tuple[_Inode, _Inode] | None = None
        self._written = (0, 0)  # size and time of modification of the database
        self._log_size = 0
        self._checked_at = 0.0

    def record(self) -> None:
        """Record which files the store has open. Until then, no check fails.

        Raises:
            OSError: The system does not report them.
        """
        self._inodes = _inode(self._path.stat()), _inode(self._log.stat())
        self._record_contents()

    def check(self) -> None:
        """Check the files, unless that was done in the last `CHECK_SECONDS`.

        Raises:
            StoreFailed: One was deleted, replaced or changed by another program.
        """
        now = time.monotonic()
        if now >= self._checked_at + CHECK_SECONDS:
            self._check()
            self._checked_at = now

    @contextmanager
    def checkpointing(self) -> Iterator[bool]:
        """Yield whether a checkpoint is safe: only if the files are unchanged.

        Then record the files as the checkpoint has left them.
        """
        are_unchanged = self._are_unchanged()
        yield are_unchanged
        if are_unchanged:
            with suppress(OSError):  # the next check reports it
                self._record_contents()

    def prepare_close(self) -> bool:
        """Prevent SQLite from writing the log to an overwritten database when it closes.

        Returns:
            Whether the files are unchanged.
        """
        if self._are_unchanged():
            return True
        with suppress(OSError):
            self._detach()
        return False

    def _are_unchanged(self) -> bool:
        with suppress(StoreFailed):
            self._check()
            return True
        return False

    def _record_contents(self) -> None:
        database, log = self._path.stat(), self._log.stat()
        if (_inode(database), _inode(log)) == self._inodes:
            self._written = database.st_size, database.st_mtime_ns
            self._log_size = log.st_size

    def _check(self) -> None:
        if self._inodes is None:
            return
        try:
            database, log = self._path.stat(), self._log.stat()
            with self._log.open("rb") as file:
                header = file.read(len(LOG_MAGIC))
        except FileNotFoundError as error:
            raise _changed(error.filename, "deleted") from error
        except OSError as error:
            raise translate_os_error(error, f"can't check {str(self._path)!r}") from error
        if _inode(database) != self._inodes[0]:
            raise _changed(self._path, "replaced")
        if _inode(log) != self._inodes[1]:
            raise _changed(self._log, "replaced")
        is_shorter = log.st_size < min(self._log_size, self._log_bytes)
        # A truncated log to which SQLite has written since is long again, but has no header.
        if is_shorter or (log.st_size and header != LOG_MAGIC):
            raise _changed(self._log, "truncated")
        if (database.st_size, database.st_mtime_ns) != self._written:
            raise _changed(self._path, "overwritten")
        self._log_size = log.st_size

    def _detach(self) -> None:
        """Replace an overwritten database by a copy, which SQLite does not have open."""
        status = self._path.stat()
        is_overwritten = (status.st_size, status.st_mtime_ns) != self._written
        if self._inodes is not None and _inode(status) == self._inodes[0] and is_overwritten:
            copy = companion(self._path, ".copy")
            shutil.copy2(self._path, copy)
            copy.replace(self._path)


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino


def _changed(path: str | Path, how: str) -> StoreFailed:
    return StoreFailed(
        f"another program has {how} {str(path)!r} while the store was open: no change is "
        "stored until the file is back or the store is opened again"
    )
