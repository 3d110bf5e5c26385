import asyncio

import pytest
from kakuri_cri import Runtime
from kakuri_cri.testing import FakeImage
from kakuri_tcp.testing import until
from kakuri_zones import CallCounts, zone_node
from kakuri_zones._counts import PullCounts
from kakuri_zones._errors import PullFailed
from kakuri_zones._metrics import families_of
from kakuri_zones._stats import ZoneUsage
from kakuri_zones.testing import quick_settings


@pytest.fixture(autouse=True)
def long_waits(monkeypatch):
    """Wait for the runtime to the end, however busy the machine is."""
    monkeypatch.setattr("kakuri_zones._stats.WAIT_SECONDS", 60)
    monkeypatch.setattr("kakuri_zones._metrics.DISK_SECONDS", 60)


def by_name(families):
    return {family.name: family for family in families}


def values(families, name):
    """Return the values of a family's series by their labels."""
    return {sample.labels: sample.value for sample in by_name(families)[name].samples}


async def test_zones_have_a_series_for_each_value_that_is_known():
    usage = {"a": ZoneUsage(1.5, 4096, processes=2), "b": ZoneUsage(received_bytes=7, sent_bytes=8)}
    families = await families_of(usage, max_zones=10)
    assert values(families, "kakuri_zone_cpu_usage_seconds") == {("a",): 1.5}
    assert values(families, "kakuri_zone_memory_working_set_bytes") == {("a",): 4096}
    assert values(families, "kakuri_zone_processes") == {("a",): 2}
    assert values(families, "kakuri_zone_network_receive_bytes") == {("b",): 7}
    assert values(families, "kakuri_zone_network_transmit_bytes") == {("b",): 8}
    assert values(families, "kakuri_zone_writable_bytes") == {}
    assert values(families, "kakuri_metrics_zones_omitted") == {(): 0}


async def test_pressure_has_a_series_for_each_resource_and_kind():
    usage = {"a": ZoneUsage(pressure={("cpu", "some"): 1.0, ("io", "full"): 0.5})}
    families = await families_of(usage, max_zones=10)
    assert values(families, "kakuri_zone_pressure_seconds") == {
        ("a", "cpu", "some"): 1.0,
        ("a", "io", "full"): 0.5,
    }


async def test_zones_beyond_the_limit_have_no_series_but_are_counted():
    usage = {f"z{number}": ZoneUsage(float(number)) for number in range(5)}
    families = await families_of(usage, max_zones=3)
    assert values(families, "kakuri_zone_cpu_usage_seconds") == {
        ("z0",): 0.0, ("z1",): 1.0, ("z2",): 2.0
    }  # fmt: skip
    assert values(families, "kakuri_metrics_zones_omitted") == {(): 2}


async def test_node_reports_totals_of_all_zones_with_those_beyond_the_limit(runtime, run):
    async with run(metrics_zones=1) as node:
        for name, memory in (("a", 100), ("b", 200)):
            await node.start(name)
            runtime.container(name).memory_bytes = memory
        families = await node.zones.metrics()
    assert values(families, "kakuri_zone_memory_working_set_bytes") == {("a",): 100}
    assert values(families, "kakuri_zones_memory_working_set_bytes") == {(): 300}
    assert values(families, "kakuri_metrics_zones_omitted") == {(): 1}
    assert values(families, "kakuri_zone_stats_available") == {(): 1}


async def test_totals_that_the_runtime_does_not_report_are_missing(runtime, node):
    await node.start("z")
    container = runtime.container("z")
    container.cpu_nanoseconds = container.memory_bytes = None
    families = await node.zones.metrics()
    assert values(families, "kakuri_zones_cpu_usage_seconds") == {}
    assert values(families, "kakuri_zones_memory_working_set_bytes") == {}
    assert values(families, "kakuri_zone_stats_available") == {(): 0}


async def test_every_family_of_a_node_is_consistent(node):
    await node.start("z")
    families = await node.zones.metrics()
    assert [fault for family in families for fault in family.faults()] == []
    assert len(by_name(families)) == len(families)


async def test_calls_are_counted_by_method_and_code(runtime, tmp_path):
    calls = CallCounts()
    settings = quick_settings(cri=runtime.endpoint, log_dir=tmp_path / "logs")
    runtime.faults.set("Version", "error(RESOURCE_EXHAUSTED: no)")
    async with (
        Runtime(settings.cri, timeouts=settings.timeouts, on_call=calls.count) as client,
        zone_node(client, settings, calls) as node,
    ):
        await node.health()
        families = await node.metrics()
    durations = by_name(families)["kakuri_cri_request_duration_seconds"]
    counts = {sample.labels: sum(sample.buckets) for sample in durations.samples}
    assert counts["Version",] == 1
    assert counts["ListPodSandbox",] >= 1
    errors = values(families, "kakuri_cri_errors")
    assert errors["Version", "RESOURCE_EXHAUSTED"] == 1


async def test_pulls_are_counted_by_outcome(runtime, node):
    runtime.images.set("missing:1", FakeImage(state="missing"))
    await node.start("a", "app:1")
    await node.start("b", "missing:1")
    families = await node.zones.metrics()
    assert values(families, "kakuri_image_pulls") == {
        ("succeeded",): 1, ("failed",): 1, ("unavailable",): 0, ("cancelled",): 0
    }  # fmt: skip
    assert values(families, "kakuri_image_pulls_in_flight") == {(): 0}
    durations = by_name(families)["kakuri_image_pull_duration_seconds"]
    assert {sample.labels for sample in durations.samples} == {("succeeded",), ("failed",)}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "succeeded"),
        (PullFailed("no", is_transient=False), "failed"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_pull_is_in_flight_until_it_ends(error, outcome):
    now = 10.0
    counts = PullCounts(lambda: now)
    try:
        with counts.pull():
            assert values(counts.families(), "kakuri_image_pulls_in_flight") == {(): 1}
            now = 17.0
            if error is not None:
                raise error
    except (PullFailed, asyncio.CancelledError):
        pass
    families = counts.families()
    assert values(families, "kakuri_image_pulls_in_flight") == {(): 0}
    assert values(families, "kakuri_image_pulls")[outcome,] == 1
    assert values(families, "kakuri_image_pull_duration_seconds") == {(outcome,): 7.0}


async def test_disks_of_logs_and_images_are_measured(runtime, node, tmp_path):
    runtime.images.mountpoint = str(tmp_path)
    families = await node.zones.metrics()
    for name in ("kakuri_disk_size_bytes", "kakuri_disk_available_bytes"):
        measured = values(families, name)
        assert measured.keys() == {("logs",), ("images",)}
        assert all(value > 0 for value in measured.values())


async def test_disk_of_images_is_missing_if_the_runtime_does_not_say_where_it_is(runtime, node):
    runtime.unimplemented.add("ImageFsInfo")
    families = await node.zones.metrics()
    assert values(families, "kakuri_disk_size_bytes").keys() == {("logs",)}


async def test_zone_whose_objects_cannot_be_removed_is_orphaned(runtime, run):
    async with run() as node:
        runtime.faults.set("StartContainer", "error(UNKNOWN: no)")
        runtime.faults.set("RemoveContainer", "1000*error(UNKNOWN: busy)")
        await node.start("z")
        families = await node.zones.metrics()
        assert values(families, "kakuri_zones_orphaned") == {(): 1}
        runtime.faults.clear()
        await until(lambda: not node.zones._metrics._remover.zones)
        assert values(await node.zones.metrics(), "kakuri_zones_orphaned") == {(): 0}
