"""Checks that a write-ahead log of SQLite belongs to the database next to it.

SQLite applies any log that it finds next to a database. If an operator restores a backup next to
the log of a later run, the result is a mixture of pages from both. So each run marks the database:

1. At its start, it writes a random session id to the database, with the id that it replaces. Then
   it checkpoints and truncates the log, so the database file has the id. At its end, it does the
   same (see `_session`).
2. The first transaction in each later log writes the row again, without the replaced id.

So after a crash, the session id in the database file is also in the log, or the log only has the
transaction that replaces it. Any other log belongs to another run.

A log that has reached its largest size is checkpointed and then overwritten from its beginning. Its
file keeps its length: syncing a file that grows takes twice the time, because the file system also
writes the new length. Before it is overwritten, its salts are erased, so that SQLite
reads it as empty. Otherwise, a power failure between the first overwritten page and the new header
would look like damage, although every page was checkpointed.
"""

import os
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from kakuri_registry._directory import companion, open_file
from kakuri_registry._errors import StoreMismatch
from kakuri_registry._store import StoreProblem

_Marks: TypeAlias = tuple[int | None, int | None]


class LoggedPages(NamedTuple):
    """The pages in a log since its last reset; the last one may be incomplete.

    Attributes:
        number: The number of pages.
        commits: The numbers of the pages that end a transaction, from 1.
        has_damaged_header: Whether SQLite reads the log as empty because its header is not valid.
    """

    number: int
    commits: Sequence[int]
    has_damaged_header: bool = False


LOG_HEADER = 32
FRAME_HEADER = 24
"""Size in bytes of the header of a log, and of the header of each frame."""


NO_COMMIT = bytes(4)
"""Marks a frame that does not end a transaction; otherwise, this is the number of pages in the
database."""

HEADER_SALTS = 16
FRAME_SALTS = 8
"""Position of the salts in the headers of a log and of a frame: eight bytes that differ in each log
of a database."""

ERASED_SALTS = bytes(8)
"""The salts in the header of a log that is to be overwritten."""

_WORD = (1 << 32) - 1


class LogLimit:
    """Checks whether a log has reached its largest size.

    The file may be longer, with the frames of an earlier log at its end. Frames are written in
    order, so the log has reached its last frame once the salts there are no longer those of the
    earlier log.

    Args:
        path: The database; its log has to exist when it is checked.
        pages: Number of pages in a log of the largest size.
        page_size: Size of a page in bytes.

    Attributes:
        size: Size of the largest log in bytes.
    """

    def __init__(self, path: Path, pages: int, page_size: int) -> None:
        self._path = companion(path, "-wal")
        self.size = LOG_HEADER + pages * (FRAME_HEADER + page_size)
        self._position = self.size - page_size - FRAME_HEADER + FRAME_SALTS
        self._earlier = b""  # no frame: an empty log is shorter
        self._file = -1

    def is_reached(self) -> bool:
        """Return whether the log has its largest size. Raises OSError if it can't be read."""
        return self._salts() != self._earlier

    def begin_log(self) -> None:
        """Erase the salts of the checkpointed log, and record that the next write begins a new log.

        Raises:
            OSError: The log can't be read or written.
        """
        self._earlier = self._salts()
        if os.fstat(self._file).st_size:
            os.pwrite(self._file, ERASED_SALTS, HEADER_SALTS)
            os.fdatasync(self._file)

    def close(self) -> None:
        """Close the log's file; the next check reopens it, and expects a new log."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._earlier = -1, b""

    def _salts(self) -> bytes:
        if self._file < 0:
            self._file = open_file(self._path, os.O_RDWR)
        return os.pread(self._file, 8, self._position)


def check_log(path: Path) -> None:
    """Check that the log next to a database belongs to it, without changing either.

    An empty log passes the check, and so does a database that was never marked. An empty database
    with a log fails it, because SQLite would delete the log. No process may have the database open.

    Args:
        path: The database.

    Raises:
        StoreMismatch: The log belongs to another run.
    """
    log = companion(path, "-wal")
    if not log.exists() or log.stat().st_size == 0:
        return
    if path.stat().st_size == 0:
        raise StoreMismatch(str(path), str(log))
    try:
        in_file = _marks(path, "immutable=1")  # ignores the log
        in_log = _marks(path, "mode=ro")  # does not checkpoint when it closes
    finally:
        companion(path, "-shm").unlink(missing_ok=True)
    if in_file is None or in_log is None or in_file[0] is None:
        return
    if in_file[0] not in in_log:
        raise StoreMismatch(str(path), str(log))


def truncate_log(connection: sqlite3.Connection) -> bool:
    """Checkpoint and truncate the log; return whether there was room."""
    return _checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")


def restart_log(connection: sqlite3.Connection) -> bool:
    """Checkpoint the log, so that the next write overwrites it; return whether there was room."""
    return _checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)")


def _checkpoint(connection: sqlite3.Connection, pragma: str) -> bool:
    with suppress(sqlite3.Error):
        (is_busy, _, _) = connection.execute(pragma).fetchone()
        return not is_busy
    return False


def read_logged_pages(path: Path) -> LoggedPages:
    """Return the pages in a database's log since its last reset.

    Source: SQLite, "WAL-mode File Format".
    """
    try:
        log = os.fdopen(open_file(companion(path, "-wal"), os.O_RDONLY), "rb")
    except FileNotFoundError:
        return LoggedPages(0, [])
    with log:
        header = log.read(LOG_HEADER)
        salts = header[HEADER_SALTS : HEADER_SALTS + 8]
        if len(header) < LOG_HEADER or salts == ERASED_SALTS:
            return LoggedPages(0, [])
        if _checksum(header[:-8], header) != header[-8:]:
            return LoggedPages(0, [], has_damaged_header=True)
        length = FRAME_HEADER + int.from_bytes(header[8:12], "big")
        at, number, commits = 0, 0, []
        while len(frame := log.read(FRAME_HEADER)) == FRAME_HEADER:
            at += 1
            # Frames from before the reset have other salts. So can a damaged frame, so the scan
            # continues to the end of the file.
            if frame[FRAME_SALTS : FRAME_SALTS + 8] == salts:
                number = at
                if frame[4:8] != NO_COMMIT:
                    commits.append(at)
            log.seek(LOG_HEADER + at * length)
        return LoggedPages(number, commits)


def count_intact_pages(path: Path) -> int:
    """Return how many pages SQLite would use of a database's log, without opening the database.

    Takes about 0.2 s for a log of the largest size.
    """
    try:
        log = companion(path, "-wal").read_bytes()
    except FileNotFoundError:
        return 0
    header, intact = log[:LOG_HEADER], 0
    if len(header) < LOG_HEADER or _checksum(header[:-8], header) != header[-8:]:
        return 0
    length = FRAME_HEADER + int.from_bytes(header[8:12], "big")
    sums = header[-8:]
    for number, at in enumerate(range(LOG_HEADER, len(log) - length + 1, length), 1):
        frame = log[at : at + length]
        salts = frame[FRAME_SALTS : FRAME_SALTS + 8]
        sums = _checksum(frame[:8] + frame[FRAME_HEADER:], header, sums)
        if salts != header[HEADER_SALTS : HEADER_SALTS + 8] or sums != frame[16:FRAME_HEADER]:
            break
        if frame[4:8] != NO_COMMIT:
            intact = number
    return intact


def log_problem(logged: LoggedPages, complete: int) -> StoreProblem | None:
    """Return a problem if SQLite uses only the first `complete` pages of a log; else None."""
    if logged.has_damaged_header:
        return StoreProblem("the log is damaged: its header is not valid, so it counts as empty")
    if complete >= logged.number:
        return None
    pages = f"{logged.number - complete} of its {logged.number} pages are dropped"
    transactions = sum(each > complete for each in logged.commits)
    if transactions > 1:  # a crash leaves at most one: each begins after the one before it
        return StoreProblem(f"the log is damaged: {pages}, with {transactions} transactions")
    message = f"the log ends in a transaction that is not complete: {pages}"
    return StoreProblem(message, is_damage=False)


def _checksum(data: bytes, header: bytes, sums: bytes = bytes(8)) -> bytes:
    """Add data to the checksum of a log.

    The magic number in the header determines the byte order.
    """
    first, second = struct.unpack(">II", sums)
    order = ">" if header[3] & 1 else "<"
    for even, odd in struct.iter_unpack(f"{order}II", data):  # by position
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return struct.pack(">II", first, second)


def _marks(path: Path, mode: str) -> _Marks | None:
    """Return a database's session id and the one it replaced; None if they can't be read."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as connection,
    ):
        row = connection.execute("SELECT session, replaced FROM registry").fetchone()
        return None if row is None else (row[0], row[1])
    return None
