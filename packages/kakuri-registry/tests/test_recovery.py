"""Recovery of databases that are damaged in ways of which SQLite's own errors are unusual."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kakuri_registry import (
    Change,
    SQLiteStore,
    StoreFailed,
    WorkloadEntry,
    _recovery,
    check_store,
)
from kakuri_registry._recovery import recover
from kakuri_workload import Run, WorkloadState
from kakuri_workload.testing import workload


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three workloads."""
    path = tmp_path / "state" / "kakuri.db"
    entries = [
        WorkloadEntry(workload(f"w-{number}"), Run(WorkloadState.PENDING), number, 0.0, 0.0)
        for number in (1, 2, 3)
    ]
    with closing(SQLiteStore(path)) as store:
        store.write([
            Change(each.workload.id, each.version, each, (), is_registration=True)
            for each in entries
        ])  # fmt: skip
    with closing(SQLiteStore(path)) as store:  # writes the rows of the registrations
        store.load()
        store.write([
            Change(each.workload.id, each.version + 1, each, (), is_registration=False)
            for each in entries
        ])  # fmt: skip
    return path


def ids_of(path: Path) -> list[str]:
    with closing(SQLiteStore(path)) as store:
        return sorted(entry.workload.id for entry in store.load().entries)


def change_schema(path: Path, table: str, old: str, new: str) -> None:
    """Change the text of a table in the schema, and nothing else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        done = connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ? AND instr(sql, ?)",
            (old, new, table, old),
        )
        assert done.rowcount == 1


def test_schema_whose_text_is_not_utf_8_is_reported_and_recovered(path):
    content = path.read_bytes()
    damaged = content.replace(b"eventsevents", b"ev\xffntsevents", 1)
    damaged = damaged.replace(b"CREATE TABLE events", b"CREATE TUBLE events", 1)
    assert damaged != content
    path.write_bytes(damaged)
    report = check_store(path)
    assert [problem.is_damage for problem in report.problems] == [True]
    assert "the schema has text that is not valid UTF-8" in report.problems[0].message
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert "3 workloads were recovered" in loaded.problems[0].message
    assert ids_of(path) == ["w-1", "w-2", "w-3"]


@pytest.mark.parametrize(
    ("table", "old", "new", "damage"),
    [
        (
            "workloads", "failures INTEGER NOT NULL DEFAULT 0", "failures INTEGER",
            "UPDATE workloads SET failures = NULL WHERE id = 'w-2'",
        ),
        (
            "tombstones", "id TEXT NOT NULL", "id TEXT",
            "INSERT INTO tombstones (number) VALUES (1)",
        ),
    ],
)  # fmt: skip
def test_row_without_a_value_that_its_table_requires_loses_no_workload(
    path, table, old, new, damage
):
    change_schema(path, table, old, new)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damage)
    assert recover(path)[1] == 3
    assert ids_of(path) == ["w-1", "w-2", "w-3"]


def test_damaged_name_of_a_column_is_an_error_that_says_so_and_changes_nothing(path):
    change_schema(path, "registry", "identity TEXT", "idEntlty TEXT")
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match=r"the tables of the store .* are damaged: no such col"):
        ids_of(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("version", 2**53), ("version", -1), ("registered_at", -1.0), ("changed_at", 1e300),
        ("memory_mb", 0), ("memory_mb", 2**31), ("attempt", -1),
        ("history", "1e999\nRunning\n0\n\n\n"),
    ],
)  # fmt: skip
def test_number_out_of_range_for_messages_is_a_problem_of_its_workload_only(path, column, value):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE workloads SET {column} = ? WHERE id = 'w-2'", (value,))
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert sorted(entry.workload.id for entry in loaded.entries) == ["w-1", "w-3"]
    assert [problem.workload_id for problem in loaded.problems] == ["w-2"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE registry SET version = 9223372036854775807",
        "UPDATE registry SET compacted = -1",
        "INSERT INTO accepted VALUES (-9223372036854775807, 'x')",
        "INSERT INTO events VALUES (9223372036854775807, '', 'x')",
    ],
)
def test_version_without_room_for_later_ones_is_damage_that_is_recovered(path, change):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
        # The rows' versions are read in a recovery, too.
        connection.execute("INSERT INTO tombstones (number, id) VALUES (9223372036854775807, 'x')")
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert len(loaded.entries) == 3
    assert loaded.version < 2**52
    assert "3 workloads were recovered" in loaded.problems[0].message


def create_rows(path: Path, count: int) -> list[str]:
    """Create a table of rows of 900 bytes, four on a page; return their ids."""
    ids = [f"w-{number}" + "x" * 900 for number in range(1, count + 1)]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE workloads (number INTEGER PRIMARY KEY, id TEXT)")
        connection.executemany("INSERT INTO workloads VALUES (?, ?)", enumerate(ids, 1))
    return ids


def ids_found(path: Path) -> list[str]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        return [row[0] for row in _recovery._rows(connection, ["id"])]


def test_rows_before_a_page_of_zeros_are_read_once(tmp_path):
    path = tmp_path / "damaged.db"
    ids = create_rows(path, 199)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4 // 4096 * 4096 + 100])
    found = [each for each in ids_found(path) if each]
    assert set(found) == set(ids[:148])
    assert len(set(found[:148])) == 148
    assert set(found[148:]) <= {ids[147]}


@pytest.mark.parametrize("unreadable", [(50,), (200,), (390,), (200, 300)])
@pytest.mark.parametrize(
    ("number", "before", "after"),
    [
        (150, b"\x81\x16", b"\xff\x16"),  # 16278
        (350, b"\x82\x5e", b"\x80\x5e"),  # 94
    ],
    ids=["too-large", "too-small"],
)
def test_damaged_number_loses_no_row_of_a_readable_page(
    tmp_path, number, before, after, unreadable
):
    path = tmp_path / "damaged.db"
    ids = create_rows(path, 399)
    content = bytearray(path.read_bytes())
    # The number is followed by the header of the record: four bytes.
    end = content.index(ids[number - 1].encode()) - 4
    assert content[end - 2 : end] == before
    content[end - 2 : end] = after
    lost = set()
    for each in unreadable:
        page = content.index(ids[each - 1].encode()) // 4096 * 4096
        content[page] = 0  # no type of a page
        lost |= {each for each in ids if each.encode() in content[page : page + 4096]}
    path.write_bytes(content)
    found = ids_found(path)
    assert set(found) == set(ids) - lost
    assert len(found) < 2 * len(ids)
