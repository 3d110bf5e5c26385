"""The operations on zones, one start at a time for each id.

Every operation is a task of its own: a client that goes away cancels nothing. A start waits until
nothing is being stopped or removed under its id; stopping and removing cancel a start. Stops and
removals may overlap, since the runtime's calls for them are idempotent: a shorter grace time then
takes effect at once.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import structlog
from kakuri_cri import CallRefused
from kakuri_cri.api import ContainerState
from kakuri_registry import WorkloadState, ZoneSpec, ZoneStatus

from kakuri_zones._errors import StartCancelled, StartFailed, UnknownZone, ZoneConflict
from kakuri_zones._facts import ZONE_LOST, Container, ZoneFacts
from kakuri_zones._removal import Objects, unless_gone
from kakuri_zones._start import Start, StartTools
from kakuri_zones.logs._errors import LogError

log = structlog.get_logger()

STOPPED = "Stopped"

HALF_MADE_SECONDS = 5.0
"""How long half-made things that nobody works on are left for a start that carries on."""

T = TypeVar("T")


class Zones:
    """Starts, stops and removes zones.

    handlers maps runtime classes to the runtime's handlers; half_made_seconds is how long an
    unfinished start of an earlier life may wait to be carried on.
    """

    def __init__(
        self,
        tools: StartTools,
        handlers: Mapping[str, str],
        *,
        half_made_seconds: float = HALF_MADE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tools = tools
        self._handlers = handlers
        self._half_made_seconds = half_made_seconds
        self._clock = clock
        self._starts: dict[str, tuple[Start, asyncio.Task[bool]]] = {}
        self._ends: dict[str, set[asyncio.Task[Any]]] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._half_made: dict[str, float] = {}
        self._lost: set[str] = set()

    def __repr__(self) -> str:
        return f"<Zones: {len(self._starts)} starting, {len(self._ends)} ending>"

    @property
    def runtime_classes(self) -> frozenset[str]:
        """What zones can be run by."""
        return frozenset(self._handlers)

    @property
    def busy(self) -> frozenset[str]:
        """The ids of zones that are being started, stopped or removed."""
        return frozenset(self._starts.keys() | self._ends.keys())

    async def start(
        self, spec: ZoneSpec, check: Callable[[], None] = lambda: None
    ) -> tuple[ZoneStatus, bool]:
        """Start a zone, or join the start that is under way; waits until it runs or can't.

        Gives its status and whether it was there before. `check` is called before anything is
        begun, and may raise. Raises ZoneConflict; StartFailed and StartCancelled, after which
        nothing of it is left; CriError if the outcome is unknown.
        """
        while self._ends.get(spec.id):
            await asyncio.wait(set(self._ends[spec.id]))
        check()
        # The task has no name here. It holds what it raises, whose traceback holds this frame: with
        # a name for the task that were a cycle, and would keep the spec of each failed start.
        existed = await asyncio.shield(self._started(spec))
        status = self._tools.table.get(spec.id)
        if status is None:
            raise StartCancelled(f"zone {spec.id!r} was removed as soon as it was started")
        return status, existed

    def _started(self, spec: ZoneSpec) -> asyncio.Task[bool]:
        """Return the task of a start: of the one under way, or of a new one."""
        if (under_way := self._starts.get(spec.id)) is not None:
            start, task = under_way
            if start.spec != spec:
                given = f"attempt {start.spec.attempt}"
                raise ZoneConflict(f"another spec of {spec.id!r} is being started, {given}")
            return task
        start = Start(self._tools, spec, self._handlers[spec.runtime_class])
        task = asyncio.create_task(self._run_start(start))
        task.add_done_callback(_see)
        self._starts[spec.id] = (start, task)
        return task

    async def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return what a zone is being started from, or what the runtime has of it was made from.

        None if neither is known. Raises CriError.
        """
        if (under_way := self._starts.get(zone_id)) is not None:
            return under_way[0].spec
        return await self._tools.inspector.spec(zone_id)

    async def stop(self, zone_id: str, grace_seconds: int) -> ZoneStatus:
        """Let a zone's container end, kill it after the grace time, and give its last status.

        Raises UnknownZone and CriError.
        """
        return await self._end(zone_id, self._run_stop(zone_id, grace_seconds))

    async def remove(self, zone_id: str, grace_seconds: int) -> None:
        """Stop a zone and see to it that nothing is left of it, its log included.

        Raises CriError and LogError.
        """
        await self._end(zone_id, self._run_remove(zone_id, grace_seconds))

    def take_listing(self, zones: Mapping[str, ZoneFacts]) -> None:
        """See to what the runtime has and nobody works on: half-made things, rests of lost ones."""
        half_made: dict[str, float] = {}
        lost: set[str] = set()
        now = self._clock()
        for zone_id, facts in zones.items():
            if zone_id in self._starts or zone_id in self._ends:
                continue
            objects = _half_made(facts)
            for each in objects.ids:
                half_made[each] = self._half_made.get(each, now)
            if any(now - half_made[each] >= self._half_made_seconds for each in objects.ids):
                self._sweep(facts, objects)
            status = self._tools.table.get(zone_id)
            if facts.is_lost and facts.container and status and status.reason == ZONE_LOST:
                lost.add(facts.container.id)
                if facts.container.id not in self._lost:
                    sandboxes = [each.id for each in facts.sandboxes]
                    self._tools.remover.stop_later(zone_id, sandboxes, facts.container.id)
        self._half_made, self._lost = half_made, lost

    async def close(self) -> None:
        """Abandon what is under way; the next start of this program finds what it has made."""
        tasks: set[asyncio.Task[Any]] = {task for _, task in self._starts.values()}
        tasks |= {task for ends in self._ends.values() for task in ends} | self._chores
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, zone_id: str, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Begin to end a zone; cancelling the returned future does not cancel the work."""
        task = asyncio.create_task(work)
        ends = self._ends.setdefault(zone_id, set())
        ends.add(task)

        def forget(ended: asyncio.Task[T]) -> None:
            ends.discard(ended)
            if not ends and self._ends.get(zone_id) is ends:
                del self._ends[zone_id]
            _see(ended)

        task.add_done_callback(forget)
        return asyncio.shield(task)

    async def _run_start(self, start: Start) -> bool:
        spec, table = start.spec, self._tools.table
        try:
            return await start.run()
        except StartFailed as error:
            log.warning("start failed", zone=spec.id, reason=error.reason, error=str(error))
            await self._forget_log(spec.id, spec.attempt)
            table.show_progress(_failed(spec, error.reason, str(error)))
            table.learn(spec.id, None)
            raise
        except StartCancelled as error:
            await self._forget_log(spec.id, spec.attempt)
            table.show_progress(_failed(spec, STOPPED, str(error)))
            table.learn(spec.id, None)
            raise
        finally:
            del self._starts[spec.id]
            table.end_progress(spec.id)

    async def _forget_log(self, zone_id: str, attempt: int) -> None:
        """Remove the log of a zone that never ran; that of earlier attempts stays."""
        if attempt == 0:
            try:
                await self._tools.logs.remove(zone_id)
            except LogError as error:
                log.warning("could not remove a log", zone=zone_id, error=str(error))

    async def _cancel_start(self, zone_id: str) -> ZoneStatus | None:
        """Cancel a start under way; gives the status of a zone that did not come to run."""
        under_way = self._starts.get(zone_id)
        if under_way is None:
            return None
        start, task = under_way
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

    async def _run_stop(self, zone_id: str, grace_seconds: int) -> ZoneStatus:
        tools = self._tools
        ended = await self._cancel_start(zone_id)
        if ended is not None:
            await tools.remover.remove_zone(zone_id)
            return ended
        facts = await tools.inspector.zone(zone_id)
        if facts is None:
            raise UnknownZone(f"no zone {zone_id!r}")
        container = facts.container
        if container is None or not container.was_started:
            await tools.remover.remove_zone(zone_id)
            tools.table.learn(zone_id, None)
            attempt = facts.status().attempt
            words = f"zone {zone_id!r} was stopped before it ran"
            return ZoneStatus(zone_id, WorkloadState.FAILED, STOPPED, words, attempt=attempt)
        refusal = await self._stop_containers(facts, grace_seconds)
        for sandbox in facts.sandboxes:
            await unless_gone(tools.cri.stop_pod_sandbox(sandbox.id))
        facts = await tools.inspector.zone(zone_id)
        if facts is None:
            raise UnknownZone(f"zone {zone_id!r} was removed meanwhile")
        if refusal is not None and any(_runs(each) for each in facts.containers):
            try:
                raise refusal
            finally:
                del refusal  # its traceback holds this frame
        tools.table.learn(zone_id, facts)
        return tools.table.get(zone_id) or facts.status()

    async def _run_remove(self, zone_id: str, grace_seconds: int) -> None:
        tools = self._tools
        await self._cancel_start(zone_id)
        facts = await tools.inspector.zone(zone_id)
        if facts is not None:
            await self._stop_containers(facts, grace_seconds)
            facts = await tools.inspector.zone(zone_id)
        if facts is not None:
            tools.table.learn(zone_id, facts)
            # What a listing shows of it while it is taken apart is not to be told.
            tools.table.show_progress(tools.table.get(zone_id) or facts.status())
        try:
            await tools.remover.remove_zone(zone_id)
            await tools.logs.remove(zone_id)
            tools.table.learn(zone_id, None)
            if facts is not None:
                log.info("removed", zone=zone_id)
        finally:
            tools.table.end_progress(zone_id)

    async def _stop_containers(self, facts: ZoneFacts, grace_seconds: int) -> CallRefused | None:
        """Stop what runs; gives the runtime's refusal, after which force may help."""
        refusal: CallRefused | None = None
        for container in facts.containers:
            if _runs(container):
                try:
                    await unless_gone(self._tools.cri.stop_container(container.id, grace_seconds))
                except CallRefused as error:
                    log.warning("could not stop a container", zone=facts.id, error=str(error))
                    refusal = error
        return refusal

    def _sweep(self, facts: ZoneFacts, objects: Objects) -> None:
        self._tools.remover.remove_later(facts.id, objects, "half made, and nobody carried on")
        container = facts.container
        if container is not None and objects == Objects.of(facts):
            chore = asyncio.create_task(self._forget_log(facts.id, container.attempt))
            self._chores.add(chore)
            chore.add_done_callback(self._chores.discard)


def _half_made(facts: ZoneFacts) -> Objects:
    """Give what a start has made and not finished."""
    containers = {each.id for each in facts.containers if not each.was_started}
    used = {each.sandbox_id for each in facts.containers if each.was_started}
    sandboxes = {each.id for each in facts.sandboxes if each.id not in used}
    return Objects(frozenset(sandboxes), frozenset(containers))


def _runs(container: Container) -> bool:
    return container.state == ContainerState.CONTAINER_RUNNING


def _failed(spec: ZoneSpec, reason: str, message: str) -> ZoneStatus:
    return ZoneStatus(spec.id, WorkloadState.FAILED, reason, message, attempt=spec.attempt)


def _see(task: asyncio.Task[Any]) -> None:
    """Look at a task's exception, which every caller may have stopped waiting for."""
    if not task.cancelled():
        task.exception()
