"""The lock of a node: one process at a time manages the zones with logs in a folder.

The kernel releases the lock when its process ends, however that ends. The file stays: removing it
would let a process lock a file that has no name any more.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kakuri_registry import open_private_folder

from kakuri_zones._errors import NodeLocked, NodeUnavailable

LOCK_NAME = ".node.lock"
"""Not a valid id of a zone, so no zone's folder has this name."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def node_lock(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of a log folder, which is created if it is missing.

    Raises:
        NodeLocked: another process holds the lock.
        NodeUnavailable: the folder belongs to another user, others may write to it, or it can't
            be created or opened.

    """
    descriptor = _open(folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeLocked(folder) from error
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    try:
        above = open_private_folder(folder)
        try:
            descriptor = os.open(LOCK_NAME, _FLAGS, 0o600, dir_fd=above)
        finally:
            os.close(above)
    except OSError as error:
        raise NodeUnavailable(f"can't keep logs in {folder}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NodeUnavailable(f"can't keep logs in {folder}: {LOCK_NAME} is not a regular file")
    return descriptor
