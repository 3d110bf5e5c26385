"""Registrations are stored together first, and their rows with the next write of another kind."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_registry import (
    Change,
    SQLiteStore,
    StoreFull,
    StoreReport,
    WorkloadRegistry,
    check_store,
)
from kakuri_registry._accepted import MAX_ACCEPTED
from kakuri_registry._accepted_rows import FIELDS, accepted_text, is_acceptable, read_accepted
from kakuri_registry._cells import BadRow
from kakuri_registry._rows import RowReader
from kakuri_workload import DesiredState, Run, WorkloadState
from kakuri_workload.testing import workload

from .strategies import TEXT, workloads

RUNNING = WorkloadState.RUNNING
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

WORKLOADS = workloads(TEXT, st.integers(1, 2**31 - 1))


class Source:
    """A registry whose changes are collected."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.registry = WorkloadRegistry()
        self.registry.subscribe(self.changes.append)

    def register(self, workload_id: str, **fields: object) -> Change:
        self.registry.register(workload(workload_id, **fields), now=1.0)
        return self.changes[-1]

    def run(self, workload_id: str) -> Change:
        self.registry.update(workload_id, Run(RUNNING), now=2.0)
        return self.changes[-1]

    def remove(self, workload_id: str) -> list[Change]:
        self.registry.set_desired(workload_id, DesiredState.REMOVE, now=3.0)
        self.registry.remove(workload_id, now=3.0)
        return self.changes[-2:]

    @property
    def events(self) -> list[object]:
        return [event for change in self.changes for event in change.events]


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "kakuri.db"


@pytest.fixture
def store(path):
    with closing(SQLiteStore(path)) as opened:
        opened.load()
        yield opened


def rows(store: SQLiteStore) -> tuple[int, int, int]:
    """Return the numbers of rows of workloads, events and accepted registrations."""
    count = "SELECT count(*) FROM"
    return tuple(
        store._connection.execute(f"{count} {table}").fetchone()[0]
        for table in ("workloads", "events", "accepted")
    )


def contents(store: SQLiteStore):
    """Return states by id and the events, as another process would load them."""
    loaded = store.load()
    assert loaded.problems == ()
    return {entry.workload.id: entry.state for entry in loaded.entries}, loaded.events


@given(st.lists(WORKLOADS, min_size=1, max_size=3, unique_by=lambda each: each.id), st.booleans())
def test_any_registrations_are_read_as_written(workloads, has_trace):
    source = Source()
    for each in workloads:
        source.registry.register(each, now=1.5, trace=TRACE if has_trace else None)
    assert all(map(is_acceptable, source.changes))
    assert list(read_accepted(RowReader(), accepted_text(source.changes))) == source.changes


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "x", "expected numbers in changes"),
        (1, "UPPER", "expected the id of a workload in id, got 'UPPER'"),
        (2, "now", "expected numbers in changes"),
        (4, "not an image", "expected an image reference in image"),
        (8, "sometimes", "in restart_policy, got 'sometimes'"),
        (15, "=k", "expected keys and values in env"),
        (16, "\n", f"expected a multiple of {len(FIELDS)} lines in changes, got {len(FIELDS) + 1}"),
    ],
)
def test_invalid_registrations_raise_bad_row(source, line, text, message):
    items = accepted_text([source.register("a")]).split("\n")
    items[line] = text
    with pytest.raises(BadRow, match=message):
        list(read_accepted(RowReader(), "\n".join(items)))


def test_only_a_plain_registration_is_acceptable(source):
    registered = source.register("a")
    running = source.run("a")
    events = registered.events + running.events
    assert not is_acceptable(running)
    assert not is_acceptable(running._replace(is_registration=True, events=events))
    assert not is_acceptable(running._replace(is_registration=True))
    assert not is_acceptable(registered._replace(events=()))
    assert is_acceptable(registered)


def test_registrations_of_one_write_are_one_row_and_loaded_with_their_events(store, source):
    store.write([source.register("a", env={"A": "\ud800"}), source.register("b")])
    store.write([source.register("c")])
    assert rows(store) == (0, 0, 2)
    pending = WorkloadState.PENDING
    assert contents(store) == ({"a": pending, "b": pending, "c": pending}, source.events)


def test_next_write_without_registrations_stores_the_rows_of_accepted_ones(store, source):
    store.write([source.register("a"), source.register("b")])
    store.write([source.run("a")])
    assert rows(store) == (2, 1, 0)
    states = {"a": RUNNING, "b": WorkloadState.PENDING}
    assert contents(store) == (states, source.events)


def test_registrations_that_are_written_with_other_changes_are_stored_as_one_row(store, source):
    pending = WorkloadState.PENDING
    store.write([source.register("a"), source.register("b")])
    store.write([source.register("c"), source.run("a"), source.register("d")])
    assert rows(store) == (2, 1, 1)  # the rows of a and b, and one row for c and d
    states = {"a": RUNNING, "b": pending, "c": pending, "d": pending}
    assert contents(store) == (states, source.events)
    registered = source.register("e")
    store.write([source.run("c"), registered._replace(history=source.run("a").history)])
    assert rows(store) == (5, 2, 0)  # a registration with a history is not accepted
    assert contents(store)[0] == states | {"c": RUNNING, "e": pending}


@pytest.mark.parametrize("failpoint", ["store.before-commit", "store.after-commit"])
def test_crash_while_registrations_are_accepted_with_other_changes_keeps_all_or_none(
    path, source, failpoint
):
    images = []

    def copy(name):
        if name == failpoint:
            images.append({each.name: each.read_bytes() for each in path.parent.iterdir()})

    with closing(SQLiteStore(path, failpoint=copy)) as store:
        store.load()
        store.write([source.register("a")])
        store.write([source.run("a"), source.register("b")])
    for name, content in images[-1].items():
        path.with_name(name).write_bytes(content)
    with closing(SQLiteStore(path)) as store:
        pending = WorkloadState.PENDING
        if failpoint == "store.after-commit":
            assert contents(store) == ({"a": RUNNING, "b": pending}, source.events)
        else:
            assert contents(store) == ({"a": pending}, source.events[:1])


def test_accepted_registrations_of_an_earlier_process_get_their_rows(path, source):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.register("a"), source.register("b")])
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.run("b")])
        assert rows(store) == (2, 1, 0)
        assert contents(store)[1] == source.events


def test_store_that_was_not_loaded_keeps_the_accepted_registrations_of_others(path, source):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.register("a")])
    with closing(SQLiteStore(path)) as store:
        store.write([source.register("b")])
        store.write([source.run("a")])
        assert rows(store) == (2, 2, 1)
    with closing(SQLiteStore(path)) as store:
        assert contents(store) == ({"a": RUNNING, "b": WorkloadState.PENDING}, source.events)


def test_removal_of_an_accepted_workload_leaves_only_its_events(store, source):
    store.write([source.register("a")])
    _, removal = source.remove("a")
    store.write([removal])
    assert rows(store) == (0, 1, 0)
    assert contents(store)[0] == {}
    assert [event.index for event in contents(store)[1]] == [1, 3]


def test_workload_that_is_registered_again_before_its_rows_were_written_keeps_all_events(
    store, source
):
    store.write([source.register("a")])
    events = [event for change in source.remove("a") for event in change.events]
    again = source.register("a", memory_mb=7)
    store.write([again])  # without the removal, as if it had been dropped
    assert rows(store) == (1, 1, 0)
    loaded = store.load()
    assert ([each.workload.memory_mb for each in loaded.entries], len(events)) == ([7], 2)
    assert [event.index for event in loaded.events] == [1, again.version]


def test_secret_of_a_removed_workload_is_in_no_file(path, source):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.register("a", env={"TOKEN": "correct-horse"})])
        assert any(b"correct-horse" in file.read_bytes() for file in path.parent.iterdir())
        store.write(source.remove("a")[1:])
        store.tidy()
        for file in path.parent.iterdir():
            assert b"correct-horse" not in file.read_bytes()


@pytest.mark.parametrize("failpoint", ["store.before-write", "store.before-commit"])
def test_crash_while_rows_are_written_leaves_the_registrations_accepted(path, source, failpoint):
    class Crash(Exception):
        pass

    steps = []

    def crash(name: str) -> None:
        steps.append(name)
        if len(steps) > 3 and name == failpoint:
            raise Crash

    with closing(SQLiteStore(path, failpoint=crash)) as store:
        store.load()
        store.write([source.register("a")])
        with pytest.raises(Crash):
            store.write([source.run("a")])
    with closing(SQLiteStore(path)) as store:
        assert contents(store) == ({"a": WorkloadState.PENDING}, source.events[:1])


def test_registrations_beyond_the_limit_are_written_with_all_rows(store, source):
    store.write([source.register(f"w-{number}") for number in range(MAX_ACCEPTED)])
    assert rows(store)[::2] == (0, 1)
    store.write([source.register("one-more")])
    assert rows(store)[::2] == (MAX_ACCEPTED + 1, 0)
    assert contents(store)[1] == source.events


def test_many_changes_and_accepted_registrations_are_written_in_separate_transactions(path, source):
    steps: list[str] = []
    with closing(SQLiteStore(path, failpoint=steps.append)) as store:
        store.load()
        store.write([source.register(f"w-{number}") for number in range(1024)])
        store.write([source.register("accepted")])
        steps.clear()
        store.write([source.run(f"w-{number}") for number in range(1024)])
        assert steps.count("store.before-commit") == 2
        assert rows(store)[::2] == (1025, 0)


def write_until_the_disk_is_full(store, source, monkeypatch):
    """Write twenty registrations, and a further one that the full disk refuses."""
    store.write([source.register(f"w-{number}") for number in range(20)])
    monkeypatch.setattr(store._reserve, "try_ensure_room", lambda: False)
    store._reserve.release()
    with pytest.raises(StoreFull):
        store.write([source.register("refused")])
    assert source.changes.pop().workload_id == "refused"


def test_full_disk_gets_the_rows_of_accepted_registrations_in_small_transactions(
    path, source, monkeypatch
):
    steps: list[str] = []
    with closing(SQLiteStore(path, failpoint=steps.append)) as store:
        store.load()
        write_until_the_disk_is_full(store, source, monkeypatch)
        steps.clear()
        store.write(source.remove("w-3")[1:])
        assert steps.count("store.before-commit") == 3  # 16 and 4 registrations, the removal
        assert rows(store)[::2] == (19, 0)
        assert "w-3" not in contents(store)[0]


def test_recovered_store_has_the_accepted_registrations(path, source):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.register("row")])
        store.write([source.run("row")])
        store.write([source.register("accepted", env={"A": "\ud800"})])
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'events'"
        (root,) = connection.execute(query).fetchone()
    data = bytearray(path.read_bytes())
    data[(root - 1) * 4096] = 0xFF
    path.write_bytes(data)
    with closing(SQLiteStore(path)) as store:
        states = {entry.workload.id: entry.state for entry in store.load().entries}
        assert rows(store) == (2, 0, 0)
    assert states == {"row": RUNNING, "accepted": WorkloadState.PENDING}


def test_check_counts_accepted_registrations_and_reports_unreadable_ones(path, source):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.register("a"), source.register("b")])
        store.write([source.register("c")])
    assert check_store(path) == StoreReport(3, ())
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute("UPDATE accepted SET changes = 'x' WHERE number = 2")
    report = check_store(path)
    message = "new workloads up to version 2 can't be loaded: expected a multiple of 17 lines"
    assert (report.workloads, len(report.problems)) == (1, 1)
    assert report.problems[0].message.startswith(message)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert [entry.workload.id for entry in loaded.entries] == ["c"]
    assert ([event.index for event in loaded.events], loaded.compacted) == ([3], 2)
    assert [problem.message for problem in loaded.problems] == [report.problems[0].message]


def test_check_counts_a_workload_with_both_row_and_registration_once(path, source, monkeypatch):
    class Crash(Exception):
        pass

    def fail_second_commit(step):
        steps.append(step)
        if steps.count("store.before-commit") == 2:
            raise Crash

    steps: list[str] = []
    with closing(SQLiteStore(path, failpoint=fail_second_commit)) as store:
        store.load()
        write_until_the_disk_is_full(store, source, monkeypatch)
        steps.clear()
        with pytest.raises(Crash):
            store.write(source.remove("w-3")[1:])
        assert rows(store)[::2] == (16, 1)  # the rows of some, and the registrations of all
    assert check_store(path) == StoreReport(20, ())
    with closing(SQLiteStore(path)) as store:
        assert len(store.load().entries) == 20


def test_unreadable_registrations_are_kept_when_the_others_get_their_rows(path, source):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([source.register("a")])
        store.write([source.register("b")])
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute("UPDATE accepted SET changes = 'x' WHERE number = 1")
    for _ in range(2):
        with closing(SQLiteStore(path)) as store:
            loaded = store.load()
            assert "up to version 1 can't be loaded" in loaded.problems[0].message
            assert [entry.workload.id for entry in loaded.entries] == ["b"]
            store.write([source.run("b")])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT number, changes FROM accepted").fetchall() == [(-1, "x")]
