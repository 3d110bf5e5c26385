"""Restarts and further runs on request, in every state in which they can be requested."""

import pytest
from kakuri_agent import Agent, Capacity
from kakuri_rpc import (
    Desired,
    ErrorCode,
    GetHistory,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
)
from kakuri_workload import DesiredState, RestartPolicy, Run, WorkloadState, ZoneStatus
from kakuri_workload.testing import workload

from .loop_clock import begin
from .recording_runtime import spec

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState


@pytest.fixture
async def running(agent, runtime, until_idle):
    """Return an agent with a workload that runs."""
    agent.handle(StartWorkload(workload()))
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    runtime.commands.clear()
    return agent


@pytest.mark.parametrize("request_of", [RerunWorkload, RestartWorkload])
async def test_ended_workload_runs_again_as_its_next_attempt(
    running, runtime, registry, until_idle, request_of
):
    runtime.change(FAILED, reason="Error", exit_code=3)
    await until_idle()
    reply = running.handle(request_of("wl-1"))
    assert (reply.state, reply.reason, reply.attempt) == (State.PENDING, "Restarted", 1)
    assert reply.message == "the last run ended: Error, exit code 3"
    assert (reply.exit_code, reply.existing, reply.desired) == (3, False, None)
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 1)]
    runtime.change(RUNNING, attempt=1)
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.state, entry.attempt, entry.failures, entry.desired) == (
        RUNNING,
        1,
        0,
        DesiredState.RUN,
    )


async def test_stopped_workload_runs_again(running, runtime, registry, until_idle):
    running.handle(StopWorkload("wl-1"))
    runtime.change(FAILED, exit_code=143)
    await until_idle()
    status = running.handle(GetStatus("wl-1"))
    assert (status.state, status.reason, status.desired) == (State.FAILED, "Stopped", None)
    assert running.handle(RerunWorkload("wl-1")).attempt == 1
    await until_idle()
    assert runtime.commands[-1] == ("start", "wl-1", 1)
    assert registry.get("wl-1").desired is DesiredState.RUN


async def test_rerun_of_a_running_workload_returns_its_status(running, runtime, until_idle):
    assert running.handle(RerunWorkload("wl-1")) == Status("wl-1", State.RUNNING, existing=True)
    await until_idle()
    assert runtime.commands == []


async def test_restart_stops_the_current_run_and_then_starts_the_next(
    running, runtime, registry, until_idle
):
    reply = running.handle(RestartWorkload("wl-1", 7))
    assert (reply.state, reply.desired, reply.existing) == (State.RUNNING, Desired.RESTARTED, False)
    await until_idle()
    assert runtime.commands == [("stop", "wl-1", 7)]
    runtime.change(FAILED, reason="Error", exit_code=143, ended_at=9.0)
    await until_idle()
    assert runtime.commands == [("stop", "wl-1", 7), ("start", "wl-1", 1)]
    status = running.handle(GetStatus("wl-1"))
    assert (status.state, status.reason, status.desired) == (State.PENDING, "Restarted", None)
    assert status.message == "the last run ended: Error, exit code 143"
    steps = running.handle(GetHistory("wl-1")).transitions
    assert [(step.state, step.reason, step.attempt) for step in steps] == [
        (State.PENDING, None, 0),
        (State.RUNNING, None, 0),
        (State.PENDING, "Restarted", 1),
    ]


async def test_restart_of_a_run_that_is_lost_starts_the_next(running, runtime, until_idle):
    running.handle(RestartWorkload("wl-1"))
    runtime.lose()
    await until_idle()
    assert runtime.commands[-1] == ("start", "wl-1", 1)


async def test_restart_ignores_the_restart_policy(running, runtime, until_idle):
    running.handle(RestartWorkload("wl-1"))
    runtime.change(SUCCEEDED, exit_code=0)
    await until_idle()
    assert running.handle(GetStatus("wl-1")).state is State.PENDING


async def test_restart_of_a_starting_workload_cancels_its_start(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    runtime.change(PENDING, reason="Pulling")
    agent.handle(RestartWorkload("wl-1", 2))
    await until_idle()
    runtime.change(FAILED, reason="Stopped")
    await until_idle()
    assert runtime.commands[-2:] == [("stop", "wl-1", 2), ("start", "wl-1", 1)]


async def test_restart_with_a_shorter_grace_period_replaces_a_longer_one(
    running, runtime, until_idle
):
    for grace in (3600, 1, 60):
        running.handle(RestartWorkload("wl-1", grace))
        await until_idle()
    assert [command[2] for command in runtime.commands] == [3600, 1, 1]


async def test_stop_during_a_restart_ends_the_workload(running, runtime, until_idle):
    running.handle(RestartWorkload("wl-1"))
    await until_idle()
    assert running.handle(StopWorkload("wl-1")).desired is Desired.STOPPED
    runtime.change(FAILED, exit_code=143)
    await until_idle()
    status = running.handle(GetStatus("wl-1"))
    assert (status.state, status.reason, status.desired) == (State.FAILED, "Stopped", None)
    assert not [command for command in runtime.commands if command[0] == "start"]


@pytest.mark.parametrize("request_of", [RerunWorkload, RestartWorkload])
async def test_run_requested_during_a_stop_begins_after_it(
    running, runtime, until_idle, request_of
):
    running.handle(StopWorkload("wl-1", 3))
    await until_idle()
    assert running.handle(request_of("wl-1")).desired is Desired.RESTARTED
    runtime.change(FAILED, exit_code=143)
    await until_idle()
    assert runtime.commands[-1] == ("start", "wl-1", 1)
    assert {command for command in runtime.commands if command[0] == "stop"} == {
        ("stop", "wl-1", 3)
    }


@pytest.mark.parametrize("request_of", [RerunWorkload, RestartWorkload])
async def test_run_requested_during_a_removal_is_a_conflict(running, until_idle, request_of):
    running.handle(RemoveWorkload("wl-1"))
    await until_idle()
    reply = running.handle(request_of("wl-1"))
    assert (reply.code, reply.message) == (ErrorCode.CONFLICT, "workload 'wl-1' is being removed")


async def test_removal_during_a_restart_is_carried_out(running, runtime, registry, until_idle):
    running.handle(RestartWorkload("wl-1"))
    await until_idle()
    assert running.handle(RemoveWorkload("wl-1", 0)).desired is Desired.REMOVED
    await until_idle()
    assert runtime.commands[-1] == ("remove", "wl-1", 0)
    runtime.observer.zone_removed("wl-1")
    assert "wl-1" not in registry


@pytest.mark.parametrize(
    "request_of", [StopWorkload, RemoveWorkload, RerunWorkload, RestartWorkload]
)
async def test_change_of_an_unknown_workload_is_not_found(agent, request_of):
    assert agent.handle(request_of("wl-1")).code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("offset", [3600.0, -3600.0])
async def test_time_of_the_next_run_follows_a_clock_that_is_set_during_the_back_off(
    registry, writer, runtime, until_idle, offset
):
    now = 10_000.0
    agent = Agent(registry, writer, runtime, clock=lambda: now)
    submitted = StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS))
    agent.handle(submitted)
    await until_idle()
    runtime.change(FAILED, reason="Error")
    await until_idle()
    due = registry.get("wl-1").restart_at
    assert agent.handle(GetStatus("wl-1")).restart_at == due
    now += offset
    for request in (submitted, GetStatus("wl-1")):
        assert agent.handle(request).restart_at == pytest.approx(due + offset, abs=1)
    [listed] = agent.handle(ListWorkloads()).workloads
    assert listed.restart_at == pytest.approx(due + offset, abs=1)
    agent.close()


@pytest.mark.parametrize("request_of", [RerunWorkload, RestartWorkload])
async def test_run_requested_during_a_back_off_begins_at_once_without_earlier_failures(
    agent, runtime, registry, until_idle, request_of
):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    await until_idle()
    runtime.change(FAILED, reason="Error", exit_code=3)
    await until_idle()
    status = agent.handle(GetStatus("wl-1"))
    assert (status.reason, status.attempt, status.exit_code) == ("BackOff", 1, 3)
    assert status.restart_at >= 17.0
    runtime.commands.clear()
    status = agent.handle(request_of("wl-1"))
    assert (status.reason, status.attempt, status.restart_at) == ("Restarted", 1, None)
    assert (status.message, status.exit_code) == ("the last run ended: Error, exit code 3", 3)
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 1)]
    assert registry.get("wl-1").failures == 0


async def test_back_off_after_a_requested_run_is_the_first_one(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    for attempt in range(3):
        runtime.change(FAILED, reason="Error", attempt=attempt)
        await until_idle()
        clock.run_back_offs()
        await until_idle()
    assert registry.get("wl-1").failures == 3
    registry.set_desired("wl-1", DesiredState.RESTART, now=1.0)
    runtime.change(FAILED, reason="Stopped", attempt=3)
    await until_idle()
    assert (registry.get("wl-1").attempt, registry.get("wl-1").failures) == (4, 0)
    runtime.change(FAILED, reason="Error", attempt=4)
    await until_idle()
    assert clock.run_back_offs() == [10.0]


async def test_rerun_reserves_capacity_again(registry, writer, runtime, until_idle):
    agent = Agent(registry, writer, runtime, capacity := Capacity(memory_mb=600))
    agent.handle(StartWorkload(workload("a")))
    runtime.change(FAILED, "a")
    await until_idle()
    assert capacity.memory_mb_used == 0
    agent.handle(StartWorkload(workload("b")))
    reply = agent.handle(RerunWorkload("a"))
    assert (reply.code, reply.id) == (ErrorCode.CAPACITY, "a")
    assert registry.get("a").state is FAILED
    runtime.change(SUCCEEDED, "b")
    await until_idle()
    assert agent.handle(RerunWorkload("a")).state is State.PENDING
    assert capacity.memory_mb_used == 512
    await until_idle()
    assert capacity.memory_mb_used == 512
    agent.close()


async def test_restart_keeps_its_capacity(running, runtime, capacity, until_idle):
    running.handle(RestartWorkload("wl-1"))
    runtime.change(FAILED, exit_code=143)
    await until_idle()
    assert capacity.memory_mb_used == 512


async def test_restart_survives_a_crash_before_the_run_has_ended(
    runtime, registry, writer, until_idle
):
    registry.register(workload(), now=1.0)
    registry.update("wl-1", Run(RUNNING), now=2.0)
    registry.set_desired("wl-1", DesiredState.RESTART, now=3.0, grace_seconds=4)
    runtime.zones["wl-1"] = ZoneStatus("wl-1", RUNNING, spec=spec())
    agent = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == [("stop", "wl-1", 4)]
    agent.close()


@pytest.mark.parametrize("found", [FAILED, SUCCEEDED, None])
async def test_restart_survives_a_crash_after_the_run_has_ended(
    runtime, registry, writer, until_idle, found
):
    registry.register(workload(), now=1.0)
    registry.update("wl-1", Run(RUNNING), now=2.0)
    registry.set_desired("wl-1", DesiredState.RESTART, now=3.0)
    if found is not None:
        runtime.zones["wl-1"] = ZoneStatus("wl-1", found, exit_code=0, spec=spec())
    agent = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 1)]
    agent.close()


async def test_restart_of_an_attempt_without_a_zone_begins_another_attempt(
    runtime, registry, writer, until_idle
):
    registry.register(workload(), now=1.0)
    registry.restart("wl-1", now=2.0, restart_at=None)
    registry.set_desired("wl-1", DesiredState.RESTART, now=3.0)
    runtime.zones["wl-1"] = ZoneStatus("wl-1", FAILED, spec=spec())
    agent = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 2)]
    agent.close()


async def test_zone_of_the_earlier_run_does_not_end_the_next(running, runtime, until_idle):
    runtime.change(FAILED, reason="Error")
    await until_idle()
    running.handle(RerunWorkload("wl-1"))
    runtime.change(FAILED, reason="Error")
    await until_idle()
    assert running.handle(GetStatus("wl-1")).state is State.PENDING
