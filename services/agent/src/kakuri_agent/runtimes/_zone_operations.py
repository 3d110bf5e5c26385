"""The operations on zones that an agent needs, and their errors."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import nullcontext
from typing import Protocol

from kakuri_workload import (
    ImageStatus,
    LogChunk,
    LogEvent,
    LogRequest,
    PullPolicy,
    Removal,
    ZoneEvent,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import MetricFamily
from kakuri_zones import WhileWaiting

from kakuri_agent.runtimes._protocol import RuntimeFault

MAX_STARTS = 1024
"""Concurrent starts: further ones wait. Large, because a pull may hang."""


class Refused(RuntimeFault):
    """An operation failed, and no part of it is still in progress.

    Attributes:
        code: The error code, such as "ImagePullFailed" or "conflict".
    """

    def __init__(self, message: str, code: str = "StartError") -> None:
        super().__init__(message)
        self.code = code


class ZoneOperations(Protocol):
    """Starts, stops, removes and reports zones, in a sidecar or in this process.

    Every operation is idempotent, and continues if its caller is cancelled. Each raises
    RuntimeUnavailable if its outcome is unknown or the runtime does not answer: the same operation
    may succeed later.
    """

    @property
    def name(self) -> str:
        """The value of `--runtime` that selects it."""

    @property
    def endpoint(self) -> str:
        """The kind of socket through which zones are run: "unix" or "tcp"."""

    @property
    def handlers(self) -> Mapping[str, str]:
        """From runtime classes to the runtime's handlers; empty if only events report them."""

    @property
    def logs_outages(self) -> bool:
        """Whether it logs when the runtime is lost and when it answers again."""

    @property
    def fault(self) -> str | None:
        """Why operations are refused although events arrive; None if they are not."""

    async def start(self, spec: ZoneSpec, on_begin: Callable[[], None]) -> ZoneStatus:
        """Start a zone, or join its start; return its status once it runs.

        Args:
            spec: What to start.
            on_begin: Called when the start begins, after it has waited for other starts to end.

        Raises:
            Refused: The zone could not be started; everything it created was removed.
        """

    async def stop(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> ZoneStatus | None:
        """Stop a zone and return its last status; None if there is no such zone.

        Args:
            zone_id: The zone.
            grace_seconds: Seconds between the signal and the kill of its process.
            while_waiting: Entered while the zone's process may use its grace period.

        Raises:
            Refused: The runtime did not stop it.
        """

    async def remove(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> Removal:
        """Remove a zone, if there is one; no earlier start brings it back afterwards.

        Args:
            zone_id: The zone.
            grace_seconds: Seconds between the signal and the kill of its process.
            while_waiting: Entered while its start is being cancelled, or its process may use that
                time; not entered with a sidecar, which does not report these parts.

        Returns:
            What was removed, and how that was checked.

        Raises:
            Refused: The runtime did not remove it.
        """

    async def zone(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone with its spec; None if there is no such zone."""

    def events(self) -> AsyncGenerator[ZoneEvent]:
        """Yield every zone, then ZonesListed; then each change, and ZonesListed as a heartbeat.

        Raises RuntimeUnavailable when the stream breaks.
        """

    async def read_log(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return a part of a zone's log without waiting for one.

        Raises:
            NoLog: The zone has no log.
            UnknownCursor: The request's cursor is not one of this log.
            RuntimeFault: The log can't be read.
        """

    def log_events(self) -> AsyncGenerator[LogEvent]:
        """Yield LogsWatched once all logs are watched, then LogGrown for each that changes.

        LogsWatched is repeated as a heartbeat. Raises RuntimeUnavailable when the stream breaks.
        """

    async def check_image(self, image: str, policy: PullPolicy | None) -> ImageStatus:
        """Return whether an image is on the node or a start would pull it; nothing is changed.

        Raises:
            RuntimeFault: The runtime does not answer.
        """

    async def metrics(self) -> list[MetricFamily]:
        """Return the metrics of calls, pulls and logs, and the resource usage of zones.

        Raises:
            RuntimeFault: There is no answer.
        """

    async def close(self) -> None:
        """Stop waiting for operations; zones continue to run."""
