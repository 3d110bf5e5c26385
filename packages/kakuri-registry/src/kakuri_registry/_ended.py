"""The workloads that have ended, with their size in bytes and the time of their end."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Ended(NamedTuple):
    """A workload that has ended.

    Attributes:
        workload_id: The workload.
        since: When it ended.
        size: Its size in bytes.
    """

    workload_id: str
    since: float
    size: int


class EndedWorkloads:
    """The workloads that have ended, in the order of their ends, and their total size.

    Attributes:
        kept_bytes: Total size of those that are not being removed.
        removing_bytes: Total size of those that are being removed.
    """

    def __init__(self, kept: Iterable[Ended] = (), removing: Iterable[Ended] = ()) -> None:
        self._kept = {each.workload_id: each for each in sorted(kept, key=_age)}
        self._removing = {each.workload_id: each.size for each in removing}
        self.kept_bytes = sum(each.size for each in self._kept.values())
        self.removing_bytes = sum(self._removing.values())

    def add(self, ended: Ended, *, is_removing: bool) -> None:
        """Add a workload that has just ended."""
        if is_removing:
            self._removing[ended.workload_id] = ended.size
            self.removing_bytes += ended.size
        else:
            self._kept[ended.workload_id] = ended
            self.kept_bytes += ended.size

    def set_removing(self, workload_id: str) -> None:
        """Count a workload as being removed, if it has ended."""
        ended = self._kept.pop(workload_id, None)
        if ended is not None:
            self.kept_bytes -= ended.size
            self._removing[workload_id] = ended.size
            self.removing_bytes += ended.size

    def discard(self, workload_id: str) -> None:
        """Remove a workload; has no effect if it has not ended."""
        ended = self._kept.pop(workload_id, None)
        if ended is not None:
            self.kept_bytes -= ended.size
        self.removing_bytes -= self._removing.pop(workload_id, 0)

    def __iter__(self) -> Iterator[Ended]:
        """Iterate over those that are not being removed, in the order of their ends."""
        return iter(self._kept.values())


def _age(ended: Ended) -> tuple[float, str]:
    return ended.since, ended.workload_id
