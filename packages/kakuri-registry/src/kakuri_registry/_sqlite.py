"""The durable store: a SQLite database whose write-ahead log is synced at every commit.

When `write` returns, its changes survive a crash of the process or the machine: SQLite appends each
transaction to the log and syncs it (journal_mode WAL, synchronous FULL), and ignores an incomplete
transaction at the end of the log. Only one process at a time has the database open.

The registrations of a write are stored as one row by one statement; their own rows follow with the
next changes (see `_accepted`). Other changes are written by one statement for up to 128 workloads,
because at each statement the thread releases the GIL, and has to wait for a busy event loop to get
it back.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from kakuri_registry._accepted import AcceptedRegistrations
from kakuri_registry._arguments import check_count
from kakuri_registry._change import Change
from kakuri_registry._database import free_pages, open_database
from kakuri_registry._directory import check_files, companion, lock_store
from kakuri_registry._errors import StoreFailed, StoreFull
from kakuri_registry._inherited import Inheritable
from kakuri_registry._loading import read_all
from kakuri_registry._recovery import complete_recovery, recover, text_or_bytes
from kakuri_registry._schema import refuse_foreign
from kakuri_registry._session import begin_session, end_session
from kakuri_registry._space_reserve import SpaceReserve
from kakuri_registry._sqlite_errors import is_damage, translate_os_error, translate_sqlite_error
from kakuri_registry._statements import (
    COMPACT,
    DROP_TOMBSTONES,
    SELECT_REMOVED_LOG,
    SET_ASIDE_ACCEPTED,
    SET_VERSION,
)
from kakuri_registry._store import VERSION_GAP, Failpoint, Loaded, StoreProblem, no_failpoint
from kakuri_registry._store_files import StoreFiles
from kakuri_registry._transactions import Acceptance, Transaction
from kakuri_registry._write_ahead_log import LogLimit, restart_log, truncate_log

PAGE = 4096
"""Size of a database page in bytes."""

MAX_LOG_PAGES = 1000
"""Number of pages in the log before a checkpoint, as recommended by SQLite: 4 MiB."""

RESERVE_BYTES = 8 << 20
"""Disk space reserved for when the disk is full: the database can grow by the size of the whole
log, twice. New workloads are only accepted while the same amount of space is free."""

SMALL_TRANSACTION = 16
"""Maximum number of workloads in a transaction on a full disk; each may need several pages."""

PAGES_PER_TIDY = 1024
"""Number of pages freed at a time: 4 MiB, so that a write waits for a few milliseconds at most."""

STORE_FAILPOINTS = ("store.before-write", "store.before-commit", "store.after-commit")
"""The failpoints of a SQLiteStore, in every transaction."""


class SQLiteStore(Inheritable):
    """Stores workloads in a SQLite database that only this user can read.

    One thread may close a store while another one writes to it. If the process forks, the store is
    closed in the child, and remains open in the parent.

    Example:
        with closing(SQLiteStore("/var/lib/example/workloads.db")) as store:
            registry = WorkloadRegistry.load(store.load())
            async with StoreWriter(registry, store) as writer:
                ...
    """

    is_nonblocking = False
    keeps_workloads = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        reserve: int = RESERVE_BYTES,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        """Open or create the database; recover it if it is damaged, and migrate an old one.

        Args:
            path: The database. The other files of the store have the same name with a suffix. The
                directory is created if it does not exist. `:memory:` and URIs have no special
                meaning here, they are file names; for a store without a file, use `MemoryStore`.
            reserve: Bytes of disk space to reserve for stopping and removing workloads while the
                disk is full; 0 for none.
            failpoint: Called at each of `STORE_FAILPOINTS`, for crash tests.

        Raises:
            StoreLocked: Another process has the store open.
            StoreMismatch: The log next to the database belongs to another run.
            StoreTooNew: A later version of this package has written the database.
            StoreFull: There is no room to create it.
            StoreFailed: Other users can write to the directory, the database belongs to another
                application, or the system failed.
            TypeError: An argument has the wrong type.
            ValueError: The reserve is negative.
        """
        super().__init__()
        check_count(reserve, "reserve")
        self._path, self._failpoint = Path(path).absolute(), failpoint
        self._problems: list[StoreProblem] = []
        self._store_id: str | None = None  # set when the store is loaded
        self._is_log_new = False  # it is empty, and the first transaction has to mark it
        # At most half the reserve, for a checkpoint on a full disk.
        pages = min(MAX_LOG_PAGES, reserve // 2 // PAGE) or MAX_LOG_PAGES
        self._log_limit = LogLimit(self._path, pages, PAGE)
        self._accepted = AcceptedRegistrations()
        self._files = StoreFiles(self._path, self._log_limit.size)
        try:
            check_files(self._path)
            refuse_foreign(self._path)
            self._lock = lock_store(self._path)
            self._reserve = SpaceReserve(companion(self._path, ".reserve"), reserve)
            complete_recovery(self._path)
            try:
                self._open()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self._recover(error)
            self._reserve.try_ensure_room()
        except sqlite3.Error as error:
            self.close()
            raise translate_sqlite_error(error, self._path) from error
        except OSError as error:
            self.close()
            raise translate_os_error(error, f"can't open the store {str(path)!r}") from error
        except BaseException:
            self.close()
            raise

    @property
    def has_reserve(self) -> bool | None:
        """Whether space is reserved for a full disk; None if the store has no reserve."""
        return self._reserve.is_allocated

    def load(self) -> Loaded:
        """Return everything in the store; `problems` lists workloads that can't be loaded.

        The version is that of the latest change plus `VERSION_GAP`.

        Raises:
            StoreError: The database can't be read or recovered.
        """
        with self._mutex:
            return self._read()

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes, at most one for each workload; they are on disk when this returns.

        Raises:
            StoreFull: There is no room. Changes of known workloads only fail if the reserve is used
                up as well.
            StoreFailed: The database can't be written, or is closed.
        """
        with self._mutex:
            self._write(changes)

    def check_room(self) -> None:
        """Check that the store would accept a new workload; see `Store.check_room`."""
        with self._mutex:
            self._opened()
            self._files.check()
            self._reserve.notice_deletion()
            self._reserve.ensure_room()

    def compact(self, index: int) -> None:
        """Delete all events up to an index.

        Raises:
            StoreFull: There is no room.
            StoreFailed: The database can't be written, or is closed.
        """
        with self._mutex, self._transaction(index) as connection:
            for statement in COMPACT:
                connection.execute(statement, (index,))

    def drop_tombstones(self, oldest: int) -> None:
        """Delete tombstones older than the oldest one to keep, which has this version.

        Raises:
            StoreFull: There is no room.
            StoreFailed: The database can't be written, or is closed.
        """
        with self._mutex, self._transaction(oldest) as connection:
            connection.execute(DROP_TOMBSTONES, (oldest,))

    def removed_log(self, version: int) -> bytes | None:
        """Return the end of the log that was stored with a tombstone; None if there is none.

        Raises:
            StoreFailed: The database can't be read, or is closed.
        """
        with self._mutex, self._translated() as connection:
            row = connection.execute(SELECT_REMOVED_LOG, (version,)).fetchone()
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def tidy(self) -> bool:
        """Return some free pages to the file system, and truncate the log.

        Neither file then contains data of removed workloads. Has no effect while the disk is full.

        Returns:
            Whether there are more free pages.

        Raises:
            StoreFull: There is no room.
            StoreFailed: The database can't be written, or is closed.
        """
        with self._mutex:
            if self._reserve.is_released:
                return False
            with self._translated() as connection:
                has_more = free_pages(connection, PAGES_PER_TIDY)
            self._checkpoint(truncate_log)
            return has_more

    def close(self) -> None:
        """Close the database and unlock the store. Closing again has no effect."""
        with self._mutex:
            connection, store_id = self._connection, self._store_id
            if connection is not None and store_id is not None and self._files.prepare_close():
                end_session(connection, self._lock, store_id)
            self._close_database()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def __repr__(self) -> str:
        return f"<SQLiteStore {str(self._path)!r} {'closed' if self._lock < 0 else 'open'}>"

    def _open(self) -> sqlite3.Connection:
        self._connection, problem = open_database(self._path, self._log_limit.size)
        if problem is not None:
            self._problems.append(problem)
        return self._connection

    def _recover(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Replace the damaged database, and open the new one."""
        self._close_database()
        try:
            damaged, count = recover(self._path)
        except OSError as failure:
            raise translate_os_error(failure, f"can't replace {str(self._path)!r}") from failure
        self._problems.append(
            StoreProblem(
                f"the database was damaged ({error}) and is kept as {str(damaged)!r}; "
                f"{count} workloads were recovered"
            )
        )
        return self._open()

    def _close_database(self) -> None:
        self._log_limit.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> Loaded:
        connection = self._opened()
        is_recovered = False
        try:
            while True:
                try:
                    return self._read_all(connection)
                except sqlite3.Error as error:
                    if is_damage(error) and not is_recovered:
                        connection, is_recovered = self._recover(error), True
                    elif (
                        # The sqlite3 module raises those without a code: text is not UTF-8.
                        getattr(error, "sqlite_errorcode", None) is not None
                        or connection.text_factory is text_or_bytes
                    ):
                        raise
                connection.text_factory = text_or_bytes  # slower
        except sqlite3.Error as error:
            raise translate_sqlite_error(error, self._path) from error
        except OSError as error:
            raise translate_os_error(error, f"can't load the store {str(self._path)!r}") from error

    def _read_all(self, connection: sqlite3.Connection) -> Loaded:
        problems = list(self._problems)
        loaded, accepted, unreadable = read_all(connection, problems)
        self._accepted.load(accepted)
        version = loaded.version + VERSION_GAP
        try:
            connection.execute(SET_VERSION[False], (version,))
            connection.executemany(SET_ASIDE_ACCEPTED, [(number,) for number in unreadable])
        except sqlite3.OperationalError as error:
            # On a full disk, running workloads still have to be managed.
            message = f"the versions of this run may be used again: {error}"
            problems.append(StoreProblem(message, is_damage=False))
        # Not earlier, because a damaged database must not be changed.
        store_id, self._is_log_new = begin_session(connection, self._lock, loaded.store_id)
        self._store_id = store_id
        self._files.record()
        return replace(loaded, version=version, problems=tuple(problems), store_id=store_id)

    def _write(self, changes: Sequence[Change]) -> None:
        self._files.check()
        if any(change.is_registration for change in changes):
            self._reserve.ensure_room()
            if self._accepted.can_add(changes):
                self._transact(Acceptance(changes))
                return
            if any(change.tombstone is not None for change in changes):
                self._write_known([each for each in changes if not each.is_registration])
                changes = [each for each in changes if each.is_registration]
            # All or none, because they may be withdrawn.
            self._transact(self._accepted.transaction(changes))
            return
        if self._reserve.is_released and not self._reserve.try_ensure_room():
            self._write_in_parts(changes)
            return
        try:
            self._write_known(changes)
        except StoreFull:
            self._reserve.release()
            self._write_in_parts(changes)

    def _write_known(self, changes: Sequence[Change]) -> None:
        for transaction in self._accepted.transactions(changes):
            self._transact(transaction)

    def _write_in_parts(self, changes: Sequence[Change]) -> None:
        """Write on a full disk, with a checkpoint before each part so that the reserve lasts.

        Tombstones are not written, so that a removal needs no more room than a row.
        """
        changes = [change._replace(tombstone=None) for change in changes]
        for transaction in self._accepted.small_transactions(changes, SMALL_TRANSACTION):
            self._checkpoint(truncate_log)
            self._transact(transaction)

    def _transact(self, transaction: Transaction | Acceptance) -> None:
        self._failpoint("store.before-write")
        if self._is_log_new or not transaction.is_one_statement:
            with self._transaction(transaction.version) as connection:
                transaction.write(connection)
        else:
            # A single statement is a transaction by itself, and releases the GIL only once.
            with self._translated() as connection:
                self._failpoint("store.before-commit")
                transaction.write(connection)
        self._accepted.committed(transaction)
        self._failpoint("store.after-commit")
        if self._log_limit.is_reached():
            self._checkpoint(restart_log)

    @contextmanager
    def _transaction(self, version: int) -> Iterator[sqlite3.Connection]:
        """Commit everything written inside the `with` block, together with the latest version."""
        with self._translated() as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = connection.total_changes
            try:
                yield connection
                has_changed = connection.total_changes > before
                if has_changed:
                    connection.execute(SET_VERSION[self._is_log_new], (version,))
                self._failpoint("store.before-commit")
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise
            self._is_log_new &= not has_changed

    @contextmanager
    def _translated(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, and translate errors of SQLite."""
        connection = self._opened()
        try:
            yield connection
        except sqlite3.Error as error:
            raise translate_sqlite_error(error, self._path) from error

    def _checkpoint(self, write: Callable[[sqlite3.Connection], bool]) -> None:
        """Checkpoint the log, if there is room and no other program has changed the files."""
        with self._files.checkpointing() as is_safe:
            if is_safe and write(self._opened()):
                self._is_log_new = True
                self._log_limit.begin_log()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreFailed(f"the store {str(self._path)!r} is closed")
        return self._connection
