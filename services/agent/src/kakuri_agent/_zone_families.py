"""Images, classes and limits of running zones, for queries that join them with the usage."""

from collections.abc import Iterator
from itertools import islice

from kakuri_registry import WorkloadRegistry
from kakuri_workload import Workload, WorkloadState
from kakuri_workload.metrics import MetricFamily

from kakuri_agent._node_metrics import MIB


def zone_families(registry: WorkloadRegistry, max_zones: int) -> tuple[MetricFamily, ...]:
    """Return the image, the class and the memory limit of each running workload.

    Args:
        registry: The workloads.
        max_zones: How many workloads have series; those with the first ids.
    """
    workloads = list(islice(_running(registry), max_zones))
    ids = [each.id for each in workloads]
    return (
        MetricFamily(
            "kakuri_zone_info",
            "gauge",
            "The image and the runtime class of a running workload; the value is 1.",
            ("workload", "image", "runtime_class"),
            (ids, [each.image for each in workloads], [each.runtime_class for each in workloads]),
            [1.0] * len(ids),
        ),
        MetricFamily(
            "kakuri_zone_memory_limit_bytes",
            "gauge",
            "Memory that the container may use.",
            ("workload",),
            (ids,),
            [float(each.memory_mb * MIB) for each in workloads],
        ),
    )


def _running(registry: WorkloadRegistry) -> Iterator[Workload]:
    """Yield the running workloads in the order of their ids."""
    page = registry.page(state=WorkloadState.RUNNING)
    while page:
        for entry in page:
            yield entry.workload
        page = registry.page(state=WorkloadState.RUNNING, after=page[-1].workload.id)
