"""What is counted of workloads as their entries change."""

import pytest
from kakuri_agent._workload_metrics import OTHER, REASONS, WorkloadMetrics, reason_label
from kakuri_registry import WorkloadRegistry
from kakuri_rpc import RemoveWorkload, RestartWorkload, StartWorkload, StopWorkload
from kakuri_workload import DesiredState, RestartPolicy, Run, WorkloadState
from kakuri_workload.metrics import LONG_SECONDS
from kakuri_workload.testing import workload

PENDING, RUNNING = WorkloadState.PENDING, WorkloadState.RUNNING
FAILED, SUCCEEDED = WorkloadState.FAILED, WorkloadState.SUCCEEDED


class Node:
    """A registry and its metrics, with a clock that a test sets."""

    def __init__(self):
        self.now = 0.0
        self.registry = WorkloadRegistry()
        self.metrics = WorkloadMetrics(self.registry, clock=lambda: self.now)

    def register(self, workload_id="a", **changes):
        self.registry.register(workload(workload_id, **changes), now=0.0)

    def update(self, state, reason=None, *, at=0.0, workload_id="a", **more):
        self.now = at
        self.registry.update(workload_id, Run(state, reason, **more), now=0.0)

    def values(self, name):
        (family,) = [each for each in self.metrics.families() if each.name == name]
        return {each.labels: each.value for each in family.samples}

    def durations(self):
        return {key: value for (key,), value in self.values("kakuri_start_duration_seconds").items()}  # fmt: skip


@pytest.fixture
def node():
    return Node()


def test_workloads_are_counted_by_state_and_reason(node):
    node.register("a")
    node.register("b")
    node.update(PENDING, "Pulling")
    node.update(RUNNING, workload_id="b")
    node.update(FAILED, "ImagePullFailed", message="no such image")
    values = node.values("kakuri_workloads")
    assert {key: value for key, value in values.items() if value} == {
        ("failed", "ImagePullFailed"): 1,
        ("running", ""): 1,
    }
    node.registry.remove("a")
    assert node.values("kakuri_workloads")["failed", "ImagePullFailed"] == 0


def test_workloads_that_were_loaded_are_counted(node):
    node.register("a")
    node.register("b")
    later = WorkloadMetrics(node.registry)
    (workloads, *_) = later.families()
    assert [(each.labels, each.value) for each in workloads.samples] == [(("pending", ""), 2)]


def test_transitions_are_counted_between_states_and_not_between_reasons(node):
    node.register()
    node.update(PENDING, "Pulling")
    node.update(PENDING, "Starting")
    node.update(RUNNING)
    node.update(SUCCEEDED, exit_code=0)
    node.registry.remove("a")
    assert node.values("kakuri_workload_transitions") == {
        ("new", "pending"): 1,
        ("pending", "running"): 1,
        ("running", "succeeded"): 1,
        ("succeeded", "removed"): 1,
    }


def test_other_desired_state_is_not_a_transition(node):
    node.register()
    node.registry.set_desired("a", DesiredState.STOP, now=0.0)
    assert node.values("kakuri_workload_transitions") == {("new", "pending"): 1}
    assert node.values("kakuri_workloads") == {("pending", ""): 1}


def test_restart_is_counted_once_however_many_states_it_has(node):
    node.register()
    node.update(RUNNING)
    assert node.values("kakuri_workload_restarts") == {(): 0}
    node.registry.restart("a", now=0.0, restart_at=5.0, reason="BackOff")
    node.update(PENDING, "Pulling")
    node.update(RUNNING)
    assert node.values("kakuri_workload_restarts") == {(): 1}


def test_start_is_measured_by_its_steps_and_in_total(node):
    node.register()
    node.update(PENDING, "Pulling", at=0.5)
    node.update(PENDING, "Pulling", at=2.0, message="41 %")
    node.update(PENDING, "CreatingSandbox", at=3.5)
    node.update(PENDING, "CreatingContainer", at=4.5)
    node.update(PENDING, "Starting", at=4.75)
    node.update(RUNNING, at=5.0)
    node.update(RUNNING, at=9.0, address="10.0.0.2")
    assert node.durations() == {
        "pull": 3.0, "sandbox": 1.0, "container": 0.25, "start": 0.25, "total": 5.0
    }  # fmt: skip


def test_start_that_fails_has_no_total(node):
    node.register()
    node.update(PENDING, "Pulling", at=1.0)
    node.update(FAILED, "ImagePullFailed", at=2.0)
    assert node.durations() == {}
    assert node.metrics._starts == {}


def test_back_off_is_not_part_of_the_next_start(node):
    node.register()
    node.update(RUNNING, at=1.0)
    node.registry.restart("a", now=0.0, restart_at=50.0, reason="BackOff")
    node.update(PENDING, "CreatingSandbox", at=50.0)
    node.update(RUNNING, at=52.0)
    assert node.durations() == {"total": 3.0, "sandbox": 2.0}


def test_adopted_workload_has_no_start(node):
    node.register()
    node.update(PENDING, "Adopted")
    node.update(RUNNING, at=9.0)
    assert node.durations() == {}


def test_workload_that_started_before_the_agent_has_no_total(node):
    node.register()
    node.update(PENDING, "Pulling")
    node.metrics = WorkloadMetrics(node.registry, clock=lambda: node.now)
    node.update(PENDING, "CreatingSandbox", at=1.0)
    node.update(RUNNING, at=2.0)
    assert node.durations() == {"sandbox": 1.0}


def test_reason_that_is_not_in_the_list_counts_as_other(node):
    for number in range(1000):
        node.register(str(number))
        node.update(FAILED, f"Reason{number}", workload_id=str(number))
        node.metrics.run_ended(Run(FAILED, f"Reason{number}"))
    assert node.values("kakuri_workload_ends") == {(OTHER,): 1000}
    assert {key for key, value in node.values("kakuri_workloads").items() if value} == {
        ("failed", OTHER)
    }
    assert reason_label(None) == ""
    assert {reason_label(reason) for reason in REASONS} == REASONS


@pytest.mark.parametrize(
    ("request_", "end", "reason"),
    [
        (None, {"state": SUCCEEDED, "exit_code": 0}, "Completed"),
        (None, {"state": FAILED, "reason": "OOMKilled", "exit_code": 137}, "OOMKilled"),
        (StopWorkload("wl-1"), {"state": FAILED, "reason": "Error", "exit_code": 143}, "Stopped"),
        (RestartWorkload("wl-1"), {"state": FAILED, "reason": "Error"}, "Stopped"),
    ],
)
async def test_end_of_a_run_counts_by_its_reason(agent, runtime, until_idle, request_, end, reason):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.NEVER)))
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    if request_ is not None:
        agent.handle(request_)
    runtime.change(**end)
    await until_idle()
    assert await ends(agent) == {(reason,): 1}


async def test_removal_of_a_running_workload_counts_as_one_end(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    runtime.observer.zone_removed("wl-1")
    assert await ends(agent) == {("Stopped",): 1}


async def ends(agent):
    metrics = await agent._metrics._begin()
    (family,) = [each for each in metrics.families if each.name == "kakuri_workload_ends"]
    return {each.labels: each.value for each in family.samples}


@pytest.mark.parametrize(
    ("state", "reason", "label"),
    [
        (SUCCEEDED, None, "Completed"), (SUCCEEDED, "Stopped", "Stopped"), (FAILED, None, ""),
        (FAILED, "Error", "Error"), (FAILED, "Completed", OTHER),
    ],
)  # fmt: skip
def test_run_that_succeeds_without_a_reason_is_completed(node, state, reason, label):
    node.metrics.run_ended(Run(state, reason))
    assert node.values("kakuri_workload_ends") == {(label,): 1}


def test_restarts_have_a_series_from_the_beginning(node):
    assert node.values("kakuri_workload_restarts") == {(): 0}


def test_durations_of_starts_have_the_bounds_of_what_takes_minutes(node):
    (family,) = [
        each for each in node.metrics.families() if each.name == "kakuri_start_duration_seconds"
    ]
    assert family.bounds == LONG_SECONDS


def test_reasons_that_are_labels_are_those_of_the_contracts():
    assert {
        "Adopted", "BackOff", "CreatingContainer", "CreatingSandbox", "Error", "ImagePullFailed",
        "OOMKilled", "Pulling", "Restarted", "RuntimeUnavailable", "StartError", "Starting",
        "StopFailed", "Stopped", "Unknown", "ZoneLost",
    } == REASONS  # fmt: skip
