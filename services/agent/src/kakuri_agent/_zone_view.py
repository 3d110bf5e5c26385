"""What an agent knows of zones, kept from a stream of events."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from kakuri_registry import (
    RuntimeHealth,
    WorkloadState,
    ZoneChanged,
    ZoneEvent,
    ZoneGone,
    ZonesListed,
    ZoneSpec,
    ZoneStatus,
)

from kakuri_agent._runtime import Observer, RuntimeUnavailable
from kakuri_agent._zone_operations import ZoneOperations

log = structlog.get_logger()

MAX_BREAKS = 3
"""Breaks in a row of a stream that has not listed all zones, after which that is an error."""

LISTS_UNTIL_FRESH = 2
"""Heartbeats after which an event about a removed zone can't be an old one any more: the first
may have been sent before the removal was told."""


@dataclass(slots=True)
class _Removed:
    """A zone of which events from before its removal may still come: they lag behind answers.

    `latest` is what they said last; `successor` is the sandbox of the zone that has taken its
    place since.
    """

    latest: ZoneStatus | None = None
    successor: str | None = None
    lists: int = 0


class ZoneView:
    """The zones that events reported, and those that could not be started."""

    def __init__(
        self, on_change: Callable[[str], None] = lambda _: None, *, logs_outages: bool = True
    ) -> None:
        """Create an empty view.

        Args:
            on_change: called with the id of each zone that changes, before the observer.
            logs_outages: whether to log when the zones are lost and when they are reached again.

        """
        self.observer: Observer | None = None
        self._on_change = on_change
        self._logs_outages = logs_outages
        self.opened = asyncio.Event()  # the stream has been, at least once
        self.is_listed = False
        self.fault: str | None = "the runtime has not been reached yet"
        self._is_out = False  # as far as the log has it
        self._breaks = 0  # of streams that had begun, since all zones were last listed
        self._has_begun = False  # whether the present stream has brought an event
        self._zones: dict[str, ZoneStatus] = {}
        self._unborn: dict[str, ZoneStatus] = {}  # waiting, or failed, with nothing behind them
        self._untold: set[str] = set()  # known before the stream broke, and not told of since
        self._removed: dict[str, _Removed] = {}

    def __repr__(self) -> str:
        return f"<ZoneView {len(self._zones)} zones, {self.fault or 'no fault'}>"

    def get(self, zone_id: str) -> ZoneStatus | None:
        """Give what is known of a zone."""
        zone = self._zones.get(zone_id)
        unborn = self._unborn.get(zone_id)
        if zone is not None and (unborn is None or unborn.attempt <= zone.attempt):
            return zone
        return unborn

    def all(self) -> Collection[ZoneStatus]:
        """Give what is known of all zones."""
        return [*self._zones.values(), *self._unborn.values()]

    def receive(self, event: ZoneEvent) -> None:
        """Take an event of the stream."""
        self.opened.set()
        self._has_begun = True
        match event:
            case ZoneChanged(zone=zone):
                self._receive_zone(zone)
            case ZoneGone(id=zone_id):
                removed = self._removed.get(zone_id)
                if removed is not None:
                    removed.latest = None
                self._drop(zone_id)
            case ZonesListed():
                self._receive_list()
            case RuntimeHealth(available=True):
                self.fault = None
                if self.is_listed:
                    self._note_reached()
            case RuntimeHealth(message=message):
                self._fail("runtime lost", message or "the runtime does not answer")

    def broken(self, fault: str) -> None:
        """Record that the stream of events broke: changes of zones are not seen meanwhile.

        A stream that breaks again and again before it has listed all zones does not recover by
        itself. That is one error in the log, however often it is tried.
        """
        self.is_listed = False
        self._breaks += self._has_begun
        if self._has_begun and self._breaks == MAX_BREAKS:
            log.error("events keep breaking before all zones are listed", error=fault)
        self._has_begun = False
        self._fail("sidecar lost", fault)
        self._untold = set(self._zones)

    def _note_reached(self) -> None:
        self._breaks = 0
        if self._is_out and self.fault is None:
            self._is_out = False
            if self._logs_outages:
                log.info("zones can be reached again")

    def _fail(self, what: str, fault: str) -> None:
        self.fault = fault
        if not self._is_out:
            self._is_out = True
            if self._logs_outages:
                log.warning(what, error=fault)

    def wait(self, spec: ZoneSpec, reason: str, message: str) -> None:
        """Take note that a zone can't be asked for yet."""
        self._unborn[spec.id] = ZoneStatus(
            spec.id, WorkloadState.PENDING, reason, message, attempt=spec.attempt
        )
        self.changed(spec.id)

    def fail(self, spec: ZoneSpec, reason: str, message: str) -> None:
        """Take note that a zone could not be started, and that nothing is left of it."""
        self._unborn[spec.id] = ZoneStatus(
            spec.id, WorkloadState.FAILED, reason, message, attempt=spec.attempt
        )
        self.changed(spec.id)

    def stopped(self, zone_id: str, ran: int | None) -> None:
        """Record that a zone was stopped; `ran` is its latest attempt that had a container.

        One that waits to begin after that one never will.
        """
        known = self._unborn.get(zone_id) or self._zones.get(zone_id)
        attempt = 0 if known is None else known.attempt
        if ran is None:
            self._zones.pop(zone_id, None)
        elif attempt <= ran:
            return  # events tell of its end
        self._unborn[zone_id] = ZoneStatus(
            zone_id, WorkloadState.FAILED, "Stopped", "stopped before it ran", attempt=attempt
        )
        self.changed(zone_id)

    def started(self, zone: ZoneStatus) -> None:
        """Take note of what the sidecar says of a zone that it has started."""
        removed = self._removed.get(zone.id)
        if removed is not None:
            removed.successor = zone.pod_sandbox_id
            if removed.latest is not None:
                self._receive_zone(removed.latest)

    def removed(self, zone_id: str) -> None:
        """Take note that the sidecar has removed a zone."""
        self._zones.pop(zone_id, None)
        self._unborn.pop(zone_id, None)
        self._untold.discard(zone_id)
        self._removed[zone_id] = _Removed()
        self._on_change(zone_id)
        if self.observer is not None:
            self.observer.zone_gone(zone_id)

    def changed(self, zone_id: str) -> None:
        """Have the observer look at a zone."""
        self._on_change(zone_id)
        if self.observer is not None:
            self.observer.zone_changed(zone_id)

    def _receive_zone(self, zone: ZoneStatus) -> None:
        removed = self._removed.get(zone.id)
        if removed is not None:
            if removed.successor is None or zone.pod_sandbox_id != removed.successor:
                removed.latest = zone
                return  # for all that is known, told before the removal
            del self._removed[zone.id]
        self._untold.discard(zone.id)
        self._zones[zone.id] = zone
        unborn = self._unborn.get(zone.id)
        if unborn is not None and unborn.attempt <= zone.attempt:
            del self._unborn[zone.id]
        self.changed(zone.id)

    def _receive_list(self) -> None:
        for zone_id, removed in list(self._removed.items()):
            removed.lists += 1
            if removed.lists >= LISTS_UNTIL_FRESH:
                del self._removed[zone_id]
                if removed.latest is not None:
                    self._receive_zone(removed.latest)
        was_listed, self.is_listed = self.is_listed, True
        self._note_reached()
        untold, self._untold = self._untold, set()
        for zone_id in untold:
            self._drop(zone_id)
        if not was_listed and self.observer is not None:
            self.observer.zones_listed()

    def _drop(self, zone_id: str) -> None:
        if self._zones.pop(zone_id, None) is not None:
            self.changed(zone_id)


async def follow_events(zones: ZoneOperations, view: ZoneView, retry: tuple[float, float]) -> None:
    """Pass the events of zones to a view until cancelled.

    Args:
        zones: whose events; their stream is opened again whenever it breaks.
        view: receives the events.
        retry: the first and the longest pause before the stream is opened again, in seconds.

    """
    pause, longest = retry
    while True:
        try:
            async for event in zones.events():
                view.receive(event)
                if view.is_listed:
                    pause = retry[0]
        except RuntimeUnavailable as error:
            view.broken(str(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)
