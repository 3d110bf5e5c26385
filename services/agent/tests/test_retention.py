"""How long workloads that have ended are kept, in virtual time."""

import asyncio
from contextlib import contextmanager

from kakuri_agent._retention import CHECK_SECONDS, REMOVED_PER_CHECK, Retention
from kakuri_registry import WorkloadRegistry
from kakuri_workload import DesiredState, Run, WorkloadState
from kakuri_workload.testing import workload

from .virtual_time import VirtualLoop

KEPT = 100.0


def in_virtual_time(tell):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        runner.run(tell())


@contextmanager
def retention(registry, clock):
    attended = []
    keeps = Retention(registry, attended.append, KEPT, clock=clock)
    yield attended
    keeps.close()


def end(registry, workload_id, at):
    registry.register(workload(workload_id), now=0)
    registry.update(workload_id, Run(WorkloadState.FAILED), now=at)


def test_ended_workload_is_removed_when_its_retention_is_over():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        registry.register(workload("waits"), now=0)
        end(registry, "early", at=0)
        end(registry, "late", at=50)
        with retention(registry, loop.time) as attended:
            await asyncio.sleep(KEPT)
            assert attended == []
            await asyncio.sleep(40)
            assert attended == ["early"]
            assert registry.get("early").desired is DesiredState.REMOVE
            assert registry.get("late").desired is DesiredState.RUN
            await asyncio.sleep(60)
            assert attended[-1] == "late"
            assert registry.get("waits").desired is DesiredState.RUN

    in_virtual_time(tell)


def test_many_ended_workloads_are_removed_in_batches_oldest_first():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(2 * REMOVED_PER_CHECK + 1):
            end(registry, f"w-{number}", at=number - 2 * REMOVED_PER_CHECK - KEPT - 2)
        with retention(registry, loop.time) as attended:
            assert len(attended) == REMOVED_PER_CHECK
            assert attended[0] == "w-0"
            await asyncio.sleep(2.5)
            assert len(attended) == len(registry) == len(set(attended))

    in_virtual_time(tell)


def test_clock_that_is_set_back_only_delays_removals():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        ahead = 1000
        with retention(registry, lambda: loop.time() + ahead) as attended:
            end(registry, "ahead", at=1000)
            ahead = 0
            end(registry, "now", at=0)
            await asyncio.sleep(KEPT + 70)
            assert attended == ["now"]

    in_virtual_time(tell)


def test_budget_removes_the_oldest_workloads_when_others_end():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        attended = []
        end(registry, "a", at=-3)
        one = registry.ended_bytes
        keeps = Retention(registry, attended.append, KEPT, budget=2 * one, clock=loop.time)
        end(registry, "b", at=-2)
        keeps.workload_ended()
        assert keeps._timer.when() == CHECK_SECONDS  # it fits
        end(registry, "c", at=-1)
        end(registry, "d", at=0)
        keeps.workload_ended()
        keeps.workload_ended()
        await asyncio.sleep(0.001)
        assert attended == ["a", "b"]
        assert registry.ended_bytes == 2 * one
        assert registry.get("c").desired is DesiredState.RUN
        await asyncio.sleep(KEPT + CHECK_SECONDS)
        assert attended == ["a", "b", "c", "d"]  # their time is over
        keeps.close()

    in_virtual_time(tell)


def test_budget_applies_to_workloads_that_ended_before_the_start():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(5):
            end(registry, f"w-{number}", at=number - 10)
        attended = []
        one = registry.ended_bytes // 5
        Retention(registry, attended.append, KEPT, budget=2 * one, clock=loop.time).close()
        assert attended == ["w-0", "w-1", "w-2"]

    in_virtual_time(tell)


def test_budget_is_enforced_in_batches():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(2 * REMOVED_PER_CHECK + 1):
            end(registry, f"w-{number}", at=0)
        attended = []
        keeps = Retention(registry, attended.append, KEPT, budget=0, clock=loop.time)
        assert len(attended) == REMOVED_PER_CHECK
        keeps.workload_ended()  # which brings the next check forward
        await asyncio.sleep(0.001)
        assert len(attended) == 2 * REMOVED_PER_CHECK
        await asyncio.sleep(2)
        assert registry.ended_bytes == 0
        keeps.close()

    in_virtual_time(tell)


def test_end_of_a_workload_without_a_budget_removes_nothing():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        attended = []
        keeps = Retention(registry, attended.append, KEPT, clock=loop.time)
        end(registry, "ended", at=0)
        keeps.workload_ended()
        await asyncio.sleep(KEPT - 1)
        assert attended == []
        keeps.close()

    in_virtual_time(tell)


def test_retention_is_checked_once_a_minute():
    assert CHECK_SECONDS == 60.0  # the agent's README says so
