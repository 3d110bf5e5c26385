"""The interface of stores, and two stores that do not outlive the process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol, TypeAlias

from kakuri_workload import History

from kakuri_registry._change import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._events import RegistryEvent
from kakuri_registry._tombstones import NewTombstone, Tombstone

VERSION_GAP = 1 << 20
"""Gap between the versions of a run and those of the run before, so that no version is reused.

Readers may have seen versions that were never written to the disk.
"""

Failpoint: TypeAlias = Callable[[str], None]
"""Called with the name of each failpoint, a place at which a test may kill the process or raise."""


def no_failpoint(_name: str) -> None:
    """Do nothing at a failpoint."""


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """A problem found while opening, loading or checking a store.

    Attributes:
        message: What is wrong.
        workload_id: The workload that can't be loaded; None for other problems.
        is_damage: Whether stored data may be lost or changed. False for traces of an ordinary crash
            or a full disk, and for damage in the last transaction of the log, which looks like an
            incomplete one.
    """

    message: str
    workload_id: str | None = None
    is_damage: bool = True


@dataclass(frozen=True, slots=True)
class Loaded:
    """The contents of a store.

    Attributes:
        entries: The snapshot of each workload.
        histories: Transitions since the registration, by workload id; empty ones are left out.
        version: The registry's version to continue from.
        problems: The problems found while loading.
        events: The stored events, in order.
        compacted: The index up to which events are not stored.
        tombstones: The tombstones of removed workloads.
        store_id: The random id of the store, by which readers of events notice that another store,
            such as a restored backup, has replaced it; None if it has no id.
    """

    entries: Sequence[WorkloadEntry] = ()
    histories: Mapping[str, History] = field(default_factory=dict)
    version: int = 0
    problems: Sequence[StoreProblem] = ()
    events: Sequence[RegistryEvent] = ()
    compacted: int = 0
    tombstones: Sequence[Tombstone] = ()
    store_id: str | None = None


class Store(Protocol):
    """Stores the workloads of one registry.

    A store needs every property and method below. Methods block. Only one thread may call them at a
    time, except that `close` may be called during a `write`. Any other exception of a store counts
    as a StoreFailed.
    """

    @property
    def is_nonblocking(self) -> bool:
        """Whether `write` never blocks, so that it can be called on an event loop."""

    @property
    def keeps_workloads(self) -> bool:
        """Whether `write` stores workloads and not only removals; only used if `is_nonblocking`."""

    @property
    def has_reserve(self) -> bool | None:
        """Whether space is reserved for when the disk is full; None if the store has no reserve."""

    def load(self) -> Loaded:
        """Return everything in the store.

        Problems with single workloads do not raise; `Loaded.problems` lists them.

        Raises:
            StoreError: The store can't be read.
        """

    def write(self, changes: Sequence[Change]) -> None:
        """Store changes durably.

        When this returns, the changes survive a crash of the process or the machine. If it raises,
        no registration among them is stored, but other changes may be.

        Args:
            changes: At most one change for each workload.

        Raises:
            StoreFull: There is no room.
            StoreFailed: The store can't be written for another reason.
        """

    def check_room(self) -> None:
        """Check that the store would accept a new workload now.

        Raises:
            StoreFull: There is no room for new workloads.
            StoreFailed: The store accepts no changes at all.
        """

    def compact(self, index: int) -> None:
        """Delete all events up to an index.

        Raises:
            StoreError: The store can't be written.
        """

    def drop_tombstones(self, oldest: int) -> None:
        """Delete tombstones older than the oldest one to keep, which has this version.

        Raises:
            StoreError: The store can't be written.
        """

    def removed_log(self, version: int) -> bytes | None:
        """Return the end of the log of the tombstone with this version; None if there is none.

        Raises:
            StoreError: The store can't be read.
        """

    def tidy(self) -> bool:
        """Free some of the space of removed workloads; takes a few milliseconds.

        Returns:
            Whether there is more to free.

        Raises:
            StoreError: The store can't be written.
        """

    def close(self) -> None:
        """Close the store. Closing again has no effect."""


def check_store_members(store: object) -> None:
    """Raise TypeError unless a store has every property and method of `Store`."""
    members = [name for name in vars(Store) if not name.startswith("_")]
    if missing := [name for name in members if not hasattr(store, name)]:
        raise TypeError(
            f"expected a Store, got a {type(store).__name__} without {', '.join(missing)}"
        )


class EphemeralStore:
    """A store for a registry that ends with the process.

    It only stores removals, with the logs of the removed workloads, because the registry has
    everything else in memory.
    """

    is_nonblocking = True
    keeps_workloads = False
    has_reserve = None

    def __init__(self, *, version: int = 0, store_id: str | None = None) -> None:
        """Create an empty store.

        Args:
            version: The version that the registry begins with. Pass a larger one for each process,
                so that versions are not reused.
            store_id: The id of the store; see `Loaded`.
        """
        self._tombstones: dict[str, NewTombstone] = {}
        self._version = version
        self._store_id = store_id

    def load(self) -> Loaded:
        """Return the version and the id of the store; it has no workloads."""
        return Loaded(version=self._version, compacted=self._version, store_id=self._store_id)

    def write(self, changes: Sequence[Change]) -> None:
        """Store the removals, with the logs of the removed workloads."""
        for change in changes:
            if change.tombstone is not None:
                self._tombstones[change.workload_id] = change.tombstone
                self.drop_tombstones(change.tombstone.oldest)

    def check_room(self) -> None:
        """Do nothing: the registry itself limits the number of workloads."""

    def compact(self, index: int) -> None:
        """Do nothing: events are not stored."""

    def drop_tombstones(self, oldest: int) -> None:
        """Delete tombstones older than the oldest one to keep, which has this version."""
        for workload_id, each in list(self._tombstones.items()):
            if each.tombstone.version < oldest:
                del self._tombstones[workload_id]

    def removed_log(self, version: int) -> bytes | None:
        """Return the end of the log of the tombstone with this version."""
        for each in self._tombstones.values():
            if each.tombstone.version == version:
                return each.log
        return None

    def tidy(self) -> bool:
        """Return False: Python frees memory by itself."""
        return False

    def close(self) -> None:
        """Do nothing."""


class MemoryStore(EphemeralStore):
    """A store in memory that keeps everything written to it, for tests."""

    keeps_workloads = True

    def __init__(self, *, version: int = 0, store_id: str | None = None) -> None:
        """Create an empty store. The arguments are those of `EphemeralStore`."""
        super().__init__(version=version, store_id=store_id)
        self._saved: dict[str, tuple[WorkloadEntry, History]] = {}
        self._events: dict[int, RegistryEvent] = {}
        self._compacted = version

    def load(self) -> Loaded:
        """Return everything that was written."""
        return Loaded(
            [entry for entry, _ in self._saved.values()],
            {each: history for each, (_, history) in self._saved.items() if history},
            self._version,
            events=[self._events[each] for each in sorted(self._events) if each > self._compacted],
            compacted=self._compacted,
            tombstones=[each.tombstone for each in self._tombstones.values()],
            store_id=self._store_id,
        )

    def write(self, changes: Sequence[Change]) -> None:
        """Store some changes."""
        super().write(changes)
        for change in changes:
            if change.entry is None:
                self._saved.pop(change.workload_id, None)
            else:
                self._saved[change.workload_id] = (change.entry, change.history)
            self._version = max(self._version, change.version)
            for event in change.events:
                self._events[event.index] = event

    def compact(self, index: int) -> None:
        """Delete all events up to an index."""
        self._compacted = index
        # They are written in the order of their indexes, so the ones to keep are not visited.
        for each in list(takewhile(lambda each: each <= index, self._events)):
            del self._events[each]
