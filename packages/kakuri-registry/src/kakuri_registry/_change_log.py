"""What changed in a registry, one change after the other."""

from collections import deque
from typing import NamedTuple

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import Compacted
from kakuri_registry._history import History

MAX_CHANGES = 4096
"""The changes that a registry remembers; a reader further behind than that has to list again."""


class Change(NamedTuple):
    """One change of a registry: a workload's new snapshot, or that it was removed.

    `version` is the registry's after the change. `history` is what came after the registration,
    and `is_new` tells that this change is the registration.
    """

    workload_id: str
    version: int
    entry: WorkloadEntry | None
    history: History = ()
    is_new: bool = False


class ChangedWorkload(NamedTuple):
    """A workload that was registered, changed or removed, and the registry's version after that.

    The registry has its present snapshot, or none once it is removed: the feed holds no
    specification, so that what is removed does not stay in memory.
    """

    workload_id: str
    version: int


class ChangeLog:
    """The latest changes; their versions follow on each other without a gap."""

    def __init__(self, version: int, *, size: int = MAX_CHANGES) -> None:
        self._changes: deque[ChangedWorkload] = deque(maxlen=size)
        self._version = version

    def append(self, change: Change) -> None:
        """Add the next change."""
        self._changes.append(ChangedWorkload(change.workload_id, change.version))
        self._version = change.version

    def after(self, version: int, limit: int) -> list[ChangedWorkload]:
        """Return the changes after a version, the oldest first.

        Raises Compacted if they are not all remembered, or if that version is yet to come.
        """
        oldest = self._version - len(self._changes)
        if not oldest <= version <= self._version:
            raise Compacted(version, oldest, self._version)
        begin = version - oldest
        end = min(begin + limit, len(self._changes))
        return [self._changes[number] for number in range(begin, end)]
