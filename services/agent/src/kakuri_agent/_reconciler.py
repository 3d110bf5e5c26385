"""The loop that reconciles the observed state of zones with the desired state of workloads.

The desired state is in the registry, the observed state in the runtime's view. Every cause - a
request, a report of the runtime, a restart - adds the workload to the queue. Reconciling a workload
is always the same: update its entry from its zone, then take the one action that is missing.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator

import structlog
from kakuri_daemon import set_trace
from kakuri_registry import Durability, StoreWriter, WorkloadEntry, WorkloadRegistry
from kakuri_workload import DesiredState, Run, WorkloadState, ZoneSpec, ZoneStatus
from kakuri_workload.metrics import MetricFamily

from kakuri_agent._capacity import Capacity
from kakuri_agent._restarts import LONGEST_BACK_OFF
from kakuri_agent._status_updater import StatusUpdater
from kakuri_agent._volatile import VolatileStates
from kakuri_agent._work_queue import WorkQueue
from kakuri_agent.runtimes._protocol import UNKNOWN_REMOVAL, RemovedZone, Runtime

log = structlog.get_logger()

# Globals, because CPython 3.11 looks up members of enums slowly.
_RUN, _REMOVE = DesiredState.RUN, DesiredState.REMOVE
_PENDING, _RUNNING = WorkloadState.PENDING, WorkloadState.RUNNING
_SAVED = Durability.SAVED

RESYNC_SECONDS = 30.0
"""Seconds between two resyncs, which add every workload that has not ended to the queue.

No correct run needs them: they bound the effect of a bug that loses an event."""

PAGE_SECONDS = 0.01
"""Seconds between two pages of a resync: a page of 1,000 workloads takes a millisecond; all 200,000
at once would block the event loop for a tenth of a second."""

RESTART_AT_TOLERANCE = 1.0
"""Difference in seconds up to which a restart time is reported as stored, not recomputed."""

MAX_REMEMBERED_REMOVALS = 10_000
"""Number of removed workloads that are remembered, so that their late zones are not adopted."""


class Reconciler:
    """Reconciles workloads one at a time, whenever the runtime or a request reports a change.

    It is the runtime's observer. Reports may come at any time, in any order and more than once,
    because each of them only adds the workload to the queue.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        writer: StoreWriter,
        runtime: Runtime,
        capacity: Capacity,
        *,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        keeps_removed: bool = True,
        on_change: Callable[[str], None] = lambda _: None,
        on_run_end: Callable[[Run], None] = lambda _: None,
    ) -> None:
        """Attach to a runtime, which then lists its zones.

        Args:
            registry: The entries of all workloads.
            writer: Reports which entries are on disk.
            runtime: Runs the zones.
            capacity: The node's capacity, with what is reserved for the entries.
            clock: Wall clock, for the times of entries.
            jitter: Source of random numbers from 0 to 1, for back-offs.
            keeps_removed: Whether the registry keeps tombstones of removed workloads.
            on_change: Called with the id of each workload after it was reconciled or removed.
            on_run_end: Called with each run that has ended.
        """
        self._registry = registry
        self._writer = writer
        self._runtime = runtime
        self._capacity = capacity
        self._clock = clock
        self._keeps_removed = keeps_removed
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._volatile = VolatileStates()
        self._queue = WorkQueue(writer, self._volatile, self._reconcile)
        self._statuses = StatusUpdater(
            registry,
            runtime,
            capacity,
            self._queue,
            self._volatile,
            clock=clock,
            jitter=jitter,
            on_run_end=on_run_end,
        )
        self._removed: dict[str, None] = {}  # by this process, so that they are not adopted
        self._pages = self._unended_pages()  # remaining pages of the resync
        self._resync_timer = self._loop.call_later(RESYNC_SECONDS, self._resync)
        runtime.attach(self)

    def enqueue(self, workload_id: str) -> None:
        """Add a workload to the queue."""
        self._queue.add(workload_id)

    def rerun(self, entry: WorkloadEntry, *, trace: str | None = None) -> WorkloadEntry:
        """Begin the next attempt at a workload that has ended, or that waits for it in back-off.

        The caller has reserved its capacity.

        Args:
            entry: The workload.
            trace: The trace of the request for it.
        """
        return self._statuses.rerun(entry, trace=trace)

    def restart_at(self, entry: WorkloadEntry) -> float | None:
        """Return when a workload's next run is due, by the wall clock as it is set now.

        The entry's `restart_at` was computed when the last run ended. If the clock was set since
        then, the time is computed again from the back-off's timer.
        """
        due = entry.restart_at
        timer = None if due is None else self._volatile.get(entry.workload.id).back_off
        if due is None or timer is None:
            return due
        now_due = self._clock() + timer.when() - self._loop.time()
        # The same time for every request, unless the clock was set.
        return due if abs(now_due - due) < RESTART_AT_TOLERANCE else now_due

    def notify_ends(self, on_workload_end: Callable[[], None]) -> None:
        """Call a function whenever a workload has ended and is not restarted."""
        self._statuses.notify_ends(on_workload_end)

    def zone_changed(self, zone_id: str) -> None:
        """Add the workload of a zone to the queue."""
        self._queue.add(zone_id)

    def zone_removed(self, zone_id: str, removed: RemovedZone = UNKNOWN_REMOVAL) -> None:
        """Remove the entry of a workload whose zone was removed on request."""
        entry = self._registry.get(zone_id)
        if entry is not None and entry.desired is _REMOVE:
            self._statuses.end_removed(entry, removed.status)
            removal = removed.removal if self._keeps_removed else None
            self._registry.remove(zone_id, now=self._clock(), removal=removal, log=removed.log)
            self._volatile.remove(zone_id)
            self._capacity.release(zone_id)
            self._removed[zone_id] = None
            if len(self._removed) > MAX_REMEMBERED_REMOVALS:
                del self._removed[next(iter(self._removed))]
            log.info("workload removed", id=zone_id, verified_by=removed.removal.verified_by)
            self._on_change(zone_id)

    def zones_listed(self) -> None:
        """Add all zones to the queue, and all workloads that run, start or are being removed."""
        for entry in self._registry:
            if not entry.state.is_terminal or entry.desired is _REMOVE:
                self.enqueue(entry.workload.id)
        for zone in self._runtime.list():
            self.enqueue(zone.id)

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics of reconciling."""
        return self._queue.families()

    def close(self) -> None:
        """Stop reconciling."""
        self._resync_timer.cancel()
        self._queue.close()

    def _resync(self) -> None:
        """Add the next page of workloads that have not ended to the queue."""
        page = next(self._pages, None)
        if page is None:
            self._pages = self._unended_pages()
            self._resync_timer = self._loop.call_later(RESYNC_SECONDS, self._resync)
            return
        for entry in page:
            self._queue.add(entry.workload.id)
        self._resync_timer = self._loop.call_later(PAGE_SECONDS, self._resync)

    def _unended_pages(self) -> Iterator[list[WorkloadEntry]]:
        for state in (_PENDING, _RUNNING):
            after = ""
            while page := self._registry.page(state=state, after=after):
                yield page
                after = page[-1].workload.id

    def _reconcile(self, workload_id: str) -> None:
        zone = self._runtime.status(workload_id)
        entry = self._registry.get(workload_id)
        # For the log lines and the commands of this workload: a turn reconciles many.
        set_trace(None if entry is None else entry.trace)
        entry = entry or self._adopt(zone)
        if entry is None:
            self._release(workload_id)
        else:
            if zone is not None or entry.run.state is _RUNNING or entry.desired is not _RUN:
                entry = self._statuses.observe(entry, zone)
            state = entry.run.state
            if state.is_terminal:
                self._release(workload_id)
            if state is not _RUNNING or entry.desired is not _RUN:
                self._act(entry, zone)
        self._on_change(workload_id)

    def _adopt(self, zone: ZoneStatus | None) -> WorkloadEntry | None:
        """Register a workload for a zone without an entry, if its container has started.

        The runtime removes zones that were only partially created.
        """
        if zone is None or zone.state is _PENDING:
            return None
        if zone.id in self._removed:  # an earlier start completed after the removal
            self._runtime.remove(zone.id, 0)
            return None
        return self._statuses.adopt(zone)

    def _act(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Do what brings the zone closer to the desired state."""
        workload_id, desired = entry.workload.id, entry.desired
        is_of_earlier_run = zone is not None and zone.attempt < entry.attempt
        if desired is not _RUN and not self._may_end(entry):
            self._queue.add_once_saved(workload_id)
        elif desired is _REMOVE:
            self._remove(entry, zone)
        elif entry.run.state.is_terminal:
            self._stop_sandbox(entry, zone)
        elif desired is _RUN:
            if entry.run.state is _PENDING and (zone is None or is_of_earlier_run):
                self._start(entry)
        elif not is_of_earlier_run:
            self._runtime.stop(workload_id, entry.grace_seconds)
        else:
            self._statuses.end(entry, Run(WorkloadState.FAILED, "Stopped"))
            if desired is DesiredState.STOP:
                self._release(workload_id)
            else:  # its container may have run for a moment, so its attempt is not begun again
                self._queue.add(workload_id)

    def _remove(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Remove a zone; only stop it until the removal is on disk.

        A crash would undo the removal, and a workload without its zone would be started again.
        """
        workload_id = entry.workload.id
        if self._writer.durability(workload_id) is _SAVED:
            self._runtime.remove(workload_id, entry.grace_seconds)
            return
        if zone is not None and not zone.state.is_terminal:
            self._runtime.stop(workload_id, entry.grace_seconds)
        self._queue.add_once_saved(workload_id)

    def _stop_sandbox(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Stop the sandbox of an ended workload: it may be a virtual machine that holds memory."""
        if zone is None:
            return
        if zone.state.is_terminal:
            sandbox_id = zone.pod_sandbox_id
            if sandbox_id in (None, self._volatile.get(zone.id).stopped_sandbox):
                return
            self._volatile.edit(zone.id).stopped_sandbox = sandbox_id
        # Otherwise an earlier start completed after the stop.
        self._runtime.stop(zone.id, entry.grace_seconds)

    def _start(self, entry: WorkloadEntry) -> None:
        """Start a workload's next run, once its back-off is over and its entry is on disk."""
        workload_id = entry.workload.id
        volatile = self._volatile.get(workload_id)
        if volatile.back_off is not None:
            return
        if entry.restart_at is not None and not volatile.has_backed_off:
            self._queue.add_after(
                workload_id, min(entry.restart_at - self._clock(), LONGEST_BACK_OFF)
            )
        elif self._writer.durability(workload_id) is _SAVED:
            self._runtime.start(ZoneSpec(entry.workload, entry.attempt))
        else:
            self._queue.add_once_saved(workload_id)

    def _may_end(self, entry: WorkloadEntry) -> bool:
        """Return whether a workload's zone may be stopped or removed now.

        A stop, restart or removal normally waits until its request is on disk, so that a crash
        can't undo it. While the disk accepts no changes, stops and removals do not wait, and
        `_remove` only stops the zone. A restart still waits, because its next attempt can't begin.
        """
        durability = self._writer.durability(entry.workload.id)
        if entry.desired is DesiredState.RESTART:
            return durability is _SAVED
        return durability.is_reportable

    def _release(self, workload_id: str) -> None:
        """Cancel the workload's back-off, and release its reserved capacity."""
        self._volatile.end_run(workload_id)
        self._capacity.release(workload_id)
