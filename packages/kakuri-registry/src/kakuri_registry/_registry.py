"""The registry: which workloads there are, and how far each has come.

It holds immutable snapshots, so that what a caller got never changes behind its back and what a
caller keeps never reaches into the registry. It reads no clock and makes no ids: both come as
arguments, and the same calls always give the same registry. It is not locked; share it between
threads only behind a lock of your own.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from kakuri_registry._errors import (
    DuplicateWorkload,
    IllegalTransition,
    RegistryFull,
    UnknownWorkload,
)
from kakuri_registry._state import WorkloadState
from kakuri_registry._workload import Workload, WorkloadEntry, ZoneHandle

MAX_WORKLOADS = 1_000_000
"""The default limit: about 1 GB of snapshots, far beyond what one machine can run."""

MAX_PAGE = 1000
"""The most entries that one page holds."""

SPARE_IDS = 1024
"""Ids of removed workloads that are kept beyond the number of those that are there."""


class WorkloadRegistry:
    """The workloads of one node, by id."""

    def __init__(self, *, max_workloads: int = MAX_WORKLOADS) -> None:
        self._entries: dict[str, WorkloadEntry] = {}
        # Every id in the order of listing, and those of them that are gone: see _in_order.
        self._ids: list[str] = []
        self._ids_are_sorted = True
        self._gone: set[str] = set()
        self._version = 0
        self._max_workloads = max_workloads

    def register(self, workload: Workload, *, now: float) -> WorkloadEntry:
        """Add a workload as pending.

        Raises DuplicateWorkload if its id is taken and RegistryFull at the limit.
        """
        if workload.id in self._entries:
            raise DuplicateWorkload(workload.id)
        if len(self._entries) >= self._max_workloads:
            raise RegistryFull(self._max_workloads)
        self._version += 1
        entry = WorkloadEntry(workload, WorkloadState.PENDING, self._version, now, now)
        self._entries[workload.id] = entry
        if workload.id in self._gone:
            self._gone.remove(workload.id)
        else:
            self._ids.append(workload.id)
            self._ids_are_sorted = False
        return entry

    def update(
        self,
        workload_id: str,
        state: WorkloadState,
        *,
        now: float,
        reason: str | None = None,
        message: str | None = None,
        exit_code: int | None = None,
        handle: ZoneHandle | None = None,
    ) -> WorkloadEntry:
        """Move a workload along the state machine, or tell more about its present state.

        A state that is not terminal may be stated again with another reason or message. Without
        a handle, the one that is known stays.
        Raises UnknownWorkload, and IllegalTransition for a step that the table does not have.
        """
        entry = self._known(workload_id)
        if not entry.state.can_become(state) and (state is not entry.state or state.is_terminal):
            raise IllegalTransition(workload_id, entry.state, state)
        self._version += 1
        # The constructor, because dataclasses.replace takes three times as long.
        entry = WorkloadEntry(
            entry.workload,
            state,
            self._version,
            entry.registered_at,
            now,
            reason,
            message,
            exit_code,
            handle or entry.handle,
        )
        self._entries[workload_id] = entry
        return entry

    def set_handle(self, workload_id: str, handle: ZoneHandle) -> WorkloadEntry:
        """Note where the runtime keeps a workload. Raises UnknownWorkload."""
        entry = self._known(workload_id)
        self._version += 1
        entry = replace(entry, version=self._version, handle=handle)
        self._entries[workload_id] = entry
        return entry

    def get(self, workload_id: str) -> WorkloadEntry | None:
        """Give the present snapshot of a workload, or None if there is no such workload."""
        return self._entries.get(workload_id)

    def remove(self, workload_id: str) -> WorkloadEntry:
        """Forget a workload and give its last snapshot. Raises UnknownWorkload."""
        entry = self._known(workload_id)
        del self._entries[workload_id]
        self._gone.add(workload_id)
        if len(self._gone) > len(self._entries) + SPARE_IDS:
            self._forget_gone()
        self._version += 1
        return entry

    def page(
        self, *, state: WorkloadState | None = None, after: str = "", limit: int = MAX_PAGE
    ) -> list[WorkloadEntry]:
        """Give a page of snapshots in the order of their ids.

        The page begins behind the id `after`, which need not exist any more, so paging stays
        stable while workloads come and go. `limit` is at most MAX_PAGE. Raises ValueError for a
        limit outside 1 to MAX_PAGE.
        """
        if not 1 <= limit <= MAX_PAGE:
            message = f"expected a limit from 1 to {MAX_PAGE}, got {limit}"
            raise ValueError(message)
        ids = self._in_order()
        found: list[WorkloadEntry] = []
        for index in range(bisect_right(ids, after), len(ids)):
            entry = self._entries.get(ids[index])
            if entry is not None and (state is None or entry.state is state):
                found.append(entry)
                if len(found) == limit:
                    break
        return found

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

    def _known(self, workload_id: str) -> WorkloadEntry:
        entry = self._entries.get(workload_id)
        if entry is None:
            raise UnknownWorkload(workload_id)
        return entry

    def _in_order(self) -> list[str]:
        """Give all ids in order; among them may be some that are gone."""
        # Registering appends and removing only notes, so both stay constant; order is made when
        # it is asked for. Python's sort takes a sorted run with a short tail in linear time.
        if not self._ids_are_sorted:
            self._ids.sort()
            self._ids_are_sorted = True
        return self._ids

    def _forget_gone(self) -> None:
        self._ids = sorted(self._entries)
        self._ids_are_sorted = True
        self._gone.clear()
