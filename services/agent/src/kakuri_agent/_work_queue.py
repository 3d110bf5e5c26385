"""The queue of workloads to reconcile.

A workload joins it at once, after a back-off, or once its entry is on disk. The queue is worked off
in turns, so that the event loop serves connections in between.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from kakuri_registry import Journal, StoreError

STORE_RETRY_SECONDS = 1.0
"""Delay before a step that has to be on disk first is tried again while the disk is full."""

WORKLOADS_PER_TURN = 256
"""Workloads reconciled before the event loop gets its turn: some milliseconds."""


@dataclass(slots=True)
class _Waits:
    """What one workload waits for before it joins the queue.

    Attributes:
        back_off: timer of its back-off. It runs by the loop's clock, which no one can set; only
            after a restart of this process does the wall clock's `restart_at` count.
        has_backed_off: whether its latest back-off is over.
        is_for_disk: whether it joins once its entry is on disk.
        disk_retry: timer of the next attempt, after the disk did not accept the entry.
    """

    back_off: asyncio.TimerHandle | None = None
    has_backed_off: bool = False
    is_for_disk: bool = False
    disk_retry: asyncio.TimerHandle | None = None


_NO_WAITS = _Waits()


class WorkQueue:
    """Calls a function with the id of each workload in the queue, in turns.

    Args:
        journal: what says when an entry is on disk.
        reconcile: the function. The workload may join the queue again meanwhile.
    """

    def __init__(self, journal: Journal, reconcile: Callable[[str], None]) -> None:
        self._journal = journal
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
        """Return whether a workload waits for the end of its back-off."""
        return self._waits.get(workload_id, _NO_WAITS).back_off is not None

    def has_backed_off(self, workload_id: str) -> bool:
        """Return whether the latest back-off of a workload is over and was not ended early."""
        return self._waits.get(workload_id, _NO_WAITS).has_backed_off

    def end_back_off(self, workload_id: str) -> None:
        """Forget the back-off of a workload, if it has one."""
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
        """Add a workload once its entry is on disk, or has been refused by the disk for a while."""
        waits = self._waits.setdefault(workload_id, _Waits())
        if not waits.is_for_disk:
            waits.is_for_disk = True
            self._journal.when_saved(workload_id, partial(self._saved, workload_id, waits))

    def close(self) -> None:
        """Call the function no more."""
        if self._turn is not None:
            self._turn.cancel()
        for waits in self._waits.values():
            for timer in (waits.back_off, waits.disk_retry):
                if timer is not None:
                    timer.cancel()

    def _wait_a_turn(self) -> None:
        """Wait until replies have left: they are about to be written, and their clients wait."""
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
        else:  # the journal has logged it, and goes on trying
            waits.disk_retry = self._loop.call_later(
                STORE_RETRY_SECONDS, self._add_saved, workload_id, waits
            )

    def _add_saved(self, workload_id: str, waits: _Waits) -> None:
        waits.is_for_disk, waits.disk_retry = False, None
        if waits == _NO_WAITS:
            del self._waits[workload_id]
        self.add(workload_id)
