"""Updates of the registry from the observed state of zones."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog
from kakuri_daemon import event_log
from kakuri_registry import RegistryFull, WorkloadEntry, WorkloadRegistry
from kakuri_workload import DesiredState, Run, WorkloadState, ZoneStatus

from kakuri_agent._capacity import Capacity
from kakuri_agent._replies import ended_message
from kakuri_agent._restarts import STABLE_SECONDS, STOP_REASONS, back_off, is_restarted
from kakuri_agent._volatile import VolatileStates
from kakuri_agent._work_queue import WorkQueue
from kakuri_agent.runtimes._protocol import Runtime

log = structlog.get_logger()

# Globals, because CPython 3.11 looks up members of enums slowly.
_RUN, _RUNNING = DesiredState.RUN, WorkloadState.RUNNING

_STOP_FAILED = "StopFailed"


class StatusUpdater:
    """Updates entries of the registry from the statuses of their zones.

    Args:
        registry: The entries to update.
        runtime: Has the zones.
        capacity: Reserves what adopted workloads need.
        queue: Holds workloads during their back-off.
        volatile: Has the time since when each workload has been running.
        clock: Wall clock, for the times of entries.
        jitter: Source of random numbers from 0 to 1, for back-offs.
        on_run_end: Called with each run that has ended.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        runtime: Runtime,
        capacity: Capacity,
        queue: WorkQueue,
        volatile: VolatileStates,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        on_run_end: Callable[[Run], None],
    ) -> None:
        self._registry = registry
        self._runtime = runtime
        self._capacity = capacity
        self._queue = queue
        self._volatile = volatile
        self._clock = clock
        self._jitter = jitter
        self._on_run_end = on_run_end
        self._log_changed = event_log("workload changed", "id", "state")
        self._loop = asyncio.get_running_loop()
        self._on_workload_end: Callable[[], None] = lambda: None

    def notify_ends(self, on_workload_end: Callable[[], None]) -> None:
        """Call a function whenever a workload has ended and is not restarted."""
        self._on_workload_end = on_workload_end

    def adopt(self, zone: ZoneStatus) -> WorkloadEntry | None:
        """Register the workload of a zone that has no entry.

        Returns:
            The new entry. None if the registry is full, or until the spec of the zone has been
            fetched; the runtime then reports the zone again.
        """
        spec = self._runtime.spec(zone.id)
        if spec is None:
            return None
        try:
            entry = self._registry.register(spec.workload, now=self._clock(), is_adopted=True)
        except RegistryFull as error:
            log.warning("zone not adopted", id=zone.id, error=str(error))
            return None
        self._capacity.reserve_accepted([entry.workload])
        log.warning("zone adopted", id=zone.id, state=zone.state.value)
        message = "its zone was found without a record of it"
        adopted = Run(WorkloadState.PENDING, "Adopted", message)
        return self._registry.update(zone.id, adopted, now=self._clock())

    def observe(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> WorkloadEntry:
        """Update an entry from its zone, which is None if the runtime has none."""
        state, attempt = entry.run.state, entry.run.attempt
        if state.is_terminal:
            return entry
        if zone is None:
            is_lost = state is _RUNNING and self._runtime.is_listed
            if not is_lost or entry.desired is DesiredState.REMOVE:
                return self._update(entry, self._with_end_failure(entry, entry.run))
            lost = Run(WorkloadState.FAILED, "ZoneLost", "its zone no longer exists")
            return self.end(entry, lost)
        if zone.attempt > attempt:
            entry = self._record_later_attempt(entry, zone)
        elif zone.attempt < attempt:
            # The zone belongs to an earlier run.
            return self._update(entry, self._with_end_failure(entry, entry.run))
        if zone.state.is_terminal:
            return self.end(entry, zone.run)
        if zone.state is _RUNNING:
            running_since = self._volatile.running_since
            if zone.id not in running_since:
                age = 0.0
                # A back-off of this process has just ended, so the run has just begun. Its age by
                # the wall clock could be wrong, because the clock may have been set.
                if zone.started_at is not None and not self._volatile.get(zone.id).has_backed_off:
                    age = self._clock() - zone.started_at
                running_since[zone.id] = self._loop.time() - max(age, 0.0)
        elif entry.state is _RUNNING:
            log.warning("report ignored", id=zone.id, known="running", reported="pending")
            return entry
        return self._update(entry, self._with_end_failure(entry, zone.run))

    def _with_end_failure(self, entry: WorkloadEntry, run: Run) -> Run:
        """Return the run of a workload, with the error if it can't be stopped or removed."""
        if entry.desired is _RUN:
            return run
        failure = self._runtime.end_failures.get(entry.workload.id)
        if failure is not None:
            return replace(run, reason=_STOP_FAILED, message=failure)
        return replace(run, reason=None, message=None) if run.reason == _STOP_FAILED else run

    def end_removed(self, entry: WorkloadEntry, zone: ZoneStatus | None) -> None:
        """Record how the run of a workload ended whose zone was removed.

        Events report that too, but an event that arrives after the removal is ignored.

        Args:
            entry: The workload.
            zone: The last status of its zone, if it is known.
        """
        if entry.state.is_terminal:
            return
        is_end = zone is not None and zone.state.is_terminal and zone.attempt == entry.attempt
        self.end(entry, zone.run if zone and is_end else Run(WorkloadState.FAILED, "Stopped"))

    def end(self, entry: WorkloadEntry, run: Run) -> WorkloadEntry:
        """Record the end of a run: restart the workload, or end it."""
        workload = entry.workload
        entry = self._record_missed_start(entry, run)
        is_requested = entry.desired is not DesiredState.RUN and run.reason in STOP_REASONS
        ended = replace(run, reason="Stopped") if is_requested else run
        self._on_run_end(ended)
        if entry.desired is DesiredState.RESTART:
            return self._begin_next(workload.id, run, entry.attempt + 1, trace=entry.trace)
        run = ended
        if entry.desired is DesiredState.RUN and is_restarted(workload.restart_policy, run.state):
            failures = 1 if self._was_stable(workload.id, run) else entry.failures + 1
            if failures <= workload.max_restarts:
                return self._restart(entry, run, failures)
            message = (
                f"not restarted any more: {failures} runs in a row were shorter than 10 minutes"
            )
            run = replace(run, message=f"{run.message}; {message}" if run.message else message)
        return self._update(entry, run)

    def _record_missed_start(self, entry: WorkloadEntry, run: Run) -> WorkloadEntry:
        """Record that a pending workload was running, if its run ended before that was reported."""
        has_started = run.started_at is not None or run.state is WorkloadState.SUCCEEDED
        if entry.state is not WorkloadState.PENDING or not has_started:
            return entry
        started = replace(
            run,
            state=WorkloadState.RUNNING,
            reason=None,
            message=None,
            exit_code=None,
            ended_at=None,
        )
        return self._update(entry, started)

    def rerun(self, entry: WorkloadEntry, *, trace: str | None) -> WorkloadEntry:
        """Begin the next attempt at a workload that has ended, or that waits for it in back-off."""
        attempt = entry.attempt + 1 if entry.state.is_terminal else entry.attempt
        return self._begin_next(entry.workload.id, entry.run, attempt, trace=trace)

    def _begin_next(
        self, workload_id: str, last: Run, attempt: int, *, trace: str | None
    ) -> WorkloadEntry:
        """Make a workload pending for an attempt that begins at once, because it was requested.

        Args:
            workload_id: The workload.
            last: Its last run, or what is known of it before an attempt that has not begun.
            attempt: The attempt.
            trace: The trace that the attempt belongs to.
        """
        message = last.message
        if last.state is not WorkloadState.PENDING:
            message = ended_message(last)
        self._volatile.end_run(workload_id)
        log.info("workload restarts", id=workload_id, attempt=attempt, requested=True)
        return self._registry.rerun(
            workload_id,
            now=self._clock(),
            message=message,
            exit_code=last.exit_code,
            attempt=attempt,
            trace=trace,
        )

    def _record_later_attempt(self, entry: WorkloadEntry, zone: ZoneStatus) -> WorkloadEntry:
        """Record an attempt later than the known ones: the store was restored from a backup."""
        log.warning("attempt taken over", id=zone.id, known=entry.attempt, attempt=zone.attempt)
        self._volatile.end_run(zone.id)
        return self._registry.restart(
            zone.id,
            now=self._clock(),
            restart_at=None,
            failures=entry.failures,
            attempt=zone.attempt,
        )

    def _was_stable(self, workload_id: str, run: Run) -> bool:
        """Return whether a run was long enough to reset the back-off."""
        began = self._volatile.running_since.get(workload_id)
        if began is not None:
            return self._loop.time() - began >= STABLE_SECONDS
        # It was not observed running. Both times are from the runtime's clock.
        if run.started_at is None or run.ended_at is None:
            return False
        return run.ended_at - run.started_at >= STABLE_SECONDS

    def _restart(self, entry: WorkloadEntry, run: Run, failures: int) -> WorkloadEntry:
        workload_id = entry.workload.id
        now = self._clock()
        delay = back_off(failures, self._jitter())
        self._volatile.end_run(workload_id)
        entry = self._registry.restart(
            workload_id,
            now=now,
            restart_at=now + delay,
            reason="BackOff",
            message=ended_message(run),
            exit_code=run.exit_code,
            failures=failures,
        )
        self._queue.add_after(workload_id, delay)
        log.info("workload restarts", id=workload_id, attempt=entry.attempt, seconds=round(delay))
        return entry

    def _update(self, entry: WorkloadEntry, run: Run) -> WorkloadEntry:
        """Record an observation in the registry and in the log, unless it is known already."""
        workload_id, state = entry.workload.id, run.state
        updated = self._registry.update(workload_id, run, now=self._clock())
        if updated is entry:
            return entry
        if run.reason is None and run.message is None and run.exit_code is None:
            self._log_changed(workload_id, state._value_)
        else:
            fields = {"reason": run.reason, "message": run.message, "exit_code": run.exit_code}
            details = {name: value for name, value in fields.items() if value is not None}
            log.info("workload changed", id=workload_id, state=state._value_, **details)
        if state.is_terminal:
            self._on_workload_end()
        return updated
