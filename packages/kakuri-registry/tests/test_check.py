"""Tests of the check of a store, which must not change it."""

import sqlite3
from contextlib import closing

import pytest
from kakuri_registry import (
    Change,
    SQLiteStore,
    StoreFailed,
    StoreLocked,
    StoreMismatch,
    StoreProblem,
    StoreReport,
    WorkloadEntry,
    check_store,
)
from kakuri_workload import Run, Workload, WorkloadState


def put(name, version=1):
    workload = Workload(name, "nginx", "edera-zone", 1, 1)
    entry = WorkloadEntry(workload, Run(WorkloadState.PENDING), version, 0.0, 0.0)
    return Change(name, version, entry, (), is_registration=True)


@pytest.fixture
def path(tmp_path):
    directory = tmp_path / "state"
    with closing(SQLiteStore(directory / "db", reserve=0)) as store:
        store.load()
        store.write([put(f"w-{number:04}", number + 1) for number in range(200)])
        for suffix in ("", "-wal"):  # as after a crash
            (directory / f"crashed{suffix}").write_bytes((directory / f"db{suffix}").read_bytes())
    return directory / "crashed"


def contents(path):
    return {
        each.name: each.read_bytes() for each in path.parent.iterdir() if each.suffix != ".lock"
    }


def test_check_of_an_intact_store_reports_no_problem_and_changes_nothing(path):
    before = contents(path)
    assert check_store(path) == StoreReport(200, ())
    assert contents(path) == before


def test_check_reports_a_damaged_page_and_an_invalid_row(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.load()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE workloads SET state = 'odd' WHERE id = 'w-0007'")
        connection.execute("DROP TABLE IF EXISTS none")
    before = contents(path)
    report = check_store(path)
    assert report.workloads == 199
    (problem,) = report.problems
    assert problem.workload_id == "w-0007"
    assert "expected pending, running, succeeded, failed in state, got 'odd'" in problem.message
    assert contents(path) == before
    data = bytearray(path.read_bytes())
    data[-4096:] = b"\xff" * 4096
    path.write_bytes(data)
    damaged = check_store(path)
    assert any("damaged" in each.message for each in damaged.problems)
    assert damaged.workloads < 200


def test_check_of_an_open_missing_or_foreign_store_raises_store_error(path, tmp_path):
    with closing(SQLiteStore(path, reserve=0)), pytest.raises(StoreLocked):
        check_store(path)
    with pytest.raises(StoreFailed, match="there is no store at"):
        check_store(tmp_path / "none")
    foreign = path.with_name("foreign")
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreFailed, match="another application's"):
        check_store(foreign)
    assert not path.with_name("foreign.lock").exists()


def test_check_of_a_backup_next_to_the_log_of_a_later_run_raises_store_mismatch(path):
    other = path.with_name("other")
    with closing(SQLiteStore(other, reserve=0)) as store:
        store.load()
    path.write_bytes(other.read_bytes())
    before = contents(path)
    with pytest.raises(StoreMismatch):
        check_store(path)
    assert contents(path) == before


def test_check_of_an_earlier_schema_counts_its_workloads(path):
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.load()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 3")
    assert check_store(path) == StoreReport(200, ())


def test_store_reports_compare_by_value():
    assert StoreReport(1, (StoreProblem("m", "w"),)) == StoreReport(1, (StoreProblem("m", "w"),))
