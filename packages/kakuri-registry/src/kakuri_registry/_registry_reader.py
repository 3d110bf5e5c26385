"""The queries of a registry: single snapshots, pages, and workloads to remove."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from kakuri_workload import DesiredState, History, WorkloadState

from kakuri_registry._arguments import check_count
from kakuri_registry._ended import Ended, EndedWorkloads
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import RegistryFull, UnknownWorkload
from kakuri_registry._frozen import freeze
from kakuri_registry._history import complete
from kakuri_registry._index import Index
from kakuri_registry._journal import EventJournal
from kakuri_registry._sizes import entry_size
from kakuri_registry._store import Loaded
from kakuri_registry._tombstones import Tombstone, Tombstones

MAX_WORKLOADS = 200_000
"""The default maximum number of workloads: about 200 MB of snapshots, and hundreds of times what
one machine can run."""

MAX_PAGE = 1000
"""Maximum number of entries in a page."""


class RegistryReader:
    """The snapshots of a node's workloads by id, and everything derived from them."""

    def __init__(self, *, max_workloads: int = MAX_WORKLOADS) -> None:
        check_count(max_workloads, "max_workloads")
        self._entries: dict[str, WorkloadEntry] = {}
        self._histories: dict[str, History] = {}
        self._index = Index(self._entries)
        self._ended = EndedWorkloads()
        self._version = 0
        self._journal = EventJournal()
        self._tombstones = Tombstones()
        self._store_id: str | None = None
        self._max_workloads = max_workloads

    def _fill(self, loaded: Loaded) -> None:
        for entry in loaded.entries:
            freeze(entry.workload)
        self._entries = {entry.workload.id: entry for entry in loaded.entries}
        self._histories = dict(loaded.histories)
        self._index = Index(self._entries)
        ended = [each for each in self._entries.values() if each.state.is_terminal]
        self._ended = EndedWorkloads(
            (self._as_ended(each) for each in ended if each.desired is not DesiredState.REMOVE),
            (self._as_ended(each) for each in ended if each.desired is DesiredState.REMOVE),
        )
        self._version = loaded.version
        self._journal = EventJournal(
            loaded.events, compacted=loaded.compacted, index=loaded.version
        )
        self._tombstones = Tombstones(loaded.tombstones)
        self._store_id = loaded.store_id

    def get(self, workload_id: str) -> WorkloadEntry | None:
        """Return the current snapshot of a workload; None if it is not registered."""
        return self._entries.get(workload_id)

    def history(self, workload_id: str) -> History:
        """Return the latest transitions of a workload, oldest first.

        Raises:
            UnknownWorkload: No workload has this id.
        """
        entry = self._known(workload_id)
        return complete(self._histories.get(workload_id, ()), entry)

    def page(
        self,
        *,
        state: WorkloadState | None = None,
        label: tuple[str, str] | None = None,
        after: str = "",
        limit: int = MAX_PAGE,
    ) -> list[WorkloadEntry]:
        """Return a page of snapshots in the order of their ids.

        Takes time in proportion to the size of the page, regardless of the state, the label and
        `after`.

        Args:
            state: Return only workloads in this state.
            label: Return only workloads with this label: a key and a value.
            after: Begin after this id, which need not exist. So paging works while workloads are
                added and removed.
            limit: Maximum number of snapshots.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: The limit is not from 1 to MAX_PAGE.
        """
        _check_page(state, label, after, limit)
        ids = islice(self._index.after(after, state, label), limit)
        return [self._entries[workload_id] for workload_id in ids]

    def tombstone(self, workload_id: str) -> Tombstone | None:
        """Return the tombstone of the latest removed workload with an id; None if there is none."""
        return self._tombstones.get(workload_id)

    def tombstone_history(self, tombstone: Tombstone) -> History:
        """Return the latest transitions of a removed workload, oldest first."""
        return complete(tombstone.history, tombstone.entry)

    def removed_page(
        self,
        *,
        state: WorkloadState | None = None,
        label: tuple[str, str] | None = None,
        after: str = "",
        limit: int = MAX_PAGE,
    ) -> list[Tombstone]:
        """Return a page of removed workloads. The arguments are those of `page`."""
        _check_page(state, label, after, limit)
        return self._tombstones.page(state=state, label=label, after=after, limit=limit)

    def removable(
        self, *, now: float, retention: float, budget: int | None = None, limit: int = MAX_PAGE
    ) -> list[WorkloadEntry]:
        """Return ended workloads to remove, in the order in which they ended.

        These are all workloads that ended more than `retention` seconds ago, and as many more as
        necessary to reduce `ended_bytes` to `budget`. Workloads that are already being removed are
        left out.

        Args:
            now: The current time.
            retention: Seconds for which an ended workload is kept.
            budget: Maximum total size in bytes of all ended workloads; None for no limit.
            limit: Maximum number of workloads.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: The limit is not from 1 to MAX_PAGE.
        """
        _check_limit(limit)
        excess = 0 if budget is None else self.ended_bytes - budget
        found: list[WorkloadEntry] = []
        for workload_id, since, size in self._ended:
            if len(found) == limit:
                break
            if excess <= 0:
                if since > now:
                    continue  # the clock was set back since then; later ones may still be due
                if since >= now - retention:
                    break
            excess -= size
            found.append(self._entries[workload_id])
        return found

    @property
    def full(self) -> RegistryFull | None:
        """The error that a registration would raise now; None if there is room."""
        if len(self._entries) < self._max_workloads:
            return None
        return RegistryFull(self._max_workloads)

    @property
    def ended_bytes(self) -> int:
        """Total size in bytes of the workloads that have ended and are not being removed."""
        return self._ended.kept_bytes

    @property
    def removing_bytes(self) -> int:
        """Total size in bytes of the workloads that have ended and are being removed."""
        return self._ended.removing_bytes

    def count(self, state: WorkloadState) -> int:
        """Return the number of workloads in a state."""
        return self._index.count(state)

    @property
    def journal(self) -> EventJournal:
        """The latest events. Without a subscriber, each event is published immediately."""
        return self._journal

    @property
    def version(self) -> int:
        """The version after the latest change; it only grows, even across restarts."""
        return self._version

    @property
    def store_id(self) -> str | None:
        """The random id of the loaded store; None if it has none."""
        return self._store_id

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, workload_id: object) -> bool:
        return workload_id in self._entries

    def __iter__(self) -> Iterator[WorkloadEntry]:
        return iter(list(self._entries.values()))

    def _known(self, workload_id: str) -> WorkloadEntry:
        entry = self._entries.get(workload_id)
        if entry is None:
            raise UnknownWorkload(workload_id)
        return entry

    def _as_ended(self, entry: WorkloadEntry) -> Ended:
        workload_id = entry.workload.id
        history = self._histories.get(workload_id, ())
        # Later changes of an ended workload are not transitions, so its last transition is its end.
        since = history[-1].at if history else entry.changed_at
        return Ended(workload_id, since, entry_size(entry, history))


def _check_limit(limit: object) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise TypeError(f"expected an integer as limit, got {limit!r:.80}")
    if not 1 <= limit <= MAX_PAGE:
        message = f"expected a limit from 1 to {MAX_PAGE}, got {limit}"
        raise ValueError(message)


def _check_page(state: object, label: Any, after: object, limit: object) -> None:
    if not isinstance(state, WorkloadState | None):
        raise TypeError(f"expected a WorkloadState or None as state, got {state!r:.80}")
    if label is not None:
        is_pair = isinstance(label, tuple) and len(label) == 2
        if not (is_pair and all(isinstance(part, str) for part in label)):
            raise TypeError(f"expected a key and a value as label, got {label!r:.80}")
    if not isinstance(after, str):
        raise TypeError(f"expected a string as after, got {after!r:.80}")
    _check_limit(limit)
