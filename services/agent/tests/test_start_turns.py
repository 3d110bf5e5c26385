"""Tests of starts that wait for other starts to end, in virtual time."""

import asyncio
from dataclasses import replace

import pytest
from kakuri_agent import ZoneRuntime
from kakuri_agent.runtimes import _node_zones, _sidecar
from kakuri_agent.runtimes._node_zones import NodeZones
from kakuri_agent.runtimes._sidecar import SidecarZones
from kakuri_tcp import Endpoint
from kakuri_workload import RuntimeHealth, WorkloadState, ZoneChanged, ZonesListed, ZoneStatus
from kakuri_workload.testing import zone_spec
from kakuri_zones import UnknownZone

from .virtual_time import VirtualLoop

RUNNING, FAILED = WorkloadState.RUNNING, WorkloadState.FAILED


class SlowNode:
    """A zone node whose starts take some seconds each."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.changed = asyncio.Queue()
        self.stopped = []

    async def start(self, spec):
        await asyncio.sleep(self.seconds)
        status = ZoneStatus(spec.id, RUNNING, container_id="c", attempt=spec.attempt)
        self.changed.put_nowait(ZoneChanged(status))
        return status, False

    async def stop(self, zone_id, grace_seconds, while_waiting):
        self.stopped.append((zone_id, grace_seconds))
        raise UnknownZone(zone_id)

    async def events(self):
        yield RuntimeHealth(available=True)
        yield ZonesListed()
        while True:
            yield await self.changed.get()


class FailingNode(SlowNode):
    """A zone node that can't be used for some seconds after the first."""

    def __init__(self, start_seconds, outage_seconds):
        super().__init__(start_seconds)
        self.outage_seconds = outage_seconds

    async def events(self):
        yield RuntimeHealth(available=True)
        yield ZonesListed()
        await asyncio.sleep(1)
        yield RuntimeHealth(available=False, message="frozen")
        await asyncio.sleep(self.outage_seconds)
        yield RuntimeHealth(available=True)
        while True:
            yield await self.changed.get()


class BusyZones(NodeZones):
    """Zones whose starts get their turn after 2000 seconds."""

    async def start(self, spec, on_begin):
        await asyncio.sleep(2000)
        return await super().start(spec, on_begin)


class StateObserver:
    """An observer that records the state of each zone."""

    def __init__(self):
        self.states = {}
        self.runtime = None

    def zone_changed(self, zone_id):
        self.states[zone_id] = self.runtime.status(zone_id).state

    def zones_listed(self):
        pass


async def states_after(seconds, zones, starts=1):
    """Return the states of zones some seconds after their starts were requested together."""
    observer = StateObserver()
    observer.runtime = runtime = ZoneRuntime(zones)
    runtime.attach(observer)
    for number in range(starts):
        runtime.start(zone_spec(f"z{number}"))
    await asyncio.sleep(seconds)
    await runtime.close()
    return observer.states


def in_virtual_time(work):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        return runner.run(work)


def test_start_that_waits_for_others_does_not_time_out_meanwhile(monkeypatch):
    monkeypatch.setattr(_node_zones, "MAX_STARTS", 1)
    states = in_virtual_time(states_after(1500, NodeZones(SlowNode(400), {}), starts=3))
    assert states == {"z0": RUNNING, "z1": RUNNING, "z2": RUNNING}


def test_start_that_exceeds_its_timeout_once_its_turn_has_come_fails_the_workload(monkeypatch):
    monkeypatch.setattr(_node_zones, "MAX_STARTS", 1)
    states = in_virtual_time(states_after(1300, NodeZones(SlowNode(700), {}), starts=2))
    assert states == {"z0": FAILED, "z1": FAILED}


@pytest.mark.parametrize(("seconds", "stopped"), [(599, []), (601, [("z0", 0)])])
def test_start_that_takes_too_long_is_stopped(seconds, stopped):
    """It continues in the runtime, and would run later although it was reported as failed."""
    node = SlowNode(seconds)
    in_virtual_time(states_after(700, NodeZones(node, {})))
    assert node.stopped == stopped


class StuckNode(SlowNode):
    """A zone node that never starts the first attempt."""

    async def start(self, spec):
        await asyncio.sleep(0 if spec.attempt else 3600)
        return await super().start(spec)


@pytest.mark.parametrize("attempts", [(0, 1), (0, 1, 0)])
def test_start_of_a_later_attempt_replaces_an_unanswered_earlier_one(attempts):
    async def work():
        observer = StateObserver()
        observer.runtime = runtime = ZoneRuntime(NodeZones(StuckNode(1), {}))
        runtime.attach(observer)
        for attempt in attempts:
            runtime.start(replace(zone_spec("z0"), attempt=attempt))
            await asyncio.sleep(0.1)
        await asyncio.sleep(10)
        found = runtime.status("z0")
        await runtime.close()
        return found.state, found.attempt

    assert in_virtual_time(work()) == (RUNNING, 1)


@pytest.mark.parametrize(
    ("outage_seconds", "start_seconds", "state"),
    [(560, 0, RUNNING), (620, 0, FAILED), (300, 280, RUNNING), (300, 320, FAILED)],
)
def test_outage_while_a_start_waits_for_its_turn_counts_toward_its_timeout(
    outage_seconds, start_seconds, state
):
    zones = BusyZones(FailingNode(start_seconds, outage_seconds), {})
    assert in_virtual_time(states_after(2500, zones)) == {"z0": state}


async def test_start_by_a_sidecar_begins_once_an_earlier_one_has_been_answered(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(_sidecar, "MAX_STARTS", 1)
    zones = SidecarZones(Endpoint.unix(str(tmp_path / "none.sock")))
    answered = asyncio.Event()

    async def request(*_):
        await answered.wait()
        raise ConnectionError

    monkeypatch.setattr(zones, "_request", request)
    begun = []
    spec = zone_spec("a")
    tasks = [
        asyncio.create_task(zones.start(each, lambda each=each: begun.append(each.id)))
        for each in (spec, replace(spec, workload=replace(spec.workload, id="b")))
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    assert begun == ["a"]
    answered.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == ["a", "b"]
    await zones.close()
