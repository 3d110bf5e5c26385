"""Tombstones: how removed workloads ended and what was removed, kept for a limited time."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from kakuri_workload import History, Removal, WorkloadState

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._sizes import entry_size

MAX_TOMBSTONES = 1000
"""Maximum number of tombstones; the oldest are dropped first."""

MAX_TOMBSTONE_BYTES = 64 << 20
"""Maximum total size of tombstones with their logs, in bytes; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A record of a removed workload; a store also keeps the end of its log.

    Attributes:
        entry: Its last snapshot.
        history: Its transitions, without the registration.
        version: The registry's version after its removal.
        removed_at: When it was removed, in seconds since the epoch.
        removal: What was removed, and how the removal was verified.
        log_size: Size in bytes of the stored end of its log.
    """

    entry: WorkloadEntry
    history: History
    version: int
    removed_at: float
    removal: Removal
    log_size: int = 0

    @property
    def size(self) -> int:
        """Size in bytes, including the end of the log."""
        return entry_size(self.entry, self.history) + self.log_size


class NewTombstone(NamedTuple):
    """A tombstone to store.

    Attributes:
        tombstone: The tombstone.
        log: The end of the workload's log.
        oldest: The version of the oldest tombstone to keep; a store deletes older ones.
    """

    tombstone: Tombstone
    log: bytes
    oldest: int


class Tombstones:
    """The latest tombstone of each id, within the limits."""

    def __init__(self, tombstones: Iterable[Tombstone] = ()) -> None:
        self._tombstones: dict[str, Tombstone] = {}  # in the order of their removals
        self._bytes = 0
        for each in sorted(tombstones, key=lambda each: each.version):
            self.add(each)

    def __len__(self) -> int:
        return len(self._tombstones)

    @property
    def oldest(self) -> int | None:
        """The version of the oldest tombstone; None if there is none."""
        first = next(iter(self._tombstones.values()), None)
        return None if first is None else first.version

    def add(self, tombstone: Tombstone) -> None:
        """Add or replace the tombstone of an id, and drop the oldest ones above the limits."""
        workload_id = tombstone.entry.workload.id
        self._drop(workload_id)
        self._tombstones[workload_id] = tombstone
        self._bytes += tombstone.size
        while len(self._tombstones) > MAX_TOMBSTONES or self._bytes > MAX_TOMBSTONE_BYTES:
            self._drop(next(iter(self._tombstones)))

    def get(self, workload_id: str) -> Tombstone | None:
        """Return the latest tombstone with an id."""
        return self._tombstones.get(workload_id)

    def drop_removed_before(self, time: float) -> bool:
        """Drop tombstones of workloads removed before a time; return whether there were any."""
        old = [name for name, each in self._tombstones.items() if each.removed_at < time]
        for workload_id in old:
            self._drop(workload_id)
        return bool(old)

    def page(
        self,
        *,
        state: WorkloadState | None,
        label: tuple[str, str] | None,
        after: str,
        limit: int,
    ) -> list[Tombstone]:
        """Return a page in the order of the ids; see `WorkloadRegistry.page`."""
        found = (
            each
            for workload_id, each in sorted(self._tombstones.items())
            if workload_id > after
            and state in (None, each.entry.state)
            and (label is None or each.entry.workload.labels.get(label[0]) == label[1])
        )
        return list(islice(found, limit))

    def _drop(self, workload_id: str) -> None:
        dropped = self._tombstones.pop(workload_id, None)
        if dropped is not None:
            self._bytes -= dropped.size
