"""Disk space that is reserved for stopping and removing workloads while the disk is full."""

import errno
import os
from pathlib import Path

from kakuri_registry._directory import open_file
from kakuri_registry._errors import StoreFull
from kakuri_registry._sqlite_errors import translate_os_error

_FULL = (errno.ENOSPC, errno.EDQUOT)


class SpaceReserve:
    """A file next to the database that reserves disk space for when the disk is full.

    New workloads are only accepted while the file exists and at least its size is free as well.
    When other programs have filled the disk, the file is deleted to make room for the write-ahead
    log, which is short by then.

    Args:
        path: The file.
        size: Its size in bytes; 0 for no reserve.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._directory = str(path.parent)  # for statvfs, which is called at every write
        self._size = size
        self._exists = path.exists() and path.stat().st_blocks * 512 >= size

    @property
    def is_allocated(self) -> bool | None:
        """Whether the space is reserved; None if the size is 0, so that there is no reserve."""
        return self._exists if self._size else None

    @property
    def is_released(self) -> bool:
        """Whether the space was returned to the file system or never allocated."""
        return self.is_allocated is False

    def ensure_room(self) -> None:
        """Allocate the reserve if it is missing; raise an error if there is no room.

        Raises:
            StoreFull: There is no room.
            StoreFailed: The file system can't be queried, or fails for another reason.
        """
        if not self.try_ensure_room():
            raise StoreFull("the disk is full: no room is left for new workloads")

    def try_ensure_room(self) -> bool:
        """Allocate the reserve if it is missing; return whether there is room for new workloads.

        Raises:
            StoreFailed: The file system can't be queried, or fails for a reason other than space.
        """
        if self._size == 0:
            return True
        try:
            system = os.statvfs(self._directory)
            free = system.f_bavail * system.f_frsize
            if self._exists:
                return free >= self._size
            return free >= 2 * self._size and self._allocate()
        except OSError as error:
            what = f"can't reserve space in {str(self._path)!r}"
            raise translate_os_error(error, what) from error

    def notice_deletion(self) -> None:
        """Check whether the file was deleted, as an operator may do to make room."""
        self._exists = self._exists and self._path.exists()

    def release(self) -> None:
        """Return the space to the file system."""
        self._exists = False
        self._path.unlink(missing_ok=True)

    def _allocate(self) -> bool:
        try:
            descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return False  # no inode is left
        try:
            # Write blocks, because a sparse file reserves nothing.
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as error:
            self._path.unlink()
            if error.errno not in _FULL:
                raise
            return False  # another process took the space, or a quota is exceeded
        finally:
            os.close(descriptor)
        self._exists = True
        return True
