import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from kakuri_registry import (
    WRITER_FAILPOINTS,
    Durability,
    Loaded,
    MemoryStore,
    RegistryError,
    SQLiteStore,
    StoreFailed,
    StoreFull,
    StoreWriter,
    WorkloadRegistry,
    _store_files,
    _store_probe,
    _tidier,
    _writer,
)
from kakuri_workload import DesiredState, Run, WorkloadState
from kakuri_workload.testing import workload

PENDING, RUNNING = WorkloadState.PENDING, WorkloadState.RUNNING
SAVED, UNREGISTERED = Durability.SAVED, Durability.UNREGISTERED


class ScriptedStore:
    """A store whose writes wait for a gate, and fail as a test has scripted."""

    is_nonblocking = False
    keeps_workloads = True
    has_reserve = None

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.kept = MemoryStore()
        self.faults: list[Exception | None] = []
        self.refuses_registrations = False
        self.tidied = 0
        self.untidy = 1  # number of calls of `tidy` that it needs
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def load(self) -> Loaded:
        return self.kept.load()

    def write(self, changes) -> None:
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.writes.append([change.workload_id for change in changes])
        if self.refuses_registrations and any(change.is_registration for change in changes):
            raise StoreFull("the disk is full: no room is left for new workloads")
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.kept.write(changes)

    def check_room(self) -> None:
        pass

    def compact(self, index: int) -> None:
        self.kept.compact(index)

    def drop_tombstones(self, oldest: int) -> None:
        self.kept.drop_tombstones(oldest)

    def removed_log(self, version: int) -> bytes | None:
        return self.kept.removed_log(version)

    def tidy(self) -> bool:
        assert self.gate.wait(10)
        self.tidied += 1
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        return self.tidied < self.untidy

    def close(self) -> None:
        self.gate.set()

    def ids(self) -> list[str]:
        return sorted(entry.workload.id for entry in self.load().entries)


@pytest.fixture
def store():
    store = ScriptedStore()
    yield store
    store.close()


@pytest.fixture
def registry():
    return WorkloadRegistry()


@pytest.fixture
async def writer(registry, store):
    return StoreWriter(registry, store)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition depends on another thread
            await asyncio.sleep(0)


async def test_changes_of_one_turn_of_the_loop_are_written_together(registry, writer, store):
    for name in "abc":
        registry.register(workload(name), now=0)
    registry.update("a", Run(RUNNING), now=1)
    assert writer.durability("a") is not SAVED
    assert writer.backlog == 3
    await asyncio.gather(*map(writer.saved, "abc"))
    assert store.writes == [["a", "b", "c"]]
    assert writer.durability("a") is SAVED
    assert writer.backlog == 0
    assert store.threads.isdisjoint({threading.get_ident()})
    assert {entry.workload.id: entry.state for entry in store.load().entries}["a"] is RUNNING
    await writer.close()


async def test_changes_made_during_a_write_are_written_together_by_the_next(
    registry, writer, store
):
    store.gate.clear()
    registry.register(workload("first"), now=0)
    await until(lambda: writer._backlog.writing)
    waiting = []
    for number in range(100):
        registry.register(workload(f"w-{number}"), now=0)
        waiting.append(asyncio.ensure_future(writer.saved(f"w-{number}")))
        await asyncio.sleep(0)
    first = asyncio.ensure_future(writer.saved("first"))
    assert writer.backlog == 101
    store.gate.set()
    await asyncio.gather(first, *waiting)
    assert [len(write) for write in store.writes] == [1, 100]
    await writer.close()


async def test_change_that_no_caller_awaits_is_written_after_one_that_a_caller_awaits(
    monkeypatch, registry, writer, store
):
    monkeypatch.setattr("kakuri_registry._writer.BATCH_DELAY_SECONDS", 3600)
    registry.register(workload("a"), now=0)
    await writer.saved("a")
    registry.update("a", Run(PENDING, reason="Pulling"), now=1)
    registry.register(workload("b"), now=1)
    await writer.saved("b")
    assert writer.durability("a") is not SAVED
    registry.update("a", Run(RUNNING), now=2)
    writer._batch_timer.cancel()
    writer._flush_batch()  # as the timer does
    await until(lambda: writer.durability("a") is SAVED)
    assert store.writes == [["a"], ["b"], ["a"]]
    assert [entry.state for entry in store.load().entries] == [RUNNING, PENDING]
    await writer.close()


async def test_saved_writes_an_earlier_change_without_the_batch_delay(monkeypatch, registry, store):
    monkeypatch.setattr("kakuri_registry._writer.BATCH_DELAY_SECONDS", 3600)
    async with StoreWriter(registry, store) as writer:
        for name in "ab":
            registry.register(workload(name), now=0)
        await writer.saved("b")
        assert store.writes == [["b"]]
        await writer.saved("a")
        assert store.writes == [["b"], ["a"]]


async def test_saved_and_flushed_return_at_once_when_everything_is_written(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    with pytest.raises(StopIteration):
        writer.saved("a").send(None)
    await writer.flushed()
    assert len(store.writes) == 1
    await writer.close()


async def test_full_store_withdraws_registrations_and_accepts_other_changes(
    registry, writer, store
):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.refuses_registrations = True
    registry.register(workload("new"), now=1)
    registry.set_desired("old", DesiredState.STOP, now=1)
    new = asyncio.ensure_future(writer.saved("new"))
    twice = asyncio.ensure_future(writer.saved("new"))
    old = asyncio.ensure_future(writer.saved("old"))
    everything = asyncio.ensure_future(writer.flushed())
    with pytest.raises(StoreFull, match="no room is left for new workloads"):
        await new
    assert "new" not in registry
    await old
    for other in (twice, everything):
        with pytest.raises(StoreFull):
            await other
    assert store.load().entries[0].desired is DesiredState.STOP
    assert store.ids() == ["old"]
    store.refuses_registrations = False
    registry.register(workload("new"), now=2)
    await writer.saved("new")
    assert writer.error is None
    assert store.ids() == ["new", "old"]
    await writer.close()


async def test_flushed_without_registrations_succeeds_while_registrations_raise_store_full(
    registry, writer, store
):
    store.refuses_registrations = True
    registry.register(workload("new"), now=0)
    assert writer.durability("new") is UNREGISTERED
    await writer.flushed(registrations=False)  # does not wait for it
    with pytest.raises(StoreFull):
        await writer.flushed()
    assert ("new" in registry, writer.error, writer.backlog) == (False, None, 0)
    assert "no room" in str(writer.registration_error)
    store.refuses_registrations = False
    registry.register(workload("old"), now=1)
    await writer.flushed()
    store.refuses_registrations = True
    store.gate.clear()
    registry.update("old", Run(RUNNING), now=2)
    registry.register(workload("new"), now=2)
    settled = asyncio.ensure_future(writer.flushed(registrations=False))
    refused = asyncio.ensure_future(writer.saved("new"))
    await asyncio.sleep(0)
    store.gate.set()
    await settled
    assert [entry.state for entry in store.load().entries] == [RUNNING]
    assert not refused.done()
    with pytest.raises(StoreFull):
        await refused
    assert writer.error is None
    await writer.close()


async def test_refused_registrations_do_not_delay_other_changes(registry, writer, store):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.refuses_registrations = True
    is_over = False

    async def register_repeatedly(name):
        number = 0
        while not is_over:
            number += 1
            registry.register(workload(f"{name}-{number}"), now=0)
            with pytest.raises(StoreFull):
                await writer.saved(f"{name}-{number}")

    refused = [asyncio.ensure_future(register_repeatedly(name)) for name in ("a", "b", "c")]
    for number in range(20):
        registry.update("old", Run(PENDING, reason=f"step-{number}"), now=number)
        async with asyncio.timeout(10):
            await writer.saved("old")
    is_over = True
    await asyncio.gather(*refused)
    assert store.load().entries == [registry.get("old")]
    assert (writer.backlog, writer.error) == (0, None)
    await writer.close()


async def test_refused_registrations_leave_no_backlog_while_the_store_fails(
    registry, writer, store
):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 1000
    registry.update("old", Run(RUNNING), now=1)
    for number in range(100):
        registry.register(workload(f"w-{number}"), now=1)
        with pytest.raises(StoreFailed):
            await writer.saved(f"w-{number}")
    assert (writer.backlog, len(registry)) == (1, 1)
    assert max(map(len, store.writes)) <= 2
    store.faults.clear()
    await writer.close()
    assert store.load().entries == [registry.get("old")]


async def test_failing_store_is_tried_once_for_each_call_of_saved(registry, writer, store):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 1000
    registry.update("old", Run(RUNNING), now=1)
    for _ in range(3):
        with pytest.raises(StoreFailed):
            await writer.saved("old")
    assert len(store.writes) == 4
    store.faults.clear()
    await writer.close()


async def test_close_after_a_failed_close_has_no_effect(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 1000
    registry.remove("a")
    async with asyncio.timeout(10):
        with pytest.raises(StoreFailed):
            await writer.close()
        await writer.close()
        await writer.saved("a")
    assert store.ids() == ["a"]


async def test_change_made_during_close_is_written(registry, writer, store):
    registry.register(workload("a"), now=0)
    store.gate.clear()
    closing = asyncio.ensure_future(writer.close())
    await until(lambda: writer._backlog.writing)
    registry.update("a", Run(RUNNING), now=1)
    store.gate.set()
    await closing
    assert store.load().entries == [registry.get("a")]


async def test_withdrawn_registration_withdraws_later_changes_of_the_workload(
    registry, writer, store
):
    store.refuses_registrations = True
    store.gate.clear()
    registry.register(workload("a"), now=0)
    await until(lambda: writer._backlog.writing)
    registry.update("a", Run(RUNNING), now=1)
    later = asyncio.ensure_future(writer.saved("a"))
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(StoreFull):
        await later
    assert "a" not in registry
    assert store.ids() == []
    await writer.close()


async def test_second_registration_survives_the_refusal_of_the_first(registry, writer, store):
    store.faults = [StoreFull("full")]
    store.gate.clear()
    registry.register(workload("a"), now=0)
    first = asyncio.ensure_future(writer.saved("a"))
    await until(lambda: writer._backlog.writing)
    registry.remove("a")
    again = registry.register(workload("a"), now=1)
    second = asyncio.ensure_future(writer.saved("a"))
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(StoreFull):
        await first
    await second
    assert registry.get("a") is again
    assert store.load().entries == [again]
    await writer.close()


async def test_removal_is_retried_after_a_registration_and_another_removal(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    registry.remove("a")
    registry.register(workload("a"), now=1)
    registry.remove("a")
    store.faults = [StoreFailed("no disk")]
    with pytest.raises(StoreFailed):
        await writer.flushed()
    await writer.flushed()
    assert (store.ids(), writer.error) == ([], None)


async def test_failed_change_raises_and_is_retried_until_it_succeeds(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 2
    entry = registry.update("a", Run(RUNNING), now=1)
    with pytest.raises(StoreFailed, match="input/output error") as caught:
        await writer.saved("a")
    assert isinstance(caught.value.__cause__, StoreFailed)
    assert "input/output error" in str(writer.error)
    assert "input/output error" in repr(writer)
    assert registry.get("a") is entry
    assert writer.durability("a") is not SAVED
    await until(lambda: writer.durability("a") is SAVED)
    assert store.load().entries == [entry]
    assert writer.error is None
    await writer.close()


async def test_failed_change_is_retried_as_soon_as_a_registration_succeeds(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("once")]
    registry.update("a", Run(RUNNING), now=1)
    with pytest.raises(StoreFailed):
        await writer.flushed()
    registry.register(workload("b"), now=2)
    await writer.saved("b")
    await until(lambda: writer.durability("a") is SAVED)
    assert store.writes == [["a"], ["a"], ["b"], ["a"]]
    assert writer._retry is None
    await writer.close()


async def test_unexpected_exception_in_the_store_is_raised_as_store_failed(registry, writer, store):
    store.faults = [ZeroDivisionError("a fault in the store")]
    registry.register(workload("a"), now=0)
    with pytest.raises(StoreFailed, match="the store failed: ZeroDivisionError"):
        await writer.saved("a")
    assert "a" not in registry
    await writer.close()


async def test_when_saved_calls_the_function_with_none_or_the_error(registry, writer, store):
    outcomes = []
    registry.register(workload("a"), now=0)
    writer.when_saved("a", outcomes.append)
    writer.when_saved("unknown", lambda error: outcomes.append("at once"))
    assert outcomes == ["at once"]
    await writer.flushed()
    assert outcomes == ["at once", None]
    registry.update("a", Run(RUNNING), now=1)
    store.faults = [StoreFailed("no")]
    writer.when_saved("a", outcomes.append)
    with pytest.raises(StoreFailed):
        await writer.flushed()
    assert isinstance(outcomes[-1], StoreFailed)


async def test_cancelled_saved_does_not_affect_another_caller(registry, writer, store):
    store.gate.clear()
    registry.register(workload("a"), now=0)
    cancelled, other = (asyncio.ensure_future(writer.saved("a")) for _ in range(2))
    await until(lambda: writer._backlog.writing)
    cancelled.cancel()
    await asyncio.sleep(0)
    store.gate.set()
    await other
    assert cancelled.cancelled()
    await writer.close()


async def test_saved_that_is_called_as_a_write_ends_returns(registry, writer, store):
    answers = []
    end = writer._end_write

    def end_and_ask(*outcome):
        # Calls made before the callers are notified have to be notified, too.
        answers.append(asyncio.ensure_future(writer.flushed()))
        answers.append(asyncio.ensure_future(writer.saved("a")))
        end(*outcome)

    writer._end_write = end_and_ask
    registry.register(workload("a"), now=0)
    async with asyncio.timeout(10):
        await writer.flushed()
        await asyncio.gather(*answers)
    await writer.close()


async def test_close_writes_remaining_changes_and_unsubscribes(registry, store):
    async with StoreWriter(registry, store) as writer:
        store.faults = [StoreFull("full"), None]
        registry.register(workload("a"), now=0)
        with pytest.raises(StoreFull):
            await writer.flushed()
        store.gate.clear()
        registry.register(workload("b"), now=0)
        await until(lambda: writer._backlog.writing)
        registry.register(workload("c"), now=0)
        store.gate.set()
    assert store.ids() == ["b", "c"]
    registry.register(workload("d"), now=0)
    assert writer.durability("d") is SAVED
    assert store.ids() == ["b", "c"]


@pytest.mark.parametrize("second", [MemoryStore, ScriptedStore])
async def test_second_writer_of_a_registry_raises_runtime_error_until_the_first_is_closed(
    registry, writer, store, second
):
    with pytest.raises(RuntimeError, match="has a subscriber already"):
        StoreWriter(registry, second())
    await writer.close()
    async with StoreWriter(registry, second()):
        await writer.close()  # it does not unsubscribe the other one
        with pytest.raises(RuntimeError, match="has a subscriber already"):
            StoreWriter(registry, store)


async def test_close_raises_when_changes_cannot_be_written(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("broken")] * 10
    registry.remove("a")
    with pytest.raises(StoreFailed, match="broken"):
        await writer.close()


async def test_close_writes_other_changes_after_a_refused_registration(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.refuses_registrations = True
    registry.register(workload("new"), now=0)
    registry.remove("a")
    await writer.close()
    assert store.ids() == []
    assert "new" not in registry


async def test_nonblocking_store_is_written_immediately(registry):
    store = MemoryStore()
    async with StoreWriter(registry, store) as writer:
        entry = registry.register(workload("a"), now=0)
        assert writer.durability("a") is SAVED
        assert store.load().entries == [entry]
        with pytest.raises(StopIteration):
            writer.saved("a").send(None)
        registry.remove("a")
        assert store.load().entries == []
        await writer.flushed()
    assert writer._own_thread is None


async def test_failpoint_is_called_with_each_name_in_order(registry, store):
    steps = []
    async with StoreWriter(registry, store, failpoint=steps.append) as writer:
        registry.register(workload("a"), now=0)
        await writer.saved("a")
    assert tuple(steps) == WRITER_FAILPOINTS


async def test_changes_written_to_a_database_are_there_after_reopening(registry, tmp_path):
    store = SQLiteStore(tmp_path / "kakuri.db")
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=1.0)
        await writer.saved("a")
        entry = registry.update("a", Run(RUNNING, reason="Started"), now=2.0)
        await writer.saved("a")
        registry.register(workload("b"), now=1.0)
        registry.remove("b")
    store.close()
    store = SQLiteStore(tmp_path / "kakuri.db")
    again = WorkloadRegistry.load(store.load())
    store.close()
    assert list(again) == [entry]
    assert again.history("a") == registry.history("a")


def test_writer_without_a_running_loop_raises_runtime_error(registry, store):
    with pytest.raises(RuntimeError, match="no running event loop"):
        StoreWriter(registry, store)
    assert issubclass(StoreFull, RegistryError)


async def test_repeated_failure_and_its_end_are_each_logged_once(registry, writer, store, caplog):
    caplog.set_level("INFO", "kakuri_registry")
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 3
    registry.update("a", Run(RUNNING), now=1)
    await until(lambda: not store.faults and writer.error is None)
    assert [record.getMessage() for record in caplog.records] == [
        "the store accepts no changes: input/output error",
        "the store accepts changes again",
    ]
    await writer.close()


@pytest.fixture
def tidied(monkeypatch):
    """No delay before the store is tidied."""
    monkeypatch.setattr(_tidier, "TIDY_SECONDS", 0.0)


@pytest.mark.usefixtures("tidied")
async def test_store_is_tidied_after_a_removal_until_it_is_tidy(registry, store):
    store.untidy = 3
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=0)
        await writer.flushed()
        assert (writer._tidier._timer, store.tidied) == (None, 0)
        registry.remove("a")
        await writer.flushed()
        await until(lambda: store.tidied == 3 and writer._tidier._timer is None)
    assert store.tidied == 3


@pytest.mark.usefixtures("tidied")
async def test_failed_tidying_is_retried_after_the_next_removal(registry, store, caplog):
    async with StoreWriter(registry, store) as writer:
        for name in "ab":
            registry.register(workload(name), now=0)
        await writer.flushed()
        store.faults = [None, StoreFailed("the disk stumbled")]
        registry.remove("a")
        await writer.flushed()
        await until(lambda: store.tidied == 1 and writer._tidier._timer is None)
        assert "the store was not tidied: the disk stumbled" in caplog.text
        registry.remove("b")
        await writer.flushed()
        await until(lambda: store.tidied == 2)


@pytest.mark.usefixtures("tidied")
async def test_error_while_tidying_stops_neither_writes_nor_the_next_tidying(
    registry, store, caplog
):
    async with StoreWriter(registry, store) as writer:
        for name in "ab":
            registry.register(workload(name), now=0)
        await writer.flushed()
        store.faults = [None, ValueError("the store has a fault")]
        registry.remove("a")
        await writer.flushed()
        await until(lambda: store.tidied == 1 and writer._tidier._timer is None)
        await until(lambda: "ValueError: the store has a fault" in caplog.text)
        registry.remove("b")
        await asyncio.wait_for(writer.flushed(), 10)
        await until(lambda: store.tidied == 2)


async def test_writes_without_a_thread_fail_instead_of_waiting_for_ever(registry, store):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    writer = StoreWriter(registry, store, executor=executor)
    registry.register(workload("a"), now=0)
    with pytest.raises(StoreFailed, match="shutdown"):
        await asyncio.wait_for(writer.saved("a"), 10)
    assert "a" not in registry
    await writer.close()


async def test_closed_writer_does_not_tidy(registry, store):
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=0)
        await writer.flushed()
        registry.remove("a")
        await writer.flushed()
        timer = writer._tidier._timer
    assert timer.cancelled()
    assert store.tidied == 0


async def test_closed_writer_does_not_repeat_a_write_that_fails_after_it(
    registry, store, monkeypatch
):
    monkeypatch.setattr(_writer, "FIRST_RETRY_SECONDS", 0.0)
    with ThreadPoolExecutor(1) as executor:
        writer = StoreWriter(registry, store, executor=executor)
        registry.register(workload("a"), now=0)
        await writer.flushed()
        store.gate.clear()
        store.faults = [StoreFailed("the disk stumbled")]
        registry.update("a", Run(RUNNING), now=1)
        closing = asyncio.create_task(writer.close())
        await until(lambda: writer._backlog.writing)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        store.gate.set()
        await until(lambda: writer.error is not None)
        for _ in range(5):
            await asyncio.sleep(0)
    assert store.writes == [["a"], ["a"]]


async def test_concurrent_flushed_without_registrations_share_one_wait(registry, store):
    async with StoreWriter(registry, store) as writer:
        for name in "abc":
            registry.register(workload(name), now=0)
        await writer.flushed()
        store.gate.clear()
        for name in "abc":
            registry.update(name, Run(RUNNING), now=1)
        asked = [asyncio.create_task(writer.flushed(registrations=False)) for _ in range(50)]
        asked.append(asyncio.create_task(writer.flushed(registrations=False)))
        await asyncio.sleep(0)
        pending = writer._backlog._pending | writer._backlog.writing
        assert [len(pending[name].callbacks) for name in "abc"] == [1, 1, 1]
        asked.pop().cancel()  # the other callers still get the outcome
        store.gate.set()
        await asyncio.gather(*asked)
        registry.update("a", Run(RUNNING, reason="more"), now=2)
        assert writer.durability("a") is not SAVED
        await writer.flushed(registrations=False)
        assert writer.durability("a") is SAVED


async def test_flushed_without_registrations_raises_an_error_for_each_caller(registry, store):
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=0)
        await writer.flushed()
        store.faults = [StoreFailed("the disk stumbled")]
        registry.update("a", Run(RUNNING), now=1)
        outcomes = await asyncio.gather(
            writer.flushed(registrations=False),
            writer.flushed(registrations=False),
            return_exceptions=True,
        )
        assert [str(error) for error in outcomes] == ["the disk stumbled"] * 2
        assert outcomes[0] is not outcomes[1]


async def test_durability_follows_a_workload_from_registration_over_a_failing_disk(
    registry, writer, store
):
    registry.register(workload("old"), now=0)
    assert writer.durability("old") is UNREGISTERED
    assert not UNREGISTERED.is_reportable
    await writer.saved("old")
    assert writer.durability("old") is SAVED
    assert writer.durability("unknown") is SAVED
    assert SAVED.is_reportable
    store.faults = [StoreFailed("broken")] * 4
    registry.update("old", Run(RUNNING), now=1)
    assert writer.durability("old") is Durability.PENDING
    assert not Durability.PENDING.is_reportable
    with pytest.raises(StoreFailed):
        await writer.saved("old")
    registry.register(workload("new"), now=2)
    assert writer.durability("old") is Durability.BLOCKED
    assert Durability.BLOCKED.is_reportable
    assert writer.durability("new") is UNREGISTERED  # it may still be refused
    store.faults.clear()
    await writer.flushed()
    assert writer.durability("new") is SAVED


async def test_flushed_without_registrations_waits_for_a_change_made_since_the_last_call(
    registry, writer, store
):
    for name in ("a", "b"):
        registry.register(workload(name), now=0)
        await writer.saved(name)
    store.gate.clear()
    registry.update("a", Run(RUNNING), now=1)
    first = asyncio.ensure_future(writer.flushed(registrations=False))
    await asyncio.sleep(0)
    registry.update("b", Run(RUNNING), now=2)
    second = asyncio.ensure_future(writer.flushed(registrations=False))
    await asyncio.sleep(0)
    store.gate.set()
    await first
    await second
    assert writer.durability("b") is SAVED


async def test_closed_writer_leaves_no_thread_and_can_be_closed_again(registry, writer, store):
    await writer.flushed(registrations=False)  # nothing was ever changed
    registry.register(workload("a"), now=0)
    await writer.saved("a")
    (thread,) = store.threads
    await writer.close()
    assert thread not in {each.ident for each in threading.enumerate()}
    await writer.close()


async def test_each_write_is_reported_with_its_changes_and_its_error(registry, writer, store):
    writes = []
    writer.on_write = lambda changes, seconds, error: writes.append((changes, seconds >= 0, error))
    registry.register(workload("a"), now=0)
    registry.register(workload("b"), now=0)
    await writer.flushed()
    assert writes == [(2, True, None)]
    full = StoreFull("full")
    store.faults.append(full)
    registry.register(workload("c"), now=0)
    with pytest.raises(StoreFull):
        await writer.saved("c")
    assert writes[1:] == [(1, True, full)]
    await writer.close()


async def test_idle_writer_reports_that_the_database_was_deleted_and_is_back(
    registry, tmp_path, monkeypatch
):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(_store_files, "CHECK_SECONDS", 0)
    with closing(SQLiteStore(tmp_path / "db", reserve=0)) as store:
        store.load()
        async with StoreWriter(registry, store) as writer:
            (tmp_path / "db").rename(tmp_path / "moved")
            await until(lambda: "deleted" in str(writer.error))
            (tmp_path / "moved").rename(tmp_path / "db")
            await until(lambda: writer.error is None)


async def test_idle_writer_reports_any_exception_of_its_store(registry, store, monkeypatch):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.001)
    async with StoreWriter(registry, store) as writer:
        with monkeypatch.context() as disk:
            disk.setattr(store, "check_room", raise_os_error)
            expected = "the store failed: OSError('the disk is gone')"
            await until(lambda: str(writer.error) == expected)
        await until(lambda: writer.error is None)


def raise_os_error():
    raise OSError("the disk is gone")


async def test_idle_writer_reports_that_its_thread_cannot_be_started(registry, store, monkeypatch):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.001)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    async with StoreWriter(registry, store) as writer:
        with monkeypatch.context() as limit:
            limit.setattr(threading.Thread, "start", refuse)
            await until(lambda: "can't start new thread" in str(writer.error))
        await until(lambda: writer.error is None)


async def test_store_that_lacks_members_is_rejected_at_once(registry):
    class PartialStore:
        is_nonblocking = False
        keeps_workloads = True
        has_reserve = None
        load = write = compact = drop_tombstones = removed_log = close = print

    expected = "expected a Store, got a PartialStore without check_room, tidy"
    with pytest.raises(TypeError, match=expected):
        StoreWriter(registry, PartialStore())
    async with StoreWriter(registry, MemoryStore()):
        pass


async def test_idle_writer_reports_that_the_disk_is_full_and_has_room_again(
    registry, tmp_path, monkeypatch
):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.01)
    full = os.statvfs_result((*os.statvfs(tmp_path)[:3], 0, 0, *os.statvfs(tmp_path)[5:]))
    with closing(SQLiteStore(tmp_path / "db", reserve=1 << 20)) as store:
        store.load()
        async with StoreWriter(registry, store) as writer:
            with monkeypatch.context() as disk:
                disk.setattr(os, "statvfs", lambda _path: full)
                await until(lambda: isinstance(writer.registration_error, StoreFull))
                registry.register(workload("refused"), now=0)
                with pytest.raises(StoreFull):
                    await writer.saved("refused")
            await until(lambda: writer.registration_error is None)
            assert writer.error is None


async def test_store_whose_disk_hangs_accepts_no_changes_until_it_answers(
    registry, tmp_path, monkeypatch
):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.01)
    with closing(SQLiteStore(tmp_path / "db")) as store:
        store.load()
        write, answers = store.write, threading.Event()
        async with StoreWriter(registry, store) as writer:
            registry.register(workload("running"), now=0)
            await writer.saved("running")
            monkeypatch.setattr(store, "write", lambda changes: answers.wait(20) and write(changes))
            registry.update("running", Run(WorkloadState.RUNNING), now=0)
            assert writer.durability("running") is Durability.PENDING
            await until(lambda: "has not answered for at least" in str(writer.error))
            assert writer.durability("running") is Durability.BLOCKED
            answers.set()
            await until(lambda: writer.error is None)
            assert writer.durability("running") is Durability.SAVED


async def test_hanging_disk_is_no_longer_reported_once_a_registration_is_written(
    registry, store, monkeypatch
):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.01)
    store.gate.clear()
    writer = StoreWriter(registry, store)
    registry.register(workload("new"), now=0)
    errors = []
    writer.when_saved("new", lambda _: errors.append(writer.error))
    await until(lambda: writer.error is not None)
    store.gate.set()
    await until(lambda: errors)
    assert errors == [None]


async def test_probe_of_a_store_that_failed_does_not_report_that_it_accepts_new_workloads(
    registry, tmp_path, monkeypatch
):
    monkeypatch.setattr(_store_probe, "PROBE_SECONDS", 0.001)
    with closing(SQLiteStore(tmp_path / "db")) as store:
        store.load()
        probes = []
        monkeypatch.setattr(store, "check_room", lambda: probes.append(len(probes)))
        async with StoreWriter(registry, store) as writer:
            with monkeypatch.context() as disk:
                disk.setattr(store, "write", raise_failed)
                registry.register(workload("refused"), now=0)
                with pytest.raises(StoreFailed):
                    await writer.saved("refused")
            begun = len(probes)
            await until(lambda: len(probes) > begun + 1)
            assert isinstance(writer.registration_error, StoreFailed)


def raise_failed(_changes):
    raise StoreFailed("the disk accepts no writes")
