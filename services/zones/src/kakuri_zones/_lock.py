"""The lock of a node: one process at a time manages the zones with logs in a directory.

The directory itself is locked, so that it contains nothing but logs. The kernel releases the lock
when its process ends for whatever reason.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kakuri_daemon import open_private_directory

from kakuri_zones._errors import NodeLocked, NodeUnavailable


@contextmanager
def node_lock(directory: Path) -> Iterator[None]:
    """Hold the exclusive lock of a log directory, which is created if it is missing.

    Raises:
        NodeLocked: Another process holds the lock.
        NodeUnavailable: The directory belongs to another user, others may write to it, or it can't
            be created or opened.
    """
    try:
        descriptor = open_private_directory(directory)
    except OSError as error:
        raise NodeUnavailable(f"can't keep logs in {directory}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeLocked(directory) from error
        yield
    finally:
        os.close(descriptor)
