"""The one loop that compares what should be with what is.

What should be stands in the registry, what is in the runtime's view. Whatever happens - a request,
a report, a crash of anything - ends as a workload in the queue, and reconciling it is always the
same: take over what is true of its zone, then do the one thing that is missing.
"""

import asyncio
import random
import time
from collections.abc import Callable

import structlog
from kakuri_registry import (
    Journal,
    Wanted,
    WorkloadEntry,
    WorkloadRegistry,
    WorkloadState,
    ZoneSpec,
    ZoneStatus,
)

from kakuri_agent._capacity import Capacity
from kakuri_agent._restarts import LONGEST_BACK_OFF
from kakuri_agent._runtime import Runtime
from kakuri_agent._status_updater import StatusUpdater
from kakuri_agent._work_queue import WorkQueue

log = structlog.get_logger()

FULL_PASS_SECONDS = 30.0
"""How often every unfinished workload is reconciled, whether or not anything was reported."""

REMOVED_REMEMBERED = 10_000
"""Removed workloads whose zones are not adopted, should one turn up; the oldest are forgotten."""


class Reconciler:
    """Brings what is to what should be. It is the runtime's observer."""

    def __init__(
        self,
        registry: WorkloadRegistry,
        journal: Journal,
        runtime: Runtime,
        capacity: Capacity,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._runtime = runtime
        self._capacity = capacity
        self._clock = clock
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._queue = WorkQueue(journal, self._reconcile)
        self._statuses = StatusUpdater(
            registry, runtime, capacity, self._queue, clock=clock, chance=chance
        )
        self._removed: dict[str, None] = {}  # by this process, and so not to be adopted
        self._vacated: dict[str, str] = {}  # the sandboxes, by workload, that nothing runs in again
        self._full_pass = self._loop.call_later(FULL_PASS_SECONDS, self._pass)
        runtime.attach(self)

    def attend(self, workload_id: str) -> None:
        """Reconcile a workload soon."""
        self._queue.add(workload_id)

    def notify_ends(self, on_end: Callable[[], None]) -> None:
        """Call a function whenever a workload has ended for good."""
        self._statuses.notify_ends(on_end)

    def zone_changed(self, zone_id: str) -> None:
        """Reconcile the workload of a zone soon."""
        self.attend(zone_id)

    def zone_gone(self, zone_id: str) -> None:
        """Forget a workload that was to be removed, now that its zone is gone."""
        entry = self._registry.get(zone_id)
        if entry is not None and entry.wanted is Wanted.REMOVE:
            self._registry.remove(zone_id)
            self._rest(zone_id)
            self._vacated.pop(zone_id, None)
            self._removed[zone_id] = None
            if len(self._removed) > REMOVED_REMEMBERED:
                del self._removed[next(iter(self._removed))]
            log.info("workload removed", id=zone_id)
            self._on_change(zone_id)

    def zones_listed(self) -> None:
        """Reconcile all workloads that have not ended, and all zones."""
        for entry in self._registry:
            if not entry.state.is_terminal or entry.wanted is Wanted.REMOVE:
                self.attend(entry.workload.id)
        for zone in self._runtime.list():
            self.attend(zone.id)

    def close(self) -> None:
        """Reconcile nothing more."""
        self._full_pass.cancel()
        self._queue.close()

    def _pass(self) -> None:
        """Reconcile what has not ended; a removal in progress continues by itself."""
        for state in (WorkloadState.PENDING, WorkloadState.RUNNING):
            after = ""
            while page := self._registry.page(state=state, after=after):
                for entry in page:
                    self.attend(entry.workload.id)
                after = page[-1].workload.id
        self._full_pass = self._loop.call_later(FULL_PASS_SECONDS, self._pass)

    def _reconcile(self, workload_id: str) -> None:
        zone = self._runtime.status(workload_id)
        entry = self._registry.get(workload_id) or self._adopt(zone)
        if entry is None:
            self._rest(workload_id)
        else:
            entry = self._statuses.observe(entry, zone)
            if entry.state.is_terminal:
                self._rest(workload_id)
            self._act(entry, zone)
        self._on_change(workload_id)

    def _adopt(self, zone: ZoneStatus | None) -> WorkloadEntry | None:
        """Register a zone without an entry: it has run, so it is a workload.

        A zone that is only partially created is not one; the runtime removes it.
        """
        if zone is None or zone.state is WorkloadState.PENDING:
            return None
        if zone.id in self._removed:  # by a start that reached the runtime late
            self._runtime.remove(zone.id, 0)
            return None
        return self._statuses.adopt(zone)

    def _act(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Do the one thing that is missing."""
        workload_id = entry.workload.id
        is_of_before = zone is not None and zone.attempt < entry.attempt
        if entry.wanted is not Wanted.RUN and not self._is_noted(workload_id):
            self._queue.add_once_saved(workload_id)
        elif entry.wanted is Wanted.REMOVE:
            self._remove(entry, zone)
        elif entry.state.is_terminal:
            self._vacate(entry, zone)
        elif entry.wanted is Wanted.STOP and is_of_before:
            self._statuses.end(entry, ZoneStatus(workload_id, WorkloadState.FAILED, "Stopped"))
            self._rest(workload_id)
        elif entry.wanted is Wanted.STOP:
            self._runtime.stop(workload_id, entry.grace_seconds)
        elif entry.state is WorkloadState.PENDING and (zone is None or is_of_before):
            self._start(entry)

    def _remove(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Remove a zone; only stop it while the removal can't be saved.

        A crash would undo the removal, and without the zone it would look as if it never ran.
        """
        workload_id = entry.workload.id
        if self._journal.is_saved(workload_id):
            self._runtime.remove(workload_id, entry.grace_seconds)
            return
        if zone is not None and not zone.state.is_terminal:
            self._runtime.stop(workload_id, entry.grace_seconds)
        self._queue.add_once_saved(workload_id)

    def _vacate(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """End the sandbox of a workload that has ended for good: it may be a virtual machine."""
        if zone is None:
            return
        if zone.state.is_terminal:
            sandbox_id = zone.pod_sandbox_id
            if sandbox_id is None or self._vacated.get(zone.id) == sandbox_id:
                return
            self._vacated[zone.id] = sandbox_id
        # Otherwise a start reached the runtime late, after the stop.
        self._runtime.stop(zone.id, entry.grace_seconds)

    def _start(self, entry: WorkloadEntry) -> None:
        """Start a workload's next run, once it may and once that is on disk."""
        workload_id = entry.workload.id
        if self._queue.is_backing_off(workload_id):
            return
        if entry.restart_at is not None and not self._queue.has_backed_off(workload_id):
            self._queue.back_off(
                workload_id, min(entry.restart_at - self._clock(), LONGEST_BACK_OFF)
            )
        elif self._journal.is_saved(workload_id):
            self._runtime.start(ZoneSpec.of(entry.workload, entry.attempt))
        else:
            self._queue.add_once_saved(workload_id)

    def _is_noted(self, workload_id: str) -> bool:
        """Return whether no crash would undo that a workload is to end.

        While the disk accepts nothing, it ends all the same.
        """
        return self._journal.is_settled(workload_id)

    def _rest(self, workload_id: str) -> None:
        """End the back-off of a workload that starts no more, and release its capacity."""
        self._queue.end_back_off(workload_id)
        self._statuses.forget_run(workload_id)
        self._capacity.release(workload_id)
