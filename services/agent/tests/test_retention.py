"""Tests of the retention of ended workloads, in virtual time."""

import asyncio
from contextlib import contextmanager

import pytest
from kakuri_agent._retention import CHECK_SECONDS, REMOVED_PER_CHECK, SYNC_SECONDS, Retention
from kakuri_registry import WorkloadRegistry
from kakuri_workload import DesiredState, Run, WorkloadState
from kakuri_workload.testing import workload

from .virtual_time import VirtualLoop

KEPT = 100.0


def in_virtual_time(scenario):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        runner.run(scenario())


@contextmanager
def retention(registry, clock, kept=KEPT, **options):
    enqueued = []
    uptime = asyncio.get_running_loop().time
    retention = Retention(registry, enqueued.append, kept, clock=clock, uptime=uptime, **options)
    yield enqueued
    retention.close()


def end(registry, workload_id, at):
    registry.register(workload(workload_id), now=0)
    registry.update(workload_id, Run(WorkloadState.FAILED), now=at)


def test_ended_workload_is_removed_when_its_retention_is_over():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        registry.register(workload("waits"), now=0)
        end(registry, "early", at=0)
        end(registry, "late", at=50)
        with retention(registry, loop.time) as enqueued:
            await asyncio.sleep(KEPT)
            assert enqueued == []
            await asyncio.sleep(40)
            assert enqueued == ["early"]
            assert registry.get("early").desired is DesiredState.REMOVE
            assert registry.get("late").desired is DesiredState.RUN
            await asyncio.sleep(60)
            assert enqueued[-1] == "late"
            assert registry.get("waits").desired is DesiredState.RUN

    in_virtual_time(scenario)


def test_many_ended_workloads_are_removed_in_batches_oldest_first():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(2 * REMOVED_PER_CHECK + 1):
            end(registry, f"w-{number}", at=number)
        now = 2 * REMOVED_PER_CHECK + KEPT + 2
        with retention(registry, lambda: now + loop.time()) as enqueued:
            await asyncio.sleep(2 * CHECK_SECONDS + 0.5)
            assert len(enqueued) == REMOVED_PER_CHECK
            assert enqueued[0] == "w-0"
            await asyncio.sleep(2)
            assert len(enqueued) == len(registry) == len(set(enqueued))

    in_virtual_time(scenario)


def test_clock_that_is_set_back_only_delays_removals():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        ahead = 1000
        with retention(registry, lambda: loop.time() + ahead) as enqueued:
            end(registry, "ahead", at=1000)
            ahead = 0
            end(registry, "now", at=0)
            await asyncio.sleep(KEPT + 90)
            assert enqueued == ["now"]

    in_virtual_time(scenario)


@pytest.mark.parametrize("kept", [KEPT, 10 * SYNC_SECONDS])
def test_clock_that_is_ahead_at_the_start_for_a_while_removes_nothing(kept):
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        end(registry, "ended", at=0)
        ahead, dropped = 1e9, []
        with retention(
            registry, lambda: loop.time() + ahead, kept, drop_removed_before=dropped.append
        ) as enqueued:
            await asyncio.sleep(min(kept, SYNC_SECONDS) - CHECK_SECONDS)
            ahead = 0
            await asyncio.sleep(kept)
            assert enqueued == []
            assert max(dropped) <= 0
            await asyncio.sleep(2 * CHECK_SECONDS)
            assert enqueued == ["ended"]

    in_virtual_time(scenario)


def test_clock_that_stays_ahead_removes_ended_workloads_an_hour_after_the_start():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        end(registry, "ended", at=0)
        with retention(registry, lambda: loop.time() + 1e9, 10 * SYNC_SECONDS) as enqueued:
            await asyncio.sleep(SYNC_SECONDS - 1)
            assert enqueued == []
            await asyncio.sleep(2)
            assert enqueued == ["ended"]

    in_virtual_time(scenario)


@pytest.mark.parametrize("ahead", [61.0, 1e9])
def test_workload_that_ended_before_the_clock_was_set_ahead_is_kept_for_the_whole_time(ahead):
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        was_set_by = 0.0
        with retention(registry, lambda: loop.time() + was_set_by) as enqueued:
            await asyncio.sleep(1000)
            end(registry, "ended", at=1000)
            was_set_by = ahead
            await asyncio.sleep(KEPT)
            assert enqueued == []
            await asyncio.sleep(2 * CHECK_SECONDS)
            assert enqueued == ["ended"]

    in_virtual_time(scenario)


def test_clock_that_gains_a_little_in_each_check_does_not_delay_removals():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        with retention(registry, lambda: 1.5 * loop.time()) as enqueued:
            await asyncio.sleep(1000)
            end(registry, "ended", at=1500)
            await asyncio.sleep(KEPT + CHECK_SECONDS)
            assert enqueued == ["ended"]

    in_virtual_time(scenario)


def test_budget_removes_the_oldest_workloads_when_others_end():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        enqueued = []

        def clock():
            return 10 + loop.time()

        end(registry, "a", at=7)
        one = registry.ended_bytes
        retention = Retention(
            registry, enqueued.append, KEPT, budget=2 * one, clock=clock, uptime=loop.time
        )
        end(registry, "b", at=8)
        retention.workload_ended()
        assert retention._timer.when() == CHECK_SECONDS  # it is within the budget
        end(registry, "c", at=9)
        end(registry, "d", at=10)
        retention.workload_ended()
        retention.workload_ended()
        await asyncio.sleep(0.001)
        assert enqueued == ["a", "b"]
        assert registry.ended_bytes == 2 * one
        assert registry.get("c").desired is DesiredState.RUN
        await asyncio.sleep(KEPT + CHECK_SECONDS)
        assert enqueued == ["a", "b", "c", "d"]  # their retention is over
        retention.close()

    in_virtual_time(scenario)


def test_budget_applies_to_workloads_that_ended_before_the_start():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(5):
            end(registry, f"w-{number}", at=number)
        enqueued = []
        one = registry.ended_bytes // 5
        Retention(registry, enqueued.append, KEPT, budget=2 * one, clock=loop.time).close()
        assert enqueued == ["w-0", "w-1", "w-2"]

    in_virtual_time(scenario)


def test_budget_is_enforced_in_batches():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(2 * REMOVED_PER_CHECK + 1):
            end(registry, f"w-{number}", at=0)
        enqueued = []
        retention = Retention(registry, enqueued.append, KEPT, budget=0, clock=loop.time)
        assert len(enqueued) == REMOVED_PER_CHECK
        retention.workload_ended()  # moves the next check forward
        await asyncio.sleep(0.001)
        assert len(enqueued) == 2 * REMOVED_PER_CHECK
        await asyncio.sleep(2)
        assert registry.ended_bytes == 0
        retention.close()

    in_virtual_time(scenario)


def test_end_of_a_workload_without_a_budget_removes_nothing():
    async def scenario():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        enqueued = []
        retention = Retention(registry, enqueued.append, KEPT, clock=loop.time)
        end(registry, "ended", at=0)
        retention.workload_ended()
        await asyncio.sleep(KEPT - 1)
        assert enqueued == []
        retention.close()

    in_virtual_time(scenario)


def test_retention_is_checked_once_a_minute():
    assert CHECK_SECONDS == 60.0  # the agent's README says so
