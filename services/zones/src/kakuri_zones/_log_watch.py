"""Reporting which logs grow, so that readers need not hold a connection while they wait."""

import asyncio
from collections.abc import AsyncGenerator

from kakuri_workload import LogEvent, LogGrown, LogsWatched

from kakuri_zones._settings import HEARTBEAT_SECONDS
from kakuri_zones._table import ZoneTable
from kakuri_zones.logs._store import LogStore

POLL_SECONDS = 0.2
"""Seconds between checks of the logs of running zones, by stat(2); none without a watcher."""

STABLE_POLLS = 8
"""Checks after the last change until the log is reported once more: a reader leaves a rotated file
only when it has been stable for a while."""


class LogWatch:
    """Reports growing logs to any number of readers until it is closed."""

    def __init__(
        self,
        logs: LogStore,
        table: ZoneTable,
        *,
        poll: float = POLL_SECONDS,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._logs = logs
        self._table = table
        self._poll = poll
        self._polls_per_heartbeat = max(1, round(heartbeat / poll))
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End the stream of every watcher."""
        self._closed.set()

    async def events(self) -> AsyncGenerator[LogEvent, None]:
        """Yield LogsWatched once every log is watched, then LogGrown for each that changes.

        LogsWatched is repeated from time to time, so that silence means a broken stream.
        """
        before = await self._signatures()
        recent: dict[str, int] = {}  # checks until a log that has grown is reported once more
        polls = 0
        yield LogsWatched()
        while not await self._pause():
            now = await self._signatures()
            for zone_id, signature in now.items():
                left = recent.pop(zone_id, 0)
                has_changed = before.get(zone_id) != signature
                if has_changed or left == 1:
                    yield LogGrown(zone_id)
                left = STABLE_POLLS if has_changed else left - 1
                if left > 0:
                    recent[zone_id] = left
            recent = {key: left for key, left in recent.items() if key in now}
            before = now
            polls += 1
            if polls % self._polls_per_heartbeat == 0:
                yield LogsWatched()

    async def _signatures(self) -> dict[str, object]:
        running = {zone.id: zone.attempt for zone in self._table.running()}
        return await self._logs.signatures(running)

    async def _pause(self) -> bool:
        """Wait until the next check; return whether the watch is closed."""
        try:
            async with asyncio.timeout(self._poll):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True
