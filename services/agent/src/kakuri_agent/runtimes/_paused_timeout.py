"""The timeout of a start, which is paused while the start waits until other starts have ended."""

import asyncio
from collections.abc import Callable

CHECK_SECONDS = 10.0
"""Seconds between two checks whether the runtime answers."""


class PausedTimeout:
    """Pauses a timeout until `resume`; meanwhile, only time in which the runtime fails counts.

    Other starts may take long, and the wait for them must not fail a start. In a runtime that does
    not answer, they may never end.
    """

    __slots__ = ("_fault", "_loop", "_remaining", "_timeout", "_timer")

    def __init__(self, timeout: asyncio.Timeout, fault: Callable[[], str | None]) -> None:
        """Pause a timeout.

        Args:
            timeout: The timeout; it has a deadline.
            fault: Returns why the runtime can't be used at the moment; None if it can.
        """
        deadline = timeout.when()
        assert deadline is not None  # every start has one
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._fault = fault
        self._remaining = deadline - self._loop.time()
        timeout.reschedule(None)
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)

    def resume(self) -> None:
        """Continue the timeout: the start begins."""
        self._timer.cancel()
        self._timeout.reschedule(self._loop.time() + self._remaining)

    def close(self) -> None:
        """Stop checking the runtime."""
        self._timer.cancel()

    def _check(self) -> None:
        if self._fault() is not None:
            self._remaining -= CHECK_SECONDS
        if self._remaining > 0:
            self._timer = self._loop.call_later(CHECK_SECONDS, self._check)
        else:
            self._timeout.reschedule(self._loop.time())
