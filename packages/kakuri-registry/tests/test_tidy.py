"""What is removed leaves the files, and the files become smaller."""

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
from kakuri_workload import Workload, WorkloadState

SECRET = "hunter2-" * 8


def put(number: int, size: int = 0) -> Change:
    env = {"PASSWORD": SECRET, "X": "x" * size}
    workload = Workload(f"w-{number}", "nginx", "edera-zone", 1, 1, env=env)
    entry = WorkloadEntry(workload, WorkloadState.PENDING, number + 1, 0.0, 0.0)
    return Change(workload.id, number + 1, entry, (), is_new=True)


def gone(number: int) -> Change:
    return Change(f"w-{number}", number + 1000, None)


def contents(folder) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_removed_secret_leaves_every_file_once_the_store_is_tidied(tmp_path):
    with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
        store.write([put(1), put(2)])
        store.tidy()
        assert contents(tmp_path).count(SECRET.encode()) == 2
        store.write([gone(1), gone(2)])
        store.tidy()
        assert SECRET.encode() not in contents(tmp_path)


def test_every_connection_deletes_securely(tmp_path):
    for _ in range(2):  # a new database, and one that was there
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
        assert store.tidy() is False  # there is nothing to give back
        full = path.stat().st_size
        assert full > empty + 1_000_000
        store.write([gone(number) for number in range(10)])
        sizes = [full]
        while store.tidy():
            sizes.append(path.stat().st_size)
        sizes.append(path.stat().st_size)
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) > 2
        assert sizes[-1] == empty


def test_database_of_an_earlier_version_is_tidied_without_end(tmp_path):
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection:  # which can't give pages back
        connection.execute("PRAGMA journal_mode = WAL")
    with closing(SQLiteStore(path, reserve=0)) as store:
        store.write([put(number, 100_000) for number in range(3)])
        store.write([gone(number) for number in range(3)])
        assert store.tidy() is False
        assert SECRET.encode() not in contents(tmp_path)


def test_large_rows_are_not_kept_by_the_statement_of_a_batch(tmp_path):
    with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
        statements = []
        store._connection.set_trace_callback(statements.append)
        store.write([put(1), put(2, 20_000), put(3), put(4, 20_000)])
        inserts = [each for each in statements if each.startswith("INSERT")]
        assert len(inserts) == 3  # each large one by itself, and the others together
        assert len(store.load().entries) == 4


def test_store_that_is_closed_or_in_memory_has_nothing_to_tidy(tmp_path):
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
