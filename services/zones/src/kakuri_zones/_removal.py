"""Removing what the runtime has, at once or, when that fails, until it is done."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

import structlog
from kakuri_cri import CallRefused, CriError, NotFound, Runtime

from kakuri_zones._facts import ZoneFacts
from kakuri_zones._inspector import Inspector

log = structlog.get_logger()

MAX_ROUNDS = 3
"""How often a zone is listed and removed until the list is empty: a call that timed out may have
made something meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTimes:
    """Seconds between attempts to remove an object: the first is doubled up to the longest."""

    first: float = 1.0
    longest: float = 60.0


DEFAULT_RETRIES = RetryTimes()


@dataclass(frozen=True, slots=True)
class Objects:
    """Ids of sandboxes and containers."""

    sandboxes: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, facts: ZoneFacts | None) -> "Objects":
        """Give everything of a zone."""
        if facts is None:
            return cls()
        return cls(
            frozenset(each.id for each in facts.sandboxes),
            frozenset(each.id for each in facts.containers),
        )

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        return self.sandboxes | self.containers

    def __bool__(self) -> bool:
        return bool(self.ids)


class Remover:
    """Removes sandboxes and containers, and keeps at those that can't be removed."""

    def __init__(
        self, cri: Runtime, inspector: Inspector, times: RetryTimes = DEFAULT_RETRIES
    ) -> None:
        self._cri = cri
        self._inspector = inspector
        self._times = times
        self._jobs: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether something is still being removed behind everybody's back."""
        return bool(self._jobs)

    async def remove(self, objects: Objects) -> frozenset[str]:
        """Remove objects in the kubelet's order; those that are gone are fine.

        Returns:
            The ids of which the runtime said that it has nothing. It may go on listing them:
            containerd does, of a container that another of its clients has deleted.

        Raises:
            CriError: one could not be removed.

        """
        absent: set[str] = set()
        for sandbox_id in sorted(objects.sandboxes):
            await unless_gone(self._cri.stop_pod_sandbox(sandbox_id))
        for container_id in sorted(objects.containers):
            if not await unless_gone(self._cri.remove_container(container_id)):
                absent.add(container_id)
        for sandbox_id in sorted(objects.sandboxes):
            if not await unless_gone(self._cri.remove_pod_sandbox(sandbox_id)):
                absent.add(sandbox_id)
        return frozenset(absent)

    async def remove_zone(self, zone_id: str) -> None:
        """Remove everything of a zone, and see that nothing is left.

        What the runtime lists although it does not have it counts as removed. It is hidden and
        tried again until it is listed no more.

        Raises:
            CriError: something is left.

        """
        absent: frozenset[str] = frozenset()
        for _ in range(MAX_ROUNDS + 1):
            left = Objects.of(await self._inspector.zone(zone_id, with_hidden=True))
            if left.ids <= absent:
                self.remove_later(zone_id, left, "listed by the runtime, which does not have it")
                return
            absent = await self.remove(left)
        words = f"expected nothing left of {zone_id!r}, got {', '.join(sorted(left.ids))}"
        raise CallRefused("RemovePodSandbox", words)

    def remove_later(self, zone_id: str, objects: Objects, why: str) -> None:
        """Remove objects in the background, until it is done; from now on they don't count."""
        new = objects.ids - self._inspector.hidden
        if new:
            self._inspector.hidden |= new
            self._start(self._keep_removing(zone_id, objects, why))

    def stop_later(self, zone_id: str, sandbox_ids: Iterable[str], container_id: str) -> None:
        """End what is left of a zone that was lost, and leave the records of it."""
        self._start(self._stop_rest(zone_id, list(sandbox_ids), container_id))

    async def close(self) -> None:
        """Leave what is not done to the next start of this program, which finds it again."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def _start(self, work: Awaitable[None]) -> None:
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _keep_removing(self, zone_id: str, objects: Objects, why: str) -> None:
        log.info("removing", zone=zone_id, objects=len(objects.ids), why=why)
        pause = self._times.first
        while True:
            try:
                is_done = not await self._listed(zone_id, await self.remove(objects))
            except CriError as error:
                log.warning("could not remove, trying again", zone=zone_id, error=str(error))
            else:
                if is_done:
                    self._inspector.hidden -= objects.ids
                    log.info("removed", zone=zone_id, objects=len(objects.ids))
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._times.longest)

    async def _listed(self, zone_id: str, absent: frozenset[str]) -> bool:
        """Whether the runtime still lists something that it says it does not have."""
        if not absent:
            return False
        listed = Objects.of(await self._inspector.zone(zone_id, with_hidden=True))
        return bool(listed.ids & absent)

    async def _stop_rest(self, zone_id: str, sandbox_ids: list[str], container_id: str) -> None:
        log.warning("a zone was lost, stopping its rest", zone=zone_id, container=container_id)
        try:
            await unless_gone(self._cri.stop_container(container_id, 0))
            for sandbox_id in sandbox_ids:
                await unless_gone(self._cri.stop_pod_sandbox(sandbox_id))
        except CriError as error:
            log.warning("could not stop what a zone left", zone=zone_id, error=str(error))


async def unless_gone(call: Awaitable[None]) -> bool:
    """Await a call about an object; return whether the runtime has that object."""
    try:
        await call
    except NotFound:
        return False
    return True
