"""Metrics of the node: its capacity, its event index, and the requests that it refused."""

from collections.abc import Iterable

from kakuri_registry import WorkloadRegistry
from kakuri_rpc import ErrorCode
from kakuri_workload.metrics import Counts, MetricFamily, gauge

from kakuri_agent._capacity import Capacity

MIB = 1 << 20


class RefusalMetrics:
    """Counts the errors that requests were answered with, by their code."""

    def __init__(self) -> None:
        """Begin to count."""
        self._refusals = Counts(
            "kakuri_refusals", "Requests that were answered with an error, by its code.", ("code",)
        )

    def __call__(self, code: ErrorCode) -> None:
        """Count an error."""
        self._refusals[code.value,] += 1

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics."""
        return (self._refusals.family(),)


def node_families(capacity: Capacity, registry: WorkloadRegistry) -> Iterable[MetricFamily]:
    """Return the capacity of a node, how much of it is reserved, and its event index.

    A node without a limit has no series for its capacity.
    """
    memory, cpu = capacity.memory_mb, capacity.cpu_millicores
    return (
        gauge(
            "kakuri_node_memory_bytes",
            "Memory for all workloads of the node.",
            None if memory is None else float(memory * MIB),
        ),
        gauge(
            "kakuri_node_memory_reserved_bytes",
            "Memory that is reserved for workloads.",
            float(capacity.memory_mb_used * MIB),
        ),
        gauge(
            "kakuri_node_cpu_cores",
            "CPU cores for all workloads of the node.",
            None if cpu is None else cpu / 1000,
        ),
        gauge(
            "kakuri_node_cpu_reserved_cores",
            "CPU cores that are reserved for workloads.",
            capacity.cpu_millicores_used / 1000,
        ),
        gauge(
            "kakuri_event_index",
            "The index of the latest event, which is the version of the registry.",
            float(registry.journal.index),
        ),
    )
