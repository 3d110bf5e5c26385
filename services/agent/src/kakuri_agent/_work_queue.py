"""The queue of workloads to reconcile.

A workload is added immediately, after a back-off, or once its entry is on disk. The queue is
processed in batches, so that the event loop serves connections in between.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from time import perf_counter

from kakuri_registry import StoreError, StoreWriter
from kakuri_workload.metrics import SECONDS, Histogram, MetricFamily, gauge, histogram

from kakuri_agent._volatile import VolatileState, VolatileStates

STORE_RETRY_SECONDS = 1.0
"""Seconds before a workload is added although the disk did not accept its entry."""

TURN_BOUNDS = (0.0001, 0.00025, 0.0005, *SECONDS)
"""Bounds for the time of a turn, in seconds."""

WORKLOADS_PER_TURN = 256
"""Workloads reconciled in one turn of the event loop: some milliseconds."""


class WorkQueue:
    """Calls a function with the id of each queued workload.

    Args:
        writer: Reports when an entry is on disk.
        volatile: Has the timers of each workload.
        reconcile: The function. It may add the workload again.
    """

    def __init__(
        self, writer: StoreWriter, volatile: VolatileStates, reconcile: Callable[[str], None]
    ) -> None:
        self._writer = writer
        self._volatile = volatile
        self._reconcile = reconcile
        self._loop = asyncio.get_running_loop()
        self._ids: dict[str, None] = {}
        self._turn: asyncio.Handle | None = None
        self._is_closed = False
        self._durations = Histogram(TURN_BOUNDS)

    def add(self, workload_id: str) -> None:
        """Add a workload, unless it is in the queue already, or the queue is closed."""
        if self._is_closed:  # the store closes later and still reports writes
            return
        self._ids[workload_id] = None
        if self._turn is None:
            self._turn = self._loop.call_soon(self._wait_a_turn)

    def add_after(self, workload_id: str, seconds: float) -> None:
        """Add a workload when its back-off is over, after a number of seconds."""
        state = self._volatile.edit(workload_id)
        state.has_backed_off = False
        state.back_off = self._loop.call_later(
            max(seconds, 0), self._end_back_off, workload_id, state
        )

    def add_once_saved(self, workload_id: str) -> None:
        """Add a workload once its entry is on disk, or a second after the disk refused it."""
        state = self._volatile.edit(workload_id)
        if not state.awaits_disk:
            state.awaits_disk = True
            self._writer.when_saved(workload_id, partial(self._end_save, workload_id, state))

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics of the queue."""
        return (
            histogram(
                "kakuri_reconcile_duration_seconds",
                "Time of a turn in which up to 256 workloads are compared with their zones.",
                self._durations,
            ),
            gauge(
                "kakuri_reconcile_backlog",
                "Workloads that wait to be reconciled.",
                float(len(self._ids)),
            ),
        )

    def close(self) -> None:
        """Stop calling the function, and cancel all timers."""
        self._is_closed = True
        if self._turn is not None:
            self._turn.cancel()
        self._volatile.close()

    def _wait_a_turn(self) -> None:
        """Wait one turn of the event loop, in which pending replies are written."""
        self._turn = self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        began = perf_counter()
        try:
            for workload_id in list(islice(self._ids, WORKLOADS_PER_TURN)):
                del self._ids[workload_id]
                self._reconcile(workload_id)
        finally:
            # The event loop reports an error; the remaining workloads get a later turn.
            self._durations.observe(perf_counter() - began)
            if self._ids and self._turn is None:
                self._turn = self._loop.call_soon(self._wait_a_turn)

    def _end_back_off(self, workload_id: str, state: VolatileState) -> None:
        state.back_off, state.has_backed_off = None, True
        self.add(workload_id)

    def _end_save(self, workload_id: str, state: VolatileState, error: StoreError | None) -> None:
        if error is None:
            self._add_saved(workload_id, state)
        else:  # the writer has logged it, and retries
            state.disk_retry = self._loop.call_later(
                STORE_RETRY_SECONDS, self._add_saved, workload_id, state
            )

    def _add_saved(self, workload_id: str, state: VolatileState) -> None:
        state.awaits_disk, state.disk_retry = False, None
        self._volatile.discard_empty(workload_id)
        self.add(workload_id)
