"""The registry of a node's workloads, with the observed and desired state of each.

It holds immutable snapshots: a returned snapshot never changes, and modifying an argument after a
call does not affect the registry. Times and ids are arguments, so the same calls always result in
the same registry. It has no lock; threads that share it need their own.
"""

from dataclasses import replace

from kakuri_workload import DesiredState, Event, EventType, Removal, Run, Workload, WorkloadState

from kakuri_registry._arguments import (
    check_entry,
    check_kind,
    check_run,
    check_time,
    check_workload,
)
from kakuri_registry._change import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import (
    DuplicateWorkload,
    IllegalTransition,
    RegistryFull,
    RemovalIsFinal,
    UnknownWorkload,
)
from kakuri_registry._events import RegistryEvent, workload_event
from kakuri_registry._frozen import freeze
from kakuri_registry._history import RESTARTED, shortened
from kakuri_registry._publisher import ChangePublisher
from kakuri_registry._registry_reader import MAX_WORKLOADS
from kakuri_registry._store import Loaded
from kakuri_registry._tombstones import NewTombstone, Tombstone

_PENDING = Run(WorkloadState.PENDING)
_WORKLOAD = EventType.WORKLOAD  # CPython 3.11 looks up members of enums slowly


class WorkloadRegistry(ChangePublisher):
    """The workloads of one node, by id."""

    @classmethod
    def load(cls, loaded: Loaded, *, max_workloads: int = MAX_WORKLOADS) -> "WorkloadRegistry":
        """Create a registry with the contents of a store; versions continue from the store's.

        All workloads are loaded, even if there are more than `max_workloads`. Events are loaded,
        too, so that readers that followed the registry of an earlier process can continue.
        """
        registry = cls(max_workloads=max_workloads)
        registry._fill(loaded)
        return registry

    def register(
        self,
        workload: Workload,
        *,
        now: float,
        is_adopted: bool = False,
        trace: str | None = None,
    ) -> WorkloadEntry:
        """Add a pending workload, whose mappings and lists are replaced with immutable copies.

        Args:
            workload: The workload.
            now: The time of the registration.
            is_adopted: Whether the workload is already running. If so, it is stored even if the
                disk has no room for new workloads.
            trace: The trace of the request.

        Returns:
            The new snapshot.

        Raises:
            DuplicateWorkload: Another workload already has this id.
            RegistryFull: The registry has `max_workloads` workloads.
            TypeError: The argument is not a Workload, or a field or `now` has the wrong type.
            ValueError: A value is outside the range that a store can load.
        """
        check_workload(workload)
        if workload.id in self._entries:
            raise DuplicateWorkload(workload.id)
        if len(self._entries) >= self._max_workloads:
            raise RegistryFull(self._max_workloads)
        freeze(workload)
        entry = WorkloadEntry(workload, _PENDING, self._version + 1, now, now, trace=trace)
        check_entry(entry)
        self._entries[workload.id] = entry
        self._index.record(workload.id, None)
        event = workload_event(_WORKLOAD, entry, entry.version, now, None)
        self._publish_entry(entry, (), event, is_new=True, is_adopted=is_adopted)
        self._on_entry(None, entry)
        return entry

    def update(self, workload_id: str, run: Run, *, now: float) -> WorkloadEntry:
        """Record an observation of a workload's run.

        A state that is not terminal can be recorded again, for example with another reason. Fields
        that the observation lacks keep their previous values, and the attempt does not change (see
        `Run.after`).

        Args:
            workload_id: The workload.
            run: The observation.
            now: The time of the change.

        Returns:
            The new snapshot, or the current one if nothing changes.

        Raises:
            UnknownWorkload: No workload has this id.
            IllegalTransition: The state machine has no transition to the new state.
            TypeError: An argument has the wrong type.

        Example:
            registry.update("web", Run(WorkloadState.RUNNING, address="10.0.0.2"), now=time.time())
        """
        entry = self._entries.get(workload_id)
        if entry is None:
            raise UnknownWorkload(workload_id)
        check_run(run)
        present, state = entry.run.state, run.state
        if not present.can_become(state) and (state is not present or state.is_terminal):
            raise IllegalTransition(workload_id, present, state)
        run = run.after(entry.run)
        if state is present and run == entry.run:
            return entry
        # Not dataclasses.replace, which takes three times as long.
        return self._put(
            entry,
            WorkloadEntry(
                entry.workload, run, self._version + 1, entry.registered_at, now, entry.failures,
                None, entry.desired, entry.grace_seconds, entry.trace,
            ),
        )  # fmt: skip

    def restart(
        self,
        workload_id: str,
        *,
        now: float,
        restart_at: float | None,
        reason: str | None = None,
        message: str | None = None,
        exit_code: int | None = None,
        failures: int = 0,
        attempt: int | None = None,
    ) -> WorkloadEntry:
        """Set a workload whose run has ended to pending, as its next attempt.

        The start and end times remain those of the last run until the next one begins.

        Args:
            workload_id: The workload.
            now: The time of the change.
            restart_at: When the next attempt is due; None if it has begun already.
            reason: Why the workload is pending, such as `BackOff`.
            message: How the last run ended.
            exit_code: The exit code of the last run.
            failures: The number of consecutive runs that did not stay up.
            attempt: The new attempt; by default the one after the current one.

        Returns:
            The new snapshot.

        Raises:
            UnknownWorkload: No workload has this id.
            IllegalTransition: The state is terminal.
            ValueError: The new attempt is not later than the current one.
        """
        entry = self._known(workload_id)
        if entry.state.is_terminal:
            raise IllegalTransition(workload_id, entry.state, WorkloadState.PENDING)
        if attempt is None:
            attempt = entry.attempt + 1
        elif attempt <= entry.attempt:
            raise ValueError(f"expected an attempt after {entry.attempt}, got {attempt}")
        return self._put(
            entry,
            replace(
                entry,
                run=replace(
                    entry.run,
                    state=WorkloadState.PENDING,
                    reason=reason,
                    message=message,
                    exit_code=exit_code,
                    address=None,
                    attempt=attempt,
                ),
                version=self._version + 1,
                changed_at=now,
                failures=failures,
                restart_at=restart_at,
            ),
        )

    def rerun(
        self,
        workload_id: str,
        *,
        now: float,
        message: str | None = None,
        exit_code: int | None = None,
        attempt: int | None = None,
        trace: str | None = None,
    ) -> WorkloadEntry:
        """Begin the next attempt at a workload on request, regardless of its state.

        The workload becomes pending with the reason `Restarted`, its desired state becomes RUN, and
        earlier failures no longer count.

        Args:
            workload_id: The workload; its current run has ended or has not begun.
            now: The time of the change.
            message: How the last run ended.
            exit_code: The exit code of the last run.
            attempt: The new attempt; by default the next one. The current attempt is allowed if it
                has not begun.
            trace: The trace of the request.

        Returns:
            The new snapshot.

        Raises:
            UnknownWorkload: No workload has this id.
            RemovalIsFinal: The workload is being removed.
            ValueError: The new attempt is before the current one.
        """
        entry = self._known(workload_id)
        if entry.desired is DesiredState.REMOVE:
            raise RemovalIsFinal(workload_id)
        if attempt is None:
            attempt = entry.attempt + 1
        elif attempt < entry.attempt:
            raise ValueError(f"expected attempt {entry.attempt} or a later one, got {attempt}")
        run = replace(
            entry.run,
            state=WorkloadState.PENDING,
            reason=RESTARTED,
            message=message,
            exit_code=exit_code,
            address=None,
            attempt=attempt,
        )
        return self._put(
            entry,
            WorkloadEntry(
                entry.workload, run, self._version + 1, entry.registered_at, now, trace=trace
            ),
        )

    def set_desired(
        self,
        workload_id: str,
        desired: DesiredState,
        *,
        now: float,
        grace_seconds: int = 0,
        trace: str | None = None,
    ) -> WorkloadEntry:
        """Set the desired state of a workload, and the grace period for stopping it.

        The latest request wins, except that a removal is final. If the workload was already going
        to end, a shorter grace period replaces a longer one.

        Args:
            workload_id: The workload.
            desired: The desired state.
            now: The time of the change.
            grace_seconds: Seconds that the workload has to end by itself.
            trace: The trace of the request; None if there was no request.

        Returns:
            The new snapshot, or the current one if nothing changes.

        Raises:
            UnknownWorkload: No workload has this id.
        """
        entry = self._known(workload_id)
        check_kind(desired, DesiredState, "desired")
        if entry.desired is not DesiredState.RUN:
            grace_seconds = min(grace_seconds, entry.grace_seconds)
        if not entry.desired.can_become(desired):
            if desired is DesiredState.RUN or grace_seconds == entry.grace_seconds:
                return entry
            desired = entry.desired
        return self._put(
            entry,
            replace(
                entry,
                version=self._version + 1,
                changed_at=now,
                desired=desired,
                grace_seconds=grace_seconds,
                restart_at=None,
                trace=trace,
            ),
        )

    def remove(
        self,
        workload_id: str,
        *,
        now: float | None = None,
        removal: Removal | None = None,
        log: bytes = b"",
    ) -> WorkloadEntry:
        """Remove a workload and return its last snapshot.

        Args:
            workload_id: The workload.
            now: The time of the removal; by default, the time of the last change.
            removal: The receipt of the removal in the runtime, to keep in a tombstone. None for no
                tombstone.
            log: The end of the workload's log, which only the store keeps.

        Raises:
            UnknownWorkload: No workload has this id.
        """
        history = self._histories.get(workload_id, ())
        at = self._known(workload_id).changed_at if now is None else now
        check_time(at)
        check_kind(removal, Removal | None, "removal")
        check_kind(log, bytes, "log")
        entry = self._discard(workload_id)
        version = self._version + 1
        message = shortened(entry.run.message)
        tombstone: NewTombstone | None = None
        if removal is not None:
            kept = Tombstone(entry, history, version, at, removal, len(log))
            self._tombstones.add(kept)
            tombstone = NewTombstone(kept, log, self._tombstones.oldest or version)
        event = workload_event(EventType.REMOVED, entry, version, at, message, removal=removal)
        self._publish(Change(workload_id, version, None, events=(event,), tombstone=tombstone))
        return entry

    def drop_removed_before(self, time: float) -> int | None:
        """Drop the tombstones of workloads that were removed before a time.

        Returns:
            The version of the oldest remaining tombstone, or None if nothing was dropped. The store
            has to delete the ones before it; `StoreWriter.drop_removed_before` does both.
        """
        if not self._tombstones.drop_removed_before(time):
            return None
        return self._tombstones.oldest or self._version + 1

    def withdraw(self, workload_id: str) -> None:
        """Remove a workload whose registration the store refused, and withdraw its events.

        Raises:
            UnknownWorkload: No workload has this id.
        """
        self._discard(workload_id)
        self._publish(Change(workload_id, self._version + 1, None))
        self._journal.withdraw(workload_id)

    def record(
        self,
        kind: EventType,
        *,
        now: float,
        available: bool | None = None,
        message: str | None = None,
        version: str | None = None,
    ) -> RegistryEvent:
        """Record an event of the node itself.

        Args:
            kind: RUNTIME or NODE.
            now: The time of the event.
            available: Whether the runtime is available.
            message: Why the runtime is unavailable.
            version: The version of the agent that started.

        Returns:
            The event, which is published once it is stored.
        """
        check_time(now)
        check_kind(kind, EventType, "kind")
        check_kind(available, bool | None, "available")
        check_kind(message, str | None, "message")
        check_kind(version, str | None, "version")
        event: RegistryEvent = Event(
            self._version + 1, now, kind,
            message=shortened(message), available=available, version=version,
        )  # fmt: skip
        self._publish(Change("", event.index, None, events=(event,)))
        return event

    def __repr__(self) -> str:
        return f"<WorkloadRegistry {len(self)} workloads, version {self._version}>"
