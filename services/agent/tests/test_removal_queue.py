"""Tests of many removals at once, in virtual time."""

import asyncio
from contextlib import nullcontext

import pytest
from kakuri_agent import NoLog, ZoneRuntime
from kakuri_agent.runtimes import _removal_queue
from kakuri_agent.runtimes._zone_operations import Refused
from kakuri_workload import (
    Removal,
    RuntimeHealth,
    WorkloadState,
    ZoneChanged,
    ZonesListed,
    ZoneStatus,
)

from .virtual_time import VirtualLoop

RUNNING, PENDING = WorkloadState.RUNNING, WorkloadState.PENDING


class SlowZones:
    """Zones of which each step of a removal takes a second.

    Attributes:
        grace: Seconds for which a zone's process handles its signal, by zone.
        hung: Zones whose removal takes an hour.
        failing: How often a zone's removal is refused.
    """

    name, endpoint, handlers, fault, logs_outages = "cri", "unix", {}, None, True

    def __init__(self, zones, *, state=RUNNING, starting=()):
        self.grace = {}
        self.hung = set()
        self.failing = {}
        self.log = []
        self.zones = [f"z{number}" for number in range(zones)]
        self.state, self.starting = state, starting

    async def events(self):
        yield RuntimeHealth(available=True)
        for each in self.zones:
            state = PENDING if each in self.starting else self.state
            yield ZoneChanged(ZoneStatus(each, state, container_id="c"))
        yield ZonesListed()
        await asyncio.Event().wait()

    async def start(self, spec, on_begin):
        on_begin()
        await asyncio.Event().wait()

    async def stop(self, zone_id, grace_seconds, while_waiting=nullcontext):
        self.log.append(f"stop {zone_id}")
        await asyncio.sleep(0.5)
        async with while_waiting():
            await asyncio.sleep(min(self.grace.get(zone_id, 0.0), grace_seconds))
        await asyncio.sleep(0.5)
        return ZoneStatus(zone_id, WorkloadState.FAILED, container_id="c")

    async def zone(self, zone_id):
        return None

    async def read_log(self, zone_id, request):
        raise NoLog(zone_id)

    async def remove(self, zone_id, grace_seconds, while_waiting=nullcontext):
        async with while_waiting():
            if zone_id in self.starting:
                self.log.append(f"cancel {zone_id}")
        self.log.append(f"remove {zone_id}")
        await asyncio.sleep(3600 if zone_id in self.hung else 1)
        if self.failing.get(zone_id, 0):
            self.failing[zone_id] -= 1
            raise Refused("device busy")
        return Removal()

    async def close(self):
        pass


class GoneObserver:
    """An observer that records when each zone was gone."""

    def __init__(self):
        self.gone = {}

    def zone_changed(self, zone_id):
        pass

    def zone_removed(self, zone_id, remains):
        self.gone[zone_id] = asyncio.get_running_loop().time()

    def zones_listed(self):
        pass


async def removed(zones, seconds, *, grace=60, then=None, limit=2):
    """Remove all zones at once, by a number of slots; return when each was gone."""
    observer, runtime = GoneObserver(), ZoneRuntime(zones)
    runtime._removals._free = limit
    runtime.attach(observer)
    await asyncio.sleep(1)
    begun = asyncio.get_running_loop().time()
    for each in zones.zones:
        runtime.remove(each, grace)
    if then is not None:
        await then(runtime)
    await asyncio.sleep(seconds)
    assert runtime._commands.keys() == runtime._removals._positions.keys()
    await runtime.close()
    return {zone_id: round(time - begun, 1) for zone_id, time in observer.gone.items()}


def in_virtual_time(work):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        return runner.run(work)


def test_zones_that_are_removed_together_disappear_one_after_the_other():
    zones = SlowZones(6)
    gone = in_virtual_time(removed(zones, 100))
    assert gone == {"z0": 2, "z1": 2, "z2": 4, "z3": 4, "z4": 6, "z5": 6}
    assert zones.log[:6] == ["stop z0", "stop z1", "remove z0", "remove z1", "stop z2", "stop z3"]


def test_ended_zones_are_removed_one_after_the_other():
    zones = SlowZones(4, state=WorkloadState.SUCCEEDED)
    assert in_virtual_time(removed(zones, 100)) == {"z0": 1, "z1": 1, "z2": 2, "z3": 2}


def test_default_bound_is_max_removals():
    zones = SlowZones(_removal_queue.MAX_REMOVALS + 1)
    gone = in_virtual_time(removed(zones, 100, limit=_removal_queue.RemovalQueue()._free))
    assert list(gone.values()) == [2.0] * _removal_queue.MAX_REMOVALS + [4.0]


def test_containers_in_their_grace_period_do_not_delay_other_removals():
    zones = SlowZones(6)
    zones.grace = dict.fromkeys(("z0", "z1", "z2", "z3"), 50.0)
    gone = in_virtual_time(removed(zones, 200))
    # z0 and z1 have a slot for 1.5 s, then z2 and z3, then the last two are removed.
    assert gone == {"z4": 5, "z5": 5, "z0": 52, "z1": 52, "z2": 53.5, "z3": 53.5}


def test_removal_that_has_waited_for_its_container_comes_before_later_ones():
    zones = SlowZones(9)
    zones.grace = {"z0": 3.0}
    gone = in_virtual_time(removed(zones, 200, limit=1))
    assert list(gone)[:3] == ["z1", "z0", "z2"]


def test_refused_removal_is_repeated_after_all_that_wait():
    zones = SlowZones(5)
    zones.failing = {"z0": 1}
    gone = in_virtual_time(removed(zones, 200, limit=1))
    assert list(gone) == ["z1", "z2", "z3", "z4", "z0"]


def test_stuck_removal_loses_its_slot():
    zones = SlowZones(3)
    zones.hung = {"z0"}
    gone = in_virtual_time(removed(zones, 200, limit=1))
    assert gone == {"z1": 33, "z2": 35}  # z0 has been stopped in a second


def test_removal_with_a_shorter_grace_period_keeps_its_position():
    zones = SlowZones(5)
    zones.grace = {"z0": 50.0}

    async def hurry(runtime):
        await asyncio.sleep(1.8)  # z0 waits for its container, z1 has the slot
        runtime.remove("z0", 0)

    gone = in_virtual_time(removed(zones, 200, then=hurry, limit=1))
    assert list(gone) == ["z1", "z0", "z2", "z3", "z4"]


def test_removal_cancels_a_start_at_once_and_then_waits_for_its_turn():
    zones = SlowZones(4, starting=("z3",))
    in_virtual_time(removed(zones, 200, limit=1))
    assert zones.log[:2] == ["stop z0", "cancel z3"]
    assert zones.log[-1] == "remove z3"


def test_all_slots_are_free_after_removals_that_were_replaced_or_cancelled():
    async def work():
        zones = SlowZones(8)
        zones.grace = {"z1": 50.0}
        observer, runtime = GoneObserver(), ZoneRuntime(zones)
        queue, runtime._removals._free = runtime._removals, 2
        runtime.attach(observer)
        await asyncio.sleep(1)
        for grace in (60, 30, 0):
            for each in zones.zones:
                runtime.remove(each, grace)
            await asyncio.sleep(0.7)
        await asyncio.sleep(100)
        assert len(observer.gone) == 8
        assert (queue._free, queue._waiting, queue._positions) == (2, [], {})

        for each in zones.zones:
            zones.grace[each] = 5.0
        again = ZoneRuntime(zones)
        queue, again._removals._free = again._removals, 2
        again.attach(GoneObserver())
        await asyncio.sleep(1)
        for each in zones.zones:
            again.remove(each, 60)
        await asyncio.sleep(3)
        await again.close()
        await runtime.close()
        assert queue._free == 2

    in_virtual_time(work())


@pytest.mark.parametrize("is_granted", [False, True])
async def test_cancelled_wait_for_a_slot_leaves_it_to_the_next(is_granted):
    queue = _removal_queue.RemovalQueue()
    queue._free = 0
    waits = [asyncio.create_task(queue.acquire(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    if is_granted:
        queue.release()
        waits[0].cancel()
    else:
        waits[0].cancel()
        await asyncio.sleep(0)
        queue.release()
    await asyncio.wait({waits[1]}, timeout=10)
    assert waits[1].done()
    assert queue._free == 0


async def test_operation_of_a_removal_that_has_ended_needs_no_slot():
    queue = _removal_queue.RemovalQueue()
    queue._free = 0
    async with queue.slot("a") as slot:
        entered = asyncio.create_task(slot.acquire())
        await asyncio.sleep(0)
    async with slot.pause():
        pass
    queue.release()
    await entered
    assert queue._free == 1
