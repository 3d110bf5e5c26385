import asyncio
from functools import partial
from pathlib import Path

import pytest
import structlog
from kakuri_cri import RuntimeUnavailable
from kakuri_cri.testing import FakeImage
from kakuri_tcp.testing import until
from kakuri_workload import RuntimeHealth, ZoneChanged, ZoneGone, ZonesListed
from kakuri_workload import WorkloadState as State
from kakuri_zones._monitor import Monitor
from kakuri_zones._settings import DEFAULT_TIMES, MonitorTimes
from kakuri_zones._table import ZoneTable

ONLY_EVENTS = MonitorTimes(
    interval=1000, without_events=1000, gap=0.001, resubscribe=0.01, provisional=0.01
)


async def next_of(events, kind):
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError("the stream of events ended")


async def test_event_stream_begins_with_every_zone(runtime, node):
    _, zone = await node.start()
    events = node.events()
    handlers = {"edera-zone": "edera"}
    assert await anext(events) == RuntimeHealth(available=True, handlers=handlers)
    assert await anext(events) == ZoneChanged(zone)
    assert await anext(events) == ZonesListed()
    assert await anext(events) == ZonesListed()  # the heartbeat
    await events.aclose()


@pytest.mark.parametrize(
    ("code", "reason", "state", "reported"),
    [
        (0, "", State.SUCCEEDED, None),
        (3, "", State.FAILED, "Error"),
        (137, "OOMKilled", State.FAILED, "OOMKilled"),
        (0, "OOMKilled", State.SUCCEEDED, None),
        (137, "", State.FAILED, "Error"),
    ],
)
async def test_end_of_a_container_is_reported(runtime, node, code, reason, state, reported):
    await node.start()
    events = node.events()
    await next_of(events, ZonesListed)
    runtime.exit("z", code, reason, "message")
    zone = (await next_of(events, ZoneChanged)).zone
    assert (zone.state, zone.reason, zone.exit_code, zone.message) == (
        state,
        reported,
        code,
        "message",
    )
    assert zone.ended_at >= zone.started_at
    await events.aclose()


def test_changes_are_seen_within_a_second_by_default():
    assert max(DEFAULT_TIMES.interval, DEFAULT_TIMES.without_events) <= 1.0


@pytest.mark.parametrize(
    ("seconds", "gap"), [(0, 0.05), (0.01, 0.05), (0.05, 0.2), (0.1, 0.4), (0.2, 0.5), (60, 0.5)]
)
def test_gap_after_a_listing_grows_with_its_duration_up_to_half_of_the_interval(seconds, gap):
    assert DEFAULT_TIMES.gap_after(seconds) == pytest.approx(gap)


class CountingReader:
    """A reader that finds no zone and counts the listings."""

    def __init__(self):
        self.listings = 0

    async def all(self):
        self.listings += 1
        return {}


async def drop_nothing(_zones, _begun):
    return False


async def test_events_trigger_no_listing_within_the_gap():
    reader, gaps = CountingReader(), []

    class Times(MonitorTimes):
        def gap_after(self, seconds):
            gaps.append(seconds)
            return 3600.0

    monitor = Monitor(
        None, reader, ZoneTable(), drop_nothing, lambda _: None, Times(gap=0, interval=0)
    )
    listing = asyncio.create_task(monitor._list_repeatedly())
    for _ in range(20):
        monitor.wake()
        await asyncio.sleep(0)
    listing.cancel()
    assert reader.listings == len(gaps) == 1
    assert gaps[0] >= 0


@pytest.mark.parametrize("method", ["ContainerStatus", "PodSandboxStatus"])
@pytest.mark.parametrize("fault", ["delay(60000)", "error(UNKNOWN: a guest does not answer)"])
async def test_stuck_object_does_not_delay_changes_of_others(
    runtime, run, monkeypatch, method, fault
):
    monkeypatch.setattr("kakuri_zones._reader.STUCK_SECONDS", 0.02)
    async with run() as node:
        await node.start("stuck")
        await node.start("other")
    runtime.faults.set(method, f"1000*{fault}")  # a new node has no earlier status of either zone
    async with run() as node:
        assert (await node.zone("stuck")).state is State.RUNNING
        runtime.faults.set(method, fault)
        runtime.exit("other", 3)
        assert (await node.until_state("failed", "other")).exit_code == 3
        assert (await node.zones.health()).status == "ok"


async def test_end_of_a_stuck_container_is_reported_once_its_status_is_known(
    runtime, run, monkeypatch
):
    monkeypatch.setattr("kakuri_zones._reader.STUCK_SECONDS", 0.02)
    async with run() as node:
        await node.start()
        runtime.exit("z", 3)
        await node.until_state("failed")
    runtime.faults.set("ContainerStatus", "100000*error(INTERNAL: stuck)")
    async with run() as node:
        assert (await node.zone()).state is State.RUNNING
        runtime.faults.clear()
        assert (await node.until_state("failed")).exit_code == 3


async def test_heartbeat_is_sent_however_many_changes_are_reported(runtime, run):
    async with run(heartbeat=0.02) as node:
        await node.start()
        events = node.events()
        for _ in range(5):
            runtime.container("z").message = "more"
            task = asyncio.create_task(node.start("other"))
            assert await next_of(events, ZonesListed) == ZonesListed()
            await task
            await node.remove("other")
        await events.aclose()


async def test_end_of_a_killed_container_waits_for_its_reason(runtime, run):
    async with run(end_delay=0.3) as node:
        await node.start()
        runtime.exit("z", 137)
        seen = len(runtime.calls.of("ContainerStatus"))
        await runtime.calls.wait_for("ContainerStatus", seen + 1)
        runtime.container("z").reason = "OOMKilled"
        assert (await node.until_state("failed")).reason == "OOMKilled"


async def test_event_of_the_runtime_triggers_a_listing(runtime, run):
    async with run(monitor=ONLY_EVENTS) as node:
        await until(lambda: runtime.listeners == 1)
        await node.start()
        runtime.exit("z", 5)
        assert (await node.until_state("failed")).exit_code == 5


async def test_broken_event_stream_is_reopened(runtime, run):
    async with run(monitor=ONLY_EVENTS) as node:
        await until(lambda: runtime.listeners == 1)
        await node.start()
        await runtime.break_connections()
        await until(lambda: runtime.listeners == 1)
        runtime.exit("z", 5)
        assert (await node.until_state("failed")).exit_code == 5


async def test_changes_are_seen_without_events_of_the_runtime(runtime, run):
    runtime.unimplemented.add("GetContainerEvents")
    async with run() as node:
        await node.start()
        runtime.exit("z", 5)
        assert (await node.until_state("failed")).exit_code == 5
        assert runtime.listeners == 0


async def test_zone_removed_by_another_client_is_reported_as_gone(runtime, node):
    await node.start()
    events = node.events()
    await next_of(events, ZonesListed)
    await runtime.restart("lost")
    assert (await next_of(events, ZoneGone)).id == "z"
    await events.aclose()


async def test_runtime_that_answers_but_cannot_run_zones_is_reported_with_the_reason(runtime, run):
    runtime.node.handlers = ["", "runc"]
    with structlog.testing.capture_logs() as logs:
        async with run(health_interval=0.01) as node:
            events = node.events()
            while (health := await next_of(events, RuntimeHealth)).message is None:
                pass
            assert health.available
            assert "expected the runtime to have handler 'edera'" in health.message
            await runtime.crash()
            while (await next_of(events, RuntimeHealth)).available:
                pass
            runtime.node.handlers = ["", "edera"]
            await runtime.restart()
            while (await next_of(events, RuntimeHealth)).message is not None:
                pass
            await events.aclose()
    reported = [each["event"] for each in logs if "run zones" in each["event"]]
    assert reported == ["the runtime can't run zones", "the runtime can run zones again"]


async def test_states_are_kept_while_the_runtime_is_down(runtime, node):
    _, zone = await node.start()
    events = node.events()
    await next_of(events, ZonesListed)
    await runtime.crash()
    health = await next_of(events, RuntimeHealth)
    assert health.available is False
    assert await node.zone() == zone
    assert (await node.start("other")).code == "RuntimeUnavailable"
    await runtime.restart()
    while not (await next_of(events, RuntimeHealth)).available:
        pass
    assert await node.zone() == zone
    assert await node.start() == (False, zone)
    await events.aclose()


def used():
    """Count descriptors and tasks of this process."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


def is_back_at(descriptors, tasks):
    now = used()
    return now[0] <= descriptors and now[1] <= tasks


async def test_restarts_of_the_runtime_do_not_change_zones(runtime, node):
    _, zone = await node.start()
    before = None
    for _ in range(6):
        events = node.events()
        await next_of(events, ZonesListed)
        await runtime.restart()
        await next_of(events, ZonesListed)
        descriptors, tasks = before = before or used()
        # Closing connections and tasks takes a moment; one connection is the test's.
        await until(partial(is_back_at, descriptors + 1, tasks + 2))
        await events.aclose()
    assert await node.zone() == zone
    assert len(runtime.sandboxes) == len(runtime.containers) == 1


async def test_running_zones_are_lost_after_a_reboot(runtime, node):
    await node.start()
    await runtime.restart("dead")
    zone = await node.until_state("failed")
    assert (zone.reason, zone.exit_code) == ("Unknown", 255)
    assert await node.remove() is None


async def test_unknown_zone_is_unavailable_before_the_first_listing(runtime, run):
    await runtime.crash()
    async with run(is_seen=False) as node:
        with pytest.raises(RuntimeUnavailable):
            node.zones.zones()
        with pytest.raises(RuntimeUnavailable):
            await node.zones.zone("z")
        events = node.events()
        assert (await anext(events)).available is False
        assert (await anext(events)).available is False  # the heartbeat
        await runtime.restart()
        await next_of(events, ZonesListed)
        assert await node.zone() is None
        await events.aclose()


async def test_status_of_an_ended_container_is_requested_once(runtime, node):
    await node.start()
    runtime.exit("z", 3)
    await node.until_state("failed")
    asked = len(runtime.calls.of("ContainerStatus"))
    await runtime.calls.wait_for("ListContainers", len(runtime.calls.of("ListContainers")) + 3)
    assert len(runtime.calls.of("ContainerStatus")) == asked


async def test_start_in_progress_is_pending(runtime, node):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    start = asyncio.create_task(node.start(attempt=4))
    zone = await node.until(lambda seen: seen is not None and seen.reason == "Pulling")
    assert (zone.state, zone.attempt) == (State.PENDING, 4)
    assert await node.spec_of() == node.spec(attempt=4)
    assert "app:1" in zone.message
    assert [each.id for each in node.zones.zones()] == ["z"]
    await node.remove()
    await start


async def test_zone_whose_image_is_pulled_has_the_bytes_received(runtime, node):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    start = asyncio.create_task(node.start())
    zone = await node.until(lambda seen: seen is not None and seen.reason == "Pulling")
    assert zone.pulled_bytes is None
    await runtime.calls.wait_for("ImageFsInfo", 2)  # the first figure is known
    runtime.images.used_bytes += 5_000_000
    zone = await node.until(lambda seen: seen is not None and seen.pulled_bytes)
    assert zone.pulled_bytes == 5_000_000
    await node.remove()
    await start
