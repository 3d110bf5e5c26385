"""The events in a runtime's streams: changes of zones, and growing logs."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from kakuri_workload._zone import ZoneStatus


class _Event:
    """The JSON options that all events share."""

    __slots__ = ()
    __json__: ClassVar[dict[str, Any]] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}


@dataclass(frozen=True, slots=True)
class ZoneChanged(_Event):
    """The complete status of a zone, which may be the same as the last one reported."""

    zone: ZoneStatus


@dataclass(frozen=True, slots=True)
class ZoneGone(_Event):
    """A zone was removed completely."""

    id: str


@dataclass(frozen=True, slots=True)
class ZonesListed(_Event):
    """Every existing zone has been reported since the beginning of the stream.

    Repeated as a heartbeat, so that silence means a broken stream.
    """


@dataclass(frozen=True, slots=True)
class RuntimeHealth(_Event):
    """Whether the container runtime answers. Zones keep running while it does not.

    `message` says why the runtime does not answer, or why it answers but can't run zones.
    `handlers` maps each runtime class that zones can have to the runtime's handler.
    """

    available: bool
    message: str | None = None
    handlers: dict[str, str] | None = None


ZoneEvent: TypeAlias = ZoneChanged | ZoneGone | ZonesListed | RuntimeHealth
"""A line of a runtime's stream of zone events."""


@dataclass(frozen=True, slots=True)
class LogGrown(_Event):
    """A zone's log may have more content than before."""

    id: str


@dataclass(frozen=True, slots=True)
class LogsWatched(_Event):
    """All content written from now on is reported; the first event of a stream.

    Repeated as a heartbeat, so that silence means a broken stream.
    """


LogEvent: TypeAlias = LogGrown | LogsWatched
"""A line of a runtime's stream of log events."""
