"""The limit of a start that waits until other starts have ended."""

import asyncio
from collections.abc import Callable

CHECK_SECONDS = 10.0
"""Seconds between two checks whether the runtime answers."""


class TurnLimit:
    """Suspends a limit until a start begins; only the time in which the runtime fails counts.

    Other starts may take long, and the wait for them must not fail a start. In a runtime that does
    not answer, they may never end.
    """

    __slots__ = ("_fault", "_left", "_limit", "_loop", "_timer")

    def __init__(self, limit: asyncio.Timeout, fault: Callable[[], str | None]) -> None:
        """Suspend a limit.

        Args:
            limit: The limit; it has a deadline.
            fault: Returns why the runtime can't be used at the moment; None if it can.
        """
        deadline = limit.when()
        assert deadline is not None  # every start has one
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._fault = fault
        self._left = deadline - self._loop.time()
        limit.reschedule(None)
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)

    def begin(self) -> None:
        """Continue the limit: the start begins."""
        self._timer.cancel()
        self._limit.reschedule(self._loop.time() + self._left)

    def close(self) -> None:
        """Check the runtime no more."""
        self._timer.cancel()

    def _check(self) -> None:
        if self._fault() is not None:
            self._left -= CHECK_SECONDS
        if self._left > 0:
            self._timer = self._loop.call_later(CHECK_SECONDS, self._check)
        else:
            self._limit.reschedule(self._loop.time())
