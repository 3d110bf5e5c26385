"""Looking at what the runtime has, asking about nothing twice that can't have changed."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import structlog
from kakuri_cri import CriError, NotFound, Runtime, RuntimeUnavailable, api
from kakuri_cri.api import ContainerState
from kakuri_json import JSONError, decode
from kakuri_registry import ZoneSpec

from kakuri_zones import _labels as labels
from kakuri_zones._container_list import ContainerList
from kakuri_zones._facts import Container, Sandbox, ZoneFacts, addresses, age

log = structlog.get_logger()

STUCK_SECONDS = 2.0
"""How long the runtime may take to tell of one container or sandbox, when all are looked at."""

MAX_ASKING = 16
"""Containers and sandboxes that are asked about at a time."""

MAX_ASKED = 4
"""How often one is asked about a killed container whose reason may come late."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a container's status was, the state that it was listed in, and how often one asked."""

    listed_state: int
    container: Container
    times: int

    def is_settled(self, listed_state: int) -> bool:
        """Whether the runtime has no more to say while it lists the container in this state."""
        if self.listed_state != listed_state:
            return False
        return self.times >= MAX_ASKED or not self.container.is_unsettled


class Inspector:
    """Gives facts about zones.

    What is in `hidden` (ids of sandboxes and containers) is left out: it is being removed and
    counts no more.
    """

    def __init__(self, cri: Runtime, *, timeout: float | None = None) -> None:
        self._cri = cri
        self._timeout = timeout
        self._containers: dict[str, _Asked] = {}
        self._list = ContainerList(cri, self._is_final, timeout=timeout)
        self._addresses: dict[str, str] = {}
        self._stuck: set[str] = set()
        self.hidden: set[str] = set()

    async def all(self) -> dict[str, ZoneFacts]:
        """List every zone by its id. Raises CriError.

        Of a container or sandbox about which the runtime gives no answer, while it lists it, what
        was known of it stands: one that is stuck is not to hide what becomes of all others.
        """
        sandboxes = await self._cri.list_pod_sandboxes(labels.OURS, self._timeout)
        containers = await self._list.all(sandboxes)
        known = {each.id for each in containers} | {each.id for each in sandboxes}
        self._forget(known)
        return await self._facts(sandboxes, containers, is_patient=False)

    async def zone(self, zone_id: str, *, with_hidden: bool = False) -> ZoneFacts | None:
        """Look at one zone now; None if the runtime has nothing of it. Raises CriError."""
        selected = labels.of_zone(zone_id)
        sandboxes, containers = await asyncio.gather(
            self._cri.list_pod_sandboxes(selected, self._timeout), self._containers_of(zone_id)
        )
        found = await self._facts(sandboxes, containers, with_hidden=with_hidden)
        return found.get(zone_id)

    async def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return what a zone's latest container was made from.

        None if there is no container, or another version of this program has written its spec.
        Raises CriError.
        """
        listed = await self._cri.list_containers(labels.of_zone(zone_id), timeout=self._timeout)
        document: str | None = None
        latest: Container | None = None
        for each in listed:
            container = Container.of_listed(each)
            if each.id not in self.hidden and (latest is None or age(container) > age(latest)):
                latest, document = container, each.annotations.get(labels.SPEC, "")
        if document is None:
            return None
        try:
            return decode(document, type=ZoneSpec)
        except JSONError:
            return None

    async def _containers_of(self, zone_id: str) -> list[Container]:
        listed = await self._cri.list_containers(labels.of_zone(zone_id), timeout=self._timeout)
        return [Container.of_listed(each) for each in listed]

    def _is_final(self, listed: Container) -> bool:
        asked = self._containers.get(listed.id)
        has_exited = listed.state == ContainerState.CONTAINER_EXITED
        return has_exited and asked is not None and asked.is_settled(listed.state)

    async def _facts(
        self,
        listed_sandboxes: Iterable[api.PodSandbox],
        listed_containers: Iterable[Container],
        *,
        with_hidden: bool = False,
        is_patient: bool = True,
    ) -> dict[str, ZoneFacts]:
        hidden = set() if with_hidden else self.hidden
        seen: list[Sandbox | Container] = []
        asking: list[Callable[[], Coroutine[Any, Any, Sandbox | Container | None]]] = []
        for sandbox in listed_sandboxes:
            address = self._addresses.get(sandbox.id)
            if sandbox.id in hidden:
                continue
            if sandbox.state != api.PodSandboxState.SANDBOX_READY or address is not None:
                seen.append(Sandbox.of(sandbox, address))
            else:
                asking.append(partial(self._ask_sandbox, sandbox, is_patient=is_patient))
        for container in listed_containers:
            asked = self._containers.get(container.id)
            if container.id in hidden:
                continue
            if asked is not None and asked.is_settled(container.state):
                seen.append(asked.container)
            else:
                asking.append(partial(self._ask_container, container, is_patient=is_patient))
        seen += [each for each in await _few_at_a_time(asking) if each is not None]
        zones: dict[str, tuple[list[Sandbox], list[Container]]] = {}
        for found in seen:
            sandboxes, containers = zones.setdefault(found.zone_id, ([], []))
            if isinstance(found, Sandbox):
                sandboxes.append(found)
            else:
                containers.append(found)
        return {
            zone_id: ZoneFacts(zone_id, tuple(sandboxes), tuple(containers))
            for zone_id, (sandboxes, containers) in zones.items()
            if zone_id
        }

    async def _ask_sandbox(self, listed: api.PodSandbox, *, is_patient: bool) -> Sandbox:
        """Ask for the address of a ready sandbox; without one while it can't be told."""
        timeout = self._timeout if is_patient else STUCK_SECONDS
        try:
            status = await self._cri.pod_sandbox_status(listed.id, timeout)
        except NotFound:
            return Sandbox.of(listed)
        except CriError as error:
            if is_patient or isinstance(error, RuntimeUnavailable):
                raise
            self._note_stuck(listed.id, error)
            return Sandbox.of(listed)
        self._stuck.discard(listed.id)
        address = next(iter(addresses(status)), None)
        if address is not None:
            self._addresses[listed.id] = address
        return Sandbox.of(listed, address)

    async def _ask_container(self, listed: Container, *, is_patient: bool) -> Container | None:
        """Ask about a container; None if it is gone."""
        asked = self._containers.get(listed.id)
        timeout = self._timeout if is_patient else STUCK_SECONDS
        try:
            status = await self._cri.container_status(listed.id, timeout)
        except NotFound:
            return None
        except CriError as error:
            if is_patient or isinstance(error, RuntimeUnavailable):
                raise
            self._note_stuck(listed.id, error)
            return listed.as_stale() if asked is None else replace(asked.container, is_stale=True)
        self._stuck.discard(listed.id)
        found = listed.with_status(status)
        times = asked.times + 1 if asked is not None else 1
        self._containers[listed.id] = _Asked(listed.state, found, times)
        return found

    def _note_stuck(self, object_id: str, error: CriError) -> None:
        if object_id not in self._stuck:
            self._stuck.add(object_id)
            log.warning("the runtime tells nothing of this one", id=object_id, error=str(error))

    def _forget(self, known: set[str]) -> None:
        for gone in self._containers.keys() - known:
            del self._containers[gone]
        for gone in self._addresses.keys() - known:
            del self._addresses[gone]
        self._stuck &= known


async def _few_at_a_time(calls: Iterable[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    few = asyncio.Semaphore(MAX_ASKING)

    async def one(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with few:
            return await call()

    return await asyncio.gather(*map(one, calls))
