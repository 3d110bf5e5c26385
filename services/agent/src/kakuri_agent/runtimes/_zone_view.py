"""The observed state of all zones, kept up to date from a stream of events."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog
from kakuri_workload import (
    RuntimeHealth,
    WorkloadState,
    ZoneChanged,
    ZoneEvent,
    ZoneGone,
    ZonesListed,
    ZoneSpec,
    ZoneStatus,
)

from kakuri_agent.runtimes._protocol import (
    Observer,
    RemovedZone,
    RuntimeUnavailable,
)
from kakuri_agent.runtimes._zone_operations import ZoneOperations

log = structlog.get_logger()

MAX_BREAKS = 3
"""Number of consecutive streams that break before they have listed all zones, after which an error
is logged."""

HEARTBEATS_UNTIL_FRESH = 2
"""Heartbeats (ZonesListed) after a removal, after which no event can be from before it.

One is not enough: it may have been sent before the removal."""


@dataclass(slots=True)
class _LateEvents:
    """Events about a removed zone that may be from before its removal, as events may arrive late.

    Attributes:
        latest: The last status that such an event reported.
        successor: Id of the sandbox of a zone that was started since with the same id.
        heartbeats: Number of heartbeats since the removal.
    """

    latest: ZoneStatus | None = None
    successor: str | None = None
    heartbeats: int = 0


class ZoneView:
    """The zones that events reported, and those that could not be started."""

    def __init__(
        self, on_change: Callable[[str], None] = lambda _: None, *, logs_outages: bool = True
    ) -> None:
        """Create an empty view.

        Args:
            on_change: Called with the id of each zone that changes, before the observer.
            logs_outages: Whether to log when the zones are lost and when they are reached again.
        """
        self.observer: Observer | None = None
        self._on_change = on_change
        self._logs_outages = logs_outages
        self.opened = asyncio.Event()  # set by the first event of the first stream
        self.is_listed = False
        self.handlers: Mapping[str, str] = {}  # as the events reported them last
        self.fault: str | None = "the runtime has not been reached yet"
        self._has_outage = False  # set when the zones are lost, until they are reached again
        # Streams that broke after their first event, since all zones were last listed.
        self._breaks = 0
        self._has_begun = False  # whether the current stream has yielded an event
        self._zones: dict[str, ZoneStatus] = {}
        # Zones that the runtime does not have, because their start is delayed or has failed.
        self._unstarted: dict[str, ZoneStatus] = {}
        # Known before the stream broke and not reported since, in the order of their first report.
        self._unconfirmed: dict[str, None] = {}
        self._late: dict[str, _LateEvents] = {}  # by the id of the removed zone

    def __repr__(self) -> str:
        return f"<ZoneView {len(self._zones)} zones, {self.fault or 'no fault'}>"

    def get(self, zone_id: str) -> ZoneStatus | None:
        """Return the observed state of a zone, or the state of its start; None if it is unknown."""
        zone = self._zones.get(zone_id)
        unstarted = self._unstarted.get(zone_id)
        if zone is not None and (unstarted is None or unstarted.attempt <= zone.attempt):
            return zone
        return unstarted

    def all(self) -> Collection[ZoneStatus]:
        """Return the status of all zones, including those whose start is delayed or has failed."""
        return [*self._zones.values(), *self._unstarted.values()]

    def receive(self, event: ZoneEvent) -> None:
        """Update the view from an event of the stream."""
        self.opened.set()
        self._has_begun = True
        match event:
            case ZoneChanged(zone=zone):
                self._receive_zone(zone)
            case ZoneGone(id=zone_id):
                late = self._late.get(zone_id)
                if late is not None:
                    late.latest = None
                self._drop(zone_id)
            case ZonesListed():
                self._receive_list()
            case RuntimeHealth(available=is_available, message=message, handlers=handlers):
                self.handlers = handlers or self.handlers
                if is_available:
                    self.fault = message
                    if self.is_listed:
                        self._end_outage()
                else:
                    fault = message or "the runtime does not answer"
                    self._record_outage("runtime lost", fault, fault)

    def stream_broke(self, fault: str, cause: str | None = None) -> None:
        """Record that the stream of events broke, so that changes of zones go unnoticed.

        A stream that breaks `MAX_BREAKS` times in a row before it has listed all zones does not
        recover by itself. That is logged once, as an error.

        Args:
            fault: Message for clients of the agent.
            cause: The error in the agent's log, which may name the sidecar's socket.
        """
        error = cause or fault
        self.is_listed = False
        self._breaks += self._has_begun
        if self._has_begun and self._breaks == MAX_BREAKS:
            log.error("events keep breaking before all zones are listed", error=error)
        self._has_begun = False
        self._record_outage("sidecar lost", fault, error)
        self._unconfirmed = dict.fromkeys(self._zones)

    def _end_outage(self) -> None:
        """Reset the count of breaks, and log that an outage has ended, if there was one."""
        self._breaks = 0
        if self._has_outage and self.fault is None:
            self._has_outage = False
            if self._logs_outages:
                log.info("zones can be reached again")

    def _record_outage(self, event: str, fault: str, error: str) -> None:
        self.fault = fault
        if not self._has_outage:
            self._has_outage = True
            if self._logs_outages:
                log.warning(event, error=error)

    def start_delayed(self, spec: ZoneSpec, message: str) -> None:
        """Record that a zone can't be started before the runtime answers."""
        self._unstarted[spec.id] = ZoneStatus(
            spec.id, WorkloadState.PENDING, "RuntimeUnavailable", message, attempt=spec.attempt
        )
        self.notify(spec.id)

    def start_failed(self, spec: ZoneSpec, reason: str, message: str) -> None:
        """Record that a zone could not be started, and that the runtime has no object of it."""
        self._unstarted[spec.id] = ZoneStatus(
            spec.id, WorkloadState.FAILED, reason, message, attempt=spec.attempt
        )
        self.notify(spec.id)

    def stopped(self, zone_id: str, last_attempt: int | None) -> None:
        """Record that a zone was stopped.

        Args:
            zone_id: The zone.
            last_attempt: Its latest attempt that had a container; None if there is none. A later
                attempt, whose container had not started, has failed.
        """
        known = self._unstarted.get(zone_id) or self._zones.get(zone_id)
        attempt = 0 if known is None else known.attempt
        if last_attempt is None:
            self._zones.pop(zone_id, None)
        elif attempt <= last_attempt:
            return  # events report its end
        self._unstarted[zone_id] = ZoneStatus(
            zone_id, WorkloadState.FAILED, "Stopped", "stopped before it ran", attempt=attempt
        )
        self.notify(zone_id)

    def started(self, zone: ZoneStatus) -> None:
        """Record the status that a successful start returned."""
        late = self._late.get(zone.id)
        if late is not None:
            late.successor = zone.pod_sandbox_id
            if late.latest is not None:
                self._receive_zone(late.latest)

    def removed(self, zone_id: str, details: RemovedZone) -> None:
        """Record that a zone was removed."""
        self._zones.pop(zone_id, None)
        self._unstarted.pop(zone_id, None)
        self._unconfirmed.pop(zone_id, None)
        self._late[zone_id] = _LateEvents()
        self._on_change(zone_id)
        if self.observer is not None:
            self.observer.zone_removed(zone_id, details)

    def notify(self, zone_id: str) -> None:
        """Notify the observer that a zone changed."""
        self._on_change(zone_id)
        if self.observer is not None:
            self.observer.zone_changed(zone_id)

    def _receive_zone(self, zone: ZoneStatus) -> None:
        late = self._late.get(zone.id)
        if late is not None:
            if late.successor is None or zone.pod_sandbox_id != late.successor:
                late.latest = zone
                return  # the event may be from before the removal
            del self._late[zone.id]
        self._unconfirmed.pop(zone.id, None)
        self._zones[zone.id] = zone
        unstarted = self._unstarted.get(zone.id)
        if unstarted is not None and unstarted.attempt <= zone.attempt:
            del self._unstarted[zone.id]
        self.notify(zone.id)

    def _receive_list(self) -> None:
        for zone_id, late in list(self._late.items()):
            late.heartbeats += 1
            if late.heartbeats >= HEARTBEATS_UNTIL_FRESH:
                del self._late[zone_id]
                if late.latest is not None:
                    self._receive_zone(late.latest)
        was_listed, self.is_listed = self.is_listed, True
        self._end_outage()
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for zone_id in unconfirmed:
            self._drop(zone_id)
        if not was_listed and self.observer is not None:
            self.observer.zones_listed()

    def _drop(self, zone_id: str) -> None:
        if self._zones.pop(zone_id, None) is not None:
            self.notify(zone_id)


async def follow_events(zones: ZoneOperations, view: ZoneView, retry: tuple[float, float]) -> None:
    """Pass the events of zones to a view until cancelled.

    Args:
        zones: Source of the events; the stream is opened again whenever it breaks.
        view: Receives the events.
        retry: The first and the longest pause before the stream is opened again, in seconds.
    """
    pause, longest = retry
    while True:
        try:
            async for event in zones.events():
                view.receive(event)
                if view.is_listed:
                    pause = retry[0]
        except RuntimeUnavailable as error:
            view.stream_broke(str(error), None if error.__cause__ is None else _describe(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)


def _describe(error: BaseException) -> str:
    """Return the messages of an error and its causes, the outermost first."""
    messages = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        if str(error) not in messages[-1]:
            messages.append(str(error))
    return ": ".join(messages)
