"""Events in the stores: in the same transaction as the change, over crashes, and compacted."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kakuri_registry import (
    Change,
    Compacted,
    MemoryStore,
    SQLiteStore,
    StoreFailed,
    StoreFull,
    StoreWriter,
    WorkloadRegistry,
    check_store,
)
from kakuri_registry._journal import COMPACTION_EVENTS
from kakuri_workload import DesiredState, Event, EventType, Run, WorkloadState
from kakuri_workload.testing import workload

TRACE, OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e47364bf92f3577b34da6"
CASES = Path(__file__).parent / "cases"
PENDING, RUNNING = WorkloadState.PENDING, WorkloadState.RUNNING


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "kakuri.db"


def event(index: int, workload_id: str | None = "a", **fields: object) -> Event:
    return Event(index, 1.0, EventType.WORKLOAD, workload_id, PENDING, **fields)


def changes_of(registry: WorkloadRegistry, act) -> list[Change]:
    """Return the changes that a function makes."""
    changes: list[Change] = []
    registry.subscribe(changes.append)
    act()
    registry.subscribe(None)
    return changes


def every_kind(registry: WorkloadRegistry) -> None:
    registry.record(EventType.NODE, now=0.5, version="0.2.0")
    registry.register(workload("a", labels={"team": "\ud800"}), now=1.0)
    registry.register(workload("b"), now=1.0, trace=TRACE)
    registry.update("a", Run(RUNNING, "Why", "line\nline"), now=2.0)
    registry.update("b", Run(RUNNING), now=2.0)
    registry.set_desired("b", DesiredState.REMOVE, now=3.0, trace=OTHER_TRACE)
    registry.remove("b", now=3.0)
    registry.record(EventType.RUNTIME, now=4.0, available=True)


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_reopened_store_has_the_events_of_all_changes(path, kind):
    store = SQLiteStore(path) if kind == "sqlite" else MemoryStore()
    registry = WorkloadRegistry()
    changes = changes_of(registry, lambda: every_kind(registry))
    for change in changes:
        store.write([change])
    if kind == "sqlite":
        store.close()
        store = SQLiteStore(path)
    loaded = store.load()
    store.close()
    assert [event for change in changes for event in change.events] == loaded.events
    assert (loaded.compacted, loaded.problems) == (0, ())


def test_event_has_the_trace_of_the_latest_request_for_its_workload():
    registry = WorkloadRegistry()
    registry.register(workload("a"), now=1.0, trace=TRACE)
    registry.update("a", Run(RUNNING), now=2.0)
    registry.restart("a", now=3.0, restart_at=4.0, reason="BackOff")
    registry.set_desired("a", DesiredState.STOP, now=5.0, trace=OTHER_TRACE)
    registry.update("a", Run(WorkloadState.FAILED), now=6.0)
    registry.rerun("a", now=7.0, trace=TRACE)
    registry.set_desired("a", DesiredState.REMOVE, now=8.0)
    registry.remove("a", now=9.0)
    traces = [event.trace for event in registry.journal.after(0, 100)]
    assert traces == [TRACE] * 3 + [OTHER_TRACE] * 2 + [TRACE] + [None] * 2


@pytest.mark.parametrize("text", ["x", TRACE.upper(), "0" * 32, f"{TRACE}0"])
def test_damaged_trace_of_a_row_is_dropped_and_its_workload_and_events_are_loaded(path, text):
    registry = WorkloadRegistry()
    (change,) = changes_of(registry, lambda: registry.register(workload(), now=1.0, trace=TRACE))
    with closing(SQLiteStore(path)) as store:
        store.write([change])
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute("UPDATE workloads SET trace = ?", (text,))
        damaged.execute("UPDATE events SET events = replace(events, ?, ?)", (TRACE, text))
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert ([each.trace for each in loaded.entries], loaded.problems) == ([None], ())
    assert [each.trace for each in loaded.events] == [None]


def test_one_write_may_have_several_events_of_a_workload(path):
    with closing(SQLiteStore(path)) as store:
        registry = WorkloadRegistry()
        first, second = changes_of(
            registry,
            lambda: (
                registry.register(workload("a"), now=1.0),
                registry.update("a", Run(RUNNING), now=2.0),
            ),
        )
        both = first.events + second.events
        store.write([second._replace(events=both)])
        store.write([second._replace(events=both)])  # a retry
        assert store.load().events == list(both)


def test_crash_before_the_commit_leaves_neither_change_nor_event(path):
    class Crash(Exception):
        pass

    def crash(name: str) -> None:
        if name == "store.before-commit":
            raise Crash

    registry = WorkloadRegistry()
    changes = changes_of(registry, lambda: every_kind(registry))
    with closing(SQLiteStore(path, failpoint=crash)) as store, pytest.raises(Crash):
        store.write(changes[:2])
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert (loaded.entries, loaded.events) == ([], [])


def test_compacted_store_forgets_events_and_remembers_up_to_which(path):
    for store in (SQLiteStore(path), MemoryStore()):
        store.write([Change("", index, None, events=(event(index, None),)) for index in (3, 5, 9)])
        store.compact(5)
        loaded = store.load()
        assert ([each.index for each in loaded.events], loaded.compacted) == ([9], 5)
        store.close()


def test_compacting_keeps_the_version(path):
    with closing(SQLiteStore(path)) as store:
        store.write([Change("", 7, None, events=(event(7, None),))])
        store.compact(7)
    with closing(SQLiteStore(path)) as store:
        assert store.load().version > 7
    store.close()
    with pytest.raises(StoreFailed, match="is closed"):
        store.compact(1)


def test_unreadable_events_are_dropped_with_all_before_them(path):
    with closing(SQLiteStore(path)) as store:
        for index in (3, 5, 9):
            store.write([Change("", index, None, events=(event(index, None),))])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("""UPDATE events SET events = 'x' WHERE "index" = 5""")
    (problem,) = check_store(path).problems
    assert problem.message.startswith("events up to 5 can't be loaded")
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert ([each.index for each in loaded.events], loaded.compacted) == ([9], 5)
    assert ["events up to 5 can't be loaded" in each.message for each in loaded.problems] == [True]


def test_readers_of_a_migrated_store_list_again(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((CASES / "schema-1.sql").read_text())
    with closing(SQLiteStore(path)) as store:
        registry = WorkloadRegistry.load(store.load())
    assert registry.journal.compacted == 41
    with pytest.raises(Compacted):
        registry.journal.after(40, 1)
    assert registry.journal.after(41, 1) == []
    assert check_store(path).problems == ()


def test_readers_of_a_recovered_store_list_again(path):
    with closing(SQLiteStore(path)) as store:
        registry = WorkloadRegistry()
        for change in changes_of(registry, lambda: every_kind(registry)):
            store.write([change])
        store.load()
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'events'"
        ).fetchone()
    data[(root - 1) * 4096] = 0xFF
    path.write_bytes(data)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert [entry.workload.id for entry in loaded.entries] == ["a"]
    assert (loaded.events, loaded.compacted >= registry.version) == ([], True)


async def test_writer_publishes_events_once_they_are_stored(path):
    with closing(SQLiteStore(path)) as store:
        registry = WorkloadRegistry()
        async with StoreWriter(registry, store) as writer:
            registry.register(workload("late"), now=1.0)
            registry.register(workload("a"), now=1.0)
            registry.update("a", Run(RUNNING), now=2.0)
            assert registry.journal.index == 0
            await writer.saved("a")
            # An earlier change is not written yet, as no caller awaits it.
            assert registry.journal.after(0, 10) == []
            await writer.flushed()
            assert [each.id for each in registry.journal.after(0, 10)] == [
                "late",
                "a",
                "a",
            ]
        assert store.load().events == registry.journal.after(0, 10)


async def test_refused_registration_has_no_events(path):
    class Full(MemoryStore):
        is_nonblocking = False

        def write(self, changes):
            if any(change.is_registration for change in changes):
                raise StoreFull("the disk is full")
            super().write(changes)

    registry, store = WorkloadRegistry(), Full()
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("new"), now=1.0)
        registry.update("new", Run(PENDING, "Pulling"), now=1.0)
        registry.record(EventType.NODE, now=2.0, version="1")
        with pytest.raises(StoreFull):
            await writer.saved("new")
        await writer.flushed()
    assert [each.type for each in registry.journal.after(0, 10)] == [EventType.NODE]
    assert store.load().events == registry.journal.after(0, 10)


async def test_writer_compacts_the_store(path):
    for store in (SQLiteStore(path), MemoryStore()):
        registry = WorkloadRegistry()
        registry._journal._max_events = 5
        async with StoreWriter(registry, store) as writer:
            for number in range(COMPACTION_EVENTS + 10):
                registry.record(EventType.NODE, now=number, version="1")
                await asyncio.sleep(0)
                if number % 100 == 0:
                    await writer.flushed()
            await writer.flushed()
            registry.record(EventType.NODE, now=number, version="2")
        loaded = store.load()
        assert loaded.events[-1].version == "2"
        assert len(loaded.events) < COMPACTION_EVENTS
        assert loaded.events[0].index == loaded.compacted + 1
        store.close()


async def test_store_without_room_to_compact_still_writes_unless_it_must(path):
    class NoRoom(MemoryStore):
        is_nonblocking = False

        def compact(self, index):
            raise StoreFull("the disk is full")

    registry, store = WorkloadRegistry(), NoRoom()
    journal = registry.journal
    async with StoreWriter(registry, store) as writer:
        journal._dropped = COMPACTION_EVENTS
        registry.record(EventType.NODE, now=1.0, version="1")
        await writer.flushed()
        assert (len(journal), journal.compaction) == (1, 0)
        journal._is_incomplete = True
        registry.record(EventType.NODE, now=1.0, version="2")
        with pytest.raises(StoreFull):
            await writer.flushed()
        journal._is_incomplete = False
        await writer.flushed()
    assert [each.version for each in journal.after(0, 10)] == ["1", "2"]
