"""The durable store: one SQLite database, written ahead and synchronized at every commit.

What `write` has returned for survives the process and the machine: SQLite appends a transaction to
the write-ahead log and has the disk confirm it (journal_mode WAL, synchronous FULL); a log that
ends in the middle of a transaction ends before it. One process has the database at a time.

A batch is one statement for up to 128 workloads, not one for each: the thread gives up the
interpreter's lock with each statement, and has to get it back from a busy event loop.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kakuri_registry._change_log import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import StoreFailed, StoreFull
from kakuri_registry._folder import check_files, locked, open_file, open_private_folder
from kakuri_registry._history import History
from kakuri_registry._recovery import (
    WAL_FRAME_HEADER,
    beside,
    finish,
    logged_pages,
    recover,
    synchronize,
    text_or_bytes,
)
from kakuri_registry._rows import BadRow, Cell, RowReader, row_of, short
from kakuri_registry._schema import migrate, prepare, refuse_foreign
from kakuri_registry._session import begin_session, check_log, empty_log
from kakuri_registry._space_reserve import SpaceReserve
from kakuri_registry._sqlite_errors import Damaged, of_the_system, tells_of_damage, translated
from kakuri_registry._statements import (
    CHUNKS,
    DELETE,
    PUT,
    SELECT,
    SET_VERSION,
    in_chunks,
    is_large,
)
from kakuri_registry._store import Failpoint, Loaded, StoreProblem, no_failpoint

PAGE = 4096

MAX_LOG_PAGES = 1000
"""What SQLite recommends: 4 MiB."""

RESERVE_BYTES = 8 << 20
"""Kept back for a full disk: the database may grow by the whole log, and then there is as much
again. New workloads are taken only while this much more is free."""

SMALL_STEP = 16
"""Workloads in a transaction on a full disk: each may need some pages of 4 KiB."""

LARGE_STEP = 1024
"""Workloads in a transaction otherwise, if none is new: the log is not to outgrow the reserve."""

PAGES_PER_TIDY = 1024
"""Pages given back at a time: 4 MiB, so that a write waits for some milliseconds at most."""

VERSION_GAP = 1 << 20
"""How far the versions of one run begin behind those of the run before.

Readers may have seen versions that never came to the disk; none is given out a second time.
"""

STORE_FAILPOINTS = ("store.before-write", "store.before-commit", "store.after-commit")
"""What `failpoint` of a SQLiteStore is called with, in every transaction."""


class SQLiteStore:
    """Keeps workloads in a database at `path`, which is made if it is not there.

    Only this user can read it. A folder that others may write to is refused, and so is a file of
    the store that is not a regular file of this user. `reserve` is the room in bytes that is kept
    back for stopping and removing on a full disk. `failpoint` is called with the name of each step
    (STORE_FAILPOINTS), so that a test can end the process there.

    Raises StoreLocked if another process has it open, StoreTooNew if a later version has written
    it, StoreFull if there is no room to make it, and StoreFailed for other faults.
    """

    is_nonblocking = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        reserve: int = RESERVE_BYTES,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._path = Path(path)
        self._failpoint = failpoint
        self._problems: list[StoreProblem] = []
        self._connection: sqlite3.Connection | None = None
        self._lock = -1
        self._is_log_new = False  # it is empty, and has no mark of this run yet
        self._reserved = reserve
        self._one_at_a_time = threading.Lock()  # a store may be closed while a thread writes
        try:
            self._check_folder()
            refuse_foreign(self._path)
            self._lock = locked(self._path)
            self._reserve = SpaceReserve(beside(self._path, ".reserve"), reserve)
            finish(self._path)
            try:
                self._connection = self._opened()
            except sqlite3.Error as error:
                if not tells_of_damage(error):
                    raise
                self._recover(error)
            self._reserve.has_room()
        except sqlite3.Error as error:
            self.close()
            raise translated(error, self._path) from error
        except OSError as error:
            self.close()
            raise of_the_system(error, f"can't open the store {str(path)!r}") from error
        except BaseException:
            self.close()
            raise

    def load(self) -> Loaded:
        """Give everything that is kept; what can't be read is among the problems.

        Its version is far beyond that of the latest change, see VERSION_GAP.
        """
        with self._one_at_a_time:
            return self._read()

    def write(self, changes: Sequence[Change]) -> None:
        """Keep some changes on the disk, at most one of each workload.

        Raises StoreFull if there is no room: for changes of workloads that are there already only
        when the reserve is used up too.
        """
        with self._one_at_a_time:
            self._write(changes)

    def tidy(self) -> bool:
        """Return some free pages to the file system, and empty the log.

        Removed workloads then have left both files. Returns whether there is more to do; nothing
        is done while the disk is full. Raises StoreFull and StoreFailed.
        """
        with self._one_at_a_time:
            if self._reserve.is_released:
                return False
            connection = self._present()
            try:
                (before,) = connection.execute("PRAGMA freelist_count").fetchone()
                # Each step of the statement frees one page, so all of them have to be fetched.
                connection.execute(f"PRAGMA incremental_vacuum({PAGES_PER_TIDY})").fetchall()
                (after,) = connection.execute("PRAGMA freelist_count").fetchone()
            except sqlite3.Error as error:
                raise translated(error, self._path) from error
            self._empty_log()
            return 0 < int(after) < int(before)

    def close(self) -> None:
        """Let go of the database; closing twice is no error."""
        with self._one_at_a_time:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def __repr__(self) -> str:
        return f"<SQLiteStore {str(self._path)!r} {'closed' if self._lock < 0 else 'open'}>"

    def _check_folder(self) -> None:
        """Refuse a folder, or a file of the store in it, that another user may have prepared."""
        folder = open_private_folder(self._path.parent)
        try:
            check_files(folder, self._path)
        finally:
            os.close(folder)

    def _opened(self) -> sqlite3.Connection:
        # SQLite gives the log the mode that the database has.
        descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        synchronize(self._path.parent)
        check_log(self._path)
        whole = logged = logged_pages(self._path)
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=0
        )
        try:
            # Exclusive first: then the log needs no shared memory, a file that could not grow.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            prepare(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA temp_store = MEMORY")
            # By `_transact`, which has to know when a log begins.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            migrate(connection, str(self._path))
            with suppress(sqlite3.OperationalError):  # a full disk may forbid it
                (_, whole, _) = connection.execute("PRAGMA wal_checkpoint").fetchone()
        except BaseException:
            connection.close()
            raise
        if whole < logged:
            self._problems.append(
                StoreProblem(
                    f"the log ends in a transaction that is not complete: {logged - whole} of its "
                    f"{logged} pages are dropped"
                )
            )
        return connection

    def _log_pages(self) -> int:
        """Give the pages after which the log is brought into the database: half the reserve."""
        return min(MAX_LOG_PAGES, self._reserved // 2 // PAGE) or MAX_LOG_PAGES

    def _recover(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Go on with a new database that has what can be read of the damaged one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        try:
            aside, count = recover(self._path)
        except OSError as failure:
            raise of_the_system(failure, f"can't replace {str(self._path)!r}") from failure
        self._problems.append(
            StoreProblem(
                f"the database was damaged ({error}) and is kept as {str(aside)!r}; "
                f"{count} workloads could be read"
            )
        )
        self._connection = self._opened()
        return self._connection

    def _read(self) -> Loaded:
        connection = self._present()
        try:
            try:
                return self._loaded(connection)
            except sqlite3.Error as error:
                if tells_of_damage(error):
                    connection = self._recover(error)
                elif getattr(error, "sqlite_errorcode", None) is not None:
                    raise  # what sqlite3 itself finds wrong has no code: text that is no UTF-8
            connection.text_factory = text_or_bytes  # slower
            return self._loaded(connection)
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def _loaded(self, connection: sqlite3.Connection) -> Loaded:
        reader = RowReader()
        entries: list[WorkloadEntry] = []
        histories: dict[str, History] = {}
        problems = list(self._problems)
        (version,) = connection.execute("SELECT version FROM registry").fetchone()
        rows = 0
        for row in connection.execute(SELECT):
            rows += 1
            try:
                change = reader.read(row)
            except BadRow as error:
                workload_id = row[0] if isinstance(row[0], str) else short(row[0])
                problems.append(StoreProblem(f"a workload can't be loaded: {error}", workload_id))
                continue
            assert change.entry is not None
            entries.append(change.entry)
            if change.history:
                histories[change.workload_id] = change.history
            version = max(version, change.version)
        (indexed,) = connection.execute("SELECT count(*) FROM workloads").fetchone()
        if indexed != rows:
            raise Damaged(f"the index has {indexed} workloads, the table {rows}")
        version += VERSION_GAP
        try:
            connection.execute(SET_VERSION[False], (version,))
        except sqlite3.OperationalError as error:
            # On a full disk what runs can still be looked after.
            problems.append(
                StoreProblem(f"the versions of this run may be given out again: {error}")
            )
        self._is_log_new = begin_session(
            connection
        )  # not before: a damaged database stays as it is
        return Loaded(entries, histories, version, tuple(problems))

    def _write(self, changes: Sequence[Change]) -> None:
        if any(change.is_new for change in changes):
            if not self._has_room():
                raise StoreFull("the disk is full: no room is left for new workloads")
            self._transact(changes)  # all or none: they may be withdrawn
            return
        if self._reserve.is_released and not self._has_room():
            self._write_in_steps(changes)
            return
        try:
            for start in range(0, len(changes), LARGE_STEP):
                self._transact(changes[start : start + LARGE_STEP])
        except StoreFull:
            self._reserve.release()
            self._write_in_steps(changes)

    def _write_in_steps(self, changes: Sequence[Change]) -> None:
        """Write on a full disk: each step frees the log again, so that the reserve lasts."""
        for start in range(0, len(changes), SMALL_STEP):
            self._empty_log()
            self._transact(changes[start : start + SMALL_STEP])

    def _transact(self, changes: Sequence[Change]) -> None:
        connection = self._present()
        self._failpoint("store.before-write")
        removed = [(change.workload_id,) for change in changes if change.entry is None]
        rows = [row_of(each) for each in changes if each.entry]
        try:
            if removed or self._is_log_new or len(rows) > CHUNKS[-1] or any(map(is_large, rows)):
                self._transact_in_steps(connection, removed, rows, changes)
            else:
                # One statement is a transaction of its own: the thread gives up the interpreter
                # once, and has to get it back from a busy event loop once.
                self._failpoint("store.before-commit")
                in_chunks(connection, PUT, rows)
        except BaseException as error:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise translated(error, self._path) from error
            raise
        self._failpoint("store.after-commit")
        if self._is_log_long():
            self._empty_log()

    def _transact_in_steps(
        self,
        connection: sqlite3.Connection,
        removed: Sequence[tuple[Cell, ...]],
        rows: Sequence[tuple[Cell, ...]],
        changes: Sequence[Change],
    ) -> None:
        connection.execute("BEGIN IMMEDIATE")
        before = connection.total_changes
        in_chunks(connection, DELETE, removed)
        has_removed = connection.total_changes > before
        in_chunks(connection, PUT, rows)
        begins_log = self._is_log_new and connection.total_changes > before
        # What is put has its version in its row. Nothing is written for nothing.
        if has_removed or begins_log:
            version = max(change.version for change in changes)
            connection.execute(SET_VERSION[begins_log], (version,))
        self._failpoint("store.before-commit")
        connection.execute("COMMIT")
        self._is_log_new &= not begins_log

    def _empty_log(self) -> None:
        """Bring the log into the database, as far as there is room for that."""
        self._is_log_new = empty_log(self._present()) or self._is_log_new

    def _is_log_long(self) -> bool:
        return beside(self._path, "-wal").stat().st_size >= self._log_pages() * (
            PAGE + WAL_FRAME_HEADER
        )

    def _has_room(self) -> bool:
        try:
            return self._reserve.has_room()
        except OSError as error:
            raise of_the_system(error, f"can't keep room beside {str(self._path)!r}") from error

    def _present(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreFailed(f"the store {str(self._path)!r} is closed")
        return self._connection
