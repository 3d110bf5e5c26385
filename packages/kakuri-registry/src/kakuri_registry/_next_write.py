"""Schedules the writes of a backlog."""

import asyncio
from collections.abc import Callable

from kakuri_registry._backlog import Backlog

GATHER_SECONDS = 0.001
"""Maximum delay of a write that far fewer callers await than the writes before it.

Clients that waited for the same write send their next requests at about the same time. If the first
of these requests began a write alone, the others would have to wait for two writes. And a write
costs as much as five registrations in it.
"""


class NextWrite:
    """Schedules the next write.

    Args:
        backlog: The changes to write.
        begin: Called to begin the write, even if another one has begun in the meantime.
    """

    def __init__(self, backlog: Backlog, begin: Callable[[], None]) -> None:
        self._backlog = backlog
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        self._is_gathering = False

    def schedule(self) -> None:
        """Begin a write at the end of this turn of the event loop, with all changes of the turn.

        If far fewer callers await it than the writes before, it is delayed by up to
        `GATHER_SECONDS`. Has no effect during a write.
        """
        if self._backlog.writing or (self._handle is not None and not self._is_gathering):
            return
        expects_more = self._backlog.expects_more()
        if self._handle is not None:
            if expects_more:
                return
            self._handle.cancel()
        self._is_gathering = expects_more
        if expects_more:
            self._handle = self._loop.call_later(GATHER_SECONDS, self._run)
        else:
            self._handle = self._loop.call_soon(self._run)

    def start(self) -> None:
        """If a change is urgent, begin a write now, or schedule it if more callers are expected."""
        if self._backlog.expects_more():
            self.schedule()
        elif self._backlog.is_urgent:
            self._begin()

    def cancel(self) -> None:
        """Cancel the scheduled write."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None

    def _run(self) -> None:
        self._handle = None
        self._begin()
