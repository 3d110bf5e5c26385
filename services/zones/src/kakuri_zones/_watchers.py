"""The queue of one watcher, which is bounded however slowly it is read.

A change of a zone replaces an earlier change that was not read yet. The exception is an end: it is
kept when the zone disappears after it, because it holds the reason.
"""

import asyncio
from collections.abc import Iterable

from kakuri_workload import (
    RuntimeHealth,
    ZoneChanged,
    ZoneEvent,
    ZoneGone,
    ZonesListed,
    ZoneStatus,
)

MAX_WAITING = 10_000
"""Zones with unread changes, in addition to the zones that existed when the watcher began. With
more, the watcher is closed, and its reader has to watch again."""

NO_ZONE = ""
"""The key of ZonesListed among zone ids."""


class Watcher:
    """Queues events and returns them in order."""

    def __init__(self, health: RuntimeHealth, zones: Iterable[ZoneStatus]) -> None:
        self._health: RuntimeHealth | None = health
        self._zones: dict[str, list[ZoneEvent]] = {}
        self._wakeup = asyncio.Event()
        self.has_listing = False
        self.is_closed = False
        self._zones.update((status.id, [ZoneChanged(status)]) for status in zones)
        self._max_zones = len(self._zones) + MAX_WAITING
        self._wakeup.set()

    def changed(self, status: ZoneStatus) -> None:
        """Queue a ZoneChanged event."""
        self._put(status.id, [ZoneChanged(status)])

    def gone(self, zone_id: str) -> None:
        """Queue a ZoneGone event, after an end that was not read yet."""
        events: list[ZoneEvent] = [ZoneGone(zone_id)]
        match self._zones.get(zone_id):
            case [*_, ZoneChanged(zone) as end] if zone.state.is_terminal:
                events.insert(0, end)
        self._put(zone_id, events)

    def health(self, health: RuntimeHealth) -> None:
        """Queue a RuntimeHealth event before all others."""
        self._health = health
        self._wakeup.set()

    def listed(self) -> None:
        """Queue a ZonesListed event after every event that is already queued."""
        self.has_listing = True
        self._put(NO_ZONE, [ZonesListed()])

    def close(self) -> None:
        """End the stream after the events that are already queued."""
        self.is_closed = True
        self._wakeup.set()

    async def next(self) -> ZoneEvent | None:
        """Wait for the next event; None at the end of the stream."""
        while True:
            event = self._take()
            if event is not None or self.is_closed:
                return event
            self._wakeup.clear()
            await self._wakeup.wait()

    def _put(self, zone_id: str, events: list[ZoneEvent]) -> None:
        if len(self._zones) >= self._max_zones and zone_id not in self._zones:
            self._zones.clear()
            self.close()
            return
        self._zones[zone_id] = events
        self._wakeup.set()

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
