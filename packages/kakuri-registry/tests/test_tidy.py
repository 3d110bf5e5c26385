"""Tests that removed workloads disappear from the files, and that the files shrink."""

import sqlite3
from contextlib import closing

import pytest
from kakuri_registry import (
    Change,
    MemoryStore,
    SQLiteStore,
    StoreFailed,
    WorkloadEntry,
    _sqlite,
)
from kakuri_workload import Run, Workload, WorkloadState

SECRET = "hunter2-" * 8


def put(number: int, size: int = 0) -> Change:
    env = {"PASSWORD": SECRET, "X": "x" * size}
    workload = Workload(f"w-{number}", "nginx", "edera-zone", 1, 1, env=env)
    entry = WorkloadEntry(workload, Run(WorkloadState.PENDING), number + 1, 0.0, 0.0)
    return Change(workload.id, number + 1, entry, (), is_registration=True)


def removal(number: int) -> Change:
    return Change(f"w-{number}", number + 1000, None)


def contents(directory) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


def test_tidied_store_has_no_file_with_a_removed_secret(tmp_path):
    with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
        store.write([put(1), put(2)])
        store.tidy()
        assert contents(tmp_path).count(SECRET.encode()) == 2
        store.write([removal(1), removal(2)])
        store.tidy()
        assert SECRET.encode() not in contents(tmp_path)


def test_every_connection_deletes_securely(tmp_path):
    for _ in range(2):  # a new database, and then an existing one
        with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
            assert store._connection.execute("PRAGMA secure_delete").fetchone() == (1,)
            assert store._connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_database_shrinks_in_steps_after_removals(tmp_path, monkeypatch):
    monkeypatch.setattr(_sqlite, "PAGES_PER_TIDY", 100)
    path = tmp_path / "db"
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.tidy()
        empty = path.stat().st_size
        store.write([put(number, 100_000) for number in range(10)])
        assert store.tidy() is False  # no page is free
        full = path.stat().st_size
        assert full > empty + 1_000_000
        store.write([removal(number) for number in range(10)])
        sizes = [full]
        while store.tidy():
            sizes.append(path.stat().st_size)
        sizes.append(path.stat().st_size)
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) > 2
        assert sizes[-1] == empty


def test_database_that_cannot_return_pages_has_nothing_to_tidy(tmp_path):
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection:  # it can't return free pages
        connection.execute("PRAGMA journal_mode = WAL")
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.write([put(number, 100_000) for number in range(3)])
        store.write([removal(number) for number in range(3)])
        assert store.tidy() is False
        assert SECRET.encode() not in contents(tmp_path)


def test_large_rows_get_statements_of_their_own(tmp_path):
    with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
        statements = []
        store._connection.set_trace_callback(statements.append)
        store.write([put(1), put(2, 20_000), put(3), put(4, 20_000)])
        # SQLite traces a statement again when it runs a trigger.
        inserts = {each for each in statements if each.startswith("INSERT")}
        assert len(inserts) == 3  # one for each large row, and one for the others
        assert len(store.load().entries) == 4


def test_tidy_of_a_closed_store_raises_and_in_memory_has_nothing_to_do(tmp_path):
    assert MemoryStore().tidy() is False
    store = SQLiteStore(tmp_path / "db", reserve=0)
    store.close()
    with pytest.raises(StoreFailed, match="is closed"):
        store.tidy()


def test_store_on_a_full_disk_is_not_tidied(tmp_path):
    with closing(SQLiteStore(tmp_path / "db", reserve=1 << 20)) as store:
        store.write([put(1)])
        log = (tmp_path / "db-wal").stat().st_size
        store._reserve.release()
        assert store.tidy() is False
        assert (tmp_path / "db-wal").stat().st_size == log
