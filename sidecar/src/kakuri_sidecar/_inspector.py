"""Looking at what the runtime has, asking about nothing twice that can't have changed."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar import _labels as labels
from kakuri_sidecar._cri import CriClient
from kakuri_sidecar._errors import CallRefused, NotFound
from kakuri_sidecar._facts import Container, Sandbox, ZoneFacts

TOO_LARGE = "RESOURCE_EXHAUSTED"

MAX_ASKED = 4
"""How often one is asked about a killed container whose reason may come late."""


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

    def __init__(self, cri: CriClient, *, timeout: float | None = None) -> None:
        self._cri = cri
        self._timeout = timeout
        self._containers: dict[str, _Asked] = {}
        self._addresses: dict[str, str] = {}
        self.hidden: set[str] = set()

    async def all(self) -> dict[str, ZoneFacts]:
        """List every zone by its id. Raises CriError."""
        sandboxes = await self._cri.list_pod_sandboxes(labels.OURS, self._timeout)
        containers = await self._list_containers(sandboxes)
        known = {each.id for each in containers} | {each.id for each in sandboxes}
        self._forget(known)
        return await self._facts(sandboxes, containers)

    async def zone(self, zone_id: str, *, with_hidden: bool = False) -> ZoneFacts | None:
        """Look at one zone now; None if the runtime has nothing of it. Raises CriError."""
        selected = labels.of_zone(zone_id)
        sandboxes, containers = await asyncio.gather(
            self._cri.list_pod_sandboxes(selected, self._timeout),
            self._cri.list_containers(selected, timeout=self._timeout),
        )
        found = await self._facts(sandboxes, containers, with_hidden=with_hidden)
        return found.get(zone_id)

    async def container(self, listed: api.Container) -> Container | None:
        """Ask about one container, unless nothing can have changed; None if it is gone."""
        asked = self._containers.get(listed.id)
        if asked is not None and asked.is_settled(listed.state):
            return asked.container
        try:
            status = await self._cri.container_status(listed.id, self._timeout)
        except NotFound:
            return None
        found = Container.of(listed, status)
        times = asked.times + 1 if asked is not None else 1
        self._containers[listed.id] = _Asked(listed.state, found, times)
        return found

    async def address(self, sandbox_id: str) -> str | None:
        """Ask for the address of a ready sandbox, once."""
        address = self._addresses.get(sandbox_id)
        if address is not None:
            return address
        try:
            status = await self._cri.pod_sandbox_status(sandbox_id, self._timeout)
        except NotFound:
            return None
        if status.network.ip:
            self._addresses[sandbox_id] = status.network.ip
        return status.network.ip or None

    async def _list_containers(self, sandboxes: Iterable[api.PodSandbox]) -> list[api.Container]:
        try:
            return await self._cri.list_containers(labels.OURS, timeout=self._timeout)
        except CallRefused as error:
            if error.code != TOO_LARGE:
                raise
        # Each carries the spec that it was made from: together they can exceed one answer.
        found: list[api.Container] = []
        for sandbox in sandboxes:
            found += await self._cri.list_containers(
                labels.OURS, sandbox_id=sandbox.id, timeout=self._timeout
            )
        return found

    async def _facts(
        self,
        listed_sandboxes: Iterable[api.PodSandbox],
        listed_containers: Iterable[api.Container],
        *,
        with_hidden: bool = False,
    ) -> dict[str, ZoneFacts]:
        hidden = set() if with_hidden else self.hidden
        sandboxes: dict[str, list[Sandbox]] = {}
        containers: dict[str, list[Container]] = {}
        for each in listed_sandboxes:
            sandbox = Sandbox.of(each)
            if sandbox.zone_id and sandbox.id not in hidden:
                if sandbox.is_ready:
                    sandbox = replace(sandbox, address=await self.address(sandbox.id))
                sandboxes.setdefault(sandbox.zone_id, []).append(sandbox)
        for item in listed_containers:
            if item.id in hidden:
                continue
            container = await self.container(item)
            if container is not None and container.zone_id:
                containers.setdefault(container.zone_id, []).append(container)
        return {
            zone_id: ZoneFacts(
                zone_id,
                tuple(sandboxes.get(zone_id, ())),
                tuple(containers.get(zone_id, ())),
            )
            for zone_id in sandboxes.keys() | containers.keys()
        }

    def _forget(self, known: set[str]) -> None:
        for gone in self._containers.keys() - known:
            del self._containers[gone]
        for gone in self._addresses.keys() - known:
            del self._addresses[gone]
