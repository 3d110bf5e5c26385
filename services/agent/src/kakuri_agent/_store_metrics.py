"""Metrics of the durable store."""

from collections.abc import Iterable

from kakuri_registry import Store, StoreFull, StoreWriter
from kakuri_workload.metrics import Counts, Histogram, MetricFamily, gauge, histogram

BATCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
"""Bounds for the changes that one write has."""


class StoreMetrics:
    """Counts the writes of a store; a store in memory has none."""

    def __init__(self, writer: StoreWriter, store: Store) -> None:
        """Begin to count.

        Args:
            writer: Writes to the store, and reports when its disk is full.
            store: The store, which reports its reserve.
        """
        self._writer = writer
        self._store = store
        self._writes = Counts(
            "kakuri_store_writes", "Writes to the store, by their outcome.", ("outcome",)
        )
        self._durations = Histogram()
        self._batches = Histogram(BATCHES)
        writer.on_write = self._written

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics."""
        is_durable = not self._store.is_nonblocking
        reserve = self._store.has_reserve
        is_full = isinstance(self._writer.registration_error, StoreFull)
        return (
            self._writes.family(),
            histogram(
                "kakuri_store_write_duration_seconds",
                "Time of a write to the store, until it is on disk.",
                self._durations if is_durable else None,
            ),
            histogram(
                "kakuri_store_batch_size",
                "Workloads whose changes one write has.",
                self._batches if is_durable else None,
            ),
            gauge(
                "kakuri_store_reserve_ok",
                "Whether the disk has room, and space is reserved for when it is full: 1 or 0.",
                None if reserve is None else float(reserve and not is_full),
            ),
        )

    def _written(self, changes: int, seconds: float, error: BaseException | None) -> None:
        outcome = "full" if isinstance(error, StoreFull) else "failed"
        self._writes["ok" if error is None else outcome,] += 1
        self._durations.observe(seconds)
        self._batches.observe(changes)
