"""Reading the observed state of zones from the runtime.

The status of an object is requested only if it may have changed since the last request.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from kakuri_cri import CriError, NotFound, Runtime, RuntimeUnavailable, api
from kakuri_cri.api import ContainerState
from kakuri_json import JSONError, convert, decode
from kakuri_workload import MAX_SPEC_BYTES, ZoneSpec, present_spelling

from kakuri_zones import _labels as labels
from kakuri_zones._container_list import ContainerList
from kakuri_zones._observed import Container, ObservedZone, Sandbox, addresses, age
from kakuri_zones._tasks import gather_bounded, in_turns

log = structlog.get_logger()

STUCK_SECONDS = 2.0
"""Seconds for the status of one container or sandbox when all zones are listed."""

MAX_CONCURRENT_CALLS = 16
"""Status calls at the same time."""

MAX_ZONE_READS = 32
"""Zones that are read at the same time; further reads wait before their timeouts begin. A runtime
searches all its objects for those of one zone: if thousands of zones were read at once, as when all
are removed, every call would take longer than its timeout, and none would be removed."""

MAX_STATUS_CALLS = 4
"""Status calls for a killed container, whose reason the runtime may report late."""


@dataclass(frozen=True, slots=True)
class _LastStatus:
    """A container with its last status, its listed state then, and the number of requests."""

    listed_state: int
    container: Container
    requests: int

    def is_final(self, listed_state: int) -> bool:
        """Return whether the status is final while the container is listed in this state."""
        if self.listed_state != listed_state:
            return False
        return self.requests >= MAX_STATUS_CALLS or not self.container.is_provisional


class RuntimeReader:
    """Returns the observed state of zones.

    Attributes:
        being_removed: Ids of sandboxes and containers to leave out.
    """

    def __init__(self, cri: Runtime, *, timeout: float | None = None) -> None:
        self._cri = cri
        self._timeout = timeout
        self._containers: dict[str, _LastStatus] = {}
        self._reads = asyncio.Semaphore(MAX_ZONE_READS)
        self._list = ContainerList(cri, self._is_final, timeout=timeout)
        self._addresses: dict[str, str] = {}
        self._stuck: set[str] = set()
        self.being_removed: set[str] = set()

    async def all(self) -> dict[str, ObservedZone]:
        """Return every zone by its id.

        If a status call fails or times out, the object keeps its last known state, so that one
        stuck object does not delay the others.

        Raises:
            CriError: A list call failed, or the runtime is unavailable.
        """
        sandboxes = await self._cri.list_pod_sandboxes(labels.OURS, self._timeout)
        containers = await self._list.all(sandboxes)
        known = {each.id for each in containers} | {each.id for each in sandboxes}
        self._forget(known)
        return await self._observe(sandboxes, containers, skip_stuck=True)

    async def zone(self, zone_id: str, *, including_removed: bool = False) -> ObservedZone | None:
        """Return one zone; None if the runtime has no object of it.

        Raises:
            CriError: A call failed.
        """
        selected = labels.of_zone(zone_id)
        async with self._reads:
            sandboxes, containers = await asyncio.gather(
                self._cri.list_pod_sandboxes(selected, self._timeout),
                self._cri.list_containers(selected, timeout=self._timeout),
            )
            found = await self._observe(
                sandboxes, map(Container.of_listed, containers), including_removed=including_removed
            )
        return found.get(zone_id)

    async def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return the spec of a zone's latest container.

        Returns:
            None if there is no container, or if its spec is not valid or of another zone.

        Raises:
            CriError: The call failed.
        """
        listed = await self._cri.list_containers(labels.of_zone(zone_id), timeout=self._timeout)
        document: str | None = None
        latest: Container | None = None
        for each in listed:
            container = Container.of_listed(each)
            if each.id in self.being_removed:
                continue
            if latest is None or age(container) > age(latest):
                latest, document = container, each.annotations.get(labels.SPEC, "")
        if document is None or len(document) > MAX_SPEC_BYTES:
            return None
        try:
            spec = convert(present_spelling(decode(document)), type=ZoneSpec)
        except JSONError:  # another version of this program wrote it
            return None
        return spec if spec.id == zone_id else None

    def _is_final(self, listed: Container) -> bool:
        last = self._containers.get(listed.id)
        has_exited = listed.state == ContainerState.CONTAINER_EXITED
        return has_exited and last is not None and last.is_final(listed.state)

    async def _observe(
        self,
        listed_sandboxes: Iterable[api.PodSandbox],
        listed_containers: Iterable[Container],
        *,
        including_removed: bool = False,
        skip_stuck: bool = False,
    ) -> dict[str, ObservedZone]:
        """Return the zones of listed objects; request the status of those that can have changed.

        Args:
            listed_sandboxes: The sandboxes.
            listed_containers: The containers.
            including_removed: Whether objects that are being removed are included.
            skip_stuck: Whether an object keeps its last known state if its status call fails.
        """
        left_out = set() if including_removed else self.being_removed
        found: list[Sandbox | Container] = []
        requests: list[Callable[[], Coroutine[Any, Any, Sandbox | Container | None]]] = []
        async for sandbox in in_turns(listed_sandboxes):
            address = self._addresses.get(sandbox.id)
            if sandbox.id in left_out:
                continue
            if sandbox.state != api.PodSandboxState.SANDBOX_READY or address is not None:
                found.append(Sandbox.of(sandbox, address))
            else:
                requests.append(partial(self._request_sandbox, sandbox, skip_stuck=skip_stuck))
        async for container in in_turns(listed_containers):
            last = self._containers.get(container.id)
            if container.id in left_out:
                continue
            if last is not None and last.is_final(container.state):
                found.append(last.container)
            else:
                requests.append(partial(self._request_container, container, skip_stuck=skip_stuck))
        answers = await gather_bounded(requests, limit=MAX_CONCURRENT_CALLS)
        found += [each for each in answers if each is not None]
        return await _by_zone(found)

    async def _request_sandbox(self, listed: api.PodSandbox, *, skip_stuck: bool) -> Sandbox:
        """Return a ready sandbox, with its address if the runtime reports one."""
        timeout = STUCK_SECONDS if skip_stuck else self._timeout
        try:
            status = await self._cri.pod_sandbox_status(listed.id, timeout)
        except NotFound:
            return Sandbox.of(listed)
        except CriError as error:
            if not skip_stuck or isinstance(error, RuntimeUnavailable):
                raise
            self._record_stuck(listed.id, error)
            return Sandbox.of(listed)
        self._stuck.discard(listed.id)
        address = next(iter(addresses(status)), None)
        if address is not None:
            self._addresses[listed.id] = address
        return Sandbox.of(listed, address)

    async def _request_container(self, listed: Container, *, skip_stuck: bool) -> Container | None:
        """Return a container with its status; None if it was removed."""
        last = self._containers.get(listed.id)
        timeout = STUCK_SECONDS if skip_stuck else self._timeout
        try:
            status = await self._cri.container_status(listed.id, timeout)
        except NotFound:
            return None
        except CriError as error:
            if not skip_stuck or isinstance(error, RuntimeUnavailable):
                raise
            self._record_stuck(listed.id, error)
            return listed.as_stale() if last is None else replace(last.container, is_stale=True)
        self._stuck.discard(listed.id)
        found = listed.with_status(status)
        requests = last.requests + 1 if last is not None else 1
        self._containers[listed.id] = _LastStatus(listed.state, found, requests)
        return found

    def _record_stuck(self, object_id: str, error: CriError) -> None:
        if object_id not in self._stuck:
            self._stuck.add(object_id)
            log.warning(
                "the runtime does not return the status of an object",
                id=object_id,
                error=str(error),
            )

    def _forget(self, known: set[str]) -> None:
        for gone in self._containers.keys() - known:
            del self._containers[gone]
        for gone in self._addresses.keys() - known:
            del self._addresses[gone]
        self._stuck &= known


async def _by_zone(objects: Iterable[Sandbox | Container]) -> dict[str, ObservedZone]:
    """Return the zones that the objects belong to; those without a zone's id are left out."""
    zones: dict[str, tuple[list[Sandbox], list[Container]]] = {}
    async for each in in_turns(objects):
        sandboxes, containers = zones.setdefault(each.zone_id, ([], []))
        if isinstance(each, Sandbox):
            sandboxes.append(each)
        else:
            containers.append(each)
    return {
        zone_id: ObservedZone(zone_id, tuple(sandboxes), tuple(containers))
        for zone_id, (sandboxes, containers) in zones.items()
        if zone_id
    }
