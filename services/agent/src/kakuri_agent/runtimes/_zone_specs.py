"""The specs of zones without a workload, fetched one by one.

Events have no specs: a spec may have 256 KiB, and a thousand of them would be sent each time the
stream is opened. Only a zone to adopt needs its spec.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from kakuri_daemon import cancel_all
from kakuri_workload import ZoneSpec, ZoneStatus

from kakuri_agent.runtimes._protocol import RuntimeFault

log = structlog.get_logger()

MAX_FETCHING = 4
"""Specs that are fetched at a time."""

FIRST_RETRY, LAST_RETRY = 0.5, 60.0
"""Seconds until a spec that the runtime could not return is fetched again; doubled each time."""

MAX_FAULT_DELAY = 3.0
"""The longest of these delays after a request that failed: the runtime may answer soon."""


class ZoneSpecs:
    """Fetches specs and keeps each until it is taken.

    Args:
        fetch: Returns a zone with its spec; None if the zone no longer exists. May raise
            RuntimeFault.
        on_found: Is called with a zone's id once `take` would return its spec.
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
        self._slots = asyncio.Semaphore(MAX_FETCHING)
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._found: dict[str, ZoneStatus] = {}

    def take(self, zone: ZoneStatus) -> ZoneSpec | None:
        """Return the spec of a zone and forget it; fetch it if it is not here.

        A spec whose hash is not the zone's belongs to another zone of the same id.
        """
        if zone.spec is not None:
            return zone.spec
        found = self._found.pop(zone.id, None)
        if found is not None and found.spec_hash == zone.spec_hash:
            return found.spec
        if zone.id not in self._fetching:
            task = asyncio.get_running_loop().create_task(self._fetch_until_found(zone.id))
            self._fetching[zone.id] = task
            task.add_done_callback(lambda task: self._fetched(zone.id, task))
        return None

    def forget(self, zone_id: str) -> None:
        """Forget the spec of a zone that no longer exists, and cancel its fetch."""
        self._found.pop(zone_id, None)
        if (task := self._fetching.pop(zone_id, None)) is not None:
            task.cancel()

    async def close(self) -> None:
        """Cancel all fetches."""
        await cancel_all(self._fetching.values())

    async def _fetch_until_found(self, zone_id: str) -> None:
        delay, longest = self._retry
        last_error: str | None = None
        while True:
            try:
                async with self._slots:  # not while it waits: others can be fetched meanwhile
                    zone = await self._fetch(zone_id)
            except RuntimeFault as fault:
                error = str(fault)
                most = MAX_FAULT_DELAY
            else:
                if zone is None:
                    return
                if zone.spec is not None:
                    self._found[zone_id] = zone
                    return
                error = "the runtime returned the zone without a valid spec"
                most = longest
            if error != last_error:
                log.warning("the spec of a zone can't be fetched", id=zone_id, error=error)
                last_error = error
            await asyncio.sleep(min(delay, most))
            delay = min(delay * 2, longest)

    def _fetched(self, zone_id: str, task: asyncio.Task[None]) -> None:
        if self._fetching.get(zone_id) is task:  # not if it was forgotten
            del self._fetching[zone_id]
        if not task.cancelled():
            if (error := task.exception()) is not None:
                log.error("could not fetch the spec of a zone", id=zone_id, exc_info=error)
            elif zone_id in self._found:
                self._on_found(zone_id)
