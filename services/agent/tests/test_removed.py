"""Answers about workloads that were removed."""

import asyncio

import pytest
from kakuri_agent import Agent, _removed
from kakuri_agent._retention import CHECK_SECONDS, Retention
from kakuri_agent.runtimes._protocol import RemovedZone
from kakuri_registry import SQLiteStore, StoreFailed, StoreWriter, WorkloadRegistry
from kakuri_rpc import (
    MAX_LOG_DATA,
    ErrorCode,
    GetHistory,
    GetStatus,
    ListWorkloads,
    Log,
    ReadLog,
    RemoveWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
)
from kakuri_workload import (
    LOG_GAP,
    LogRecord,
    LogSelection,
    LogStream,
    Removal,
    WorkloadState,
    ZoneStatus,
    write_record,
)
from kakuri_workload.testing import workload

from .loop_clock import LoopClock

RUNNING, SUCCEEDED, FAILED = list(WorkloadState)[1:]
RECEIPT = Removal("s1", "c1", 0, "list")


AT = "2026-11-26T14:07:25.00000000{}Z"


def record(content, second=0, *, stream="stdout", attempt=0, is_partial=False):
    return write_record(LogRecord(AT.format(second), stream, is_partial, attempt, content))


LOG = record(b"one") + record(b"two", 1, stream="stderr") + record(b"end", 2, is_partial=True)


@pytest.fixture
def remove(agent, runtime, until_idle):
    """Return a coroutine function that starts a workload, ends it, and removes it."""

    async def start_and_remove(name="wl-1", *, log=LOG, code=3, **fields):
        agent.handle(StartWorkload(workload(name, **fields)))
        runtime.change(FAILED, name, reason="Error", exit_code=code)
        await until_idle()
        agent.handle(RemoveWorkload(name))
        await until_idle()
        del runtime.zones[name]
        runtime.observer.zone_removed(name, RemovedZone(RECEIPT, log))
        await until_idle()

    return start_and_remove


async def test_removed_workload_is_not_found_and_its_id_can_be_used_again(agent, remove):
    await remove()
    assert agent.handle(GetStatus("wl-1")).code is ErrorCode.NOT_FOUND
    assert agent.handle(StartWorkload(workload(memory_mb=1))).state is State.PENDING
    assert agent.handle(GetStatus("wl-1", removed=True)).exit_code == 3


async def test_status_of_a_removed_workload_has_how_it_ended_and_its_receipt(agent, remove):
    await remove()
    assert agent.handle(GetStatus("wl-1", removed=True)) == Status(
        "wl-1", State.FAILED, "Error", exit_code=3, removed_at=7.0, removal=RECEIPT
    )


async def test_status_of_a_removed_workload_with_details_has_its_specification(
    agent, registry, remove
):
    await remove(args=("a",))
    status = agent.handle(GetStatus("wl-1", detail=True, removed=True))
    assert status.workload == workload(args=("a",))
    assert (status.created_at, status.version) == (7.0, registry.version)
    versioned = agent.handle(GetStatus("wl-1", removed=True, with_version=True))
    assert (versioned.version, versioned.workload) == (registry.version, None)


async def test_history_of_a_removed_workload_is_kept(agent, remove):
    await remove()
    steps = agent.handle(GetHistory("wl-1", removed=True)).transitions
    assert [step.state for step in steps] == [State.PENDING, State.FAILED]


@pytest.mark.parametrize(
    ("tail", "data"), [(None, b"one\ntwo\nend"), (1, b"end"), (2, b"two\nend"), (0, b""), (9, b"one\ntwo\nend")]
)  # fmt: skip
async def test_log_of_a_removed_workload_is_one_piece(agent, registry, remove, tail, data):
    await remove()
    log = await agent.handle(ReadLog("wl-1", tail, removed=True))
    end = f"removed-{registry.tombstone('wl-1').version}"
    assert log == Log(data, end, ended=True)
    after = await agent.handle(ReadLog("wl-1", after=end, removed=True))
    assert after == Log(b"", end, ended=True)


async def test_longest_log_of_a_removed_workload_fits_into_a_reply(agent, remove):
    await remove(log=record(b"x" * (MAX_LOG_DATA - len(record(b"")))))
    log = await agent.handle(ReadLog("wl-1", removed=True, records=LogSelection()))
    assert len(log.data) == MAX_LOG_DATA


@pytest.mark.parametrize(
    ("selection", "tail", "data"),
    [
        (LogSelection(), None, LOG),
        (LogSelection(), 1, record(b"end", 2, is_partial=True)),
        (LogSelection(LogStream.STDERR), None, record(b"two", 1, stream="stderr")),
        (LogSelection(LogStream.STDOUT), 1, record(b"end", 2, is_partial=True)),
        (LogSelection(since=AT.format(2)), None, record(b"end", 2, is_partial=True)),
        (LogSelection(attempt=0), None, LOG),
    ],
)
async def test_log_of_a_removed_workload_has_its_records(agent, remove, selection, tail, data):
    await remove()
    log = await agent.handle(ReadLog("wl-1", tail, removed=True, records=selection))
    assert (log.data, log.ended) == (data, True)


async def test_log_of_a_removed_workload_has_no_later_attempt(agent, remove):
    await remove()
    reply = await agent.handle(ReadLog("wl-1", removed=True, records=LogSelection(attempt=1)))
    assert (reply.code, reply.id) == (ErrorCode.NOT_FOUND, "wl-1")


async def test_gap_in_the_log_of_a_removed_workload_is_kept(agent, remove):
    await remove(log=LOG_GAP + LOG)
    log = await agent.handle(ReadLog("wl-1", removed=True, records=LogSelection()))
    assert log.data == LOG_GAP + LOG
    assert (await agent.handle(ReadLog("wl-1", removed=True))).data == b"one\ntwo\nend"


async def test_damaged_log_of_a_removed_workload_is_internal(agent, remove):
    await remove(log=b"not a record\n")
    reply = await agent.handle(ReadLog("wl-1", removed=True))
    assert (reply.code, reply.id) == (ErrorCode.INTERNAL, "wl-1")


async def test_log_of_a_removed_workload_refuses_cursors_of_others(agent, remove):
    await remove()
    reply = await agent.handle(ReadLog("wl-1", after="0-0-1", removed=True))
    assert (reply.code, reply.id) == (ErrorCode.BAD_REQUEST, "wl-1")


async def test_log_that_the_store_cannot_read_returns_internal(agent, writer, remove, monkeypatch):
    await remove()

    async def fail(_tombstone):
        raise StoreFailed("the disk is gone")

    monkeypatch.setattr(writer, "removed_log", fail)
    reply = await agent.handle(ReadLog("wl-1", removed=True))
    assert reply.code is ErrorCode.INTERNAL
    assert reply.message.endswith("can't be read: the disk is gone")


async def test_log_that_the_store_does_not_return_in_time_is_internal(
    agent, writer, remove, monkeypatch
):
    await remove()

    async def hang(_tombstone):
        await asyncio.Event().wait()

    monkeypatch.setattr(writer, "removed_log", hang)
    monkeypatch.setattr(_removed, "READ_SECONDS", 0.05)
    reply = await agent.handle(ReadLog("wl-1", removed=True))
    assert reply.code is ErrorCode.INTERNAL
    assert reply.message.endswith("can't be read: no answer within 0.05 s")


async def test_list_of_removed_workloads_is_filtered_and_continues(agent, remove):
    for name in ("b", "a"):
        await remove(name, labels={"team": name})
    page = agent.handle(ListWorkloads(limit=1, removed=True))
    assert ([status.id for status in page.workloads], page.next) == (["a"], "a")
    assert page.workloads[0].removal == RECEIPT
    page = agent.handle(ListWorkloads(after="a", removed=True, detail=True))
    assert ([status.workload.id for status in page.workloads], page.next) == (["b"], None)
    page = agent.handle(ListWorkloads(State.FAILED, label="team=b", removed=True))
    assert [status.id for status in page.workloads] == ["b"]
    assert agent.handle(ListWorkloads(State.RUNNING, removed=True)).workloads == []


async def test_agent_that_keeps_nothing_of_removed_workloads_answers_not_found(
    registry, writer, runtime, until_idle
):
    agent = Agent(registry, writer, runtime, keeps_removed=False)
    agent.handle(StartWorkload(workload()))
    await until_idle()
    agent.handle(RemoveWorkload("wl-1"))
    runtime.observer.zone_removed("wl-1", RemovedZone(RECEIPT, LOG))
    assert agent.handle(GetStatus("wl-1", removed=True)).code is ErrorCode.NOT_FOUND
    agent.close()


class Wall:
    """A wall clock."""

    time = 200.0

    def now(self):
        return self.time


async def test_removed_workloads_survive_a_restart_until_their_retention_is_over(
    tmp_path, runtime, until_idle, monkeypatch
):
    path = tmp_path / "state" / "kakuri.db"
    wall = Wall()
    for begins in (True, False):
        store = SQLiteStore(path)
        registry = WorkloadRegistry.load(store.load())
        async with StoreWriter(registry, store) as writer:
            agent = Agent(registry, writer, runtime, clock=lambda: 100.0)
            if begins:
                await agent.handle(StartWorkload(workload()))
                await agent.handle(RemoveWorkload("wl-1"))
                runtime.observer.zone_removed("wl-1", RemovedZone(RECEIPT, LOG))
            else:
                assert agent.handle(GetStatus("wl-1", removed=True)).removal == RECEIPT
                log = await agent.handle(ReadLog("wl-1", removed=True))
                assert log.data == b"one\ntwo\nend"
                clock = LoopClock(monkeypatch)
                retention = Retention(
                    registry,
                    agent.enqueue,
                    100.0,
                    drop_removed_before=writer.drop_removed_before,
                    clock=wall.now,
                    uptime=wall.now,
                )
                for wall.time, is_kept in ((299.9, True), (300.0, False)):
                    timers = [each for each in clock.timers if each.delay == CHECK_SECONDS]
                    timers[-1].run()
                    assert (registry.tombstone("wl-1") is not None) == is_kept
                retention.close()
            agent.close()
        store.close()
    store = SQLiteStore(path)
    assert store.load().tombstones == []
    store.close()


async def test_tombstone_of_a_stopped_workload_has_no_desired_state(
    agent, runtime, until_idle, registry
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    agent.handle(StopWorkload("wl-1"))
    agent.handle(RemoveWorkload("wl-1"))
    runtime.observer.zone_removed("wl-1", RemovedZone(RECEIPT))
    status = agent.handle(GetStatus("wl-1", removed=True))
    assert (status.state, status.reason, status.desired) == (State.FAILED, "Stopped", None)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (ZoneStatus("wl-1", FAILED, "Error", exit_code=143), (State.FAILED, "Stopped", 143)),
        (ZoneStatus("wl-1", FAILED, "OOMKilled", exit_code=137), (State.FAILED, "Stopped", 137)),
        (ZoneStatus("wl-1", SUCCEEDED, exit_code=0), (State.SUCCEEDED, "Stopped", 0)),
        (ZoneStatus("wl-1", FAILED, "Own", exit_code=1), (State.FAILED, "Own", 1)),
        (ZoneStatus("wl-1", FAILED, exit_code=1, attempt=2), (State.FAILED, "Stopped", None)),
        (ZoneStatus("wl-1", RUNNING), (State.FAILED, "Stopped", None)),
        (None, (State.FAILED, "Stopped", None)),
    ],
)
async def test_workload_that_is_removed_while_it_runs_has_its_end_in_the_tombstone(
    agent, runtime, until_idle, last, expected
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    agent.handle(RemoveWorkload("wl-1"))
    runtime.observer.zone_removed("wl-1", RemovedZone(RECEIPT, b"", last))
    status = agent.handle(GetStatus("wl-1", removed=True))
    assert (status.state, status.reason, status.exit_code) == expected
    steps = agent.handle(GetHistory("wl-1", removed=True)).transitions
    assert steps[-1].exit_code == expected[2]
