"""How long workloads that have ended are kept, in virtual time."""

import asyncio
from contextlib import contextmanager

from kakuri_agent._retention import REMOVED_PER_LOOK, Retention
from kakuri_registry import Wanted, WorkloadRegistry, WorkloadState
from recording_runtime import workload
from virtual_time import VirtualLoop

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
    registry.update(workload_id, WorkloadState.FAILED, now=at)


def test_what_has_ended_is_removed_when_its_time_is_over():
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
            assert registry.get("early").wanted is Wanted.REMOVE
            assert registry.get("late").wanted is Wanted.RUN
            await asyncio.sleep(60)
            assert attended[-1] == "late"
            assert registry.get("waits").wanted is Wanted.RUN

    in_virtual_time(tell)


def test_of_many_the_first_go_first_and_the_others_soon():
    async def tell():
        registry, loop = WorkloadRegistry(), asyncio.get_running_loop()
        for number in range(2 * REMOVED_PER_LOOK + 1):
            end(registry, f"w-{number}", at=number - 2 * REMOVED_PER_LOOK - KEPT - 2)
        with retention(registry, loop.time) as attended:
            assert len(attended) == REMOVED_PER_LOOK
            assert attended[0] == "w-0"
            await asyncio.sleep(2.5)
            assert len(attended) == len(registry) == len(set(attended))

    in_virtual_time(tell)


def test_a_clock_that_is_set_back_ends_nothing_early_and_stops_nothing():
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
