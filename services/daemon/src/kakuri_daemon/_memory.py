"""When a daemon's garbage collector runs: by time and by growth of memory.

Python's collector counts objects. A registry is a heap of objects that stay and form no cycles, so
each full collection of it finds nothing and stops every request for a tenth of a second. Few
objects, on the other hand, may hold much: an exception, its traceback and its frames are a cycle
that may keep an answer of sixteen megabytes. So here the collector runs once a second over what is
young, and over everything when the process has grown.
"""

import asyncio
import ctypes
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

YOUNG_THRESHOLD = 50_000
"""Objects made until the young ones are collected within a turn of the loop: a bound for a loop
that is busy for longer than a second."""

NEVER = 1_000_000
"""How many collections of the younger generations come before Python's own full one."""

COLLECT_SECONDS = 1.0
"""How often young objects are collected: what requests leave behind in cycles lives no longer."""

GROWTH_BYTES = 8 << 20
"""Growth of the process after which everything is collected: the most that cycles may hold, and a
full collection of what so little can hold takes 10 to 20 ms."""

FREEZE_SECONDS = 0.015
"""A full collection that takes longer has found a heap that stays: it is not looked at again."""

THAW_BYTES = 512 << 20
"""From this size on, frozen objects are looked at again whenever the process has doubled: some of
them may have become cycles. Below, that would be a pause for nothing."""

TRIM_BYTES = 16 << 20
"""Growth of the process since its start from which on the C library is asked again and again to
return what it keeps free: it does not say how much of that the machine has back already."""

TRIM_CHECKS = 30
"""Checks between two requests for that: one takes 10 to 20 ms if it returns 150 MB, 3 ms if nothing
is to be returned."""


class Collector:
    """Runs the garbage collector of a process, on its event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        memory: Callable[[], int] | None = None,
        timer: Callable[[], float] = time.thread_time,
        trim: Callable[[], None] | None = None,
    ) -> None:
        """Create a collector.

        Args:
            loop: the event loop to run on.
            memory: returns the size of the process in bytes.
            timer: returns processor seconds.
            trim: returns free memory of the process to the machine.
        """
        self._loop = loop
        self._memory = memory or resident_bytes
        self._clock = timer
        self._trim = trim or _trimmer()
        self._smallest = self._memory()  # since the last full collection
        self._first = self._smallest
        self._checks = 0  # since memory was last returned
        self._thaws_at = THAW_BYTES
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to collect."""
        self._timer = self._loop.call_later(COLLECT_SECONDS, self._run)

    def close(self) -> None:
        """Collect no more."""
        if self._timer is not None:
            self._timer.cancel()

    def check(self) -> None:
        """Collect what is young, and everything if the process has grown; return free memory.

        The C library keeps what was freed at the end of a flood of large requests: a process that
        took 45 MB before has 94 MB afterwards, and 45 MB again once it was asked.
        """
        gc.collect(1)
        size = self._memory()
        self._checks += 1
        if size - self._first >= TRIM_BYTES and self._checks >= TRIM_CHECKS:
            self._trim()
            size = self._memory()
            self._checks = 0
        self._smallest = min(self._smallest, size)
        if size - self._smallest < GROWTH_BYTES:
            return
        if size >= self._thaws_at:
            gc.unfreeze()
        began = self._clock()
        gc.collect()
        if self._clock() - began > FREEZE_SECONDS:
            gc.freeze()
        self._smallest = self._memory()
        self._thaws_at = max(THAW_BYTES, 2 * self._smallest if size >= self._thaws_at else 0)

    def _run(self) -> None:
        try:
            self.check()
        finally:
            self.start()


def prepare() -> None:
    """Exclude the objects that the start of the process created from every collection.

    Full collections are the Collector's; Python's own would come at a moment of its choice.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_THRESHOLD, 20, NEVER)


def resident_bytes() -> int:
    """Return what the process takes of the machine's memory (proc_pid_statm(5), resident)."""
    with Path("/proc/self/statm").open("rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def _trimmer() -> Callable[[], None]:
    """Return a function that calls malloc_trim(3), or one that does nothing where there is none."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library than glibc
        return lambda: None
    return lambda: malloc_trim(0)
