"""Answering health probes in time, however long the runtime takes."""

import asyncio
from collections.abc import Awaitable, Callable

from kakuri_daemon import cancel_all, create_deferred_task, retrieve_exception

from kakuri_zones._health import Health

PROMPT_SECONDS = 0.1
"""Seconds that a probe waits for the runtime if there is a recent answer: load balancers and people
expect a response within a quarter of a second."""

RECENT_SECONDS = 10.0
"""The greatest age of an answer that is returned instead of a late one. The calls of a probe have
deadlines of five seconds, so a runtime that hangs is reported within this time."""


class Probe:
    """Checks the health of the runtime, one check at a time, which concurrent callers share."""

    def __init__(
        self, check: Callable[[], Awaitable[Health]], *, prompt: float = PROMPT_SECONDS
    ) -> None:
        """Create a probe.

        Args:
            check: Checks the health of the runtime.
            prompt: Seconds after which a recent answer is returned instead.
        """
        self._check = check
        self._prompt = prompt
        self._checking: asyncio.Task[Health] | None = None
        self._last: Health | None = None
        self._answered_at = 0.0

    async def health(self) -> Health:
        """Return what the runtime answers, or its last answer if this one takes long."""
        loop = asyncio.get_running_loop()
        if self._checking is None:
            self._checking = create_deferred_task(self._record())
            self._checking.add_done_callback(retrieve_exception)
        checking, last = self._checking, self._last
        if last is None or loop.time() - self._answered_at > RECENT_SECONDS:
            return await asyncio.shield(checking)
        done, _ = await asyncio.wait({checking}, timeout=self._prompt)
        return checking.result() if done else last

    async def close(self) -> None:
        """Cancel the check in progress."""
        if self._checking is not None:
            await cancel_all([self._checking])

    async def _record(self) -> Health:
        try:
            self._last = await self._check()
            self._answered_at = asyncio.get_running_loop().time()
            return self._last
        finally:
            self._checking = None
