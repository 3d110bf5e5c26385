"""A schedule for the garbage collector: by time and by growth of the process.

Python's collector counts objects. A registry is a large heap of permanent objects without cycles:
each full collection finds nothing, and stops all requests for a tenth of a second. On the other
hand, few objects may hold much memory: an exception with its traceback and frames is a cycle that
may keep a response of 16 MB. So the collector runs over young objects once a second, and over all
objects when the process has grown. While a process creates many objects that stay, it collects
them a few at a time and freezes them: each is examined once, and each pause takes milliseconds.
"""

import asyncio
import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

YOUNG_THRESHOLD = 50_000
"""New objects after which young ones are collected at once: a bound for a loop that is busy for
longer than a second."""

NEVER = 1_000_000
"""Collections of younger generations before Python's own full one."""

NEW_OBJECTS = 20_000
"""New objects after which all objects are collected, most of which are frozen by then."""

GROWING_SECONDS = 0.05
"""Seconds between two counts of new objects while there are many."""

GROWING_OBJECTS = 1_000
"""If a count finds at least this many, the next one follows after GROWING_SECONDS. At 1,000 per
interval, there are NEW_OBJECTS after a second. A higher number would miss most growth, because the
count goes down whenever an older object is freed."""

COLLECT_SECONDS = 1.0
"""Seconds between collections of young objects: a bound for the lifetime of requests' cycles."""

GROWTH_BYTES = 8 << 20
"""Growth of the process after which all objects are collected: a bound for the memory of cycles. A
full collection of objects of that size takes 10 to 20 ms."""

FREEZE_SECONDS = 0.003
"""Seconds of a full collection above which the heap is frozen: its objects are permanent."""

THAW_BYTES = 512 << 20
"""Size of the process from which on frozen objects are collected whenever it has doubled, because
some may have become cycles. Below it, the pause would not be worth it."""

TRIM_BYTES = 16 << 20
"""Growth of the process since its start above which the C library is asked periodically to return
free memory: it does not report how much it has returned already."""

TRIM_CHECKS = 30
"""Checks between two such requests: one takes 10 to 20 ms if it returns 150 MB, and 3 ms if it
returns nothing."""


class Collector:
    """A periodic garbage collection on an event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        memory: Callable[[], int] | None = None,
        cpu_clock: Callable[[], float] = time.thread_time,
        trim: Callable[[], None] | None = None,
    ) -> None:
        """Create a collector.

        Args:
            loop: The event loop to run on.
            memory: Returns the size of the process in bytes.
            cpu_clock: Returns processor seconds.
            trim: Returns free memory of the process to the system.
        """
        self._loop = loop
        self._memory = memory or resident_bytes
        self._cpu_clock = cpu_clock
        self._trim = trim or _trim
        self._smallest = self._memory()  # since the last full collection
        self._size_at_start = self._smallest
        self._checks = 0  # since memory was last returned
        self._thaws_at = THAW_BYTES
        self._next_check = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start to collect periodically."""
        self._next_check = self._loop.time() + COLLECT_SECONDS
        self._timer = self._loop.call_later(COLLECT_SECONDS, self._run)

    def close(self) -> None:
        """Stop collecting."""
        if self._timer is not None:
            self._timer.cancel()

    def check(self) -> None:
        """Collect young objects, or all objects if the process has grown, and return free memory.

        The C library keeps memory that was freed after a flood of large requests: a process of
        45 MB has 94 MB afterwards, and 45 MB again after the library was asked to return it.
        """
        gc.collect(1)
        size = self._memory()
        self._checks += 1
        if size - self._size_at_start >= TRIM_BYTES and self._checks >= TRIM_CHECKS:
            self._trim()
            size = self._memory()
            self._checks = 0
        self._smallest = min(self._smallest, size)
        if size - self._smallest < GROWTH_BYTES:
            return
        if size >= self._thaws_at:
            gc.unfreeze()
        self._collect_all()
        self._smallest = self._memory()
        self._thaws_at = max(THAW_BYTES, 2 * self._smallest if size >= self._thaws_at else 0)

    def collect_new(self) -> bool:
        """Collect all objects if many are new; return whether there may soon be as many again."""
        young, passes, _ = gc.get_count()
        if passes == 0 and young < NEW_OBJECTS:
            return young >= GROWING_OBJECTS
        self._collect_all()
        return True

    def _collect_all(self) -> None:
        began = self._cpu_clock()
        gc.collect()
        if self._cpu_clock() - began > FREEZE_SECONDS:
            gc.freeze()

    def _run(self) -> None:
        now = self._loop.time()
        is_growing = False
        try:
            is_growing = self.collect_new()
            if now >= self._next_check:
                self._next_check = now + COLLECT_SECONDS
                with suppress(OSError):  # no descriptor is left to read the size
                    self.check()
        finally:
            seconds = GROWING_SECONDS if is_growing else COLLECT_SECONDS
            self._timer = self._loop.call_later(seconds, self._run)


def prepare() -> None:
    """Freeze the objects that exist at the start of the process, and disable full collections.

    Only the Collector runs full ones: Python's own could come at any moment.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_THRESHOLD, 20, NEVER)


def resident_bytes() -> int:
    """Return the resident memory of the process (proc_pid_statm(5))."""
    with Path("/proc/self/statm").open("rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def _trim() -> None:
    """Call malloc_trim(3), unless the C library lacks it."""
    import ctypes  # noqa: PLC0415 (few processes grow enough to need it)

    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
