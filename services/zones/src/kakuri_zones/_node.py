"""The zones of one node, with the operations to start, stop, watch and read them."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import replace

from kakuri_cri import CriError, RuntimeUnavailable
from kakuri_workload import (
    WORKLOAD_ID,
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

from kakuri_zones._errors import UnknownRuntimeClass, UnknownZone
from kakuri_zones._health import Health
from kakuri_zones._images import Images
from kakuri_zones._log_watch import LogWatch
from kakuri_zones._metrics import ZoneMetrics
from kakuri_zones._monitor import Monitor
from kakuri_zones._table import ZoneTable
from kakuri_zones._waiting import WhileWaiting
from kakuri_zones._watchers import Watcher
from kakuri_zones._zones import Zones
from kakuri_zones.logs._store import LogStore


class ZoneNode:
    """The zones of one node; `zone_node` creates it.

    Every operation continues when its caller is cancelled. All are idempotent, `start` for the same
    spec and attempt.

    An operation raises a ZoneError if it can't be carried out, and kakuri_cri.CriError if a call
    to the runtime failed: after a CallUnanswered the outcome is unknown, and the same operation
    can be repeated until it is known.
    """

    def __init__(
        self,
        zones: Zones,
        table: ZoneTable,
        monitor: Monitor,
        logs: LogStore,
        watch: LogWatch,
        health: Callable[[], Awaitable[Health]],
        metrics: ZoneMetrics,
        images: Images,
        heartbeat: float,
    ) -> None:
        self._zones = zones
        self._table = table
        self._monitor = monitor
        self._logs = logs
        self._watch = watch
        self._health = health
        self._metrics = metrics
        self._images = images
        self._heartbeat = heartbeat

    def __repr__(self) -> str:
        return f"<ZoneNode {self._table!r} {self._zones!r}>"

    @property
    def runtime_classes(self) -> frozenset[str]:
        """The runtime classes that zones can have."""
        return self._zones.runtime_classes

    async def start(
        self, spec: ZoneSpec, check: Callable[[], None] = lambda: None
    ) -> tuple[ZoneStatus, bool]:
        """Start a zone, or join its start in progress, and wait until the container runs.

        Starting the same spec and attempt again returns the existing zone. A greater attempt
        replaces a run that has ended. The start waits until no stop or removal of the same id is
        in progress.

        Args:
            spec: What to start.
            check: Called after that wait and right before the start begins; an exception that it
                raises is passed on, and nothing is started.

        Returns:
            The zone's status, and whether it existed already.

        Raises:
            UnknownRuntimeClass: No handler is configured for the spec's runtime class.
            ZoneConflict: Another spec has this id, the attempt is lower than the zone's, or an
                earlier attempt still runs.
            StartFailed: The zone could not be started, and everything that was created has been
                removed; PullFailed if the image could not be pulled.
            StartCancelled: It was stopped or removed before its container started.
            CriError: The runtime did not answer; the outcome is unknown.
        """
        classes = self._zones.runtime_classes
        if spec.workload.runtime_class not in classes:
            expected = " or ".join(repr(name) for name in sorted(classes))
            raise UnknownRuntimeClass(f"expected {expected}, got {spec.workload.runtime_class!r}")
        return await self._zones.start(spec, check)

    async def stop(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> ZoneStatus:
        """Stop a zone's container and sandbox, and cancel its start in progress.

        Args:
            zone_id: The zone.
            grace_seconds: Seconds that the container may take to end after SIGTERM.
            while_waiting: Returns a context that is entered while the operation only waits, for a
                start to be cancelled or a container to end. With it, a caller can bound how many
                operations call the runtime at a time.

        Returns:
            The zone's last status. Without a container_id, its container never ran, and the zone no
            longer exists.

        Raises:
            UnknownZone: There is no zone with this id.
            CriError: The runtime did not answer or refused.
        """
        return await self._zones.stop(_check_id(zone_id), grace_seconds, while_waiting)

    async def remove(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> Removal:
        """Stop a zone and remove its container, sandbox and log; succeed if there is no such zone.

        Args:
            zone_id: The zone.
            grace_seconds: Seconds that the container may take to end after SIGTERM.
            while_waiting: Returns a context that is entered while the operation only waits, for a
                start to be cancelled or a container to end. With it, a caller can bound how many
                operations call the runtime at a time.

        Returns:
            The receipt: what was removed, and what the checks afterwards found.

        Raises:
            UnknownZone: The text is not a valid id.
            CriError: The runtime did not answer or refused.
            LogStorageError: Part of the log could not be removed.
        """
        return await self._zones.remove(_check_id(zone_id), grace_seconds, while_waiting)

    async def check_image(self, image: str, policy: PullPolicy | None) -> ImageStatus:
        """Return whether an image is on the node or a start would pull it; nothing is changed.

        Args:
            image: The reference, as in a workload.
            policy: When to pull, as in a workload.

        Raises:
            CriError: The runtime did not answer or refused.
        """
        return await self._images.check(image, policy)

    async def zone(self, zone_id: str) -> ZoneStatus:
        """Return a zone's status with its spec; without the spec if the runtime does not answer.

        Raises:
            UnknownZone: There is no zone with this id.
            RuntimeUnavailable: The runtime has not been listed yet, so the zone may exist.
        """
        spec: ZoneSpec | None = None
        if self._table.get(zone_id) is not None:
            with suppress(CriError):
                spec = await self._zones.spec(zone_id)
        status = self._table.get(zone_id)
        if status is None:
            self._expect_listing()
            raise UnknownZone(f"no zone {zone_id!r}")
        return replace(status, spec=spec)

    def zones(self) -> list[ZoneStatus]:
        """Return the status of every zone, without specs, in the order of their ids.

        Raises:
            RuntimeUnavailable: The runtime has not been listed yet.
        """
        self._expect_listing()
        return self._table.all()

    async def events(self) -> AsyncGenerator[ZoneEvent, None]:
        """Yield every zone's status, then each change, until `end_streams` or the node ends.

        RuntimeHealth comes first, and again whenever it changes: whether the runtime answers, and
        whether it can run zones. ZonesListed follows once every zone has been reported. At least
        every `heartbeat` seconds, an event is repeated as a sign of life: ZonesListed while the
        runtime answers, and RuntimeHealth while it does not. The iterator of a reader that is too
        slow ends, too; call `events` again then.

        Example:
            async for event in node.events():
                match event:
                    case ZoneChanged(status): print(status.id, status.state)
                    case ZoneGone(zone_id): print(zone_id, "was removed")
        """
        watcher = self._table.watch()
        self._monitor.wake()
        heartbeats = asyncio.create_task(self._send_heartbeats(watcher))
        try:
            while (event := await watcher.next()) is not None:
                yield event
        finally:
            heartbeats.cancel()
            self._table.unwatch(watcher)

    async def read_log(self, zone_id: str, request: LogRequest | None = None) -> LogChunk:
        """Read a part of a zone's log; pass the chunk's `next` as `after` to read on.

        Args:
            zone_id: The zone.
            request: The part to read; by default, the first part of the oldest content.

        Raises:
            UnknownZone, UnknownLog: there is no such log.
            LogCursorError: `request.after` is not a cursor.
            LogStorageError: The log can't be read.

        Example:
            cursor, has_ended = None, False
            while not has_ended:
                chunk = await node.read_log("web", LogRequest(after=cursor, wait=30))
                sys.stdout.buffer.write(chunk.data)
                cursor, has_ended = chunk.next, chunk.has_ended
        """
        _check_id(zone_id)
        request = request or LogRequest()
        after, limit, records = request.after, request.limit, request.records
        if after is None and request.tail is not None:
            after = await self._logs.tail(zone_id, request.tail, records=records is not None)
        if request.bounded:
            return await self._logs.read_bounded(zone_id, after, limit=limit, records=records)
        has_ended = self._end_check(zone_id, None if records is None else records.attempt)
        return await self._logs.read(
            zone_id, after, limit=limit, wait=request.wait, has_ended=has_ended, records=records
        )

    async def stream_log(
        self, zone_id: str, *, tail: int | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """Check that a zone has a log and return an iterator over its content.

        Args:
            zone_id: The zone.
            tail: Begin with this many last lines instead of at the oldest byte.
            follow: Continue until the zone has ended or is removed, instead of stopping at the
                current end of the log.

        Raises:
            UnknownZone, UnknownLog: there is no such log.
            LogStorageError: The log can't be read.
        """
        last = await self._logs.tail(_check_id(zone_id), tail or 0)
        after = last if tail is not None else None
        has_ended = self._end_check(zone_id)
        return self._logs.stream(zone_id, after, follow=follow, has_ended=has_ended)

    def log_events(self) -> AsyncGenerator[LogEvent, None]:
        """Yield LogsWatched once all logs are watched, then LogGrown for each log that grows.

        LogsWatched is repeated every `heartbeat` seconds. The iterator ends when that of `events`
        would.
        """
        return self._watch.events()

    async def health(self) -> Health:
        """Return which runtime answers, and whether it can run zones.

        If the runtime takes longer than 0.1 s, an earlier answer is returned that is at most 10 s
        old.
        """
        return await self._health()

    async def metrics(self) -> list[MetricFamily]:
        """Return what the node counts, and the resource usage of its zones.

        The usage is read from the runtime, at most once in ten seconds. A value that the runtime
        does not report has no series.
        """
        return await self._metrics.families()

    def end_streams(self) -> None:
        """End the iterators of `events` and `log_events`; operations continue."""
        self._table.close()
        self._watch.close()

    def _end_check(self, zone_id: str, attempt: int | None = None) -> Callable[[], bool]:
        """Return a function that checks whether a zone's log, or that of an attempt, has ended."""

        def has_ended() -> bool:
            status = self._table.get(zone_id)
            if not self._table.has_listing or status is None:
                return self._table.has_listing
            if attempt is not None and attempt != status.attempt:
                return attempt < status.attempt
            return status.state.is_terminal

        return has_ended

    def _expect_listing(self) -> None:
        """Raise RuntimeUnavailable until the runtime was listed: an unlisted zone may exist."""
        if not self._table.has_listing:
            # The message of an outage is the text of an error, which begins with its call.
            call, _, reason = (self._table.health.message or "").partition(": ")
            if not reason:
                call, reason = "ListPodSandbox", "not listed yet"
            raise RuntimeUnavailable(call, reason)

    async def _send_heartbeats(self, watcher: Watcher) -> None:
        """Queue a heartbeat after every event that is already queued."""
        while True:
            await asyncio.sleep(self._heartbeat)
            if watcher.has_listing and self._table.health.available:
                watcher.listed()
            else:
                watcher.health(self._table.health)


def _check_id(zone_id: str) -> str:
    """Return a zone's id. Raises UnknownZone for a text that is not a valid id."""
    if not re.fullmatch(WORKLOAD_ID, zone_id):
        raise UnknownZone(f"no zone {zone_id[:100]!r}")
    return zone_id
