import asyncio
import threading

import pytest
from kakuri_agent import (
    Agent,
    Capacity,
    RuntimeFault,
    RuntimeUnavailable,
    SimulatedRuntime,
    UnknownCursor,
    _changes,
)
from kakuri_agent import _workload_logs as workload_logs
from kakuri_registry import MemoryStore, StoreFailed, StoreFull, StoreWriter, spec_size
from kakuri_rpc import (
    DescribeNode,
    ErrorCode,
    ErrorReply,
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
    LogRequest,
    LogSelection,
    LogStream,
    RestartPolicy,
    Run,
    WorkloadState,
)
from kakuri_workload.testing import workload

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState


async def test_start_registers_a_workload_and_starts_its_zone(agent, runtime, registry, until_idle):
    assert agent.handle(StartWorkload(workload())) == Status("wl-1", State.PENDING)
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 0)]
    assert registry.get("wl-1").registered_at == 7.0


async def test_equal_start_returns_the_current_status(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    assert agent.handle(StartWorkload(workload())) == Status("wl-1", State.RUNNING, existing=True)


async def test_equal_start_of_a_running_workload_is_not_reconciled(
    agent, runtime, until_idle, monkeypatch
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    visited = []
    monkeypatch.setattr(runtime, "status", visited.append)
    agent.handle(StartWorkload(workload()))
    await until_idle()
    assert visited == []


async def test_equal_start_of_a_workload_that_is_to_stop_is_reconciled(
    agent, runtime, until_idle, monkeypatch
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    agent.handle(StopWorkload("wl-1"))
    await until_idle()
    visited = []
    monkeypatch.setattr(runtime, "status", visited.append)
    agent.handle(StartWorkload(workload()))
    await until_idle()
    assert visited == ["wl-1"]


async def test_equal_start_of_an_ended_workload_starts_nothing(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(FAILED, reason="Error")
    await until_idle()
    runtime.commands.clear()
    reply = agent.handle(StartWorkload(workload()))
    assert reply == Status("wl-1", State.FAILED, "Error", existing=True)
    await until_idle()
    assert ("start", "wl-1", 0) not in runtime.commands


async def test_start_with_another_specification_is_a_conflict(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    reply = agent.handle(StartWorkload(workload(memory_mb=1)))
    assert (reply.code, reply.id) == (ErrorCode.CONFLICT, "wl-1")
    await until_idle()
    assert len(runtime.commands) == 1


async def test_start_with_an_unknown_runtime_class_is_a_bad_request(agent, runtime, until_idle):
    reply = agent.handle(StartWorkload(workload(runtime_class="runc")))
    assert reply == ErrorReply(
        ErrorCode.BAD_REQUEST, "expected runtime class edera-zone, got 'runc'", id="wl-1"
    )
    await until_idle()
    assert runtime.commands == []


async def test_start_in_a_full_registry_is_capacity_and_reserves_nothing(agent, capacity):
    for name in ("a", "b", "c"):
        agent.handle(StartWorkload(workload(name)))
    reply = agent.handle(StartWorkload(workload("d")))
    assert (reply.code, reply.id) == (ErrorCode.CAPACITY, "d")
    assert capacity.memory_mb_used == 3 * 512


async def test_start_beyond_the_free_capacity_is_capacity_with_figures(
    registry, writer, runtime, until_idle
):
    agent = Agent(registry, writer, runtime, Capacity(memory_mb=1000, memory_floor_mb=300))
    agent.handle(StartWorkload(workload("a", memory_mb=10)))
    agent.handle(StartWorkload(workload("b", memory_mb=500)))
    reply = agent.handle(StartWorkload(workload("c", memory_mb=10)))
    assert reply == ErrorReply(
        ErrorCode.CAPACITY,
        "expected at most 200 MB of memory, got 300: 800 of 1000 are reserved, "
        "and no zone takes less than 300 MB",
        id="c",
    )
    runtime.change(SUCCEEDED, "b", exit_code=0)
    await until_idle()
    assert agent.handle(StartWorkload(workload("c", memory_mb=10))).state is State.PENDING
    agent.close()


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"memory_mb": 1001}, "1000 MB of memory, which is all that this node has, got 1001"),
        (
            {"cpu_millicores": 901},
            "900 millicores of CPU, which is all that this node has, got 901",
        ),
    ],
)
async def test_start_of_a_workload_larger_than_an_empty_node_is_never_fits(
    registry, writer, runtime, needs, message
):
    agent = Agent(registry, writer, runtime, Capacity(memory_mb=1000, cpu_millicores=900))
    reply = agent.handle(StartWorkload(workload("a", **needs)))
    assert reply == ErrorReply(ErrorCode.NEVER_FITS, f"expected at most {message}", id="a")
    agent.handle(StartWorkload(workload("b", memory_mb=1000, cpu_millicores=1)))
    assert agent.handle(StartWorkload(workload("c", memory_mb=1))).code is ErrorCode.CAPACITY
    agent.close()


async def test_start_beyond_the_budget_of_specifications_is_capacity(
    registry, writer, runtime, until_idle
):
    large = {"env": {"X": "x" * 10_000}}
    one = spec_size(workload("a", **large))
    agent = Agent(registry, writer, runtime, capacity := Capacity(spec_bytes=2 * one + 1000))
    for name in "ab":
        assert agent.handle(StartWorkload(workload(name, **large))).state is State.PENDING
    reply = agent.handle(StartWorkload(workload("c", **large)))
    assert reply == ErrorReply(
        ErrorCode.CAPACITY,
        f"expected at most 1000 bytes of specifications, got {one}: "
        f"{2 * one} of {2 * one + 1000} are reserved",
        id="c",
    )
    runtime.change(FAILED, "b")
    await until_idle()
    assert capacity.spec_bytes_used == one
    assert agent.handle(StartWorkload(workload("c", **large))).state is State.PENDING
    agent.close()


async def test_start_while_workloads_being_removed_exceed_their_budget_is_capacity(
    registry, agent, runtime, until_idle, monkeypatch
):
    agent.handle(StartWorkload(workload("a", env={"X": "x" * 5000})))
    runtime.change(FAILED, "a")
    await until_idle()
    monkeypatch.setattr(_changes, "MAX_REMOVING_BYTES", 5000)
    assert agent.handle(StartWorkload(workload("b"))).state is State.PENDING
    agent.handle(RemoveWorkload("a"))
    reply = agent.handle(StartWorkload(workload("c")))
    assert reply.code is ErrorCode.CAPACITY
    assert reply.message == (
        f"{registry.removing_bytes} bytes of ended workloads wait to be removed by the runtime"
    )


async def test_stop_immediately_after_a_start_ends_the_workload(registry, writer, until_idle):
    runtime = SimulatedRuntime()
    agent = Agent(registry, writer, runtime)
    agent.handle(StartWorkload(workload()))
    agent.handle(StopWorkload("wl-1", 0))
    await until_idle()
    status = agent.handle(GetStatus("wl-1"))
    assert (status.state, status.reason) == (State.FAILED, "Stopped")
    agent.close()
    await runtime.close()


async def test_status_has_what_the_runtime_reports(agent, runtime, registry, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(PENDING, reason="Pulling")
    await until_idle()
    assert agent.handle(GetStatus("wl-1")) == Status("wl-1", State.PENDING, "Pulling")
    runtime.change(
        RUNNING, pod_sandbox_id="s", container_id="c", started_at=5.0, address="10.0.0.2"
    )
    await until_idle()
    assert agent.handle(GetStatus("wl-1")).image_digest is None
    runtime.change(RUNNING, started_at=5.0, address="10.0.0.2", image_digest="sha256:0f")
    await until_idle()
    assert agent.handle(GetStatus("wl-1")).image_digest == "sha256:0f"
    status = agent.handle(GetStatus("wl-1"))
    assert (status.state, status.started_at, status.address) == (State.RUNNING, 5.0, "10.0.0.2")
    runtime.change(FAILED, reason="Error", message="it broke", exit_code=3, ended_at=6.0)
    await until_idle()
    status = agent.handle(GetStatus("wl-1"))
    assert (status.reason, status.message, status.exit_code) == ("Error", "it broke", 3)
    assert (status.started_at, status.ended_at) == (5.0, 6.0)


@pytest.mark.parametrize(
    "request_of",
    [GetStatus, RemoveWorkload, GetHistory, lambda name: StopWorkload(name, 1)],
)
async def test_requests_for_an_unknown_workload_are_not_found(agent, request_of):
    assert agent.handle(request_of("nope")) == ErrorReply(
        ErrorCode.NOT_FOUND, "no workload 'nope'", id="nope"
    )


async def test_read_log_returns_the_log_of_the_runtime(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    assert await agent.handle(ReadLog("wl-1")) == Log(b"", "start", ended=False)
    runtime.logs["wl-1"] = b"hello\n"
    runtime.change(SUCCEEDED, exit_code=0)
    await until_idle()
    assert await agent.handle(ReadLog("wl-1", after="start")) == Log(b"hello\n", "1", ended=True)
    assert (await agent.handle(ReadLog("nope"))).code is ErrorCode.NOT_FOUND


async def test_log_of_a_workload_in_back_off_has_not_ended(agent, runtime, until_idle):
    runtime.logs["wl-1"] = b"words"
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    assert await agent.handle(ReadLog("wl-1")) == Log(b"words", "1", ended=False)
    runtime.logs["wl-1"] = b""
    assert await agent.handle(ReadLog("wl-1")) == Log(b"", "1", ended=False)
    agent.handle(StopWorkload("wl-1", 0))
    await until_idle()
    assert await agent.handle(ReadLog("wl-1")) == Log(b"", "1", ended=True)


async def test_log_awaited_before_its_zone_runs_is_read_once_per_change(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    waiting = asyncio.ensure_future(agent.handle(ReadLog("wl-1", wait_seconds=30)))
    await until_idle()
    assert runtime.reads == 1
    runtime.change(PENDING, reason="Pulling")
    await until_idle()
    assert (runtime.reads, waiting.done()) == (2, False)
    runtime.logs["wl-1"] = b"hello\n"
    runtime.change(SUCCEEDED, exit_code=0)
    assert await waiting == Log(b"hello\n", "1", ended=True)
    assert runtime.reads == 3


async def test_follower_of_a_workload_in_back_off_causes_no_runtime_call(
    agent, runtime, until_idle
):
    runtime.logs["wl-1"] = b""
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    for _ in range(5):
        reply = await agent.handle(ReadLog("wl-1", after="1", wait_seconds=0.01))
        assert reply == Log(b"", "1", ended=False)
    assert runtime.reads == 1
    assert (await agent.handle(ReadLog("wl-1", after="0"))).next == "1"
    assert runtime.reads == 2


async def test_agent_that_stops_answers_followers_of_logs(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.logs["wl-1"] = b""
    request = ReadLog("wl-1", after="1", wait_seconds=30)
    waiting = asyncio.ensure_future(agent.handle(request))
    await until_idle()
    assert not waiting.done()
    agent.stop_waiting()
    assert await waiting == Log(b"", "1", ended=False)
    assert await agent.handle(request) == Log(b"", "1", ended=False)


@pytest.mark.parametrize("has_run", [False, True])
async def test_reader_without_a_cursor_is_answered_at_once_when_the_agent_stops(
    agent, runtime, until_idle, has_run
):
    agent.handle(StartWorkload(workload()))
    if has_run:
        runtime.logs["wl-1"], runtime.log_ended = b"", False
    expected = Log(b"", "1" if has_run else "start", ended=False)
    request = ReadLog("wl-1", tail=0, wait_seconds=30)
    waiting = asyncio.ensure_future(agent.handle(request))
    await until_idle()
    assert not waiting.done()
    agent.stop_waiting()
    assert await waiting == expected
    assert await agent.handle(request) == expected


async def test_follower_of_a_log_that_disconnects_ends_its_read(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.logs["wl-1"] = b""
    waiting = asyncio.ensure_future(agent.handle(ReadLog("wl-1", after="1", wait_seconds=30)))
    await until_idle()
    waiting.cancel()
    await until_idle()
    assert (waiting.cancelled(), len(asyncio.all_tasks())) == (True, 1)


async def test_awaited_log_of_a_removed_workload_is_not_found(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    waiting = asyncio.ensure_future(agent.handle(ReadLog("wl-1", wait_seconds=30)))
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    runtime.observer.zone_removed("wl-1")
    assert (await waiting).code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RuntimeUnavailable("away"), ErrorCode.RUNTIME_UNAVAILABLE),
        (RuntimeFault("it broke"), ErrorCode.RUNTIME),
        (UnknownCursor("no such cursor"), ErrorCode.BAD_REQUEST),
    ],
)
async def test_read_log_that_fails_in_the_runtime_is_an_error_with_its_message(
    agent, runtime, fault, code
):
    agent.handle(StartWorkload(workload()))
    runtime.logs["wl-1"] = fault
    assert await agent.handle(ReadLog("wl-1")) == ErrorReply(code, str(fault), id="wl-1")


async def test_gap_in_a_log_is_passed_on_before_and_after_its_end(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.logs["wl-1"] = b""
    runtime.has_gap = True
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    for _ in range(2):  # for each reader with an older cursor
        reply = await agent.handle(ReadLog("wl-1", after="0"))
        assert reply == Log(b"", "1", ended=False, gap=True)
    agent.handle(StopWorkload("wl-1", 0))
    await until_idle()
    assert await agent.handle(ReadLog("wl-1", after="0")) == Log(b"", "1", ended=True, gap=True)


async def test_bounded_log_ends_where_the_runtime_reports_its_end(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    assert await agent.handle(ReadLog("wl-1", bounded=True)) == Log(b"", "start", ended=True)
    runtime.logs["wl-1"] = b"words"
    runtime.change(RUNNING)
    await until_idle()
    assert await agent.handle(ReadLog("wl-1", bounded=True)) == Log(b"words", "1", ended=True)


ERRORS = LogSelection(stream=LogStream.STDERR)


def of_attempt(attempt, **more):
    return ReadLog("wl-1", records=LogSelection(attempt=attempt), **more)


async def test_records_are_requested_from_the_runtime_as_selected(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    runtime.logs["wl-1"], runtime.examined, runtime.log_ended = b"records", 70, False
    reply = await agent.handle(ReadLog("wl-1", 5, "0", bounded=True, records=ERRORS))
    assert reply == Log(b"records", "1", ended=False, examined=70)
    assert runtime.log_request == LogRequest(5, "0", bounded=True, records=ERRORS)


async def test_examined_bytes_without_selected_records_are_reported_at_once(
    agent, runtime, until_idle
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    runtime.logs["wl-1"], runtime.examined, runtime.log_ended = b"", 70, False
    reply = await agent.handle(ReadLog("wl-1", wait_seconds=30, records=ERRORS))
    assert reply == Log(b"", "1", ended=False, examined=70)


async def test_examined_bytes_of_a_run_that_has_ended_are_reported_at_once(
    agent, runtime, until_idle
):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.logs["wl-1"], runtime.examined = b"", 70
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    for _ in range(2):
        reply = await agent.handle(ReadLog("wl-1", after="0", wait_seconds=30, records=ERRORS))
        assert reply == Log(b"", "1", ended=False, examined=70)
    assert runtime.reads == 2


async def test_follower_of_records_in_back_off_causes_no_runtime_call(agent, runtime, until_idle):
    runtime.logs["wl-1"] = b""
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    for _ in range(5):
        request = ReadLog("wl-1", after="1", wait_seconds=0.01, records=ERRORS)
        assert await agent.handle(request) == Log(b"", "1", ended=False)
    assert runtime.reads == 1


async def test_log_of_an_ended_attempt_has_ended_although_the_workload_restarts(
    agent, runtime, until_idle
):
    runtime.logs["wl-1"] = b""
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    assert await agent.handle(ReadLog("wl-1", after="1")) == Log(b"", "1", ended=False)
    reply = await agent.handle(of_attempt(0, after="1", wait_seconds=30))
    assert reply == Log(b"", "1", ended=True)
    del runtime.logs["wl-1"]
    assert await agent.handle(of_attempt(0)) == Log(b"", "start", ended=True)


async def test_log_of_the_next_attempt_is_awaited_without_runtime_calls(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    assert await agent.handle(of_attempt(1, bounded=True)) == Log(b"", "start", ended=True)
    waiting = asyncio.ensure_future(agent.handle(of_attempt(1, wait_seconds=30)))
    await until_idle()
    assert (runtime.reads, waiting.done()) == (0, False)
    runtime.logs["wl-1"], runtime.log_ended = b"records", False
    runtime.change(RUNNING, attempt=1)
    assert await waiting == Log(b"records", "1", ended=False)


async def test_log_of_an_attempt_that_never_begins_ends_when_the_workload_is_stopped(
    agent, runtime, until_idle
):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.logs["wl-1"], runtime.log_ended = b"", False
    runtime.change(FAILED, reason="Error", exit_code=1)
    await until_idle()
    waiting = asyncio.ensure_future(agent.handle(of_attempt(1, wait_seconds=30)))
    await until_idle()
    assert not waiting.done()
    agent.handle(StopWorkload("wl-1", 0))
    assert await waiting == Log(b"", "1", ended=True)


async def test_log_of_an_attempt_that_is_not_known_is_not_found(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    assert await agent.handle(of_attempt(1)) == ErrorReply(
        ErrorCode.NOT_FOUND, "no attempt 1 of 'wl-1': the latest is 0", id="wl-1"
    )
    assert runtime.reads == 0


async def test_history_has_all_transitions_in_order(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    runtime.change(FAILED, reason="Error", exit_code=3)
    await until_idle()
    history = agent.handle(GetHistory("wl-1"))
    assert [step.state for step in history.transitions] == [
        State.PENDING,
        State.RUNNING,
        State.FAILED,
    ]
    assert history.transitions[-1].exit_code == 3


async def test_list_is_paged_and_filtered(agent, runtime, until_idle):
    for name in ("b", "a", "wl-1"):
        labels = {"team": "blue"} if name == "a" else {}
        agent.handle(StartWorkload(workload(name, labels=labels)))
    runtime.change(RUNNING)
    await until_idle()
    first = agent.handle(ListWorkloads(limit=2))
    assert ([status.id for status in first.workloads], first.next) == (["a", "b"], "b")
    rest = agent.handle(ListWorkloads(after="b", limit=2))
    assert ([status.id for status in rest.workloads], rest.next) == (["wl-1"], None)
    running = agent.handle(ListWorkloads(state=State.RUNNING, limit=1))
    assert ([status.id for status in running.workloads], running.next) == (["wl-1"], None)
    blue = agent.handle(ListWorkloads(label="team=blue"))
    assert [status.id for status in blue.workloads] == ["a"]


async def test_agent_reserves_capacity_of_stored_workloads_that_have_not_ended(
    registry, writer, runtime
):
    for name in ("waits", "runs", "ended"):
        registry.register(workload(name), now=1.0)
    registry.update("runs", Run(RUNNING), now=2.0)
    registry.update("ended", Run(FAILED), now=2.0)
    agent = Agent(registry, writer, runtime, capacity := Capacity(memory_mb=2000))
    assert capacity.memory_mb_used == 2 * 512
    agent.close()


async def test_describe_node_has_version_runtime_and_capacity(agent, runtime):
    agent.handle(StartWorkload(workload()))
    runtime.fault = "the sidecar sleeps"
    node = agent.handle(DescribeNode())
    assert (node.runtime, node.simulated, node.workloads) == ("recording", False, 1)
    assert (node.reason, node.message) == ("RuntimeUnavailable", "the sidecar sleeps")
    assert (node.memory_mb_used, node.cpu_millicores_used) == (512, 500)


async def test_simulated_node_has_the_reason_simulated(agent, runtime):
    runtime.is_simulated = True
    node = agent.handle(DescribeNode())
    assert (node.reason, node.message) == (
        "Simulated",
        "nothing really runs: the runtime is simulated",
    )


async def test_stop_with_a_shorter_grace_period_is_passed_to_the_runtime(
    agent, runtime, registry, until_idle
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    for grace_seconds in (3600, 1, 60):
        agent.handle(StopWorkload("wl-1", grace_seconds))
        await until_idle()
    assert registry.get("wl-1").grace_seconds == 1
    stops = [told[2] for told in runtime.commands if told[0] == "stop"]
    assert (stops[0], stops[1]) == (3600, 1)
    assert set(stops) == {3600, 1}
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    assert ("remove", "wl-1", 1) in runtime.commands
    agent.handle(StopWorkload("wl-1", 0))
    await until_idle()
    assert runtime.commands[-1] == ("remove", "wl-1", 0)


class GatedStore(MemoryStore):
    """A store that writes in a thread, once its gate is open, or fails."""

    is_nonblocking = False

    def __init__(self, fault=None):
        super().__init__()
        self.fault = fault
        self.gate = threading.Event()

    def write(self, changes):
        assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        super().write(changes)


async def test_log_is_read_only_after_the_start_is_stored(registry, runtime, capacity, until_idle):
    store = GatedStore()
    async with StoreWriter(registry, store) as writer:
        agent = Agent(registry, writer, runtime, capacity, clock=lambda: 7.0)
        runtime.logs["wl-1"] = b"words"
        starting = asyncio.ensure_future(agent.handle(StartWorkload(workload())))
        await until_idle()
        reading = asyncio.ensure_future(agent.handle(ReadLog("wl-1")))
        await until_idle()
        assert (runtime.reads, reading.done()) == (0, False)
        store.gate.set()
        assert (await reading).data == b"words"
        await starting
        agent.close()


def condition_of(agent):
    node = agent.handle(DescribeNode())
    return node.reason, node.message


async def test_node_reports_what_its_store_refuses(registry, runtime, capacity):
    store = GatedStore()
    store.gate.set()
    writer = StoreWriter(registry, store)
    agent = Agent(registry, writer, runtime, capacity, clock=lambda: 7.0)
    await agent.handle(StartWorkload(workload()))
    await writer.saved("")  # the event that the agent started
    assert condition_of(agent) == (None, None)
    store.fault = StoreFull("no room")
    assert isinstance(await agent.handle(StartWorkload(workload("other"))), ErrorReply)
    message = "the store accepts no new workloads: no room"
    assert condition_of(agent) == ("RegistrationFailed", message)
    store.fault = StoreFailed("no medium")
    runtime.change(RUNNING)
    async with asyncio.timeout(10):
        while writer.error is None:  # noqa: ASYNC110 - another thread writes
            await asyncio.sleep(0)
    assert condition_of(agent) == ("StoreFailed", "the store accepts no changes: no medium")
    store.fault = None
    agent.close()
    await writer.close()


async def test_only_the_latest_exhausted_logs_are_remembered(
    agent, registry, runtime, until_idle, monkeypatch
):
    monkeypatch.setattr(workload_logs, "MAX_EXHAUSTED", 2)
    for name in ("a", "b", "c"):
        runtime.logs[name] = b""
        agent.handle(StartWorkload(workload(name, restart_policy=RestartPolicy.ALWAYS)))
        runtime.change(FAILED, name, reason="Error", exit_code=1)
        await until_idle()
        await agent.handle(ReadLog(name, after="1"))
    assert runtime.reads == 3
    for name, reads in (("c", 3), ("b", 3), ("a", 4)):
        await agent.handle(ReadLog(name, after="1"))
        assert runtime.reads == reads


async def test_each_end_of_a_workload_is_notified(agent, runtime, until_idle):
    ended = []
    agent.notify_ends(lambda: ended.append(len(ended)))
    for number, name in enumerate(("a", "b")):
        agent.handle(StartWorkload(workload(name)))
        runtime.change(RUNNING, name)
        await until_idle()
        assert len(ended) == number
        runtime.change(SUCCEEDED, name, exit_code=0)
        await until_idle()
        assert len(ended) == number + 1
