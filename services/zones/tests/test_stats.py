import asyncio
from dataclasses import replace

import pytest
from kakuri_zones._stats import FRESH_SECONDS, STALE_SECONDS, ZoneUsage

LARGE_ENV = {"LARGE": "x" * 900_000}
MANY = 20
"""Number of zones whose specifications together exceed the 16 MiB of one answer."""

STATS_CALLS = (
    "ListPodSandboxStats",
    "ListContainerStats",
    "PodSandboxStats",
    "ContainerStats",
    "StreamPodSandboxStats",
    "StreamContainerStats",
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def long_waits(monkeypatch):
    """Wait for a reading to its end, however busy the machine is."""
    monkeypatch.setattr("kakuri_zones._stats.WAIT_SECONDS", 60)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def stats(node, clock):
    """Return the reader of a node with a clock of the test."""
    reader = node.zones._metrics._stats
    reader._clock = clock
    return reader


def requests(runtime, *methods):
    return [call for call in runtime.calls.all if call.method in (methods or STATS_CALLS)]


def report(runtime, zone, *, cpu=None, memory=None, writable=None, network=None, processes=None):
    """Set what the runtime reports about a zone."""
    container, sandbox = runtime.container(zone), runtime.sandbox(zone)
    container.cpu_nanoseconds = None if cpu is None else int(cpu * 1e9)
    container.memory_bytes, container.writable_bytes = memory, writable
    sandbox.received_bytes, sandbox.sent_bytes = network or (None, None)
    sandbox.processes = processes


async def test_usage_has_what_the_runtime_reports(runtime, node, stats):
    await node.start("z")
    report(runtime, "z", cpu=1.5, memory=4096, writable=512, network=(10, 20), processes=3)
    usage = {"z": ZoneUsage(1.5, 4096, 512, 3, 10, 20)}
    assert await stats.read() == usage
    assert stats.is_available


async def test_values_that_the_runtime_does_not_report_are_none(runtime, node, stats):
    await node.start("z")
    report(runtime, "z", memory=4096)
    assert await stats.read() == {"z": ZoneUsage(memory_bytes=4096)}


async def test_runtime_that_reports_nothing_is_not_available(runtime, node, stats):
    await node.start("z")
    report(runtime, "z")
    assert await stats.read() == {}
    assert not stats.is_available


async def test_runtime_without_statistics_is_not_available(runtime, node, stats):
    runtime.unimplemented |= set(STATS_CALLS)
    await node.start("z")
    assert await stats.read() == {}
    assert not stats.is_available


async def test_container_statistics_replace_those_of_sandboxes_where_they_are_missing(
    runtime, node, stats
):
    runtime.unimplemented |= {"ListPodSandboxStats", "PodSandboxStats"}
    await node.start("z")
    report(runtime, "z", cpu=1.0, memory=4096, network=(10, 20))
    assert await stats.read() == {"z": ZoneUsage(1.0, 4096)}


async def test_runtime_is_not_asked_again_within_ten_seconds(runtime, node, stats, clock):
    await node.start("z")
    report(runtime, "z", cpu=1.0, memory=1, writable=1)
    await asyncio.gather(stats.read(), stats.read())
    clock.now += FRESH_SECONDS - 0.1
    await stats.read()
    assert len(requests(runtime, "ListPodSandboxStats")) == 1
    clock.now += 0.2
    await stats.read()
    assert len(requests(runtime, "ListPodSandboxStats")) == 2
    assert requests(runtime, "ListContainerStats") == []


async def test_runtime_is_never_asked_without_a_reader(runtime, node):
    await node.start("z")
    await node.until_state("running")
    assert requests(runtime) == []


async def test_usage_of_a_removed_zone_ends_with_it(node, stats):
    await node.start("a")
    await node.start("b")
    assert list(await stats.read()) == ["a", "b"]
    await node.remove("a")
    assert list(await stats.read()) == ["b"]


async def test_usage_of_an_ended_run_is_not_that_of_the_next_attempt(runtime, node, stats):
    await node.start("z")
    report(runtime, "z", cpu=5.0)
    await stats.read()
    runtime.exit("z", 1)
    await node.until_state("failed")
    assert await stats.read() == {}
    await node.zones.start(replace(node.spec("z"), attempt=1))
    assert await stats.read() == {}


async def test_lists_over_16_mib_are_read_zone_by_zone(runtime, run, clock):
    async with run() as node:
        for number in range(MANY):
            await node.start(f"z{number:02}", env=LARGE_ENV)
            report(runtime, f"z{number:02}", cpu=number, memory=1, writable=1)
        stats = node.zones._metrics._stats
        stats._clock = clock
        usage = await stats.read()
        assert [each.cpu_seconds for each in usage.values()] == list(range(MANY))
        assert len(requests(runtime, "PodSandboxStats")) == MANY
        clock.now += FRESH_SECONDS
        await stats.read()
        assert len(requests(runtime, "ListPodSandboxStats")) == 1


async def test_refusal_of_a_whole_list_costs_only_the_zone_that_caused_it(runtime, node, stats):
    await node.start("a")
    await node.start("b")
    report(runtime, "a", cpu=1, memory=1, writable=1)
    runtime.faults.set("ListPodSandboxStats", "error(UNKNOWN: not found)")
    runtime.faults.set("PodSandboxStats", "error(UNKNOWN: gone)")
    runtime.faults.set("ListContainerStats", "error(UNKNOWN: not found)")
    usage = await stats.read()
    assert usage["a"] == ZoneUsage(1.0, 1, 1)
    assert stats.is_available


async def test_outage_ends_the_usage(runtime, node, stats, clock):
    await node.start("z")
    assert await stats.read()
    clock.now += FRESH_SECONDS
    runtime.faults.set("ListPodSandboxStats", "error(UNAVAILABLE: away)")
    assert await stats.read() == {}
    assert not stats.is_available
    clock.now += FRESH_SECONDS
    assert await stats.read()


async def test_availability_is_unknown_before_the_first_reading_is_complete(
    runtime, node, stats, monkeypatch
):
    monkeypatch.setattr("kakuri_zones._stats.WAIT_SECONDS", 0.01)
    await node.start("z")
    runtime.faults.set("ListPodSandboxStats", "delay(60000)")
    assert await stats.read() == {}
    assert stats.is_available is None


async def test_reading_that_takes_long_delays_readers_only_for_a_while(
    runtime, node, stats, clock, monkeypatch
):
    monkeypatch.setattr("kakuri_zones._stats.WAIT_SECONDS", 0.05)
    await node.start("z")
    report(runtime, "z", cpu=1.0, memory=1, writable=1)
    first = await stats.read()
    runtime.faults.set("ListPodSandboxStats", "1000*delay(60000)")
    clock.now += FRESH_SECONDS
    assert await stats.read() == first
    clock.now += STALE_SECONDS
    assert await stats.read() == {}


async def test_total_of_cpu_time_never_decreases_and_begins_with_the_first_reading(
    runtime, node, stats, clock
):
    await node.start("old")
    report(runtime, "old", cpu=100.0)
    await stats.read()
    assert stats.cpu_seconds == 0
    await node.start("new")
    report(runtime, "old", cpu=101.0)
    report(runtime, "new", cpu=2.0)
    clock.now += FRESH_SECONDS
    await stats.read()
    assert stats.cpu_seconds == pytest.approx(3.0)
    await node.remove("old")
    clock.now += FRESH_SECONDS
    await stats.read()
    assert stats.cpu_seconds == pytest.approx(3.0)
