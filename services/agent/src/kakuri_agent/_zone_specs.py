"""The specs of zones that no workload is known for, fetched one by one.

Events carry no specs: a spec may be a quarter of a mebibyte, and a thousand of them
would have to pass each time the stream is opened. Only a zone that is to be adopted needs one.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from kakuri_registry import ZoneSpec, ZoneStatus

log = structlog.get_logger()

MAX_FETCHING = 4
"""Specs that are fetched at a time."""

FIRST_RETRY, LAST_RETRY = 0.5, 60.0
"""Seconds until a spec that could not be read is fetched again; doubled each time."""


class ZoneSpecs:
    """Fetches specs and keeps each until it is taken.

    Args:
        fetch: returns a zone with its spec; None if there is no such zone any more.
        on_found: is called with a zone's id once `take` would return its spec.

    """

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[ZoneStatus | None]],
        on_found: Callable[[str], None],
        *,
        retry: tuple[float, float] = (FIRST_RETRY, LAST_RETRY),
    ) -> None:
        self._fetch = fetch
        self._on_found = on_found
        self._retry = retry
        self._few = asyncio.Semaphore(MAX_FETCHING)
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._found: dict[str, ZoneStatus] = {}

    def take(self, zone: ZoneStatus) -> ZoneSpec | None:
        """Return the spec of a zone and forget it; if it is not here, ask for it.

        A spec whose hash is not the zone's belongs to another zone of the same id.
        """
        if zone.spec is not None:
            return zone.spec
        found = self._found.pop(zone.id, None)
        if found is not None and found.spec_hash == zone.spec_hash:
            return found.spec
        if zone.id not in self._fetching:
            task = asyncio.get_running_loop().create_task(self._ask(zone.id))
            self._fetching[zone.id] = task
            task.add_done_callback(lambda task: self._asked(zone.id, task))
        return None

    async def close(self) -> None:
        """Ask for nothing more."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, zone_id: str) -> None:
        pause, longest = self._retry
        while True:
            async with self._few:
                zone = await self._fetch(zone_id)
            if zone is None:
                return
            if zone.spec is not None:
                self._found[zone_id] = zone
                return
            log.warning("the spec of a zone can't be read", id=zone_id)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _asked(self, zone_id: str, task: asyncio.Task[None]) -> None:
        del self._fetching[zone_id]
        if not task.cancelled():
            if (error := task.exception()) is not None:
                log.error("could not ask for a spec", id=zone_id, exc_info=error)
            elif zone_id in self._found:
                self._on_found(zone_id)
