"""The operations on zones that an agent needs, and what can go wrong with them."""

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from kakuri_registry import LogEvent, ZoneEvent, ZoneSpec, ZoneStatus

from kakuri_agent._runtime import LogPart, LogRequest, RuntimeFault


class Refused(RuntimeFault):
    """An operation failed, and nothing of it is under way.

    Attributes:
        code: the failure, as a word for programs: "ImagePullFailed", "conflict".

    """

    def __init__(self, message: str, code: str = "StartError") -> None:
        super().__init__(message)
        self.code = code


class ZoneOperations(Protocol):
    """Starts, stops, removes and reports zones: a sidecar does, or a zone node in this process.

    Every operation may be repeated without harm. Cancelling one abandons the answer and not the
    operation. Each raises RuntimeUnavailable if its outcome is unknown or the runtime does not
    answer: the same operation may succeed later.
    """

    @property
    def name(self) -> str:
        """What this is called in `--runtime`."""

    @property
    def endpoint(self) -> str:
        """The kind of socket through which zones are run: "unix" or "tcp"."""

    @property
    def handlers(self) -> Mapping[str, str]:
        """From runtime classes to the runtime's handlers; empty if a sidecar has them."""

    @property
    def logs_outages(self) -> bool:
        """Whether the loss and the return of the runtime are logged here already."""

    @property
    def fault(self) -> str | None:
        """Why operations are refused at the moment although events arrive; None if they aren't."""

    async def start(self, spec: ZoneSpec) -> ZoneStatus:
        """Start a zone, or join its start; return its status once it runs.

        Raises:
            Refused: The zone could not be started, and nothing of it is left.

        """

    async def stop(self, zone_id: str, grace_seconds: int) -> ZoneStatus | None:
        """Stop a zone and return its last status; None if there is no such zone.

        Raises:
            Refused: The runtime did not stop it.

        """

    async def remove(self, zone_id: str, grace_seconds: int) -> None:
        """Remove a zone, if there is one; no earlier start brings it back afterwards.

        Raises:
            Refused: The runtime did not remove it.

        """

    async def zone(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone with its spec; None if there is no such zone."""

    def events(self) -> AsyncGenerator[ZoneEvent]:
        """Yield every zone, then ZonesListed, then what changes, and ZonesListed now and then.

        Raises RuntimeUnavailable when the stream breaks.
        """

    async def read_log(self, zone_id: str, request: LogRequest) -> LogPart:
        """Return a part of a zone's log without waiting for one.

        Raises:
            NoLog: The zone has no log.
            UnknownCursor: The request's cursor is not one of this log.
            RuntimeFault: The log can't be read.

        """

    def log_events(self) -> AsyncGenerator[LogEvent]:
        """Yield LogsWatched once all logs are watched, then LogGrown for each that changes.

        LogsWatched comes again now and then. Raises RuntimeUnavailable when the stream breaks.
        """

    async def close(self) -> None:
        """Abandon every operation; zones go on."""
