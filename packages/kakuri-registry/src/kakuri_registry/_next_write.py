"""When the next write of a backlog begins, and whether the event loop waits for its end.

A disk with a battery or flash memory syncs in a tenth of a millisecond. A write then takes longest
to get the interpreter's lock from a busy event loop, so the loop waits for its end. On a slower
disk, it continues; and a write that far fewer callers await than those before it is delayed.
"""

import asyncio
from collections.abc import Callable

from kakuri_registry._backlog import Backlog

AWAIT_SECONDS = 0.0005
"""Longest time for which the event loop waits for a write: five times what a fast disk takes."""

MAX_AWAITED_CHANGES = 64
"""Most changes in a write that the event loop waits for; more take longer."""

MAX_SLOW_WRITES = 64
"""Most writes in a row that the event loop does not wait for. It is one after a write that took
longer, and doubles with each further one, so that a slow disk costs the loop 8 µs a write."""

GATHER_SECONDS = 0.001
"""Longest delay, on a slow disk, of a write that far fewer callers await than those before it.

Many clients that waited for one write send their next requests together. If the first of these
began a write alone, the others would wait for two writes; and a write costs as much as five
registrations in it.
"""


class NextWrite:
    """Schedules the next write.

    Args:
        backlog: The changes to write.
        begin: Called to begin the write, even if another one has begun in the meantime, with the
            seconds to wait for its end; returns whether it has ended.
    """

    def __init__(self, backlog: Backlog, begin: Callable[[float], bool]) -> None:
        self._backlog = backlog
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        self._is_gathering = False
        self._slow_writes = 0  # to begin without waiting for them
        self._next_slow_writes = 1  # after the next one that takes longer

    def schedule(self) -> None:
        """Begin a write at the end of this turn of the event loop, with all changes made in it.

        On a slow disk, it is delayed by up to `GATHER_SECONDS` if far fewer callers await it than
        those before. Has no effect during a write.
        """
        if self._backlog.writing or (self._handle is not None and not self._is_gathering):
            return
        expects_more = self._expects_more()
        if self._handle is not None:
            if expects_more:
                return
            self._handle.cancel()
        self._is_gathering = expects_more
        if expects_more:
            self._handle = self._loop.call_later(GATHER_SECONDS, self._run)
        else:
            self._handle = self._loop.call_soon(self._run)

    def start(self, *, has_callers: bool) -> None:
        """Write at once if a change is urgent; first wait for more callers as `schedule` does.

        Args:
            has_callers: Whether callers of the last write are still to be notified, so that the
                event loop can't wait for the end of this one.
        """
        if not self._backlog.is_urgent:
            return
        if self._expects_more() or not has_callers:
            self.schedule()
        else:
            self._begin_without_waiting()

    def cancel(self) -> None:
        """Cancel the scheduled write."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None

    def _expects_more(self) -> bool:
        return self._slow_writes > 0 and self._backlog.expects_more()

    def _run(self) -> None:
        self._handle = None
        if self._slow_writes or self._backlog.is_batch_due:  # for which no caller waits
            self._begin_without_waiting()
        elif self._begin(AWAIT_SECONDS):
            self._next_slow_writes = 1
        else:
            self._slow_writes = self._next_slow_writes
            self._next_slow_writes = min(2 * self._next_slow_writes, MAX_SLOW_WRITES)

    def _begin_without_waiting(self) -> None:
        self._slow_writes = max(0, self._slow_writes - 1)
        self._begin(0.0)
