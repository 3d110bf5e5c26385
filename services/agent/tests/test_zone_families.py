"""What the registry adds to the usage of zones."""

import pytest
from kakuri_agent._zone_families import zone_families
from kakuri_registry import WorkloadRegistry
from kakuri_workload import Run, WorkloadState
from kakuri_workload.testing import workload

RUNNING = Run(WorkloadState.RUNNING)


@pytest.fixture
def registry():
    return WorkloadRegistry()


def run(registry, workload_id, **fields):
    registry.register(workload(workload_id, **fields), now=1.0)
    registry.update(workload_id, RUNNING, now=2.0)


def samples(families):
    return [{each.labels: each.value for each in family.samples} for family in families]


def test_running_workload_has_its_image_class_and_memory_limit(registry):
    run(registry, "web", image="nginx:1", memory_mb=64, runtime_class="edera-zone")
    assert samples(zone_families(registry, 10)) == [
        {("web", "nginx:1", "edera-zone"): 1.0},
        {("web",): 64 * 2**20},
    ]


def test_workload_that_does_not_run_has_no_series(registry):
    registry.register(workload("waiting"), now=1.0)
    assert samples(zone_families(registry, 10)) == [{}, {}]


@pytest.mark.parametrize("limit", [0, 3, 1500])
def test_workloads_beyond_the_limit_have_no_series(registry, limit):
    for number in range(2000):
        run(registry, f"wl-{number:04}")
    infos, limits = zone_families(registry, limit)
    assert infos.columns[0] == limits.columns[0] == [f"wl-{each:04}" for each in range(limit)]
