"""Checks a store that no process has open, without changing it."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from kakuri_registry._cells import BadRow
from kakuri_registry._directory import companion, lock_store
from kakuri_registry._errors import StoreFailed
from kakuri_registry._loading import bad_tombstone, bad_workload, load_accepted, load_events
from kakuri_registry._recovery import text_or_bytes
from kakuri_registry._rows import RowReader
from kakuri_registry._schema import SCHEMA_VERSION, refuse_foreign
from kakuri_registry._sqlite_errors import (
    damaged_schema,
    is_damage,
    translate_os_error,
    translate_sqlite_error,
)
from kakuri_registry._statements import SELECT, SELECT_TOMBSTONES
from kakuri_registry._store import StoreProblem
from kakuri_registry._tombstone_rows import read_tombstone
from kakuri_registry._write_ahead_log import (
    check_log,
    count_intact_pages,
    log_problem,
    read_logged_pages,
)

MAX_FAULTS = 20
"""Maximum number of faults of the file to report; one damaged page can have hundreds."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """The result of a check of a store.

    Attributes:
        workloads: Number of workloads that can be loaded.
        problems: The problems that were found.
    """

    workloads: int
    problems: tuple[StoreProblem, ...]


def check_store(path: str | os.PathLike[str]) -> StoreReport:
    """Check that a database is intact, that its log belongs to it, and that its rows are valid.

    Args:
        path: The database of a SQLiteStore.

    Returns:
        The number of workloads and the problems.

    Raises:
        StoreLocked: A process has it open.
        StoreMismatch: The log next to it belongs to another run.
        StoreTooNew: A later version of this package has written it.
        StoreFailed: It does not exist, belongs to another application, or can't be read.
    """
    database = Path(path)
    try:
        return _checked(database)
    except OSError as error:
        raise translate_os_error(error, f"can't check the store {str(database)!r}") from error


def _checked(database: Path) -> StoreReport:
    if not database.is_file():
        raise StoreFailed(f"there is no store at {str(database)!r}")
    refuse_foreign(database)
    lock = lock_store(database)
    had_log = companion(database, "-wal").exists()
    try:
        check_log(database)
        log_fault = log_problem(read_logged_pages(database), count_intact_pages(database))
        uri = f"{database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = text_or_bytes
            report = _report(connection)
        if log_fault is None or not log_fault.is_damage:  # a crash may leave such a log
            return report
        return replace(report, problems=(log_fault, *report.problems))
    except UnicodeDecodeError as error:
        problem = f"the file is damaged, and can't be read: {damaged_schema(error)}"
        return StoreReport(0, (StoreProblem(problem),))
    except sqlite3.Error as error:
        raise translate_sqlite_error(error, database) from error
    finally:
        companion(database, "-shm").unlink(missing_ok=True)
        if not had_log:  # SQLite creates an empty one to read
            companion(database, "-wal").unlink(missing_ok=True)
        os.close(lock)


def _report(connection: sqlite3.Connection) -> StoreReport:
    problems: list[StoreProblem] = []
    # ids: after a write that failed, a workload may have both a registration and a row
    loaded: set[str] = set()
    try:
        for (fault,) in connection.execute(f"PRAGMA integrity_check({MAX_FAULTS})"):
            if fault != "ok":
                problems.append(StoreProblem(f"the file is damaged: {fault}"))
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:  # it is migrated when it is opened
            (count,) = connection.execute("SELECT count(*) FROM workloads").fetchone()
            return StoreReport(count, tuple(problems))
        reader = RowReader()
        for row in connection.execute(SELECT):
            try:
                loaded.add(reader.read(row).workload_id)
            except BadRow as error:
                problems.append(bad_workload(row, error))
        for row in connection.execute(SELECT_TOMBSTONES):
            try:
                read_tombstone(reader, row)
            except BadRow as error:
                problems.append(bad_tombstone(row, error))
        load_events(connection, 0, problems)
        accepted, _ = load_accepted(connection, reader, problems)
        loaded.update(change.workload_id for change in accepted)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        problems.append(StoreProblem(f"the file is damaged, and the rest can't be read: {error}"))
    return StoreReport(len(loaded), tuple(problems))
