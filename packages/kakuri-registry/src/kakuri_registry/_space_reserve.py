"""Room on the disk that is kept back for the day when there is no other."""

import errno
import os
from pathlib import Path

from kakuri_registry._folder import open_file


class SpaceReserve:
    """A file beside the store that takes up room, to be given back when the disk is full.

    New workloads are only taken while it is there and as much again is free: by the time that
    somebody else has filled the disk, the log is short and the reserve is enough for what it needs.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._folder = str(path.parent)  # it is asked for at every write
        self._size = size
        self._is_there = path.exists() and path.stat().st_blocks * 512 >= size

    @property
    def is_released(self) -> bool:
        """Whether there is to be a reserve and is none."""
        return self._size > 0 and not self._is_there

    def has_room(self) -> bool:
        """Tell whether there is room for new workloads; take back the reserve if there is again."""
        if not self._size:
            return True
        system = os.statvfs(self._folder)
        free = system.f_bavail * system.f_frsize
        if self._is_there:
            return free >= self._size
        return free >= 2 * self._size and self._make()

    def release(self) -> None:
        """Give the room back to the file system."""
        self._is_there = False
        self._path.unlink(missing_ok=True)

    def _make(self) -> bool:
        descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT)
        try:
            # Blocks, not a hole: a file that is only long keeps nothing back.
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as error:
            self._path.unlink()
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return False  # somebody was quicker, or may have no more
        finally:
            os.close(descriptor)
        self._is_there = True
        return True
