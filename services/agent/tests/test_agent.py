import pytest
from kakuri_agent import Agent, ZoneStatus
from kakuri_registry import Workload, WorkloadRegistry, WorkloadState, ZoneHandle
from kakuri_rpc import (
    DescribeNode,
    Error,
    ErrorCode,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
)


class RecordingRuntime:
    """A runtime that does nothing by itself and remembers what it was told."""

    name = "recording"
    is_simulated = False

    def __init__(self):
        self.told = []

    def attach(self, observer):
        self.observer = observer

    def start(self, workload):
        self.told.append(("start", workload.id))

    def stop(self, workload_id, grace_seconds):
        self.told.append(("stop", workload_id, grace_seconds))

    def remove(self, workload_id):
        self.told.append(("remove", workload_id))

    def close(self):
        self.told.append(("close",))


@pytest.fixture
def runtime():
    return RecordingRuntime()


@pytest.fixture
def registry():
    return WorkloadRegistry(max_workloads=3)


@pytest.fixture
def agent(registry, runtime):
    return Agent(registry, runtime, clock=lambda: 7.0)


def workload(workload_id="wl-1", **changes):
    fields = {
        "image": "nginx",
        "runtime_class": "edera-zone",
        "memory_mb": 512,
        "cpu_millicores": 500,
    }
    return Workload(id=workload_id, **(fields | changes))


def change(runtime, state, **more):
    runtime.observer.zone_changed(ZoneStatus("wl-1", state, **more))


def test_starting_registers_and_tells_the_runtime(agent, runtime, registry):
    assert agent.handle(StartWorkload(workload())) == Status("wl-1", State.PENDING)
    assert runtime.told == [("start", "wl-1")]
    assert registry.get("wl-1").registered_at == 7.0


def test_starting_again_is_the_present_status_and_starts_nothing(agent, runtime):
    agent.handle(StartWorkload(workload()))
    change(runtime, WorkloadState.RUNNING)
    assert agent.handle(StartWorkload(workload())) == Status("wl-1", State.RUNNING, existing=True)
    assert runtime.told == [("start", "wl-1")]


def test_the_same_id_with_another_spec_is_a_conflict(agent, runtime):
    agent.handle(StartWorkload(workload()))
    reply = agent.handle(StartWorkload(workload(memory_mb=1)))
    assert (reply.code, reply.id) == (ErrorCode.CONFLICT, "wl-1")
    assert len(runtime.told) == 1


def test_another_runtime_class_is_refused(agent, runtime):
    reply = agent.handle(StartWorkload(workload(runtime_class="runc")))
    assert reply == Error(
        ErrorCode.BAD_REQUEST, "expected runtime class edera-zone, got 'runc'", id="wl-1"
    )
    assert runtime.told == []


def test_a_full_node_is_capacity(agent, runtime):
    for name in ("a", "b", "c"):
        agent.handle(StartWorkload(workload(name)))
    reply = agent.handle(StartWorkload(workload("d")))
    assert (reply.code, reply.id) == (ErrorCode.CAPACITY, "d")
    assert ("start", "d") not in runtime.told


def test_what_the_runtime_reports_is_the_status(agent, runtime, registry):
    agent.handle(StartWorkload(workload()))
    change(runtime, WorkloadState.PENDING, reason="Pulling")
    assert agent.handle(GetStatus("wl-1")) == Status("wl-1", State.PENDING, "Pulling")
    change(runtime, WorkloadState.RUNNING, handle=ZoneHandle("s", "c"))
    assert registry.get("wl-1").handle == ZoneHandle("s", "c")
    change(runtime, WorkloadState.FAILED, reason="Error", message="it broke", exit_code=3)
    assert agent.handle(GetStatus("wl-1")) == Status("wl-1", State.FAILED, "Error", "it broke", 3)


def test_a_report_that_goes_back_is_not_believed(agent, runtime):
    agent.handle(StartWorkload(workload()))
    change(runtime, WorkloadState.RUNNING)
    change(runtime, WorkloadState.PENDING)
    assert agent.handle(GetStatus("wl-1")).state is State.RUNNING


def test_an_end_that_is_reported_again_changes_nothing(agent, runtime, registry):
    agent.handle(StartWorkload(workload()))
    change(runtime, WorkloadState.FAILED, reason="Error")
    before = registry.get("wl-1")
    change(runtime, WorkloadState.FAILED, reason="Other")
    assert registry.get("wl-1") is before


def test_a_report_of_an_unknown_zone_changes_nothing(agent, runtime, registry):
    change(runtime, WorkloadState.RUNNING)
    runtime.observer.zone_gone("wl-1")
    assert len(registry) == 0


@pytest.mark.parametrize(
    "request_of", [GetStatus, RemoveWorkload, lambda name: StopWorkload(name, 1)]
)
def test_an_unknown_workload_is_not_found(agent, request_of):
    assert agent.handle(request_of("nope")) == Error(
        ErrorCode.NOT_FOUND, "no workload 'nope'", id="nope"
    )


def test_stopping_tells_the_runtime_once_it_has_something_to_stop(agent, runtime):
    agent.handle(StartWorkload(workload()))
    assert agent.handle(StopWorkload("wl-1", 3)).state is State.PENDING
    assert runtime.told[-1] == ("stop", "wl-1", 3)
    change(runtime, WorkloadState.FAILED)
    agent.handle(StopWorkload("wl-1", 4))
    assert runtime.told[-1] == ("stop", "wl-1", 3)


def test_removing_what_runs_stops_it_first(agent, runtime, registry):
    agent.handle(StartWorkload(workload()))
    change(runtime, WorkloadState.RUNNING)
    assert agent.handle(RemoveWorkload("wl-1")).state is State.RUNNING
    assert agent.handle(RemoveWorkload("wl-1")).state is State.RUNNING
    assert [order[0] for order in runtime.told] == ["start", "stop"]
    assert agent.handle(StartWorkload(workload())).code is ErrorCode.CONFLICT
    change(runtime, WorkloadState.SUCCEEDED, exit_code=0)
    assert runtime.told[-1] == ("remove", "wl-1")
    runtime.observer.zone_gone("wl-1")
    assert "wl-1" not in registry
    assert agent.handle(StartWorkload(workload(memory_mb=1))).state is State.PENDING


def test_removing_what_has_ended_removes_it_at_once(agent, runtime):
    agent.handle(StartWorkload(workload()))
    change(runtime, WorkloadState.FAILED)
    agent.handle(RemoveWorkload("wl-1"))
    assert runtime.told[-1] == ("remove", "wl-1")


def test_listing_is_paged_and_filtered(agent, runtime):
    for name in ("b", "a", "wl-1"):
        agent.handle(StartWorkload(workload(name)))
    change(runtime, WorkloadState.RUNNING)
    first = agent.handle(ListWorkloads(limit=2))
    assert ([status.id for status in first.workloads], first.next) == (["a", "b"], "b")
    rest = agent.handle(ListWorkloads(after="b", limit=2))
    assert ([status.id for status in rest.workloads], rest.next) == (["wl-1"], None)
    running = agent.handle(ListWorkloads(state=State.RUNNING, limit=1))
    assert ([status.id for status in running.workloads], running.next) == (["wl-1"], None)


def test_the_node_is_described(agent):
    agent.handle(StartWorkload(workload()))
    node = agent.handle(DescribeNode())
    assert (node.runtime, node.simulated, node.workloads, node.message) == (
        "recording",
        False,
        1,
        None,
    )
