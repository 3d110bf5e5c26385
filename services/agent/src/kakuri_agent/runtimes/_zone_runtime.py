"""The runtime that runs real zones, through a sidecar or a zone node in this process.

A stream of events is the only source of observed state; the answer to an operation adds at most
the reason why a zone could not be started. Each zone has at most one command in progress, whose
idempotent operation is repeated until it has been carried out.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

import structlog
from kakuri_daemon import cancel_all
from kakuri_workload import (
    ImageStatus,
    LogChunk,
    LogRequest,
    PullPolicy,
    WorkloadState,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import MetricFamily, gauge
from kakuri_zones import WhileWaiting

from kakuri_agent.runtimes._end_failures import EndFailures
from kakuri_agent.runtimes._paused_timeout import PausedTimeout
from kakuri_agent.runtimes._protocol import (
    Observer,
    RemovedZone,
    RuntimeFault,
    RuntimeUnavailable,
)
from kakuri_agent.runtimes._removal_queue import RemovalQueue
from kakuri_agent.runtimes._zone_logs import ZoneLogs, read_log_end
from kakuri_agent.runtimes._zone_operations import Refused, ZoneOperations
from kakuri_agent.runtimes._zone_specs import ZoneSpecs
from kakuri_agent.runtimes._zone_view import ZoneView, follow_events

log = structlog.get_logger()

FIRST_RETRY, LAST_RETRY = 0.1, 3.0
"""Seconds between attempts of an operation that was not answered; doubled each time."""

START_TIMEOUT = 600.0
"""Seconds after which a start that has not completed fails. Time spent waiting for other starts
counts only while the runtime can't be used (`fault`)."""

METRICS_SECONDS = 2.6
"""Seconds that zones may take to report their metrics, within the agent's limit for a runtime."""

START_FAILURES = frozenset({"ImagePullFailed", "StartError", "RuntimeUnavailable", "Stopped"})
"""The reasons of a failed start that are reported; any other becomes StartError."""

IMAGE_SECONDS = 1.0
"""Seconds that the check of an image may take: a dry run is answered without it then."""

T = TypeVar("T")


class _Kind(IntEnum):
    """The kind of a command; one of a greater kind replaces those of smaller ones."""

    START = 0
    STOP = 1
    REMOVE = 2


@dataclass(slots=True)
class _Command:
    """A command in progress, which a command of a greater rank replaces.

    A removal ranks above every stop, and a stop above every start. Of two starts, the later attempt
    ranks higher; of two stops or removals, the shorter grace period.
    """

    rank: tuple[_Kind, int]
    task: asyncio.Task[None]
    skipped_start: bool = False  # a start was requested meanwhile, and may be necessary afterwards


class ZoneRuntime:
    """Runs zones by the operations of a sidecar or a zone node."""

    is_simulated = False

    def __init__(
        self,
        zones: ZoneOperations,
        *,
        start_timeout: float = START_TIMEOUT,
        retry: tuple[float, float] = (FIRST_RETRY, LAST_RETRY),
    ) -> None:
        """Create a runtime, which does nothing until an observer is attached.

        Args:
            zones: Carries out the operations; closed with the runtime.
            start_timeout: Seconds that a start may take before it counts as failed.
            retry: The first and the longest pause before an operation is repeated, in seconds.
        """
        self._zones = zones
        self._start_timeout = start_timeout
        self._retry = retry
        self._logs = ZoneLogs(zones, retry)
        self._view = ZoneView(self._zone_changed, logs_outages=not zones.logs_outages)
        self._specs = ZoneSpecs(zones.zone, self._view.notify)
        self.end_failures: dict[str, str] = {}
        self._commands: dict[str, _Command] = {}
        self._removals = RemovalQueue()
        self._following: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<ZoneRuntime {self._zones!r} {self._view!r} {len(self._commands)} commands>"

    @property
    def name(self) -> str:
        """The value of `--runtime` that selects it."""
        return self._zones.name

    @property
    def endpoint(self) -> str:
        """The kind of socket through which zones are run."""
        return self._zones.endpoint

    @property
    def handlers(self) -> Mapping[str, str]:
        """From runtime classes to the runtime's handlers; empty until they are known."""
        return self._zones.handlers or self._view.handlers

    @property
    def is_listed(self) -> bool:
        """Whether the events have reported every zone."""
        return self._view.is_listed

    @property
    def fault(self) -> str | None:
        """Why zones can't be started or stopped at the moment; None if they can."""
        return self._zones.fault or self._view.fault

    def attach(self, observer: Observer) -> None:
        """Follow the events of zones, and notify this observer."""
        self._view.observer = observer
        following = follow_events(self._zones, self._view, self._retry)
        self._following = asyncio.get_running_loop().create_task(following)

    def start(self, spec: ZoneSpec) -> None:
        """Begin to start a zone."""
        self._begin(spec.id, (_Kind.START, spec.attempt), lambda: self._start(spec))

    def stop(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to stop a zone, and cancel its start."""
        rank = (_Kind.STOP, -grace_seconds)
        self._begin(zone_id, rank, lambda: self._stop(zone_id, grace_seconds))

    def remove(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to stop and remove a zone."""
        rank = (_Kind.REMOVE, -grace_seconds)
        self._begin(zone_id, rank, lambda: self._remove(zone_id, grace_seconds))

    def status(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone in the view."""
        return self._view.get(zone_id)

    def list(self) -> Collection[ZoneStatus]:
        """Return the status of every zone in the view."""
        return self._view.all()

    def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return the spec that a zone was created from; None until it has been fetched."""
        zone = self._view.get(zone_id)
        return None if zone is None else self._specs.take(zone)

    async def read_log(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return a part of a zone's log."""
        return await self._logs.read(zone_id, request)

    async def check_image(self, image: str, policy: PullPolicy | None) -> ImageStatus | None:
        """Return whether an image is on the node or a start would pull it, if that is known."""
        if self.fault is not None:
            return None
        try:
            async with asyncio.timeout(IMAGE_SECONDS):
                return await self._zones.check_image(image, policy)
        except (RuntimeFault, TimeoutError) as error:
            log.info("image not checked", image=image, error=str(error) or "timeout")
            return None

    async def metrics(self) -> Sequence[MetricFamily]:
        """Return the metrics of the runtime and of its zones."""
        help_ = "Whether the container runtime can be used: 1 or 0."
        families = [gauge("kakuri_runtime_available", help_, float(self.fault is None))]
        try:
            async with asyncio.timeout(METRICS_SECONDS):
                families += await self._zones.metrics()
        except (RuntimeFault, TimeoutError) as error:  # its series are missing
            log.debug("metrics of the zones are missing", error=str(error) or "timeout")
        return families

    async def close(self) -> None:
        """Stop notifying the observer; operations in progress continue in the runtime."""
        self._view.observer = None
        tasks = [command.task for command in self._commands.values()]
        if self._following is not None:
            tasks.append(self._following)
        await cancel_all(tasks)
        await self._specs.close()
        await self._logs.close()
        await self._zones.close()

    def _zone_changed(self, zone_id: str) -> None:
        self._logs.zone_changed(zone_id)
        if self._view.get(zone_id) is None:
            self._specs.forget(zone_id)

    def _begin(
        self,
        zone_id: str,
        rank: tuple[_Kind, int],
        run: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """Run a command, unless the zone has one of the same or a greater rank in progress."""
        current = self._commands.get(zone_id)
        if current is not None:
            if current.rank >= rank:
                if rank[0] is _Kind.START and current.rank[0] is not _Kind.START:
                    current.skipped_start = True
                return
            current.task.cancel()
        task = asyncio.get_running_loop().create_task(run())
        skipped_start = current is not None and current.skipped_start
        self._commands[zone_id] = _Command(rank, task, skipped_start)
        task.add_done_callback(lambda task: self._command_ended(zone_id, task))

    def _command_ended(self, zone_id: str, task: asyncio.Task[None]) -> None:
        command = self._commands.get(zone_id)
        if command is not None and command.task is task:
            del self._commands[zone_id]
            self._removals.forget(zone_id)
            if command.skipped_start:
                self._view.notify(zone_id)
        if not task.cancelled() and task.exception() is not None:
            log.error("command failed", id=zone_id, exc_info=task.exception())

    async def _start(self, spec: ZoneSpec) -> None:
        try:
            async with asyncio.timeout(self._start_timeout) as timeout:
                zone = await self._start_after_earlier_runs(spec, timeout)
        except TimeoutError:
            fault = self.fault or "the runtime did not start the zone in time"
            self._view.start_failed(spec, "RuntimeUnavailable", fault)
            # The start may still be in progress, but a zone reported as failed must not run later.
            await self._end(spec.id, 0, self._zones.stop)
        except Refused as error:
            log.warning("zone not started", id=spec.id, code=error.code, detail=str(error))
            reason = error.code if error.code in START_FAILURES else "StartError"
            self._view.start_failed(spec, reason, str(error))
        else:
            self._view.started(zone)

    async def _start_after_earlier_runs(
        self, spec: ZoneSpec, timeout: asyncio.Timeout
    ) -> ZoneStatus:
        """Start a zone, and first stop an earlier attempt that continues.

        The request to stop an attempt may overtake the request to start it, on another connection.
        """

        async def start() -> ZoneStatus:
            return await self._start_in_turn(spec, timeout)

        try:
            return await self._repeat(start, start=spec)
        except Refused as error:
            if error.code != "conflict" or spec.attempt == 0:
                raise
            log.warning("earlier run stopped", id=spec.id, detail=str(error))
        await self._end(spec.id, 0, self._zones.stop)
        return await self._repeat(start, start=spec)

    async def _start_in_turn(self, spec: ZoneSpec, timeout: asyncio.Timeout) -> ZoneStatus:
        """Start a zone; its timeout is paused while it waits for other starts to end."""
        paused = PausedTimeout(timeout, lambda: self.fault)
        try:
            return await self._zones.start(spec, paused.resume)
        finally:
            paused.close()

    async def _stop(self, zone_id: str, grace_seconds: int) -> None:
        zone = await self._end(zone_id, grace_seconds, self._zones.stop)
        has_run = zone is not None and zone.container_id is not None
        self._view.stopped(zone_id, zone.attempt if zone is not None and has_run else None)

    async def _remove(self, zone_id: str, grace_seconds: int) -> None:
        removed = await self._end(zone_id, grace_seconds, self._remove_once)
        self._view.removed(zone_id, removed)

    async def _remove_once(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting
    ) -> RemovedZone:
        """Stop a zone, read the end of its log, and remove it, in its turn."""
        zone = self._view.get(zone_id)
        status: ZoneStatus | None = None

        @asynccontextmanager
        async def pause() -> AsyncIterator[None]:
            async with slot.pause(), while_waiting():
                yield

        try:
            async with self._removals.slot(zone_id) as slot:
                # If the zone is known to have started, wait for a slot before calling `remove`.
                # Otherwise call it at once, because it first cancels a start in progress, which
                # would create more objects to remove; leaving `slot.pause` then acquires a slot.
                # A sidecar's `remove` never enters `pause`, so then there is no slot at all.
                if zone is not None and zone.state is not WorkloadState.PENDING:
                    await slot.acquire()
                if zone is not None and zone.state is WorkloadState.RUNNING:
                    with suppress(Refused):  # the removal may still work
                        status = await self._zones.stop(zone_id, grace_seconds, pause)
                log = await read_log_end(self._zones, zone_id)
                removal = await self._zones.remove(zone_id, grace_seconds, pause)
        except RuntimeFault:
            self._removals.forget(zone_id)  # the next attempt comes after all that wait
            raise
        return RemovedZone(removal, log, status)

    async def _end(
        self,
        zone_id: str,
        grace_seconds: int,
        operation: Callable[[str, int, WhileWaiting], Awaitable[T]],
    ) -> T:
        """Repeat a stop or removal until it has been carried out, and report it if it fails."""
        failures = EndFailures(
            zone_id, grace_seconds, lambda: self.fault, self.end_failures, self._view.notify
        )
        try:
            return await self._repeat(
                lambda: operation(zone_id, grace_seconds, failures.overdue_after_grace),
                failures=failures,
            )
        except asyncio.CancelledError:  # e.g. another command replaces this one
            failures.withdraw()
            raise
        finally:
            failures.close()

    async def _repeat(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        start: ZoneSpec | None = None,
        failures: EndFailures | None = None,
    ) -> T:
        """Repeat an operation until it has been carried out.

        Args:
            operation: Begins the operation.
            start: Spec of the zone that the operation starts, which is pending meanwhile.
            failures: Reports the errors of a stop or removal.

        Raises:
            Refused: The zone could not be started. A refused stop or removal is repeated.
        """
        pause, longest = self._retry
        if not self._view.opened.is_set():  # until then, another agent may be in charge
            if start is not None:
                self._view.start_delayed(start, self.fault or "")
            await self._view.opened.wait()
        while True:
            try:
                return await operation()
            except RuntimeUnavailable as error:
                failure = str(error)
                if start is not None:
                    self._view.start_delayed(start, failure)
            except Refused as error:
                failure = str(error)
                if start is not None:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
            if failures is not None:
                failures.add(failure)
