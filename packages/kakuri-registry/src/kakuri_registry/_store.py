"""Where a registry is kept: the protocol of a store, and the one that keeps nothing for good."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from kakuri_registry._change_log import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._history import History

Failpoint: TypeAlias = Callable[[str], None]
"""Is called with the name of each failpoint: a place in the code at which a test may end the
process, or raise an exception."""


def no_failpoint(_name: str) -> None:
    """Do nothing at a failpoint."""


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """Something that was found wrong with a store when it was opened or loaded.

    `workload_id` is the id of a workload that could not be loaded, as far as it is known.
    """

    message: str
    workload_id: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store held: snapshots with their histories, and the version to go on from.

    A history is what came after the registration; one that is not in `histories` is empty.
    """

    entries: Sequence[WorkloadEntry] = ()
    histories: Mapping[str, History] = field(default_factory=dict)
    version: int = 0
    problems: Sequence[StoreProblem] = ()


class Store(Protocol):
    """Keeps the workloads of one registry. Its calls block; one thread calls at a time."""

    @property
    def is_nonblocking(self) -> bool:
        """Whether writing never waits, so that it can be done on an event loop."""

    def load(self) -> Loaded:
        """Give everything that is kept. Raises StoreError."""

    def write(self, changes: Sequence[Change]) -> None:
        """Keep some changes, at most one of each workload.

        If it raises, it has kept none of those that register a workload; of others perhaps some.
        Returns when they will survive whatever happens to the process or the machine.
        Raises StoreFull if there is no room and StoreFailed for what else can go wrong.
        """

    def tidy(self) -> bool:
        """Free some of the space that removed workloads took, in a few milliseconds.

        Returns whether there is more to do. Raises StoreError.
        """

    def close(self) -> None:
        """Let go of everything; closing twice is no error."""


class MemoryStore:
    """Keeps workloads as long as the process lives: nothing survives it."""

    is_nonblocking = True

    def __init__(self) -> None:
        self._kept: dict[str, Change] = {}
        self._version = 0

    def load(self) -> Loaded:
        """Give everything that was written."""
        kept = self._kept.values()
        return Loaded(
            [change.entry for change in kept if change.entry is not None],
            {change.workload_id: change.history for change in kept if change.history},
            self._version,
        )

    def write(self, changes: Sequence[Change]) -> None:
        """Keep some changes."""
        for change in changes:
            if change.entry is None:
                self._kept.pop(change.workload_id, None)
            else:
                self._kept[change.workload_id] = change
            self._version = max(self._version, change.version)

    def tidy(self) -> bool:
        """Do nothing: Python gives memory back by itself."""
        return False

    def close(self) -> None:
        """Do nothing: another load still gives everything."""
