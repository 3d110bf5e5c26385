"""The limits of the store: how much one transaction, one retry and one history hold."""

import sqlite3

import pytest
from kakuri_registry import (
    EventJournal,
    MemoryStore,
    SQLiteStore,
    StoreFailed,
    StoreWriter,
    WorkloadRegistry,
    _history,
    _journal,
    _recovery,
    _registry_reader,
    _rows,
    _sqlite,
    _transactions,
    _writer,
)
from kakuri_registry._history import MAX_HISTORY_MESSAGE
from kakuri_registry._write_ahead_log import FRAME_HEADER, LOG_HEADER
from kakuri_workload import MAX_HISTORY, Run, Workload, WorkloadState

RUNNING = WorkloadState.RUNNING


def workload(workload_id):
    return Workload(workload_id, "nginx", "edera-zone", 512, 500)


def changes_of(count):
    """Return one later change of each of some registered workloads."""
    registry = WorkloadRegistry()
    found = []
    for number in range(count):
        registry.register(workload(f"w-{number}"), now=0)
    registry.subscribe(found.append)
    for number in range(count):
        registry.update(f"w-{number}", Run(RUNNING), now=1)
    return found


@pytest.fixture
def steps():
    return []


@pytest.fixture
def store(tmp_path, steps):
    with_steps = SQLiteStore(tmp_path / "store.db", reserve=0, failpoint=steps.append)
    with_steps.load()
    yield with_steps
    with_steps.close()


def test_history_keeps_the_latest_sixteen_transitions_with_short_messages():
    assert (MAX_HISTORY, MAX_HISTORY_MESSAGE) == (16, 256)


@pytest.mark.parametrize(("count", "transactions"), [(1, 1), (1024, 1), (1025, 2)])
def test_write_is_split_into_transactions_of_1024_changes(store, steps, count, transactions):
    store.write(changes_of(count))
    assert steps.count("store.before-commit") == transactions
    assert len(store.load().entries) == count


@pytest.mark.parametrize(("count", "transactions"), [(1, 1), (16, 1), (17, 2), (33, 3)])
def test_write_on_a_full_disk_is_split_into_transactions_of_16_changes(
    tmp_path, steps, monkeypatch, count, transactions
):
    store = SQLiteStore(tmp_path / "store.db", failpoint=steps.append)
    store.load()
    store._reserve.release()
    monkeypatch.setattr(store._reserve, "try_ensure_room", lambda: False)
    store.write(changes_of(count))
    assert steps.count("store.before-commit") == transactions
    assert len(store.load().entries) == count
    store.close()


@pytest.mark.parametrize(
    ("reserve", "pages"),
    [(0, 1000), (8191, 1000), (8192, 1), (1 << 20, 128), (8_192_000, 1000), (8 << 20, 1000)],
)
def test_log_takes_at_most_half_of_the_reserve_and_1000_pages(tmp_path, reserve, pages):
    store = SQLiteStore(tmp_path / "store.db", reserve=reserve)
    assert store._log_limit.size == LOG_HEADER + pages * (_sqlite.PAGE + FRAME_HEADER)
    store.close()


def test_versions_after_a_restart_begin_a_million_later(store, tmp_path):
    store.write(changes_of(3))
    before = store.load().version
    store.close()
    again = SQLiteStore(tmp_path / "store.db", reserve=0)
    assert again.load().version - before == 1 << 20
    again.close()


def test_constants_of_the_store_match_the_documentation():
    assert _sqlite.RESERVE_BYTES == 8_388_608
    assert (_sqlite.MAX_LOG_PAGES, _sqlite.PAGES_PER_TIDY) == (1000, 1024)
    assert (_sqlite.PAGE, _sqlite.SMALL_TRANSACTION) == (4096, 16)
    assert (_transactions.LARGE_TRANSACTION, _transactions.MAX_TOMBSTONE_PART) == (1024, 1_048_576)
    assert (_journal.MAX_EVENTS, _journal.MAX_EVENT_BYTES) == (10_000, 8_388_608)
    assert (_journal.MAX_EVENT_AGE, _journal.COMPACTION_EVENTS) == (86_400.0, 1000)
    assert (_registry_reader.MAX_WORKLOADS, _registry_reader.MAX_PAGE) == (200_000, 1000)
    assert (_rows.MAX_STORED_TEXT, _rows.LARGEST) == (4_194_304, 2**63 - 1)
    assert (_history.MAX_HISTORY_MESSAGE, _recovery.MAX_FAILED_READS) == (256, 10_000)
    assert (_writer.FIRST_RETRY_SECONDS, _writer.LONGEST_RETRY_SECONDS) == (0.1, 5.0)
    assert _writer.BATCH_DELAY_SECONDS == 0.02


class Damaged:
    """A connection to a database in which no row can be read."""

    def __init__(self):
        self.reads = 0

    def execute(self, statement, arguments=()):
        self.reads += 1
        raise sqlite3.DatabaseError


@pytest.mark.parametrize("most", [0, 1, 5])
def test_recovery_stops_after_the_maximum_number_of_failed_reads(monkeypatch, most):
    monkeypatch.setattr(_recovery, "MAX_FAILED_READS", most)
    damaged = Damaged()
    assert list(_recovery._rows(damaged, ["id"])) == []
    assert damaged.reads == 2 + most  # from the front, from the back, and between


class FailingStore(MemoryStore):
    """A store that fails until it is repaired."""

    is_nonblocking = False
    is_repaired = False

    def write(self, changes):
        if not self.is_repaired:
            raise StoreFailed("input/output error")
        super().write(changes)


async def test_failed_change_is_retried_early_once_a_caller_waits_for_it():
    registry, store = WorkloadRegistry(), FailingStore()
    store.is_repaired = True
    writer = StoreWriter(registry, store)
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.is_repaired = False
    registry.update("a", Run(RUNNING), now=1)
    with pytest.raises(StoreFailed):
        await writer.saved("a")
    writer.when_saved("a", lambda error: None)
    assert writer._retry.when() - writer._failed_at == pytest.approx(0.1)
    store.is_repaired = True
    await writer.close()


@pytest.mark.parametrize(
    ("create", "name"),
    [
        (lambda size, path: WorkloadRegistry(max_workloads=size), "max_workloads"),
        (lambda size, path: EventJournal(max_events=size), "max_events"),
        (lambda size, path: SQLiteStore(path / "store", reserve=size), "reserve"),
    ],
)
def test_size_that_is_not_a_count_raises_type_or_value_error(tmp_path, create, name):
    with pytest.raises(TypeError, match=f"expected an integer as {name}, got '5'"):
        create("5", tmp_path)
    with pytest.raises(ValueError, match=f"expected at least 0 as {name}, got -1"):
        create(-1, tmp_path)


@pytest.mark.parametrize("page", ["page", "removed_page"])
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"state": "running"}, "expected a WorkloadState or None as state, got 'running'"),
        ({"after": None}, "expected a string as after, got None"),
        ({"limit": "5"}, "expected an integer as limit, got '5'"),
    ],
)
def test_page_argument_of_wrong_type_raises_type_error(page, argument, message):
    with pytest.raises(TypeError, match=message):
        getattr(WorkloadRegistry(), page)(**argument)


def test_registry_argument_of_wrong_type_raises_type_error():
    registry = WorkloadRegistry()
    with pytest.raises(TypeError, match="expected a Workload, got 'wl-1'"):
        registry.register("wl-1", now=0.0)
    with pytest.raises(TypeError, match=r"expected an integer as limit, got 1\.5"):
        registry.removable(now=0.0, retention=0.0, limit=1.5)
    with pytest.raises(TypeError, match="expected a function as on_entry, got None"):
        registry.observe(None)
    with pytest.raises(TypeError, match="expected a function as on_change, got 5"):
        registry.subscribe(5)
    with pytest.raises(TypeError, match="expected a Persistence, got 'delayed'"):
        registry.subscribe(print, persistence="delayed")
