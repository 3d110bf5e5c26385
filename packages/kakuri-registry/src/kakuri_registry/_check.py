"""Checks a store that no process has open, without changing anything of it."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kakuri_registry._errors import StoreFailed
from kakuri_registry._folder import locked
from kakuri_registry._recovery import beside, text_or_bytes
from kakuri_registry._rows import BadRow, RowReader, short
from kakuri_registry._schema import SCHEMA_VERSION, refuse_foreign
from kakuri_registry._session import check_log
from kakuri_registry._sqlite_errors import of_the_system, tells_of_damage, translated
from kakuri_registry._statements import SELECT
from kakuri_registry._store import StoreProblem

MAX_FAULTS = 20
"""Faults of the file that are reported; one damaged page may have hundreds."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What a check of a store found: how many workloads can be loaded, and what is wrong."""

    workloads: int
    problems: tuple[StoreProblem, ...]


def check_store(path: str | os.PathLike[str]) -> StoreReport:
    """Check that a database is whole, has the log that belongs to it, and that its rows make sense.

    Raises:
        StoreLocked: a process has it open.
        StoreMismatch: the log beside it is that of another run.
        StoreTooNew: a later version of this package has written it.
        StoreFailed: there is none, it is another application's, or it can't be read.

    """
    database = Path(path)
    try:
        return _checked(database)
    except OSError as error:
        raise of_the_system(error, f"can't check the store {str(database)!r}") from error


def _checked(database: Path) -> StoreReport:
    if not database.is_file():
        raise StoreFailed(f"there is no store at {str(database)!r}")
    refuse_foreign(database)
    lock = locked(database)
    had_log = beside(database, "-wal").exists()
    try:
        check_log(database)
        uri = f"{database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = text_or_bytes
            return _report(connection)
    except sqlite3.Error as error:
        raise translated(error, database) from error
    finally:
        beside(database, "-shm").unlink(missing_ok=True)
        if not had_log:  # SQLite makes an empty one to read
            beside(database, "-wal").unlink(missing_ok=True)
        os.close(lock)


def _report(connection: sqlite3.Connection) -> StoreReport:
    problems: list[StoreProblem] = []
    count = 0
    try:
        for (fault,) in connection.execute(f"PRAGMA integrity_check({MAX_FAULTS})"):
            if fault != "ok":
                problems.append(StoreProblem(f"the file is damaged: {fault}"))
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:  # an agent brings it to the present one
            (count,) = connection.execute("SELECT count(*) FROM workloads").fetchone()
            return StoreReport(count, tuple(problems))
        reader = RowReader()
        for row in connection.execute(SELECT):
            try:
                reader.read(row)
                count += 1
            except BadRow as error:
                workload_id = row[0] if isinstance(row[0], str) else short(row[0])
                problems.append(StoreProblem(f"a workload can't be loaded: {error}", workload_id))
    except sqlite3.DatabaseError as error:
        if not tells_of_damage(error):
            raise
        problems.append(StoreProblem(f"the file is damaged, and the rest can't be read: {error}"))
    return StoreReport(count, tuple(problems))
