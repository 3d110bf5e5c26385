"""The registry of a node's workloads: what was submitted, and the observed state of each.

It holds immutable snapshots: one that a caller has never changes, and nothing that a caller passed
in changes the registry later. Times and ids are arguments, so the same calls always make the same
registry. It has no lock; threads that share it need one of their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from kakuri_workload import DesiredState, Run, Workload, WorkloadState

from kakuri_registry._change_log import MAX_CHANGES, Change, ChangedWorkload, ChangeLog
from kakuri_registry._ended import Ended, EndedWorkloads
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import (
    DuplicateWorkload,
    IllegalTransition,
    RegistryFull,
    UnknownWorkload,
)
from kakuri_registry._frozen import freeze
from kakuri_registry._history import History, complete, extended
from kakuri_registry._index import Index
from kakuri_registry._sizes import entry_size
from kakuri_registry._store import Loaded

MAX_WORKLOADS = 200_000
"""The default limit: about 200 MB of snapshots, and hundreds of times what one machine can run."""

MAX_PAGE = 1000
"""The most entries that one page holds."""

_PENDING = Run(WorkloadState.PENDING)


class WorkloadRegistry:
    """The workloads of one node, by id."""

    def __init__(
        self, *, max_workloads: int = MAX_WORKLOADS, max_changes: int = MAX_CHANGES
    ) -> None:
        self._entries: dict[str, WorkloadEntry] = {}
        self._histories: dict[str, History] = {}
        self._index = Index()
        self._ended = EndedWorkloads()
        self._version = 0
        self._change_log = ChangeLog(0, size=max_changes)
        self._max_workloads = max_workloads
        self._on_change: Callable[[Change], None] | None = None

    @classmethod
    def load(
        cls, loaded: Loaded, *, max_workloads: int = MAX_WORKLOADS, max_changes: int = MAX_CHANGES
    ) -> "WorkloadRegistry":
        """Return a registry with what a store held; versions continue from the store's.

        Everything is loaded, even above max_workloads. The log of changes is empty: readers from
        before have to list again.
        """
        registry = cls(max_workloads=max_workloads, max_changes=max_changes)
        for entry in loaded.entries:
            freeze(entry.workload)
        registry._entries = {entry.workload.id: entry for entry in loaded.entries}
        registry._histories = dict(loaded.histories)
        registry._index = Index(registry._entries.values())
        ended = [each for each in registry._entries.values() if each.state.is_terminal]
        registry._ended = EndedWorkloads(
            (registry._as_ended(each) for each in ended if each.desired is not DesiredState.REMOVE),
            (registry._as_ended(each) for each in ended if each.desired is DesiredState.REMOVE),
        )
        registry._version = loaded.version
        registry._change_log = ChangeLog(loaded.version, size=max_changes)
        return registry

    def register(
        self, workload: Workload, *, now: float, is_adopted: bool = False
    ) -> WorkloadEntry:
        """Add a workload as pending; its mappings and lists are replaced by immutable copies.

        One that is adopted, because it runs already, does not count as new to a store: it is
        stored even if there is no room for others.
        Raises DuplicateWorkload if its id is taken and RegistryFull at the limit.
        """
        if workload.id in self._entries:
            raise DuplicateWorkload(workload.id)
        if len(self._entries) >= self._max_workloads:
            raise RegistryFull(self._max_workloads)
        freeze(workload)
        entry = WorkloadEntry(workload, _PENDING, self._version + 1, now, now)
        self._entries[workload.id] = entry
        self._index.add(entry)
        self._publish(Change(workload.id, entry.version, entry, (), not is_adopted))
        return entry

    def update(self, workload_id: str, run: Run, *, now: float) -> WorkloadEntry:
        """Record an observation of a workload's run.

        The state follows the state machine. A state that is not terminal may be recorded again,
        with another reason or message for example. The fields that the observation lacks keep
        their earlier values, and the attempt stays the entry's (`Run.after`).

        Args:
            workload_id: the workload.
            run: what was observed.
            now: the time of the change.

        Returns:
            The new snapshot.

        Raises:
            UnknownWorkload: no workload has this id.
            IllegalTransition: the state machine has no transition to the state.

        Example:
            registry.update("web", Run(WorkloadState.RUNNING, address="10.0.0.2"), now=time.time())

        """
        entry = self._known(workload_id)
        present, state = entry.run.state, run.state
        if not present.can_become(state) and (state is not present or state.is_terminal):
            raise IllegalTransition(workload_id, present, state)
        # The constructor, because dataclasses.replace takes three times as long.
        return self._put(
            entry,
            WorkloadEntry(
                entry.workload,
                run.after(entry.run),
                self._version + 1,
                entry.registered_at,
                now,
                entry.failures,
                None,
                entry.desired,
                entry.grace_seconds,
            ),
        )

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
        """Return a workload whose run has ended to pending, as its next attempt.

        `restart_at` is when that attempt is due. Reason, message and exit_code describe the end of
        the last one, and `failures` is the number of runs in a row that did not stay up. `attempt`
        is for one later than the next. Times stay those of the last run.
        Raises UnknownWorkload, IllegalTransition for a terminal state, and ValueError for an
        attempt that is not later than the present one.
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

    def set_desired(
        self, workload_id: str, desired: DesiredState, *, now: float, grace_seconds: int = 0
    ) -> WorkloadEntry:
        """Set the desired state of a workload and the grace time of its end.

        The desired state only ever changes from run to stop to remove. Once it is not run, a grace
        time replaces a longer one and never a shorter one. Returns the present entry itself if
        nothing changes. Raises UnknownWorkload.
        """
        entry = self._known(workload_id)
        if entry.desired is not DesiredState.RUN:
            grace_seconds = min(grace_seconds, entry.grace_seconds)
        if not entry.desired.can_become(desired):
            if desired is DesiredState.RUN or grace_seconds == entry.grace_seconds:
                return entry
            desired = entry.desired
        elif desired is DesiredState.REMOVE:
            self._ended.set_removing(workload_id)
        return self._put(
            entry,
            replace(
                entry,
                version=self._version + 1,
                changed_at=now,
                desired=desired,
                grace_seconds=grace_seconds,
                restart_at=None,
            ),
        )

    def get(self, workload_id: str) -> WorkloadEntry | None:
        """Return the present snapshot of a workload; None if it is not registered."""
        return self._entries.get(workload_id)

    def history(self, workload_id: str) -> History:
        """Return the latest transitions of a workload, the oldest first.

        Raises UnknownWorkload.
        """
        entry = self._known(workload_id)
        return complete(self._histories.get(workload_id, ()), entry)

    def remove(self, workload_id: str) -> WorkloadEntry:
        """Remove a workload and return its last snapshot. Raises UnknownWorkload."""
        entry = self._known(workload_id)
        del self._entries[workload_id]
        self._histories.pop(workload_id, None)
        self._index.discard(entry)
        self._ended.discard(workload_id)
        self._publish(Change(workload_id, self._version + 1, None))
        return entry

    def page(
        self,
        *,
        state: WorkloadState | None = None,
        label: tuple[str, str] | None = None,
        after: str = "",
        limit: int = MAX_PAGE,
    ) -> list[WorkloadEntry]:
        """Return a page of snapshots in the order of their ids, optionally of one state or label.

        The page begins after the id `after`, which need not exist any more, so paging stays
        stable while workloads are added and removed. The time depends only on the size of the
        page. Raises ValueError for a limit outside 1 to MAX_PAGE.
        """
        _check_limit(limit)
        ids = islice(self._index.after(after, state, label), limit)
        return [self._entries[workload_id] for workload_id in ids]

    def removable(
        self, *, now: float, retention: float, budget: int | None = None, limit: int = MAX_PAGE
    ) -> list[WorkloadEntry]:
        """Return workloads that have ended and need not be kept, the one that ended first in front.

        They came to their final state more than `retention` seconds before now, or are in the way
        of later ones: without them, `ended_bytes` is at most `budget`. One that is being removed
        is left out. Raises ValueError for a limit outside 1 to MAX_PAGE.
        """
        _check_limit(limit)
        excess = 0 if budget is None else self.ended_bytes - budget
        found: list[WorkloadEntry] = []
        for workload_id, since, size in self._ended:
            if len(found) == limit:
                break
            if excess <= 0:
                if since > now:
                    continue  # the clock was set back: it keeps none that ended after it
                if since >= now - retention:
                    break
            excess -= size
            found.append(self._entries[workload_id])
        return found

    @property
    def ended_bytes(self) -> int:
        """The size in bytes of all workloads that have ended and are not being removed."""
        return self._ended.kept_bytes

    @property
    def removing_bytes(self) -> int:
        """The size in bytes of all workloads that have ended and are being removed."""
        return self._ended.removing_bytes

    def changes(self, after: int, *, limit: int = MAX_PAGE) -> list[ChangedWorkload]:
        """Return which workloads changed after a version, the oldest change first.

        A reader begins with `version`, then lists, then asks for what came after that version,
        and goes on after the version of the last change that it got. Raises Compacted if the feed
        does not reach back so far, and ValueError for a limit outside 1 to MAX_PAGE.
        """
        _check_limit(limit)
        return self._change_log.after(after, limit)

    def count(self, state: WorkloadState) -> int:
        """Return how many workloads are in a state."""
        return self._index.count(state)

    def subscribe(self, on_change: Callable[[Change], None] | None) -> None:
        """Call a function with every change as it is made; None for no function.

        There is one subscriber, which must not change the registry.
        """
        self._on_change = on_change

    @property
    def version(self) -> int:
        """How many changes the registry has seen."""
        return self._version

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, workload_id: object) -> bool:
        return workload_id in self._entries

    def __iter__(self) -> Iterator[WorkloadEntry]:
        return iter(list(self._entries.values()))

    def __repr__(self) -> str:
        return f"<WorkloadRegistry {len(self)} workloads, version {self._version}>"

    def _put(self, before: WorkloadEntry, entry: WorkloadEntry) -> WorkloadEntry:
        workload_id = entry.workload.id
        self._entries[workload_id] = entry
        past = self._histories.get(workload_id, ())
        history = extended(past, before, entry)
        if history is not past:
            self._histories[workload_id] = history
        if before.state is not entry.state:
            self._index.move(before.state, entry)
            if entry.state.is_terminal:
                is_removing = entry.desired is DesiredState.REMOVE
                self._ended.add(self._as_ended(entry), is_removing=is_removing)
        self._publish(Change(workload_id, entry.version, entry, history))
        return entry

    def _publish(self, change: Change) -> None:
        self._version = change.version
        self._change_log.append(change)
        if self._on_change is not None:
            self._on_change(change)

    def _known(self, workload_id: str) -> WorkloadEntry:
        entry = self._entries.get(workload_id)
        if entry is None:
            raise UnknownWorkload(workload_id)
        return entry

    def _as_ended(self, entry: WorkloadEntry) -> Ended:
        workload_id = entry.workload.id
        history = self._histories.get(workload_id, ())
        # Changes of a workload that has ended are not steps: its last step is its end.
        since = history[-1].at if history else entry.changed_at
        return Ended(workload_id, since, entry_size(entry, history))


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        message = f"expected a limit from 1 to {MAX_PAGE}, got {limit}"
        raise ValueError(message)
