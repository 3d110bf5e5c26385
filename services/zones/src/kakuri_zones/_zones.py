"""The operations on zones, one start at a time for each id.

Every operation is a task of its own and continues when its caller is cancelled. A start waits until
no stop or removal of the same id is in progress; a stop or removal cancels a start. Stops and
removals may overlap, since the runtime's calls for them are idempotent, so that a shorter grace
period takes effect at once.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from kakuri_cri import CallRefused, Runtime
from kakuri_cri.api import ContainerState
from kakuri_daemon import cancel_all, create_deferred_task, retrieve_exception
from kakuri_workload import Removal, WorkloadState, ZoneSpec, ZoneStatus

from kakuri_zones._errors import StartCancelled, StartFailed, UnknownZone, ZoneConflict
from kakuri_zones._missing import MissingContainers, missing_objects
from kakuri_zones._observed import ZONE_LOST, Container, ObservedZone
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._removal import LISTED_BUT_MISSING, Objects, Remover, ignore_not_found
from kakuri_zones._settings import DEFAULT_RETRIES, ORPHAN_GRACE, RetryTimes
from kakuri_zones._start import Start, stopped_before_start
from kakuri_zones._table import ZoneTable
from kakuri_zones._waiting import WhileWaiting
from kakuri_zones.logs._errors import LogError
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

STOPPED = "Stopped"

T = TypeVar("T")


class Zones:
    """Starts, stops and removes zones.

    Args:
        new_start: Creates the start of a spec by a handler of the runtime.
        handlers: The runtime's handler for each runtime class.
        retries: Pauses between attempts to check a container that may be missing.
        orphan_grace: Seconds for which objects of an unfinished start of an earlier process are
            kept for a start that adopts them.
        clock: Returns seconds.
    """

    def __init__(
        self,
        cri: Runtime,
        reader: RuntimeReader,
        table: ZoneTable,
        remover: Remover,
        logs: LogStore,
        new_start: Callable[[ZoneSpec, str], Start],
        handlers: Mapping[str, str],
        *,
        retries: RetryTimes = DEFAULT_RETRIES,
        orphan_grace: float = ORPHAN_GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cri = cri
        self._reader = reader
        self._table = table
        self._remover = remover
        self._logs = logs
        self._new_start = new_start
        self._handlers = handlers
        self._orphan_grace = orphan_grace
        self._clock = clock
        self._starts: dict[str, tuple[Start, asyncio.Task[bool]]] = {}
        self._ends: dict[str, set[asyncio.Task[Any]]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._unfinished: dict[str, float] = {}
        self._lost: set[str] = set()
        self._missing = MissingContainers(cri, retries)
        self._refused: dict[str, str] = {}  # zone id by container that the runtime refused to stop

    def __repr__(self) -> str:
        return f"<Zones: {len(self._starts)} starting, {len(self._ends)} ending>"

    @property
    def runtime_classes(self) -> frozenset[str]:
        """The runtime classes that zones can have."""
        return frozenset(self._handlers)

    @property
    def busy(self) -> frozenset[str]:
        """The ids of zones that are being started, stopped or removed."""
        return frozenset(self._starts.keys() | self._ends.keys())

    async def start(
        self, spec: ZoneSpec, check: Callable[[], None] = lambda: None
    ) -> tuple[ZoneStatus, bool]:
        """Start a zone or join its start; see `ZoneNode.start`."""
        while self._ends.get(spec.id):
            await asyncio.wait(set(self._ends[spec.id]))
        check()
        # No local variable holds the task: the task holds its exception, whose traceback holds this
        # frame, and such a cycle would keep the spec of each failed start.
        existed = await asyncio.shield(self._start_task(spec))
        status = self._table.get(spec.id)
        if status is None:
            raise StartCancelled(f"zone {spec.id!r} was removed right after it was started")
        return status, existed

    def _start_task(self, spec: ZoneSpec) -> asyncio.Task[bool]:
        """Return the task of the start in progress, or of a new one."""
        if (current := self._starts.get(spec.id)) is not None:
            start, task = current
            if not start.matches(spec):
                other = f"another spec or attempt ({start.spec.attempt})"
                raise ZoneConflict(f"zone {spec.id!r} is being started with {other}")
            return task
        start = self._new_start(spec, self._handlers[spec.workload.runtime_class])
        task = create_deferred_task(self._run_start(start))
        task.add_done_callback(retrieve_exception)
        self._starts[spec.id] = (start, task)
        return task

    async def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return the spec of the start in progress, or else of the zone in the runtime.

        Returns:
            None if neither is known.

        Raises:
            CriError: The runtime did not answer or refused.
        """
        if (current := self._starts.get(zone_id)) is not None:
            return current[0].spec
        return await self._reader.spec(zone_id)

    async def stop(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> ZoneStatus:
        """Stop a zone's container and sandbox; see `ZoneNode.stop`."""
        return await self._end(zone_id, self._run_stop(zone_id, grace_seconds, while_waiting))

    async def remove(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> Removal:
        """Stop a zone and remove its container, sandbox and log; see `ZoneNode.remove`."""
        return await self._end(zone_id, self._run_remove(zone_id, grace_seconds, while_waiting))

    async def drop_missing(self, zones: Mapping[str, ObservedZone], begun: int) -> bool:
        """Remove objects that the runtime lists although they no longer exist, and hide them.

        An earlier process may have removed them already, and their zones would appear again.
        Zones that an operation changes meanwhile are skipped, because a start may have adopted a
        sandbox. Containers that could not be checked yet are kept; `reconcile` removes those that
        turn out to be missing.

        Args:
            zones: The first listing of this process.
            begun: The table's token of this listing.

        Returns:
            Whether it began to remove any object; if so, repeat the listing.

        Raises:
            CallUnanswered: The runtime stopped responding.
        """
        await self._missing.check(zones.values())
        busy = self.busy
        has_removed = False
        for zone_id, zone in zones.items():
            if zone_id not in busy and not self._table.has_changed(zone_id, begun):
                has_removed |= self._remove_missing(zone)
        return has_removed

    def reconcile(self, zones: Mapping[str, ObservedZone]) -> None:
        """Remove missing and orphaned objects and stop lost zones, except during an operation."""
        missing = self._missing.found
        unfinished: dict[str, float] = {}
        lost: set[str] = set()
        now = self._clock()
        for zone_id, observed in zones.items():
            if zone_id in self._starts or zone_id in self._ends:
                continue
            if missing:
                self._remove_missing(observed)
            objects = _unfinished(observed)
            for each in objects.ids:
                unfinished[each] = self._unfinished.get(each, now)
            if any(now - unfinished[each] >= self._orphan_grace for each in objects.ids):
                self._remove_orphans(observed, objects)
            status = self._table.get(zone_id)
            if observed.is_lost and observed.container and status and status.reason == ZONE_LOST:
                lost.add(observed.container.id)
                if observed.container.id not in self._lost:
                    sandboxes = [each.id for each in observed.sandboxes]
                    self._remover.stop_later(zone_id, sandboxes, observed.container.id)
        self._unfinished, self._lost = unfinished, lost
        if missing or self._refused:
            self._forget_unlisted(zones)

    async def close(self) -> None:
        """Cancel every operation; the next process finds the objects by their labels."""
        tasks: set[asyncio.Task[Any]] = {task for _, task in self._starts.values()}
        tasks |= {task for ends in self._ends.values() for task in ends} | self._background
        await cancel_all(tasks)
        await self._missing.close()

    def _end(self, zone_id: str, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run a stop or removal as a task, which continues if the returned future is cancelled."""
        task = asyncio.create_task(work)
        ends = self._ends.setdefault(zone_id, set())
        ends.add(task)

        def forget(ended: asyncio.Task[T]) -> None:
            ends.discard(ended)
            if not ends and self._ends.get(zone_id) is ends:
                del self._ends[zone_id]
            retrieve_exception(ended)

        task.add_done_callback(forget)
        return asyncio.shield(task)

    async def _run_start(self, start: Start) -> bool:
        spec, table = start.spec, self._table
        try:
            return await start.run()
        except StartFailed as error:
            log.warning("start failed", zone=spec.id, reason=error.reason, error=str(error))
            await self._remove_unused_log(spec.id, spec.attempt)
            table.show_progress(_failed(spec, error.reason, str(error)))
            table.observe(spec.id, None)
            raise
        except StartCancelled as error:
            await self._remove_unused_log(spec.id, spec.attempt)
            table.show_progress(_failed(spec, STOPPED, str(error)))
            table.observe(spec.id, None)
            raise
        finally:
            del self._starts[spec.id]
            table.end_progress(spec.id)

    async def _remove_unused_log(self, zone_id: str, attempt: int) -> None:
        """Remove the log of a zone that never ran, but keep the log of earlier attempts."""
        if attempt == 0:
            try:
                await self._logs.remove(zone_id)
            except LogError as error:
                log.warning("could not remove a log", zone=zone_id, error=str(error))

    async def _cancel_start(self, zone_id: str) -> ZoneStatus | None:
        """Cancel a start in progress; return the status of the zone, if its container never ran."""
        current = self._starts.get(zone_id)
        if current is None:
            return None
        start, task = current
        start.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            return None
        match task.exception():
            case StartCancelled() as error:
                return _failed(start.spec, STOPPED, str(error))
            case StartFailed() as error:
                return _failed(start.spec, error.reason, str(error))
        return None

    async def _run_stop(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting
    ) -> ZoneStatus:
        async with while_waiting():
            ended = await self._cancel_start(zone_id)
        if ended is not None:
            await self._remover.remove_zone(zone_id)
            return ended
        observed = await self._reader.zone(zone_id)
        if observed is None:
            raise UnknownZone(f"no zone {zone_id!r}")
        container = observed.container
        if container is None or not container.was_started:
            await self._remover.remove_zone(zone_id)
            self._table.observe(zone_id, None)
            attempt = observed.status().attempt
            message = stopped_before_start(zone_id)
            return ZoneStatus(zone_id, WorkloadState.FAILED, STOPPED, message, attempt=attempt)
        async with while_waiting():
            refusal = await self._stop_containers(observed, grace_seconds)
        for sandbox in observed.sandboxes:
            await ignore_not_found(self._cri.stop_pod_sandbox(sandbox.id))
        observed = await self._reader.zone(zone_id)
        if observed is None:
            raise UnknownZone(f"zone {zone_id!r} was removed meanwhile")
        if refusal is not None and any(_runs(each) for each in observed.containers):
            try:
                raise refusal
            finally:
                del refusal  # its traceback holds this frame
        self._table.observe(zone_id, observed)
        return self._table.get(zone_id) or observed.status()

    async def _run_remove(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting
    ) -> Removal:
        async with while_waiting():
            await self._cancel_start(zone_id)
        observed = await self._reader.zone(zone_id)
        if observed is not None:
            async with while_waiting():
                await self._stop_containers(observed, grace_seconds)
            observed = await self._reader.zone(zone_id)
        if observed is not None:
            self._table.observe(zone_id, observed)
            # Keep this status: listings during the removal would show a zone that is being created.
            self._table.show_progress(self._table.get(zone_id) or observed.status())
        try:
            is_unlisted = await self._remover.remove_zone(zone_id)
            await self._logs.remove(zone_id)
            log_bytes = await self._logs.size(zone_id)
            self._table.observe(zone_id, None)
            if observed is not None:
                log.info("removed", zone=zone_id)
            removal = Removal(log_bytes=log_bytes, verified_by="list" if is_unlisted else None)
            if observed is None:
                return removal
            status = observed.status()
            return replace(removal, zone=status.pod_sandbox_id, container=status.container_id)
        finally:
            self._table.end_progress(zone_id)

    async def _stop_containers(
        self, observed: ObservedZone, grace_seconds: int
    ) -> CallRefused | None:
        """Stop the running containers; return the refusal, since removing them may still work."""
        refusal: CallRefused | None = None
        for container in observed.containers:
            if _runs(container):
                try:
                    await ignore_not_found(self._cri.stop_container(container.id, grace_seconds))
                except CallRefused as error:
                    refusal = error
                    if container.id not in self._refused:  # a stop is repeated until it succeeds
                        self._refused[container.id] = observed.id
                        log.warning(
                            "could not stop a container", zone=observed.id, error=str(error)
                        )
        return refusal

    def _remove_missing(self, observed: ObservedZone) -> bool:
        """Remove the missing objects of a zone; return whether there are any."""
        objects = missing_objects(observed, self._missing.found)
        if objects:
            self._remover.remove_later(observed.id, objects, LISTED_BUT_MISSING)
        return bool(objects)

    def _forget_unlisted(self, zones: Mapping[str, ObservedZone]) -> None:
        """Forget missing containers, and those with a refused stop, that are no longer listed."""
        listed = {each.id for zone in zones.values() for each in zone.containers}
        for zone_ids in (self._missing.found, self._refused):
            for container_id, zone_id in list(zone_ids.items()):
                # `zones` omits zones that changed during the listing; keep those that exist.
                is_omitted = zone_id not in zones and self._table.get(zone_id) is not None
                if container_id not in listed and not is_omitted:
                    del zone_ids[container_id]

    def _remove_orphans(self, observed: ObservedZone, objects: Objects) -> None:
        self._remover.remove_later(observed.id, objects, "partially created, and not adopted")
        container = observed.container
        if container is not None and objects == Objects.of(observed):
            task = asyncio.create_task(self._remove_unused_log(observed.id, container.attempt))
            self._background.add(task)
            task.add_done_callback(self._background.discard)


def _unfinished(observed: ObservedZone) -> Objects:
    """Return the objects of an unfinished start."""
    containers = {each.id for each in observed.containers if not each.was_started}
    used = {each.sandbox_id for each in observed.containers if each.was_started}
    sandboxes = {each.id for each in observed.sandboxes if each.id not in used}
    return Objects(frozenset(sandboxes), frozenset(containers))


def _runs(container: Container) -> bool:
    return container.state == ContainerState.CONTAINER_RUNNING


def _failed(spec: ZoneSpec, reason: str, message: str) -> ZoneStatus:
    return ZoneStatus(spec.id, WorkloadState.FAILED, reason, message, attempt=spec.attempt)
