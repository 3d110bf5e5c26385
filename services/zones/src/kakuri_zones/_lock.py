"""The lock of a node: one process at a time manages the zones with logs in a directory.

The directory itself is locked, so that it contains nothing but logs. The kernel releases the lock
when its process ends for whatever reason. Deleting or replacing the directory removes the lock
from its path, so every second the path is checked, and locked again if necessary.
"""

import asyncio
import fcntl
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from kakuri_daemon import open_private_directory

from kakuri_zones._errors import NodeLocked, NodeUnavailable

log = structlog.get_logger()

RENEW_SECONDS = 1.0
"""Seconds between two checks that the log directory is still the one that was locked."""


class NodeLock:
    """The exclusive lock of a log directory, which is created if it is missing.

    Raises:
        NodeLocked: Another process holds the lock.
        NodeUnavailable: The directory belongs to another user, others may write to it, or it can't
            be created, opened or locked.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # A renewal runs on another thread. It does not hold the mutex while it uses the disk, which
        # may hang.
        self._mutex = threading.Lock()
        self._descriptor: int | None = _locked(directory)

    def renew(self) -> bool:
        """Lock the directory again if it was deleted or replaced.

        Returns:
            Whether the directory had been deleted or replaced, and is locked again. A missing
            directory is created.

        Raises:
            NodeLocked: Another process has locked the new one.
            NodeUnavailable: The new one can't be used.
        """
        held = self._descriptor
        if held is None or _has_name(held, self._directory):
            return False
        descriptor = _locked(self._directory)
        with self._mutex:
            if self._descriptor is None:  # closed meanwhile
                os.close(descriptor)
                return False
            os.close(self._descriptor)
            self._descriptor = descriptor
        return True

    def close(self) -> None:
        """Release the lock."""
        with self._mutex:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None


async def keep_locked(renew: Callable[[], Awaitable[bool]]) -> None:
    """Renew a lock every second until cancelled, and log what happens to its directory."""
    problem: str | None = None
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            if await renew():
                log.warning("log directory locked again", reason="it was deleted or replaced")
            problem = None
        except NodeUnavailable as error:
            if str(error) != problem:
                log.error("log directory no longer locked", error=str(error))  # noqa: TRY400 (without a traceback)
            problem = str(error)


def _has_name(descriptor: int, directory: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), directory.stat())
    except OSError:  # opening it reports the reason
        return False


def _locked(directory: Path) -> int:
    try:
        descriptor = open_private_directory(directory)
    except OSError as error:
        raise NodeUnavailable(f"can't keep logs in {directory}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise NodeLocked(directory) from error
        raise NodeUnavailable(f"can't lock {directory}: {error.strerror}") from error
    return descriptor
