"""The tables of the agent: delays, restart policies, and its other documented figures."""

import asyncio

import pytest
from kakuri_agent import _capacity, _changes, _reconciler, _restarts, _retention, _work_queue
from kakuri_agent._restarts import back_off, is_restarted
from kakuri_agent._retention import Retention
from kakuri_registry import WorkloadRegistry
from kakuri_workload import DesiredState, RestartPolicy, Run, WorkloadState

from .recording_runtime import workload

SUCCEEDED, FAILED = WorkloadState.SUCCEEDED, WorkloadState.FAILED


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (100_000, 300)],
)
@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 1.0), (0.5, 1.125), (1.0, 1.25)])
def test_back_off_doubles_up_to_five_minutes_and_adds_a_quarter_at_most(
    failures, seconds, jitter, factor
):
    assert back_off(failures, jitter) == pytest.approx(seconds * factor)


@pytest.mark.parametrize(
    ("policy", "restarted"),
    [
        (RestartPolicy.ALWAYS, {SUCCEEDED, FAILED}),
        (RestartPolicy.ON_FAILURE, {FAILED}),
        (RestartPolicy.NEVER, set()),
    ],
)
def test_restart_policy_names_the_ends_after_which_a_workload_runs_again(policy, restarted):
    assert {end for end in (SUCCEEDED, FAILED) if is_restarted(policy, end)} == restarted


def test_constants_of_the_agent_are_the_documented_ones():
    assert (_restarts.STABLE_SECONDS, _restarts.MAX_JITTER) == (600.0, 0.25)
    assert (_restarts.FIRST_BACK_OFF, _restarts.LONGEST_BACK_OFF) == (10.0, 300.0)
    assert _restarts.STOP_REASONS == (None, "Error", "OOMKilled")
    assert (_retention.CHECK_SECONDS, _retention.NEXT_CHECK_SECONDS) == (60.0, 1.0)
    assert _retention.REMOVED_PER_CHECK == 1000
    assert (_retention.SYNC_SECONDS, _retention.MAX_CLOCK_DRIFT) == (3600.0, 60.0)
    assert (_reconciler.RESYNC_SECONDS, _reconciler.MAX_REMEMBERED_REMOVALS) == (30.0, 10_000)
    assert _changes.MAX_REMOVING_BYTES == 268_435_456
    assert (_capacity.MEMORY_FLOOR_MB, _capacity.SPEC_BYTES) == (300, 268_435_456)
    assert (_work_queue.STORE_RETRY_SECONDS, _work_queue.WORKLOADS_PER_TURN) == (1.0, 256)


def ended(count, at=0):
    registry = WorkloadRegistry()
    for number in range(count):
        registry.register(workload(f"w-{number}"), now=0)
        registry.update(f"w-{number}", Run(FAILED), now=at)
    return registry


def seconds_to_next_check(retention):
    return retention._timer.when() - asyncio.get_running_loop().time()


@pytest.mark.parametrize(("count", "seconds"), [(0, 60), (1, 60), (2, 1), (3, 1)])
async def test_next_check_of_retention_is_after_a_second_if_there_may_be_more(
    monkeypatch, count, seconds
):
    monkeypatch.setattr(_retention, "REMOVED_PER_CHECK", 2)
    removed = []
    retention = Retention(ended(count), removed.append, 0.0, clock=lambda: 1000.0)
    assert len(removed) == min(count, 2)
    assert seconds_to_next_check(retention) == pytest.approx(seconds, abs=0.5)
    retention.close()


@pytest.mark.parametrize(("age", "is_removed"), [(99, False), (100, False), (101, True)])
async def test_ended_workload_is_removed_once_its_retention_is_over(age, is_removed):
    removed = []
    registry = ended(1, at=1000)
    uptime = 0.0
    retention = Retention(
        registry,
        removed.append,
        100.0,
        clock=lambda: 900.0 + age + uptime,
        uptime=lambda: uptime,
    )
    uptime = 100.0
    retention.check()
    assert removed == ["w-0"] * is_removed
    desired = DesiredState.REMOVE if is_removed else DesiredState.RUN
    assert registry.get("w-0").desired is desired
    retention.close()


@pytest.mark.parametrize("excess", [0, 1])
async def test_ended_workloads_above_their_budget_are_removed_at_once(excess):
    registry = ended(2, at=1000)
    budget = registry.ended_bytes - excess
    removed = []
    retention = Retention(registry, removed.append, 100.0, budget=budget, clock=lambda: 1000.0)
    assert removed == ["w-0"] * excess
    retention.close()


@pytest.mark.parametrize("excess", [0, 1])
async def test_end_of_a_workload_checks_the_budget_in_the_next_turn_if_it_is_exceeded(excess):
    registry = ended(2, at=1000)
    budget = registry.ended_bytes
    removed = []
    retention = Retention(registry, removed.append, 100.0, budget=budget, clock=lambda: 1000.0)
    retention._budget -= excess
    for _ in range(2):
        retention.workload_ended()
        is_soon = seconds_to_next_check(retention) < 1
        assert is_soon == bool(excess)
    for _ in range(3):
        await asyncio.sleep(0)
    assert removed == ["w-0"] * excess
    assert seconds_to_next_check(retention) == pytest.approx(60, abs=0.5)
    retention.workload_ended()
    retention.close()


async def begin(registry, reconciler, until_idle, **fields):
    registry.register(workload(**fields), now=0)
    reconciler.enqueue("wl-1")
    await until_idle()


async def test_entry_of_a_failed_run_has_the_reason_and_the_time_of_its_restart(
    restarting, registry, runtime, until_idle
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ON_FAILURE)
    for attempt, seconds in enumerate((10.0, 20.0)):
        runtime.change(FAILED, reason="Error", exit_code=3, attempt=attempt)
        await until_idle()
        entry = registry.get("wl-1")
        assert (entry.restart_at, entry.failures) == (100.0 + seconds, attempt + 1)
        assert entry.run.message == "the last run ended: Error, exit code 3"
        clock.run_back_offs()
        await until_idle()
    runtime.change(FAILED, attempt=2)
    await until_idle()
    assert registry.get("wl-1").run.message == "the last run ended: failed"
    clock.run_back_offs()
    await until_idle()
    runtime.change(FAILED, reason="StartError", message="no such file: /nope", attempt=3)
    await until_idle()
    expected = "the last run ended: StartError: no such file: /nope"
    assert registry.get("wl-1").run.message == expected


@pytest.mark.parametrize(("seconds", "failures"), [(599.0, 2), (600.0, 1), (601.0, 1)])
async def test_run_that_was_not_observed_counts_as_stable_by_its_own_times(
    restarting, registry, runtime, until_idle, seconds, failures
):
    reconciler, clock = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    for attempt, ran in enumerate((1.0, seconds)):
        runtime.change(FAILED, attempt=attempt, started_at=1.0, ended_at=1.0 + ran)
        await until_idle()
        clock.run_back_offs()
        await until_idle()
    assert registry.get("wl-1").failures == failures
