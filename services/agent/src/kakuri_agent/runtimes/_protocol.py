"""The interface between the agent and whatever runs its zones.

A command to a runtime returns immediately, before it is carried out. The runtime keeps a view of
all its zones and notifies its observer whenever the view changes. The observer then reads the
view, so a missed intermediate state does no harm.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kakuri_workload import (
    ImageStatus,
    LogChunk,
    LogRequest,
    PullPolicy,
    Removal,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import MetricFamily


class RuntimeFault(Exception):
    """A runtime could not answer a request."""


class RuntimeUnavailable(RuntimeFault):
    """A runtime does not answer at the moment; the same request may succeed later."""


class NoLog(RuntimeFault):
    """There is no zone with that id, or it has no log."""


class UnknownCursor(RuntimeFault):
    """A log can't be read from this cursor: it is not one that the runtime returned."""


@dataclass(frozen=True, slots=True)
class RemovedZone:
    """What is known of a zone that was removed.

    Attributes:
        removal: What was removed, and how that was checked.
        log: The end of its log, as it was before the removal.
        status: Its last status, if it was stopped for the removal.
    """

    removal: Removal
    log: bytes = b""
    status: ZoneStatus | None = None


UNKNOWN_REMOVAL = RemovedZone(Removal())
"""A zone that was removed completely, and of which nothing else is known."""


class Observer(Protocol):
    """Receives notifications that the view of a runtime has changed."""

    def zone_changed(self, zone_id: str) -> None:
        """Reconcile a zone: it changed, appeared, disappeared, or an operation on it is done."""

    def zone_removed(self, zone_id: str, removed: RemovedZone = UNKNOWN_REMOVAL) -> None:
        """Record that a zone was removed completely, as requested."""

    def zones_listed(self) -> None:
        """Reconcile all zones: the view now has every zone of the runtime."""


class Runtime(Protocol):
    """Runs workloads in zones. No method blocks; commands are idempotent."""

    @property
    def name(self) -> str:
        """The value of `--runtime` that selects it."""

    @property
    def is_simulated(self) -> bool:
        """Whether zones are simulated, so that no process runs."""

    @property
    def endpoint(self) -> str | None:
        """The kind of socket through which zones are run: "unix" or "tcp"; None for no socket."""

    @property
    def handlers(self) -> Mapping[str, str]:
        """The runtime's handler for each runtime class; empty if that is not known."""

    @property
    def is_listed(self) -> bool:
        """Whether the view is complete: a zone that is not in it does not exist."""

    @property
    def fault(self) -> str | None:
        """Why the runtime can't be used at the moment; None if it can."""

    @property
    def end_failures(self) -> Mapping[str, str]:
        """The latest error of each stop or removal that keeps failing, by zone id.

        The observer gets `zone_changed` when one changes.
        """

    def attach(self, observer: Observer) -> None:
        """Begin to list zones, and notify this observer.

        Called once, before any other method. Until `is_listed`, zones may exist that are not in the
        view.
        """

    def start(self, spec: ZoneSpec) -> None:
        """Begin to start a zone, or its next attempt.

        The view then has the zone as pending, and later as running, or as failed with a reason. A
        failed start leaves nothing in the runtime. A start has no effect if its attempt was started
        before, or while the zone is being stopped or removed.

        Args:
            spec: The zone's workload and its attempt.
        """

    def stop(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to stop a zone: signal its process, and kill it after the grace period.

        If there is no such zone, the view then has it as failed with the reason "Stopped".
        """

    def remove(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to stop a zone and to remove it with its log.

        The observer's `zone_removed` is called when nothing of it exists, even if there was no such
        zone. No earlier start brings it back afterwards.

        Args:
            zone_id: The zone.
            grace_seconds: Time between the signal and the kill of its process. A shorter time than
                that of a removal in progress takes effect at once.
        """

    def status(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone in the view; None if it is not there."""

    def list(self) -> Collection[ZoneStatus]:
        """Return the status of every zone in the view."""

    def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return the spec that a zone was created from, to adopt it.

        None if it has to be fetched; the observer is notified of a change of the zone afterwards.
        """

    async def read_log(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return a part of a zone's log. Raises NoLog, UnknownCursor, RuntimeFault."""

    async def check_image(self, image: str, policy: PullPolicy | None, /) -> ImageStatus | None:
        """Return whether an image is on the node or a start would pull it; nothing is changed.

        None if that can't be found out within a second.
        """

    async def metrics(self) -> Sequence[MetricFamily]:
        """Return the metrics of the runtime and of its zones, without the node's name.

        Values that the runtime does not report have no series. Raises RuntimeFault.
        """

    async def close(self) -> None:
        """Stop notifying the observer; zones continue to run."""
