"""Tests of every combination of observed and desired state that a crash can leave."""

import asyncio
import threading

import pytest
from kakuri_agent import Agent, Capacity, Reconciler, _work_queue
from kakuri_agent._reconciler import PAGE_SECONDS
from kakuri_agent._work_queue import WORKLOADS_PER_TURN
from kakuri_registry import MemoryStore, StoreFailed, StoreFull, StoreWriter, WorkloadRegistry
from kakuri_rpc import (
    ErrorCode,
    GetHistory,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    StartWorkload,
    State,
    StopWorkload,
)
from kakuri_workload import DesiredState, RestartPolicy, Run, WorkloadState, ZoneStatus
from kakuri_workload.testing import workload

from .loop_clock import LoopClock, begin
from .recording_runtime import spec

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState


async def test_zone_without_an_entry_is_adopted(runtime, registry, writer, until_idle):
    runtime.zones["wl-1"] = ZoneStatus("wl-1", RUNNING, started_at=3.0, spec=spec(args=("a",)))
    agent = Agent(registry, writer, runtime)
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.state, entry.run.started_at) == (RUNNING, 3.0)
    assert entry.workload == workload(args=("a",))
    assert runtime.commands == []
    steps = [(step.state, step.reason) for step in registry.history("wl-1")]
    assert steps == [(PENDING, None), (PENDING, "Adopted"), (RUNNING, None)]
    agent.close()


async def test_adopted_workload_is_restarted_by_the_policy_of_its_zone(
    runtime, registry, writer, until_idle
):
    found = spec(restart_policy=RestartPolicy.ALWAYS)
    runtime.zones["wl-1"] = ZoneStatus("wl-1", FAILED, started_at=3.0, ended_at=4.0, spec=found)
    agent = Agent(registry, writer, runtime)
    await until_idle()
    entry = registry.get("wl-1")
    assert entry.workload.restart_policy is RestartPolicy.ALWAYS
    assert (entry.state, entry.run.reason, entry.attempt) == (PENDING, "BackOff", 1)
    agent.close()


async def test_pending_workload_without_a_zone_is_started(runtime, registry, writer, until_idle):
    registry.register(workload(), now=1.0)
    await writer.flushed()
    agent = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 0)]
    agent.close()


async def test_pending_workload_with_a_running_zone_is_not_started(
    runtime, registry, writer, until_idle
):
    registry.register(workload(), now=1.0)
    runtime.zones["wl-1"] = ZoneStatus("wl-1", RUNNING, spec=spec())
    agent = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == []
    assert registry.get("wl-1").state is RUNNING
    agent.close()


async def test_running_workload_without_a_zone_is_lost_once_all_zones_are_listed(
    agent, runtime, until_idle
):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    runtime.is_listed = False
    runtime.lose()
    await until_idle()
    assert agent.handle(GetStatus("wl-1")).state is State.RUNNING
    runtime.is_listed = True
    runtime.observer.zones_listed()
    await until_idle()
    status = agent.handle(GetStatus("wl-1"))
    assert (status.state, status.reason) == (State.FAILED, "ZoneLost")


async def test_report_of_an_earlier_state_is_ignored(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    runtime.change(PENDING)
    await until_idle()
    assert agent.handle(GetStatus("wl-1")).state is State.RUNNING


async def test_repeated_report_of_an_end_changes_nothing(agent, runtime, registry, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(FAILED, reason="Error")
    await until_idle()
    before = registry.get("wl-1")
    runtime.change(FAILED, reason="Other")
    await until_idle()
    assert registry.get("wl-1") is before


async def test_run_that_ends_between_two_reports_was_running(agent, runtime, registry, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(SUCCEEDED, exit_code=0, started_at=1.0, ended_at=1.5)
    await until_idle()
    assert [step.state for step in registry.history("wl-1")] == [PENDING, RUNNING, SUCCEEDED]


async def test_unknown_zone_without_its_spec_changes_nothing(agent, runtime, registry, until_idle):
    runtime.change(RUNNING)
    runtime.observer.zone_removed("wl-1")
    await until_idle()
    assert len(registry) == 0


async def test_stop_is_repeated_until_the_zone_has_ended(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    assert agent.handle(StopWorkload("wl-1", 3)).state is State.RUNNING
    await until_idle()
    assert runtime.commands[-1] == ("stop", "wl-1", 3)
    runtime.change(FAILED, reason="Error", exit_code=143)
    await until_idle()
    status = agent.handle(GetStatus("wl-1"))
    assert (status.state, status.reason, status.exit_code) == (State.FAILED, "Stopped", 143)
    agent.handle(StopWorkload("wl-1", 4))
    await until_idle()
    assert [order[0] for order in runtime.commands] == ["start", "stop"]


async def test_stop_is_carried_out_after_a_restart_of_the_agent(
    agent, runtime, registry, writer, until_idle
):
    always = workload(restart_policy=RestartPolicy.ALWAYS)
    agent.handle(StartWorkload(always))
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    agent.handle(StopWorkload("wl-1", 3))
    agent.close()
    runtime.change(FAILED, reason="Error", exit_code=143)  # while no agent ran
    following = Agent(registry, writer, runtime)
    await until_idle()
    assert registry.get("wl-1").state is FAILED
    assert [order[0] for order in runtime.commands] == ["start"]
    following.close()


async def test_removal_removes_zone_and_entry(agent, runtime, registry, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    assert agent.handle(RemoveWorkload("wl-1")).state is State.RUNNING
    assert agent.handle(RemoveWorkload("wl-1")).state is State.RUNNING
    await until_idle()
    assert ("remove", "wl-1", 10) in runtime.commands
    assert agent.handle(StartWorkload(workload())).code is ErrorCode.CONFLICT
    runtime.lose()
    await until_idle()
    assert (
        registry.get("wl-1").desired is DesiredState.REMOVE
    )  # the entry remains until the runtime reports the removal
    runtime.observer.zone_removed("wl-1")
    assert "wl-1" not in registry
    assert agent.handle(StartWorkload(workload(memory_mb=1))).state is State.PENDING


async def test_removal_is_carried_out_after_a_restart_of_the_agent(
    runtime, registry, writer, until_idle
):
    registry.register(workload(), now=1.0)
    registry.set_desired("wl-1", DesiredState.REMOVE, now=2.0, grace_seconds=4)
    agent = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == [("remove", "wl-1", 4)]
    agent.close()


@pytest.mark.parametrize("zone", [None, ZoneStatus("wl-1", FAILED, spec=spec())])
@pytest.mark.parametrize("desired", [DesiredState.REMOVE, DesiredState.RUN])
async def test_pending_workload_whose_zone_cannot_be_removed_has_reason_stop_failed(
    runtime, registry, writer, until_idle, zone, desired
):
    registry.register(workload(restart_policy=RestartPolicy.ALWAYS), now=1.0)
    registry.restart("wl-1", now=2.0, restart_at=None, attempt=1)
    registry.set_desired("wl-1", desired, now=3.0)
    if zone is not None:  # of an earlier attempt
        runtime.zones["wl-1"] = zone
    agent = Agent(registry, writer, runtime)
    await until_idle()
    before = registry.get("wl-1")
    runtime.end_failures["wl-1"] = "RemovePodSandbox: busy"
    runtime.observer.zone_changed("wl-1")
    await until_idle()
    run = registry.get("wl-1").run
    if desired is DesiredState.RUN:
        assert registry.get("wl-1") is before
    else:
        found = (run.state, run.reason, run.message)
        assert found == (PENDING, "StopFailed", "RemovePodSandbox: busy")
        runtime.end_failures.clear()
        runtime.observer.zone_changed("wl-1")
        await until_idle()
        assert registry.get("wl-1").run.reason is None
    agent.close()


async def test_failed_runs_are_restarted_with_doubled_delays(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ON_FAILURE)
    waited = []
    for attempt in range(8):
        assert runtime.commands[-1] == ("start", "wl-1", attempt)
        runtime.change(FAILED, reason="Error", exit_code=3, attempt=attempt)
        await until_idle()
        entry = registry.get("wl-1")
        assert (entry.state, entry.run.reason, entry.run.exit_code) == (PENDING, "BackOff", 3)
        assert entry.attempt == attempt + 1
        waited += clock.run_back_offs()
        await until_idle()
    assert waited == [10, 20, 40, 80, 160, 300, 300, 300]
    assert len(runtime.commands) == 9


async def test_stable_run_resets_the_back_off(restarting, registry, runtime, until_idle):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    for attempt, seconds in enumerate([5.0, 5.0, 600.0, 5.0]):
        runtime.change(
            SUCCEEDED, exit_code=0, attempt=attempt, started_at=1.0, ended_at=1.0 + seconds
        )
        await until_idle()
        assert clock.run_back_offs() == [[10], [20], [10], [20]][attempt]
        await until_idle()


async def test_observed_run_is_timed_by_the_monotonic_clock(
    monkeypatch, restarting, registry, runtime, until_idle
):
    loop = asyncio.get_running_loop()
    passed, time = 0.0, loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + passed)
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    waited = []
    for attempt, seconds in enumerate([5.0, 5.0, 600.0, 5.0]):
        runtime.change(RUNNING, attempt=attempt, started_at=100.0)
        await until_idle()
        passed += seconds
        # In the meantime, the wall clock was set ahead by an hour, and then back.
        ended_at = 3700.0 if seconds == 5.0 else 101.0
        runtime.change(FAILED, attempt=attempt, started_at=100.0, ended_at=ended_at)
        await until_idle()
        waited += clock.run_back_offs()
        await until_idle()
    assert waited == [10, 20, 10, 20]


TEN_MINUTES_AGO = 100.0 - 600.0  # by the clock of these tests; a run that long is stable


async def test_run_that_began_before_the_agent_is_as_old_as_its_start_time(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    registry.restart("wl-1", now=0, restart_at=None, failures=1)  # by an earlier agent
    runtime.change(RUNNING, attempt=1, started_at=TEN_MINUTES_AGO)
    await until_idle()
    runtime.change(FAILED, attempt=1, exit_code=1)
    await until_idle()
    assert clock.run_back_offs() == [10]  # the run was stable: the first delay


async def test_run_that_the_agent_began_is_short_whatever_its_start_time(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    runtime.change(FAILED, exit_code=1)
    await until_idle()
    assert clock.run_back_offs() == [10]  # this agent restarts it
    await until_idle()
    runtime.change(RUNNING, attempt=1, started_at=TEN_MINUTES_AGO)  # the clock was set ahead
    await until_idle()
    runtime.change(FAILED, attempt=1, exit_code=1)
    await until_idle()
    assert clock.run_back_offs() == [20]  # it counts as short: the second delay


async def test_later_attempt_of_a_zone_replaces_that_of_a_restored_store(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    policy = {"restart_policy": RestartPolicy.ALWAYS, "max_restarts": 1}
    await begin(registry, reconciler, until_idle, **policy)
    runtime.commands.clear()
    runtime.change(RUNNING, attempt=5, started_at=90.0, address="10.0.0.2")
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.state, entry.attempt, entry.run.address) == (RUNNING, 5, "10.0.0.2")
    runtime.change(FAILED, attempt=5, reason="Error", exit_code=1)
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.run.reason, entry.attempt, entry.run.address) == ("BackOff", 6, None)
    clock.run_back_offs()
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 6)]


async def test_second_run_has_its_own_times(restarting, registry, runtime, until_idle):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    runtime.change(FAILED, reason="Error", exit_code=7, started_at=1.0, ended_at=2.0)
    await until_idle()
    assert [step.exit_code for step in registry.history("wl-1")] == [None, None, 7]
    clock.run_back_offs()
    await until_idle()
    runtime.change(RUNNING, attempt=1, started_at=3.0)
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.run.started_at, entry.run.ended_at, entry.run.exit_code) == (3.0, None, None)


async def test_workload_fails_after_its_last_restart(restarting, registry, runtime, until_idle):
    reconciler, clock = restarting
    policy = {"restart_policy": RestartPolicy.ON_FAILURE, "max_restarts": 1}
    await begin(registry, reconciler, until_idle, **policy)
    runtime.change(FAILED, reason="Error", exit_code=3)
    await until_idle()
    clock.run_back_offs()
    await until_idle()
    runtime.change(FAILED, reason="OOMKilled", exit_code=137, attempt=1)
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.state, entry.run.reason, entry.run.exit_code) == (FAILED, "OOMKilled", 137)


async def test_successful_run_is_not_restarted_on_failure(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ON_FAILURE)
    runtime.change(SUCCEEDED, exit_code=0)
    await until_idle()
    assert registry.get("wl-1").state is SUCCEEDED
    assert clock.run_back_offs() == []


@pytest.mark.parametrize("reason", [None, "Error", "OOMKilled"])
async def test_stopped_workload_ends_with_the_reason_stopped(
    restarting, registry, runtime, until_idle, reason
):
    reconciler, _ = restarting
    await begin(registry, reconciler, until_idle)
    runtime.change(RUNNING, started_at=1.0)
    await until_idle()
    registry.set_desired("wl-1", DesiredState.STOP, now=1.0)
    reconciler.enqueue("wl-1")
    await until_idle()
    runtime.change(FAILED, reason=reason, exit_code=137)
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.state, entry.run.reason, entry.run.exit_code) == (FAILED, "Stopped", 137)


async def test_stop_during_a_back_off_ends_the_workload(restarting, registry, runtime, until_idle):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    runtime.change(FAILED, reason="Error", exit_code=3)
    await until_idle()
    registry.set_desired("wl-1", DesiredState.STOP, now=1.0)
    reconciler.enqueue("wl-1")
    await until_idle()
    entry = registry.get("wl-1")
    assert (entry.state, entry.run.reason) == (FAILED, "Stopped")
    assert clock.run_back_offs() == []
    assert len(runtime.commands) == 1


@pytest.mark.parametrize(("restart_at", "waits"), [(130.0, 30.0), (99.0, 0), (1e9, 300.0)])
async def test_back_off_continues_with_its_remaining_time_after_a_restart(
    monkeypatch, registry, writer, runtime, until_idle, restart_at, waits
):
    clock = LoopClock(monkeypatch)
    registry.register(workload(restart_policy=RestartPolicy.ALWAYS), now=0.0)
    registry.restart("wl-1", now=1.0, restart_at=restart_at, failures=1)
    await writer.flushed()
    reconciler = Reconciler(registry, writer, runtime, Capacity(), clock=lambda: 100.0)
    await until_idle()
    assert runtime.commands == []
    assert clock.run_back_offs() == [waits]
    await until_idle()
    assert runtime.commands == [("start", "wl-1", 1)]
    reconciler.close()


class SlowStore(MemoryStore):
    """A store whose writes wait until the test opens a gate."""

    is_nonblocking = False

    def __init__(self):
        super().__init__()
        self.may_write = threading.Event()
        self.refuses_registrations = self.takes_nothing = False

    def write(self, changes):
        assert self.may_write.wait(20)
        if self.takes_nothing:
            raise StoreFailed("input/output error")
        if self.refuses_registrations and any(change.is_registration for change in changes):
            raise StoreFull("the disk is full")
        super().write(changes)


@pytest.fixture
async def slow(registry):
    """Yield the parts of an agent with a slow store and a running workload."""
    store = SlowStore()
    writer = StoreWriter(registry, store)
    registry.register(workload(), now=1.0)
    registry.update("wl-1", Run(RUNNING), now=2.0)
    store.may_write.set()
    await writer.flushed()
    store.may_write.clear()
    yield store, writer
    store.may_write.set()
    await writer.close()


@pytest.mark.parametrize("request_", [StopWorkload("wl-1", 10), RemoveWorkload("wl-1")])
async def test_zone_is_not_stopped_before_the_stop_is_on_disk(
    slow, registry, runtime, until_idle, request_
):
    store, writer = slow
    runtime.zones["wl-1"] = ZoneStatus("wl-1", RUNNING)
    agent = Agent(registry, writer, runtime)
    await until_idle()
    reply = asyncio.ensure_future(agent.handle(request_))
    await until_idle()
    runtime.change(RUNNING, address="10.0.0.2")
    await until_idle()
    assert runtime.commands == []
    store.may_write.set()
    await reply
    await writer.flushed()
    await until_idle()
    assert [order[1] for order in runtime.commands][:1] == ["wl-1"]
    agent.close()


async def test_status_is_not_reported_before_it_is_on_disk(slow, registry, runtime, until_idle):
    store, writer = slow
    runtime.zones["wl-1"] = ZoneStatus("wl-1", FAILED, "Error")
    agent = Agent(registry, writer, runtime)
    await until_idle()
    requests = [GetStatus("wl-1"), GetHistory("wl-1"), ListWorkloads()]
    replies = [asyncio.ensure_future(agent.handle(each)) for each in requests]
    await until_idle()
    assert not any(reply.done() for reply in replies)
    store.may_write.set()
    status, history, build_page = await asyncio.gather(*replies)
    page = build_page()
    assert status.state is history.transitions[-1].state is page.workloads[0].state is State.FAILED
    agent.close()


async def test_list_that_waits_for_the_disk_has_the_states_of_its_request(
    slow, registry, runtime, until_idle
):
    store, writer = slow
    runtime.zones["wl-1"] = ZoneStatus("wl-1", FAILED, "Error")
    agent = Agent(registry, writer, runtime)
    await until_idle()
    page = asyncio.ensure_future(agent.handle(ListWorkloads()))
    await until_idle()
    assert not page.done()
    store.may_write.set()
    build = await page
    await agent.handle(RemoveWorkload("wl-1"))
    assert [each.state for each in build().workloads] == [State.FAILED]
    agent.close()


async def test_state_is_not_reported_early_on_a_full_disk(slow, registry, runtime, until_idle):
    """Registrations are refused, and changes of known workloads are on disk one write later."""
    store, writer = slow
    store.refuses_registrations = True
    runtime.zones["wl-1"] = ZoneStatus("wl-1", FAILED, "Error")
    agent = Agent(registry, writer, runtime)
    await until_idle()
    requests = [
        StartWorkload(workload("wl-2")), StopWorkload("wl-2", 0),
        StartWorkload(workload("wl-2")), GetStatus("wl-2"),
        ListWorkloads(), GetStatus("wl-1"),
    ]  # fmt: skip
    replies = [asyncio.ensure_future(agent.handle(each)) for each in requests]
    await until_idle()
    assert not any(reply.done() for reply in replies)
    store.may_write.set()
    refused, stop, again, status, page, known = await asyncio.gather(*replies)
    assert refused.code is again.code is ErrorCode.CAPACITY
    assert stop.code is status.code is ErrorCode.NOT_FOUND
    (listed,) = page().workloads
    assert listed.id == "wl-1"
    assert known.state is listed.state is State.FAILED
    assert store.load().entries == [registry.get("wl-1")]
    agent.close()


async def test_zone_is_adopted_on_a_full_disk(slow, registry, runtime, until_idle):
    store, writer = slow
    store.refuses_registrations = True
    store.may_write.set()
    runtime.zones["found"] = ZoneStatus("found", RUNNING, spec=spec("found"))
    agent = Agent(registry, writer, runtime)
    await until_idle()
    await writer.flushed()
    assert "found" in {entry.workload.id for entry in store.load().entries}
    agent.close()


async def test_field_that_a_zone_does_not_report_keeps_its_value(
    slow, registry, runtime, until_idle
):
    """Otherwise each reconciliation would be a change, and a stop would wait for the disk forever."""
    store, writer = slow
    registry.update("wl-1", Run(RUNNING, started_at=2.0, address="10.0.0.2"), now=2.0)
    registry.restart("wl-1", now=3.0, restart_at=None)
    runtime.zones["wl-1"] = ZoneStatus("wl-1", PENDING, "Pulling", attempt=1)
    agent = Agent(registry, writer, runtime)
    await until_idle()
    version = registry.version
    reply = asyncio.ensure_future(agent.handle(StopWorkload("wl-1", 10)))
    await until_idle()
    store.may_write.set()
    await reply
    await until_idle()
    assert runtime.commands == [("stop", "wl-1", 10)]
    assert registry.version == version + 1
    agent.close()


async def test_start_after_a_removal_waits_until_the_removal_is_on_disk(
    slow, registry, runtime, until_idle
):
    store, writer = slow
    agent = Agent(registry, writer, runtime)
    registry.remove("wl-1")
    reply = asyncio.ensure_future(agent.handle(StartWorkload(workload())))
    await until_idle()
    assert "wl-1" not in registry
    store.may_write.set()
    assert (await reply).existing is False
    agent.close()


async def test_removal_on_a_failing_disk_only_stops_the_zone_until_it_is_saved(
    slow, registry, runtime, until_idle, monkeypatch
):
    monkeypatch.setattr(_work_queue, "STORE_RETRY_SECONDS", 0.0)
    store, writer = slow
    store.takes_nothing = True
    runtime.zones["wl-1"] = ZoneStatus("wl-1", RUNNING)
    agent = Agent(registry, writer, runtime)
    await until_idle()
    reply = asyncio.ensure_future(agent.handle(RemoveWorkload("wl-1")))
    store.may_write.set()
    assert (await reply).code is ErrorCode.INTERNAL
    await until_idle()
    assert {order[0] for order in runtime.commands} == {"stop"}
    store.takes_nothing = False
    await writer.flushed()
    await until_idle()
    assert runtime.commands[-1][:2] == ("remove", "wl-1")
    agent.close()


async def test_not_found_is_not_reported_before_the_removal_is_on_disk(
    slow, registry, runtime, until_idle
):
    store, writer = slow
    agent = Agent(registry, writer, runtime)
    registry.remove("wl-1")
    requests = [GetStatus("wl-1"), RemoveWorkload("wl-1"), StopWorkload("wl-1", 10)]
    replies = [asyncio.ensure_future(agent.handle(each)) for each in requests]
    await until_idle()
    assert not any(reply.done() for reply in replies)
    store.may_write.set()
    assert {reply.code for reply in await asyncio.gather(*replies)} == {ErrorCode.NOT_FOUND}
    agent.close()


async def test_zone_of_a_late_start_is_stopped_again(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    runtime.change(FAILED, reason="Stopped")
    await until_idle()
    runtime.change(RUNNING)
    await until_idle()
    assert runtime.commands[-1][:2] == ("stop", "wl-1")
    assert agent.handle(GetStatus("wl-1")).state is State.FAILED


async def test_zone_of_a_late_start_of_a_removed_workload_is_removed(
    agent, runtime, registry, until_idle
):
    agent.handle(StartWorkload(workload()))
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    runtime.observer.zone_removed("wl-1")
    runtime.commands.clear()
    runtime.change(RUNNING, spec=spec())
    await until_idle()
    assert runtime.commands == [("remove", "wl-1", 0)]
    assert len(registry) == 0


async def test_workloads_of_more_than_one_turn_are_all_started(runtime, until_idle):
    registry = WorkloadRegistry()
    number = 2 * WORKLOADS_PER_TURN + 1
    for each in range(number):
        registry.register(workload(f"w-{each:04}"), now=1.0)
    writer = StoreWriter(registry, MemoryStore())
    await writer.flushed()
    agent = Agent(registry, writer, runtime)
    for _ in range(10):
        await until_idle()
    assert len(runtime.commands) == number
    assert len(set(runtime.commands)) == number
    agent.close()
    await writer.close()


async def test_number_of_remembered_removals_is_bounded(agent, runtime, until_idle, monkeypatch):
    monkeypatch.setattr("kakuri_agent._reconciler.MAX_REMEMBERED_REMOVALS", 2)
    for name in ("first", "second", "third"):
        agent.handle(StartWorkload(workload(name)))
        agent.handle(RemoveWorkload(name))
        await until_idle()
        runtime.observer.zone_removed(name)
    runtime.commands.clear()
    for name in ("second", "third", "first"):
        runtime.change(RUNNING, name, spec=spec(name))
        await until_idle()
    assert runtime.commands == [("remove", "second", 0), ("remove", "third", 0)]


@pytest.mark.parametrize("times", [{"started_at": 1.0}, {"ended_at": 1000.0}, {}])
async def test_run_without_known_times_does_not_reset_the_back_off(
    restarting, registry, runtime, until_idle, times
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    waited = []
    for attempt in range(3):
        runtime.change(FAILED, attempt=attempt, exit_code=1, **times)
        await until_idle()
        waited += clock.run_back_offs()
        await until_idle()
    assert waited == [10, 20, 40]


async def test_later_attempt_than_known_is_recorded_with_a_warning(
    agent, runtime, registry, until_idle, monkeypatch
):
    logged = []
    # Another test may have configured structlog, and loggers keep their configuration.
    monkeypatch.setattr(
        "kakuri_agent._status_updater.log.warning",
        lambda event, **more: logged.append((event, more)),
    )
    agent.handle(StartWorkload(workload()))
    await until_idle()
    runtime.change(RUNNING, attempt=3, started_at=1.0)
    await until_idle()
    assert registry.get("wl-1").attempt == 3
    assert logged == [("attempt taken over", {"id": "wl-1", "known": 0, "attempt": 3})]


@pytest.mark.parametrize("state", [SUCCEEDED, FAILED])
async def test_workload_that_has_ended_releases_its_capacity(
    registry, writer, runtime, until_idle, state
):
    capacity = Capacity(1024, 1000, 0)
    agent = Agent(registry, writer, runtime, capacity)
    agent.handle(StartWorkload(workload()))
    await until_idle()
    assert (capacity.memory_mb_used, capacity.cpu_millicores_used) == (512, 500)
    runtime.change(state, exit_code=0 if state is SUCCEEDED else 1, started_at=1.0, ended_at=2.0)
    await until_idle()
    assert (capacity.memory_mb_used, capacity.cpu_millicores_used) == (0, 0)
    agent.close()


async def test_resync_reconciles_every_workload_that_has_not_ended(
    writer, runtime, monkeypatch, until_idle
):
    registry = WorkloadRegistry()
    clock = LoopClock(monkeypatch)
    reconciler = Reconciler(registry, writer, runtime, Capacity())
    await until_idle()
    # As if changes had been missed: more than a page of each state.
    names = [f"w-{number:04}" for number in range(2400)]
    for number, name in enumerate(names):
        registry.register(workload(name), now=1.0)
        if number % 2:
            registry.update(name, Run(RUNNING), now=2.0)
        if number % 100 == 99:
            registry.update(name, Run(FAILED), now=3.0)
    seen = []
    monkeypatch.setattr(reconciler._queue, "add", seen.append)

    def next_page():
        resyncs = [each for each in clock.timers if each.call == reconciler._resync]
        (timer,) = [each for each in resyncs if not each.is_over]
        timer.run()
        return timer.delay

    for _ in range(2):
        seen.clear()
        # A page of those that are pending and one that is not full, and as many that run.
        delays = [next_page() for _ in range(5)]
        assert delays == [30.0, *4 * [PAGE_SECONDS]]
        assert sorted(seen) == [each for at, each in enumerate(names) if at % 100 != 99]
    reconciler.close()
