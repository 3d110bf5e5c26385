"""The latest changes of a registry, so that readers can follow it without listing it again."""

from collections import deque
from typing import NamedTuple

from kakuri_workload import History

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._errors import Compacted

MAX_CHANGES = 4096
"""The number of changes that a registry keeps; a reader that needs an earlier one lists again."""


class Change(NamedTuple):
    """One change of a registry: a workload's new snapshot, or its removal.

    Attributes:
        workload_id: The workload.
        version: The registry's version after the change.
        entry: The workload's snapshot after the change; None if it was removed.
        history: Its transitions since its registration.
        is_registration: Whether the change is the registration.
    """

    workload_id: str
    version: int
    entry: WorkloadEntry | None
    history: History = ()
    is_registration: bool = False


class ChangedWorkload(NamedTuple):
    """A workload that was registered, changed or removed.

    It has no snapshot, so that removed workloads do not stay in memory; the registry has the
    current one.

    Attributes:
        workload_id: The workload.
        version: The registry's version after the change.
    """

    workload_id: str
    version: int


class ChangeLog:
    """The latest changes, with consecutive versions.

    Args:
        version: The registry's version before the first change.
        size: The number of changes to keep.
    """

    def __init__(self, version: int, *, size: int = MAX_CHANGES) -> None:
        self._changes: deque[ChangedWorkload] = deque(maxlen=size)
        self._version = version

    def append(self, change: Change) -> None:
        """Add the next change."""
        self._changes.append(ChangedWorkload(change.workload_id, change.version))
        self._version = change.version

    def after(self, version: int, limit: int) -> list[ChangedWorkload]:
        """Return at most `limit` changes after a version, oldest first.

        Raises:
            Compacted: Some of them are no longer kept, or the version is in the future.
        """
        oldest = self._version - len(self._changes)
        if not oldest <= version <= self._version:
            raise Compacted(version, oldest, self._version)
        begin = version - oldest
        end = min(begin + limit, len(self._changes))
        return [self._changes[index] for index in range(begin, end)]
