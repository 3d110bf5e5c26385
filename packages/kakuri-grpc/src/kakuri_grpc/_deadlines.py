"""Ends calls at their deadlines, with a single timer for all of them."""

import asyncio
import math
from typing import Protocol

_SCAN_COST = 1e-5
"""Minimum seconds between two scans, per open call, so that scans take a few percent of the time at
most, even if thousands of calls expire one after another."""


class Timed(Protocol):
    """A call with a deadline, by the clock of the event loop."""

    deadline: float

    def expire(self) -> None:
        """End the call."""


class Deadlines:
    """The deadlines of the calls of one connection.

    A call costs an insertion into a set and a comparison, because the timer is only reset for an
    earlier deadline. When it fires, all open calls are scanned. With thousands of open calls,
    deadlines may be some hundredths of a second late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: set[Timed] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = math.inf
        self._scans_from = 0.0  # when the next scan may begin

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Timed) -> None:
        """Expire a call at its deadline, unless it is discarded before."""
        self._calls.add(call)
        when = max(call.deadline, self._scans_from)
        if when < self._fires_at:
            self._set_timer(when)

    def discard(self, call: Timed) -> None:
        """Remove a call that has ended."""
        self._calls.discard(call)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._fires_at = None, math.inf

    def _set_timer(self, when: float) -> None:
        self.close()
        self._fires_at = when
        self._timer = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer, self._fires_at = None, math.inf
        now = self._loop.time()
        late = [call for call in self._calls if call.deadline <= now]
        for call in late:
            self._calls.discard(call)
            call.expire()
        self._scans_from = now + _SCAN_COST * len(self._calls)
        if self._calls:
            next_deadline = min(call.deadline for call in self._calls)
            self._set_timer(max(next_deadline, self._scans_from))
