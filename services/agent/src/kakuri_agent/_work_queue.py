"""The queue of workloads to reconcile.

A workload is added immediately, after a back-off, or once its entry is on disk. The queue is
processed in batches, so that the event loop serves connections in between.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from kakuri_registry import StoreError, StoreWriter

STORE_RETRY_SECONDS = 1.0
"""Seconds before a workload is added although the disk did not accept its entry."""

WORKLOADS_PER_TURN = 256
"""Workloads reconciled in one turn of the event loop: some milliseconds."""


@dataclass(slots=True)
class _Waits:
    """What has to happen before a workload is added to the queue.

    Attributes:
        back_off: timer of its back-off. It uses the loop's monotonic clock; `restart_at` of the
            wall clock is used only after a restart of this process.
        has_backed_off: whether its latest back-off is over.
        is_for_disk: whether it waits for its entry to be on disk.
        disk_retry: timer that adds it after the disk did not accept the entry.
    """

    back_off: asyncio.TimerHandle | None = None
    has_backed_off: bool = False
    is_for_disk: bool = False
    disk_retry: asyncio.TimerHandle | None = None


_NO_WAITS = _Waits()


class WorkQueue:
    """Calls a function with the id of each queued workload.

    Args:
        writer: reports when an entry is on disk.
        reconcile: the function. It may add the workload again.
    """

    def __init__(self, writer: StoreWriter, reconcile: Callable[[str], None]) -> None:
        self._writer = writer
        self._reconcile = reconcile
        self._loop = asyncio.get_running_loop()
        self._ids: dict[str, None] = {}
        self._turn: asyncio.Handle | None = None
        self._waits: dict[str, _Waits] = {}

    def add(self, workload_id: str) -> None:
        """Add a workload, unless it is in the queue already."""
        self._ids[workload_id] = None
        if self._turn is None:
            self._turn = self._loop.call_soon(self._wait_a_turn)

    def back_off(self, workload_id: str, seconds: float) -> None:
        """Add a workload after a back-off."""
        waits = self._waits.setdefault(workload_id, _Waits())
        waits.has_backed_off = False
        waits.back_off = self._loop.call_later(
            max(seconds, 0), self._back_off_ended, workload_id, waits
        )

    def is_backing_off(self, workload_id: str) -> bool:
        """Return whether a workload's back-off is running."""
        return self._waits.get(workload_id, _NO_WAITS).back_off is not None

    def has_backed_off(self, workload_id: str) -> bool:
        """Return whether the latest back-off of a workload is over and was not cancelled."""
        return self._waits.get(workload_id, _NO_WAITS).has_backed_off

    def cancel_back_off(self, workload_id: str) -> None:
        """Cancel and forget the back-off of a workload, if it has one."""
        waits = self._waits.get(workload_id)
        if waits is None:
            return
        if waits.back_off is not None:
            waits.back_off.cancel()
        if waits.is_for_disk:
            waits.back_off, waits.has_backed_off = None, False
        else:
            del self._waits[workload_id]

    def add_once_saved(self, workload_id: str) -> None:
        """Add a workload once its entry is on disk, or a second after the disk refused it."""
        waits = self._waits.setdefault(workload_id, _Waits())
        if not waits.is_for_disk:
            waits.is_for_disk = True
            self._writer.when_saved(workload_id, partial(self._saved, workload_id, waits))

    def close(self) -> None:
        """Stop calling the function, and cancel all timers."""
        if self._turn is not None:
            self._turn.cancel()
        for waits in self._waits.values():
            for timer in (waits.back_off, waits.disk_retry):
                if timer is not None:
                    timer.cancel()

    def _wait_a_turn(self) -> None:
        """Wait one turn of the event loop, in which pending replies are written."""
        self._turn = self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        for workload_id in list(islice(self._ids, WORKLOADS_PER_TURN)):
            del self._ids[workload_id]
            self._reconcile(workload_id)
        if self._ids and self._turn is None:
            self._turn = self._loop.call_soon(self._wait_a_turn)

    def _back_off_ended(self, workload_id: str, waits: _Waits) -> None:
        waits.back_off, waits.has_backed_off = None, True
        self.add(workload_id)

    def _saved(self, workload_id: str, waits: _Waits, error: StoreError | None) -> None:
        if error is None:
            self._add_saved(workload_id, waits)
        else:  # the writer has logged it, and retries
            waits.disk_retry = self._loop.call_later(
                STORE_RETRY_SECONDS, self._add_saved, workload_id, waits
            )

    def _add_saved(self, workload_id: str, waits: _Waits) -> None:
        waits.is_for_disk, waits.disk_retry = False, None
        if waits == _NO_WAITS:
            del self._waits[workload_id]
        self.add(workload_id)
