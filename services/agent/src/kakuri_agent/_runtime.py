"""What the agent asks of whatever runs containers.

A runtime is told what to do and returns at once, before anything is done. It keeps a view of all
its zones and tells its observer whenever that changes; the observer then looks at the view, so
that nothing depends on having seen every step.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from kakuri_registry import ZoneSpec, ZoneStatus


class RuntimeFault(Exception):
    """A runtime could not give what it was asked for."""


class RuntimeUnavailable(RuntimeFault):
    """A runtime does not answer at the moment; the same request may succeed later."""


class NoLog(RuntimeFault):
    """There is no zone with that id, or nothing of its log."""


class UnknownCursor(RuntimeFault):
    """A log can't be read from there: the runtime has given no such cursor."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which part of a log is wanted: the last `tail` lines, or what comes after a cursor.

    limit is in bytes; wait, in seconds, is for something to come if there is nothing. A bounded
    read goes no further than the end that the log has at the first of such reads; then it ends.
    """

    tail: int | None = None
    after: str | None = None
    limit: int = 65_536
    wait: float = 0.0
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of a container's log.

    Attributes:
        data: bytes as the container wrote them.
        next: the cursor after them.
        ended: whether nothing will ever follow.
        gap: whether bytes between the request's cursor and `data` were removed unread.

    """

    data: bytes
    next: str
    ended: bool
    gap: bool = False


class Observer(Protocol):
    """Who is told that the view of a runtime has changed."""

    def zone_changed(self, zone_id: str) -> None:
        """Look at a zone: it changed, came, went, or something that was under way is done."""

    def zone_gone(self, zone_id: str) -> None:
        """Take note that nothing is left of a zone that was to be removed."""

    def zones_listed(self) -> None:
        """Look at all zones: the view holds every one that there is."""


class Runtime(Protocol):
    """Runs workloads in zones. No method blocks; commands may be repeated without harm."""

    @property
    def name(self) -> str:
        """What the runtime is called in `--runtime`."""

    @property
    def is_simulated(self) -> bool:
        """Whether nothing really runs."""

    @property
    def endpoint(self) -> str | None:
        """The kind of socket through which zones are run: "unix" or "tcp"; None for no socket."""

    @property
    def handlers(self) -> Mapping[str, str]:
        """Which handler runs the zones of each runtime class; empty if that is not known."""

    @property
    def is_listed(self) -> bool:
        """Whether a zone that the view doesn't have doesn't exist."""

    @property
    def fault(self) -> str | None:
        """Why the runtime can't be used at the moment; None if it can."""

    def attach(self, observer: Observer) -> None:
        """Begin: look for zones, and tell this observer. Called once, before anything else."""

    def start(self, spec: ZoneSpec) -> None:
        """Begin to run a zone, or its next attempt. How a start failed stands in the view."""

    def stop(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to end a zone: it is asked, and killed after the grace time.

        Of one that isn't there the view then says that it has failed, with reason "Stopped".
        """

    def remove(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to end a zone, and to remove whatever is left of it."""

    def status(self, zone_id: str) -> ZoneStatus | None:
        """Give what is known of a zone; None if there is nothing."""

    def list(self) -> Collection[ZoneStatus]:
        """Give what is known of all zones."""

    def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return what a zone was made from, to adopt it.

        None if that has to be asked for: the observer is told of a change of the zone once it is
        known.
        """

    async def read_log(self, zone_id: str, request: LogRequest) -> LogPart:
        """Give a part of a zone's log. Raises NoLog, UnknownCursor, RuntimeFault."""

    async def close(self) -> None:
        """Tell the observer nothing more; zones go on."""
