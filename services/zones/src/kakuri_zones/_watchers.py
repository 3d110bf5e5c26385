"""One reader of the stream of events, who may be slow: what waits for it stays bounded.

Of a zone, only the latest matters, so a change takes the place of an earlier one that was not
read yet. An end is kept beside the disappearance that follows it: it holds the reason.
"""

import asyncio
from collections.abc import Iterable

from kakuri_registry import RuntimeHealth, ZoneChanged, ZoneEvent, ZoneGone, ZonesListed, ZoneStatus

MAX_WAITING = 10_000
"""Zones with changes that a reader has not read, beyond those that there were when it began; one
that is further behind starts anew."""

NO_ZONE = ""
"""Where what is said of all zones waits among those."""


class Watcher:
    """Takes events and hands them out in order."""

    def __init__(self, health: RuntimeHealth, zones: Iterable[ZoneStatus]) -> None:
        self._health: RuntimeHealth | None = health
        self._zones: dict[str, list[ZoneEvent]] = {}
        self._something = asyncio.Event()
        self.has_listing = False
        self.is_closed = False
        self._zones.update((status.id, [ZoneChanged(status)]) for status in zones)
        self._most = len(self._zones) + MAX_WAITING
        self._something.set()

    def changed(self, status: ZoneStatus) -> None:
        """Take what is true of a zone now."""
        self._put(status.id, [ZoneChanged(status)])

    def gone(self, zone_id: str) -> None:
        """Take that nothing is left of a zone."""
        waiting = self._zones.get(zone_id, [])
        last = waiting[-1] if waiting else None
        kept = isinstance(last, ZoneChanged) and last.zone.state.is_terminal
        self._put(zone_id, [*([last] if kept and last else []), ZoneGone(zone_id)])

    def health(self, health: RuntimeHealth) -> None:
        """Take whether the runtime answers."""
        self._health = health
        self._something.set()

    def listed(self) -> None:
        """Take that every zone has been told: it is said behind all that waits now."""
        self.has_listing = True
        self._put(NO_ZONE, [ZonesListed()])

    def close(self) -> None:
        """Let the reader come to the end of what waits, and of the stream."""
        self.is_closed = True
        self._something.set()

    async def next(self) -> ZoneEvent | None:
        """Wait for the next event; None at the end of the stream."""
        while True:
            event = self._take()
            if event is not None or self.is_closed:
                return event
            self._something.clear()
            await self._something.wait()

    def _put(self, zone_id: str, events: list[ZoneEvent]) -> None:
        if len(self._zones) >= self._most and zone_id not in self._zones:
            self._zones.clear()
            self.close()
            return
        self._zones[zone_id] = events
        self._something.set()

    def _take(self) -> ZoneEvent | None:
        event: ZoneEvent | None
        if self._health is not None:
            event, self._health = self._health, None
            return event
        for zone_id, events in self._zones.items():
            event = events.pop(0)
            if not events:
                del self._zones[zone_id]
            return event
        return None
