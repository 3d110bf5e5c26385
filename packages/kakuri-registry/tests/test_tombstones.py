"""What is kept of removed workloads: in memory, in the stores, over crashes, and within limits."""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from kakuri_registry import (
    Durability,
    EphemeralStore,
    MemoryStore,
    SQLiteStore,
    StoreFull,
    StoreWriter,
    WorkloadRegistry,
    _tombstones,
    check_store,
)
from kakuri_registry._schema import MIGRATIONS
from kakuri_registry._transactions import LARGE_TRANSACTION, MAX_TOMBSTONE_PART, in_transactions
from kakuri_workload import Removal, Run, WorkloadState
from kakuri_workload.testing import workload

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
RECEIPT = Removal("s1", "c1", 0, "list")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "kakuri.db"


def ended(registry, workload_id="wl-1", *, code=3, **fields):
    """Register a workload that has ended."""
    registry.register(workload(workload_id, **fields), now=1.0)
    registry.update(workload_id, Run(RUNNING, started_at=1.5), now=2.0)
    registry.update(workload_id, Run(FAILED, "Error", "m", code, ended_at=2.5), now=3.0)


def removed(registry, workload_id="wl-1", *, now=4.0, log=b"last words", **fields):
    ended(registry, workload_id, **fields)
    registry.remove(workload_id, now=now, removal=RECEIPT, log=log)
    return registry.tombstone(workload_id)


OF_SCHEMA_8 = """
    DROP TABLE accepted;
    ALTER TABLE workloads ADD COLUMN events TEXT;
    ALTER TABLE workloads DROP COLUMN trace;
    ALTER TABLE tombstones DROP COLUMN trace;
    ALTER TABLE registry DROP COLUMN identity;
"""
"""Makes a database of the current schema one of schema 8, with the version set besides."""


def stored(path, *changes):
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write(changes)


def changes_of(registry, act):
    changes = []
    registry.subscribe(changes.append)
    act()
    registry.subscribe(None)
    return changes


def test_removal_with_a_receipt_leaves_a_tombstone_with_the_end_of_the_workload():
    registry = WorkloadRegistry()
    tombstone = removed(registry, labels={"a": "b"})
    assert "wl-1" not in registry
    assert (tombstone.entry.state, tombstone.entry.run.exit_code) == (FAILED, 3)
    assert (tombstone.removed_at, tombstone.removal) == (4.0, RECEIPT)
    assert (tombstone.version, tombstone.log_size) == (registry.version, 10)
    steps = registry.tombstone_history(tombstone)
    assert [step.state for step in steps] == [PENDING, RUNNING, FAILED]


def test_removal_without_a_receipt_leaves_no_tombstone():
    registry = WorkloadRegistry()
    ended(registry)
    registry.remove("wl-1", now=4.0)
    assert registry.tombstone("wl-1") is None
    assert registry.removed_page() == []


def test_latest_tombstone_of_an_id_replaces_the_earlier_one():
    registry = WorkloadRegistry()
    removed(registry, code=1)
    registry.register(workload(), now=5.0)
    assert registry.tombstone("wl-1").entry.run.exit_code == 1
    registry.update("wl-1", Run(FAILED, exit_code=2), now=6.0)
    registry.remove("wl-1", now=7.0, removal=RECEIPT)
    assert registry.tombstone("wl-1").entry.run.exit_code == 2
    assert len(registry.removed_page()) == 1


def test_page_of_removed_workloads_is_filtered_and_continues():
    registry = WorkloadRegistry()
    for name in ("c", "a", "b"):
        removed(registry, name, labels={"team": name})
    ids = [each.entry.workload.id for each in registry.removed_page(limit=2)]
    assert ids == ["a", "b"]
    assert [each.entry.workload.id for each in registry.removed_page(after="b")] == ["c"]
    assert len(registry.removed_page(state=FAILED)) == 3
    assert registry.removed_page(state=SUCCEEDED) == []
    assert [each.entry.workload.id for each in registry.removed_page(label=("team", "b"))] == ["b"]
    assert registry.removed_page(label=("team", "x")) == []
    with pytest.raises(ValueError, match="expected a limit"):
        registry.removed_page(limit=0)


@pytest.mark.parametrize("reverse", [False, True])
def test_latest_thousand_tombstones_are_kept(reverse):
    registry = WorkloadRegistry()
    numbers = range(1200)
    for number in reversed(numbers) if reverse else numbers:
        removed(registry, f"w{number:04}")
    kept = [each.entry.workload.id for each in registry.removed_page(limit=1000)]
    assert len(kept) == 1000
    assert kept[0] == ("w0000" if reverse else "w0200")
    assert registry.removed_page(after=kept[-1]) == []


def test_total_size_of_tombstones_with_their_logs_is_bounded(monkeypatch):
    registry = WorkloadRegistry()
    size = removed(registry, "w0", log=b"x" * 5000).size
    monkeypatch.setattr(_tombstones, "MAX_TOMBSTONE_BYTES", 3 * size)
    for number in range(1, 6):
        removed(registry, f"w{number}", log=b"x" * 5000)
    assert [each.entry.workload.id for each in registry.removed_page()] == ["w3", "w4", "w5"]


def test_tombstones_are_dropped_after_their_time():
    registry = WorkloadRegistry()
    for number in range(3):
        removed(registry, f"w{number}", now=10.0 + number)
    assert registry.drop_removed_before(10.0) is None
    assert registry.drop_removed_before(11.5) == registry.tombstone("w2").version
    assert [each.entry.workload.id for each in registry.removed_page()] == ["w2"]
    assert registry.drop_removed_before(20.0) == registry.version + 1


def test_reopened_store_has_the_tombstones_with_their_logs(path):
    registry = WorkloadRegistry()
    fields = {"args": ("a\nb", "\ud800"), "env": {"A": "\0"}, "labels": {"a": "b"}}
    changes = changes_of(
        registry, lambda: (removed(registry, "a", **fields), removed(registry, "b", log=b""))
    )
    for change in changes:
        stored(path, change)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        assert loaded.problems == ()
        again = WorkloadRegistry.load(loaded)
        for name, log in (("a", b"last words"), ("b", b"")):
            tombstone = again.tombstone(name)
            assert tombstone == registry.tombstone(name)
            assert again.tombstone_history(tombstone) == registry.tombstone_history(tombstone)
            assert store.removed_log(tombstone.version) == log
        assert store.removed_log(1) is None
    assert check_store(path).problems == ()


@pytest.mark.parametrize(
    "removal", [Removal(), Removal(zone="\udcff"), Removal(container="c", log_bytes=2**62)]
)
def test_receipt_with_any_fields_is_stored(path, removal):
    registry = WorkloadRegistry()
    ended(registry)
    (change,) = changes_of(
        registry, lambda: registry.remove("wl-1", now=1.0, removal=removal, log=b"")
    )
    stored(path, change)
    with closing(SQLiteStore(path)) as store:
        assert [each.removal for each in store.load().tombstones] == [removal]


@pytest.mark.parametrize("failpoint", ["store.before-write", "store.before-commit"])
def test_tombstone_is_written_with_the_removal_or_not_at_all(path, tmp_path, failpoint):
    registry = WorkloadRegistry()
    changes = changes_of(registry, lambda: removed(registry))
    stored(path, changes[-2])
    copy = tmp_path / "copy"

    def kill(name):
        if name == failpoint:
            shutil.copytree(path.parent, copy)

    with closing(SQLiteStore(path, failpoint=kill)) as store:
        store.load()
        store.write([changes[-1]])
    with closing(SQLiteStore(copy / path.name)) as store:
        loaded = store.load()
    assert ([entry.workload.id for entry in loaded.entries], loaded.tombstones) == (["wl-1"], [])
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert (loaded.entries, len(loaded.tombstones)) == ([], 1)


def test_store_deletes_tombstones_that_are_not_kept_in_the_same_write(path, monkeypatch):
    monkeypatch.setattr(_tombstones, "MAX_TOMBSTONES", 2)
    registry = WorkloadRegistry()
    changes = changes_of(
        registry, lambda: [removed(registry, name) for name in ("a", "b", "c", "b")]
    )
    with closing(SQLiteStore(path)) as store:
        store.load()
        for change in changes:
            store.write([change])
        kept = [each.entry.workload.id for each in store.load().tombstones]
    assert kept == ["c", "b"]


@pytest.mark.parametrize("make", [SQLiteStore, lambda _path: MemoryStore()])
async def test_writer_reads_logs_and_drops_tombstones_of_its_store(path, make):
    store = make(path)
    registry = WorkloadRegistry.load(store.load())
    async with StoreWriter(registry, store) as writer:
        for number in range(3):
            removed(registry, f"w{number}", now=10.0 + number, log=b"log %d" % number)
        tombstone = registry.tombstone("w1")
        assert await writer.removed_log(tombstone) == b"log 1"  # not stored yet
        await writer.flushed()
        assert await writer.removed_log(tombstone) == b"log 1"
        writer.drop_removed_before(11.5)
        writer.drop_removed_before(11.5)
        assert await writer.removed_log(tombstone) == b""
        assert await writer.removed_log(registry.tombstone("w2")) == b"log 2"
    assert [each.entry.workload.id for each in store.load().tombstones] == ["w2"]
    store.close()


async def test_ephemeral_store_has_only_the_logs_of_removed_workloads():
    store = EphemeralStore(version=7, store_id="ab" * 16)
    registry = WorkloadRegistry.load(store.load())
    assert (registry.version, registry.store_id) == (7, "ab" * 16)
    async with StoreWriter(registry, store) as writer:
        removed(registry, "w0", now=10.0, log=b"log 0")
        registry.register(workload("w1"), now=11.0)
        assert writer.durability("w1") is Durability.SAVED
        assert await writer.removed_log(registry.tombstone("w0")) == b"log 0"
        writer.drop_removed_before(10.5)
        assert registry.tombstone("w0") is None
    assert [each.id for each in registry.journal.after(7, 10)] == ["w0"] * 4 + ["w1"]
    store.compact(9)
    assert store.tidy() is False
    store.close()
    assert WorkloadRegistry.load(store.load()).version == 7


async def test_tombstone_survives_a_new_registration_before_it_is_stored(path):
    store = SQLiteStore(path)
    registry = WorkloadRegistry.load(store.load())
    async with StoreWriter(registry, store):
        removed(registry)
        registry.register(workload(image="other:1"), now=9.0)
    store.close()
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert [entry.workload.image for entry in loaded.entries] == ["other:1"]
    assert [each.entry.run.exit_code for each in loaded.tombstones] == [3]


class FullForNew(SQLiteStore):
    """A store that refuses registrations."""

    def write(self, changes):
        if any(change.is_registration for change in changes):
            raise StoreFull("no room")
        super().write(changes)


async def test_tombstone_survives_a_refused_registration_of_its_id(path):
    store = FullForNew(path)
    registry = WorkloadRegistry.load(store.load())
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("wl-1"), now=1.0)
        registry.remove("wl-1", now=4.0, removal=RECEIPT, log=b"log")
        registry.register(workload("wl-1", image="other:1"), now=9.0)
        with pytest.raises(StoreFull):
            await writer.saved("wl-1")
        assert "wl-1" not in registry
    store.close()
    with closing(SQLiteStore(path)) as store:
        assert [each.removal for each in store.load().tombstones] == [RECEIPT]


def test_removals_on_a_full_disk_are_written_without_their_tombstones(path, monkeypatch):
    registry = WorkloadRegistry()
    changes = changes_of(registry, lambda: removed(registry))
    with closing(SQLiteStore(path)) as store:
        store.load()
        store.write([changes[0]])
        write, attempts = store._transact, []

        def full_once(part):
            attempts.append(part)
            if len(attempts) == 1:
                raise StoreFull("no room")
            write(part)

        monkeypatch.setattr(store, "_transact", full_once)
        store.write([changes[-1]])
        loaded = store.load()
    assert (loaded.entries, loaded.tombstones) == ([], [])


def test_transactions_with_tombstones_are_bounded_in_bytes():
    registry = WorkloadRegistry()
    changes = changes_of(
        registry,
        lambda: [removed(registry, f"w{number}", log=b"x" * 60_000) for number in range(99)],
    )
    removals = [change for change in changes if change.tombstone is not None]
    parts = list(in_transactions(removals))
    assert [change for part in parts for change in part] == removals
    sizes = [sum(each.tombstone.tombstone.size for each in part) for part in parts]
    assert max(sizes) <= MAX_TOMBSTONE_PART + 70_000
    plain = [change._replace(tombstone=None) for change in removals] * 30
    assert [len(part) for part in in_transactions(plain)] == [LARGE_TRANSACTION] * 2 + [922]
    assert list(in_transactions([])) == []


def test_ten_thousand_removals_leave_a_bounded_store(path):
    registry = WorkloadRegistry()
    with closing(SQLiteStore(path)) as store:
        store.load()
        for start in range(0, 10_000, 2000):
            changes = changes_of(
                registry,
                lambda start=start: [
                    removed(registry, f"w{number}", log=b"x" * 100)
                    for number in range(start, start + 2000)
                ],
            )
            store.write([change for change in changes if change.tombstone is not None])
        assert len(store.load().tombstones) == len(registry.removed_page()) == 1000


def test_database_of_schema_7_gets_the_table_of_tombstones(path):
    path.parent.mkdir(mode=0o700)
    registry = WorkloadRegistry()
    registration, *_, removal = changes_of(registry, lambda: removed(registry))
    stored(path, registration._replace(is_registration=False))
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(f"{OF_SCHEMA_8} DROP TABLE tombstones; PRAGMA user_version = 7")
    stored(path, removal)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert (loaded.entries, [each.removal for each in loaded.tombstones]) == ([], [RECEIPT])


def test_table_of_tombstones_is_the_same_in_new_and_in_migrated_databases():
    def columns(scripts):
        with closing(sqlite3.connect(":memory:")) as database:
            for script in scripts:
                database.executescript(script)
            return database.execute("PRAGMA table_info(tombstones)").fetchall()

    assert columns([MIGRATIONS[0][1]]) == columns(
        [MIGRATIONS[7][1], "ALTER TABLE tombstones ADD COLUMN trace TEXT"]
    )


def test_database_of_schema_8_gets_traces_and_an_identity_and_keeps_its_events(path):
    path.parent.mkdir(mode=0o700)
    registry = WorkloadRegistry()
    (registration,) = changes_of(registry, lambda: registry.register(workload(), now=1.0))
    stored(path, registration._replace(is_registration=False))
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(f"{OF_SCHEMA_8} PRAGMA user_version = 8")
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    (entry,), (event,) = loaded.entries, loaded.events
    assert (entry.trace, event.trace, event.index) == (None, None, registration.version)
    assert re.fullmatch("[0-9a-f]{32}", loaded.store_id)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("removed_at = 'late'", "expected a number in removed_at"),
        ("log_bytes = 'many'", "expected a number in log_bytes"),
        ("zone = x'ff'", "expected text in zone"),
        ("state = 'flying'", "in state, got 'flying'"),
        ("image = ''", "expected an image reference"),
    ],
)
def test_invalid_tombstone_is_a_problem_and_the_others_are_loaded(path, change, problem):
    registry = WorkloadRegistry()
    changes = changes_of(registry, lambda: [removed(registry, name) for name in ("a", "b")])
    for each in changes:
        stored(path, each)
    with closing(sqlite3.connect(path, isolation_level=None)) as damaged:
        damaged.execute(f"UPDATE tombstones SET {change} WHERE id = 'a'")
    (found,) = check_store(path).problems
    assert (found.workload_id, problem in found.message) == ("a", True)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
    assert loaded.problems == (found,)
    assert [each.entry.workload.id for each in loaded.tombstones] == ["b"]


def test_recovered_database_keeps_its_tombstones(path):
    registry = WorkloadRegistry()
    for change in changes_of(registry, lambda: (ended(registry, "z"), removed(registry))):
        stored(path, change)
    with closing(sqlite3.connect(path, isolation_level=None)) as damaged:
        damaged.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = damaged.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'events'"
        ).fetchone()
        damaged.execute("PRAGMA journal_mode = DELETE")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with closing(SQLiteStore(path)) as store:
        loaded = store.load()
        assert "was damaged" in loaded.problems[0].message
        assert [each.entry.workload.id for each in loaded.tombstones] == ["wl-1"]
        assert store.removed_log(loaded.tombstones[0].version) == b"last words"
    assert loaded.version > registry.version


async def test_log_can_be_read_again_after_a_cancelled_read(path):
    store = SQLiteStore(path)
    registry = WorkloadRegistry.load(store.load())
    async with StoreWriter(registry, store) as writer:
        tombstone = removed(registry)
        await writer.flushed()
        reading = asyncio.ensure_future(writer.removed_log(tombstone))
        await asyncio.sleep(0)
        reading.cancel()
        assert await writer.removed_log(tombstone) == b"last words"
    store.close()
