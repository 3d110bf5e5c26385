import asyncio
import threading

import pytest
from kakuri_registry import (
    WRITER_FAILPOINTS,
    Loaded,
    MemoryStore,
    RegistryError,
    SQLiteStore,
    StoreFailed,
    StoreFull,
    StoreWriter,
    WorkloadRegistry,
    _writer,
)
from kakuri_workload import DesiredState, Workload, WorkloadState

PENDING, RUNNING = WorkloadState.PENDING, WorkloadState.RUNNING


def workload(workload_id: str) -> Workload:
    return Workload(workload_id, "nginx", "edera-zone", 512, 500)


class ScriptedStore:
    """A store that waits until it is let go and fails when it is told to."""

    is_nonblocking = False

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.kept = MemoryStore()
        self.faults: list[Exception | None] = []
        self.refuses_new = False
        self.tidied = 0
        self.untidy = 1  # how often it has to be tidied
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def load(self) -> Loaded:
        return self.kept.load()

    def write(self, changes) -> None:
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.writes.append([change.workload_id for change in changes])
        if self.refuses_new and any(change.is_new for change in changes):
            raise StoreFull("the disk is full: no room is left for new workloads")
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.kept.write(changes)

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
        while not condition():  # noqa: ASYNC110 - what is waited for happens on another thread
            await asyncio.sleep(0)


async def test_all_changes_of_one_tick_are_one_write(registry, writer, store):
    for name in "abc":
        registry.register(workload(name), now=0)
    registry.update("a", RUNNING, now=1)
    assert not writer.is_saved("a")
    assert writer.backlog == 3
    await asyncio.gather(*map(writer.saved, "abc"))
    assert store.writes == [["a", "b", "c"]]
    assert writer.is_saved("a")
    assert writer.backlog == 0
    assert store.threads.isdisjoint({threading.get_ident()})
    assert {entry.workload.id: entry.state for entry in store.load().entries}["a"] is RUNNING
    await writer.close()


async def test_all_changes_that_come_while_a_write_runs_are_the_next(registry, writer, store):
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


async def test_what_nobody_waits_for_goes_behind_what_somebody_does(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.saved("a")
    registry.update("a", PENDING, now=1, reason="Pulling")
    registry.register(workload("b"), now=1)
    await writer.saved("b")
    assert not writer.is_saved("a")
    registry.update("a", RUNNING, now=2)
    await until(lambda: writer.is_saved("a"))
    assert store.writes == [["a"], ["b"], ["a"]]
    assert [entry.state for entry in store.load().entries] == [RUNNING, PENDING]
    await writer.close()


async def test_who_asks_for_what_nobody_waited_for_has_it_written_at_once(
    monkeypatch, registry, store
):
    monkeypatch.setattr("kakuri_registry._writer.UNHURRIED_SECONDS", 3600)
    async with StoreWriter(registry, store) as writer:
        for name in "ab":
            registry.register(workload(name), now=0)
        await writer.saved("b")
        assert store.writes == [["b"]]
        await writer.saved("a")
        assert store.writes == [["b"], ["a"]]


async def test_waiting_for_what_is_saved_already_does_not_wait(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    with pytest.raises(StopIteration):
        writer.saved("a").send(None)
    await writer.flushed()
    assert len(store.writes) == 1
    await writer.close()


async def test_a_full_store_withdraws_registrations_and_keeps_the_rest(registry, writer, store):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.refuses_new = True
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
    store.refuses_new = False
    registry.register(workload("new"), now=2)
    await writer.saved("new")
    assert writer.error is None
    assert store.ids() == ["new", "old"]
    await writer.close()


async def test_what_there_is_of_others_settles_though_new_ones_are_refused(registry, writer, store):
    store.refuses_new = True
    registry.register(workload("new"), now=0)
    assert writer.is_new("new")
    await writer.settled()  # it is not waited for
    with pytest.raises(StoreFull):
        await writer.flushed()
    assert ("new" in registry, writer.error, writer.backlog) == (False, None, 0)
    assert "no room" in str(writer.refusal)
    store.refuses_new = False
    registry.register(workload("old"), now=1)
    await writer.flushed()
    store.refuses_new = True
    store.gate.clear()
    registry.update("old", RUNNING, now=2)
    registry.register(workload("new"), now=2)
    settled = asyncio.ensure_future(writer.settled())
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


async def test_refusals_keep_nothing_else_waiting(registry, writer, store):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.refuses_new = True
    is_over = False

    async def knock(name):
        number = 0
        while not is_over:
            number += 1
            registry.register(workload(f"{name}-{number}"), now=0)
            with pytest.raises(StoreFull):
                await writer.saved(f"{name}-{number}")

    knocking = [asyncio.ensure_future(knock(name)) for name in ("a", "b", "c")]
    for number in range(20):
        registry.update("old", PENDING, now=number, reason=f"step-{number}")
        async with asyncio.timeout(10):
            await writer.saved("old")
    is_over = True
    await asyncio.gather(*knocking)
    assert store.load().entries == [registry.get("old")]
    assert (writer.backlog, writer.error) == (0, None)
    await writer.close()


async def test_what_was_refused_leaves_nothing_behind(registry, writer, store):
    """While the store takes nothing at all, either."""
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 1000
    registry.update("old", RUNNING, now=1)
    for number in range(100):
        registry.register(workload(f"w-{number}"), now=1)
        with pytest.raises(StoreFailed):
            await writer.saved(f"w-{number}")
    assert (writer.backlog, len(registry)) == (1, 1)
    assert max(map(len, store.writes)) <= 2
    store.faults.clear()
    await writer.close()
    assert store.load().entries == [registry.get("old")]


async def test_a_store_that_takes_nothing_is_not_asked_again_and_again(registry, writer, store):
    registry.register(workload("old"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 1000
    registry.update("old", RUNNING, now=1)
    for _ in range(3):
        with pytest.raises(StoreFailed):
            await writer.saved("old")
    assert len(store.writes) == 4
    store.faults.clear()
    await writer.close()


async def test_closing_again_after_a_failure_is_no_error(registry, writer, store):
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


async def test_what_changes_while_it_closes_is_kept_too(registry, writer, store):
    registry.register(workload("a"), now=0)
    store.gate.clear()
    closing = asyncio.ensure_future(writer.close())
    await until(lambda: writer._backlog.writing)
    registry.update("a", RUNNING, now=1)
    store.gate.set()
    await closing
    assert store.load().entries == [registry.get("a")]


async def test_a_registration_that_is_withdrawn_takes_later_changes_with_it(
    registry, writer, store
):
    store.refuses_new = True
    store.gate.clear()
    registry.register(workload("a"), now=0)
    await until(lambda: writer._backlog.writing)
    registry.update("a", RUNNING, now=1)
    later = asyncio.ensure_future(writer.saved("a"))
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(StoreFull):
        await later
    assert "a" not in registry
    assert store.ids() == []
    await writer.close()


async def test_what_was_removed_and_registered_anew_is_not_withdrawn_with_the_old(
    registry, writer, store
):
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


async def test_a_removal_is_not_forgotten_for_a_registration_that_came_and_went_behind_it(
    registry, writer, store
):
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


async def test_a_change_that_fails_is_told_and_tried_again_until_it_succeeds(
    registry, writer, store
):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 2
    entry = registry.update("a", RUNNING, now=1)
    with pytest.raises(StoreFailed, match="input/output error") as caught:
        await writer.saved("a")
    assert isinstance(caught.value.__cause__, StoreFailed)
    assert "input/output error" in str(writer.error)
    assert "input/output error" in repr(writer)
    assert registry.get("a") is entry
    assert not writer.is_saved("a")
    await until(lambda: writer.is_saved("a"))
    assert store.load().entries == [entry]
    assert writer.error is None
    await writer.close()


async def test_a_failed_change_is_tried_again_once_another_succeeds(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("once")]
    registry.update("a", RUNNING, now=1)
    with pytest.raises(StoreFailed):
        await writer.flushed()
    registry.register(workload("b"), now=2)
    await writer.saved("b")
    await until(lambda: writer.is_saved("a"))
    assert store.writes == [["a"], ["a"], ["b"], ["a"]]
    assert writer._retry is None
    await writer.close()


async def test_a_fault_of_the_store_itself_is_a_failure_too(registry, writer, store):
    store.faults = [ZeroDivisionError("a fault in the store")]
    registry.register(workload("a"), now=0)
    with pytest.raises(StoreFailed, match="the store failed: ZeroDivisionError"):
        await writer.saved("a")
    assert "a" not in registry
    await writer.close()


async def test_whoever_is_to_be_told_is(registry, writer, store):
    told = []
    registry.register(workload("a"), now=0)
    writer.when_saved("a", told.append)
    writer.when_saved("nobody", lambda error: told.append("at once"))
    assert told == ["at once"]
    await writer.flushed()
    assert told == ["at once", None]
    registry.update("a", RUNNING, now=1)
    store.faults = [StoreFailed("no")]
    writer.when_saved("a", told.append)
    with pytest.raises(StoreFailed):
        await writer.flushed()
    assert isinstance(told[-1], StoreFailed)


async def test_a_waiter_that_gives_up_leaves_the_others_alone(registry, writer, store):
    store.gate.clear()
    registry.register(workload("a"), now=0)
    gives_up, stays = (asyncio.ensure_future(writer.saved("a")) for _ in range(2))
    await until(lambda: writer._backlog.writing)
    gives_up.cancel()
    await asyncio.sleep(0)
    store.gate.set()
    await stays
    assert gives_up.cancelled()
    await writer.close()


async def test_whoever_asks_just_as_a_write_ends_is_answered(registry, writer, store):
    answers = []
    end = writer._end

    def end_and_ask(error):
        # What is asked before the answers are given has to be among them.
        answers.append(asyncio.ensure_future(writer.flushed()))
        answers.append(asyncio.ensure_future(writer.saved("a")))
        end(error)

    writer._end = end_and_ask
    registry.register(workload("a"), now=0)
    async with asyncio.timeout(10):
        await writer.flushed()
        await asyncio.gather(*answers)
    await writer.close()


async def test_closing_writes_what_is_left_and_lets_go_of_the_registry(registry, store):
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
    assert writer.is_saved("d")
    assert store.ids() == ["b", "c"]


async def test_closing_tells_what_can_not_be_written(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("broken")] * 10
    registry.remove("a")
    with pytest.raises(StoreFailed, match="broken"):
        await writer.close()


async def test_closing_writes_what_a_refused_registration_left_behind(registry, writer, store):
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.refuses_new = True
    registry.register(workload("new"), now=0)
    registry.remove("a")
    await writer.close()
    assert store.ids() == []
    assert "new" not in registry


async def test_a_store_in_memory_is_written_at_once(registry):
    store = MemoryStore()
    async with StoreWriter(registry, store) as writer:
        entry = registry.register(workload("a"), now=0)
        assert writer.is_saved("a")
        assert store.load().entries == [entry]
        with pytest.raises(StopIteration):
            writer.saved("a").send(None)
        registry.remove("a")
        assert store.load().entries == []
        await writer.flushed()
    assert writer._executor is None


async def test_each_step_has_its_name(registry, store):
    steps = []
    async with StoreWriter(registry, store, failpoint=steps.append) as writer:
        registry.register(workload("a"), now=0)
        await writer.saved("a")
    assert tuple(steps) == WRITER_FAILPOINTS


async def test_with_a_database_it_survives(registry, tmp_path):
    store = SQLiteStore(tmp_path / "kakuri.db")
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=1.0)
        await writer.saved("a")
        entry = registry.update("a", RUNNING, now=2.0, reason="Started")
        await writer.saved("a")
        registry.register(workload("b"), now=1.0)
        registry.remove("b")
    store.close()
    store = SQLiteStore(tmp_path / "kakuri.db")
    again = WorkloadRegistry.load(store.load())
    store.close()
    assert list(again) == [entry]
    assert again.history("a") == registry.history("a")


def test_it_needs_a_running_loop(registry, store):
    with pytest.raises(RuntimeError, match="no running event loop"):
        StoreWriter(registry, store)
    assert issubclass(StoreFull, RegistryError)


async def test_a_fault_is_logged_once_and_so_is_its_end(registry, writer, store, caplog):
    caplog.set_level("INFO", "kakuri_registry")
    registry.register(workload("a"), now=0)
    await writer.flushed()
    store.faults = [StoreFailed("input/output error")] * 3
    registry.update("a", RUNNING, now=1)
    await until(lambda: not store.faults and writer.error is None)
    assert [record.getMessage() for record in caplog.records] == [
        "the store takes no changes: input/output error",
        "the store takes changes again",
    ]
    await writer.close()


@pytest.fixture
def tidied(monkeypatch):
    """No delay before the store is tidied."""
    monkeypatch.setattr(_writer, "TIDY_SECONDS", 0.0)


@pytest.mark.usefixtures("tidied")
async def test_store_is_tidied_after_a_removal_until_nothing_is_left(registry, store):
    store.untidy = 3
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=0)
        await writer.flushed()
        assert (writer._tidying, store.tidied) == (None, 0)
        registry.remove("a")
        await writer.flushed()
        await until(lambda: store.tidied == 3 and writer._tidying is None)
    assert store.tidied == 3


@pytest.mark.usefixtures("tidied")
async def test_store_that_can_not_be_tidied_is_tried_again_after_the_next_removal(
    registry, store, caplog
):
    async with StoreWriter(registry, store) as writer:
        for name in "ab":
            registry.register(workload(name), now=0)
        await writer.flushed()
        store.faults = [None, StoreFailed("the disk stumbled")]
        registry.remove("a")
        await writer.flushed()
        await until(lambda: store.tidied == 1 and writer._tidying is None)
        assert "the store was not tidied: the disk stumbled" in caplog.text
        registry.remove("b")
        await writer.flushed()
        await until(lambda: store.tidied == 2)


async def test_closed_journal_tidies_nothing(registry, store):
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=0)
        await writer.flushed()
        registry.remove("a")
        await writer.flushed()
        timer = writer._tidying
    assert timer.cancelled()
    assert store.tidied == 0


async def test_concurrent_settled_calls_share_one_wait_while_nothing_changes(registry, store):
    async with StoreWriter(registry, store) as writer:
        for name in "abc":
            registry.register(workload(name), now=0)
        await writer.flushed()
        store.gate.clear()
        for name in "abc":
            registry.update(name, RUNNING, now=1)
        asked = [asyncio.create_task(writer.settled()) for _ in range(50)]
        asked.append(asyncio.create_task(writer.settled()))
        await asyncio.sleep(0)
        pending = writer._backlog._pending | writer._backlog.writing
        assert [len(pending[name].waiting) for name in "abc"] == [1, 1, 1]
        asked.pop().cancel()  # which takes the answer from no other
        store.gate.set()
        await asyncio.gather(*asked)
        registry.update("a", RUNNING, now=2, reason="more")
        assert not writer.is_saved("a")
        await writer.settled()
        assert writer.is_saved("a")


async def test_settled_raises_the_fault_for_every_caller(registry, store):
    async with StoreWriter(registry, store) as writer:
        registry.register(workload("a"), now=0)
        await writer.flushed()
        store.faults = [StoreFailed("the disk stumbled")]
        registry.update("a", RUNNING, now=1)
        told = await asyncio.gather(writer.settled(), writer.settled(), return_exceptions=True)
        assert [str(error) for error in told] == ["the disk stumbled"] * 2
        assert told[0] is not told[1]


async def test_workload_is_settled_when_waiting_would_change_nothing(registry, writer, store):
    registry.register(workload("old"), now=0)
    assert not writer.is_settled("old")
    await writer.saved("old")
    assert writer.is_settled("old")
    assert writer.is_settled("unknown")
    store.faults = [StoreFailed("broken")] * 4
    registry.update("old", RUNNING, now=1)
    assert not writer.is_settled("old")
    with pytest.raises(StoreFailed):
        await writer.saved("old")
    registry.register(workload("new"), now=2)
    assert writer.is_settled("old")  # what is known of it is all that there will be
    assert not writer.is_settled("new")  # it may still be refused
    assert (writer.is_new("old"), writer.is_new("new")) == (False, True)
    store.faults.clear()
    await writer.flushed()
    assert writer.is_settled("new")


async def test_settled_after_a_change_waits_for_that_change_too(registry, writer, store):
    for name in ("a", "b"):
        registry.register(workload(name), now=0)
        await writer.saved(name)
    store.gate.clear()
    registry.update("a", RUNNING, now=1)
    first = asyncio.ensure_future(writer.settled())
    await asyncio.sleep(0)
    registry.update("b", RUNNING, now=2)
    second = asyncio.ensure_future(writer.settled())
    await asyncio.sleep(0)
    store.gate.set()
    await first
    await second
    assert writer.is_saved("b")
