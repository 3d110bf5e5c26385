"""How much zones have written to their logs, and how much of it was removed to stay in the limits.

The sizes of files are compared at checks that happen anyway: when a log is prepared, checked for
rotation, measured after its zone has ended, and removed.
"""

from collections.abc import Iterable

from kakuri_zones.logs._cursor import Segment
from kakuri_zones.logs._files import LogFile


class LogVolume:
    """Counts bytes of logs. Only the store's thread calls its methods; others may read the counts.

    Attributes:
        written: Bytes written since this process began, as of the last checks.
        lost: Bytes of files that were removed although their zone was not.
    """

    def __init__(self) -> None:
        self.written = 0
        self.lost = 0
        self._sizes: dict[str, dict[Segment, int]] = {}

    def measure(self, zone: str, files: Iterable[LogFile]) -> None:
        """Count what was written since the last call; the first call counts nothing."""
        sizes = {file.segment: file.size for file in files}
        before = self._sizes.get(zone, sizes)
        self.written += sum(
            max(0, size - before.get(segment, 0)) for segment, size in sizes.items()
        )
        self._sizes[zone] = sizes

    def count_removed(self, files: Iterable[LogFile]) -> None:
        """Count files that were removed to stay in the limits."""
        self.lost += sum(file.size for file in files)

    def forget(self, zone: str) -> None:
        """Forget a zone, because its log is removed."""
        self._sizes.pop(zone, None)
