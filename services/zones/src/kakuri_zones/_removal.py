"""Removing sandboxes and containers, with retries in the background."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

import structlog
from kakuri_cri import CallRefused, CriError, NotFound, Runtime
from kakuri_daemon import cancel_all

from kakuri_zones._observed import ObservedZone
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._settings import DEFAULT_RETRIES, RetryTimes

log = structlog.get_logger()

MAX_ROUNDS = 3
"""How often a zone is listed again after its removal, because a call that timed out may have
created another object meanwhile."""

LISTED_BUT_MISSING = "listed by the runtime, but not found"


@dataclass(frozen=True, slots=True)
class Objects:
    """Ids of sandboxes and containers."""

    sandboxes: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, observed: ObservedZone | None) -> "Objects":
        """Return all objects of a zone."""
        if observed is None:
            return cls()
        return cls(
            frozenset(each.id for each in observed.sandboxes),
            frozenset(each.id for each in observed.containers),
        )

    @property
    def ids(self) -> frozenset[str]:
        """The ids of both kinds."""
        return self.sandboxes | self.containers

    def __bool__(self) -> bool:
        return bool(self.ids)

    def __or__(self, other: "Objects") -> "Objects":
        return Objects(self.sandboxes | other.sandboxes, self.containers | other.containers)

    def __sub__(self, other: "Objects") -> "Objects":
        return Objects(self.sandboxes - other.sandboxes, self.containers - other.containers)


class Remover:
    """Removes sandboxes and containers, and retries those whose removal fails."""

    def __init__(
        self, cri: Runtime, reader: RuntimeReader, times: RetryTimes = DEFAULT_RETRIES
    ) -> None:
        self._cri = cri
        self._reader = reader
        self._times = times
        self._jobs: set[asyncio.Task[None]] = set()
        self._removing: list[str] = []

    @property
    def zones(self) -> frozenset[str]:
        """The zones with objects that are being removed in the background."""
        return frozenset(self._removing)

    async def remove(self, objects: Objects) -> frozenset[str]:
        """Remove objects in the kubelet's order; those that don't exist count as removed.

        Returns:
            The ids that the runtime did not find. It may still list them: containerd does for a
            container that another of its clients has deleted.

        Raises:
            CriError: One could not be removed.
        """
        absent: set[str] = set()
        for sandbox_id in sorted(objects.sandboxes):
            await ignore_not_found(self._cri.stop_pod_sandbox(sandbox_id))
        for container_id in sorted(objects.containers):
            if not await ignore_not_found(self._cri.remove_container(container_id)):
                absent.add(container_id)
        for sandbox_id in sorted(objects.sandboxes):
            if not await ignore_not_found(self._cri.remove_pod_sandbox(sandbox_id)):
                absent.add(sandbox_id)
        return frozenset(absent)

    async def remove_zone(self, zone_id: str) -> bool:
        """Remove all objects of a zone, and verify it with a list.

        An object that the runtime lists but does not find counts as removed. It is left out of
        every other list, and removed again until it is no longer listed.

        Returns:
            Whether the runtime no longer lists any of its objects.

        Raises:
            CriError: A call failed, or objects remain.
        """
        absent: frozenset[str] = frozenset()
        for _ in range(MAX_ROUNDS + 1):
            left = Objects.of(await self._reader.zone(zone_id, including_removed=True))
            if left.ids <= absent:
                self.remove_later(zone_id, left, LISTED_BUT_MISSING)
                return not left
            absent = await self.remove(left)
        message = f"zone {zone_id!r} still has {', '.join(sorted(left.ids))} after its removal"
        raise CallRefused("RemovePodSandbox", message)

    def remove_later(self, zone_id: str, objects: Objects, reason: str) -> None:
        """Leave objects out of every list from now on, and remove them in the background."""
        new = objects.ids - self._reader.being_removed
        if new:
            self._reader.being_removed |= new
            self._removing.append(zone_id)
            self._start(self._keep_removing(zone_id, objects, reason))

    def stop_later(self, zone_id: str, sandbox_ids: Iterable[str], container_id: str) -> None:
        """Stop the objects of a lost zone in the background, without removing them."""
        self._start(self._stop_lost_zone(zone_id, list(sandbox_ids), container_id))

    async def close(self) -> None:
        """Cancel the background removals; the next process finds the objects by their labels."""
        await cancel_all(self._jobs)

    def _start(self, work: Awaitable[None]) -> None:
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _keep_removing(self, zone_id: str, objects: Objects, reason: str) -> None:
        log.info("removing", zone=zone_id, objects=len(objects.ids), reason=reason)
        pause = self._times.first
        while True:
            try:
                is_done = not await self._listed(zone_id, await self.remove(objects))
            except CriError as error:
                log.warning("could not remove, trying again", zone=zone_id, error=str(error))
            else:
                if is_done:
                    self._removing.remove(zone_id)
                    self._reader.being_removed -= objects.ids
                    log.info("removed", zone=zone_id, objects=len(objects.ids))
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._times.longest)

    async def _listed(self, zone_id: str, absent: frozenset[str]) -> bool:
        """Return whether the runtime still lists an object that it did not find."""
        if not absent:
            return False
        listed = Objects.of(await self._reader.zone(zone_id, including_removed=True))
        return bool(listed.ids & absent)

    async def _stop_lost_zone(
        self, zone_id: str, sandbox_ids: list[str], container_id: str
    ) -> None:
        log.warning(
            "zone lost, stopping its container and sandbox", zone=zone_id, container=container_id
        )
        try:
            await ignore_not_found(self._cri.stop_container(container_id, 0))
            for sandbox_id in sandbox_ids:
                await ignore_not_found(self._cri.stop_pod_sandbox(sandbox_id))
        except CriError as error:
            log.warning("could not stop a lost zone", zone=zone_id, error=str(error))


async def ignore_not_found(call: Awaitable[None]) -> bool:
    """Await a call about an object; return whether the runtime found the object."""
    try:
        await call
    except NotFound:
        return False
    return True
