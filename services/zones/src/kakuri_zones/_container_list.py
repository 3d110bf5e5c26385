"""Lists containers, even if together they exceed the size of one answer.

Each container carries the spec that it was created from, up to a quarter of a mebibyte, so a
hundred of them exceed the 16 MiB of a gRPC message. The runtime then builds the whole list and
refuses to send it. After the first refusal, containers are listed zone by zone, until the sum of
their sizes shows that one answer can hold them again.

A zone is not listed again once all of its sandboxes and containers have ended: it can only be
removed, and then the list of sandboxes no longer contains it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kakuri_cri import CallRefused, Runtime, api

from kakuri_zones import _labels as labels
from kakuri_zones._observed import Container
from kakuri_zones._tasks import in_turns

TOO_LARGE = "RESOURCE_EXHAUSTED"

WHOLE_LIST_FRACTION = 0.75
"""Fraction of a refused list's size below which the whole list is requested again."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The containers of one zone, and the approximate size of the runtime's answer."""

    containers: tuple[Container, ...] = ()
    size: int = 0


class ContainerList:
    """Lists every container of Kakuri, in one call or zone by zone.

    Args:
        cri: The runtime.
        is_final: Returns whether the runtime has nothing more to report about a container.
        timeout: Seconds for one list call.
    """

    def __init__(
        self,
        cri: Runtime,
        is_final: Callable[[Container], bool],
        *,
        timeout: float | None = None,
    ) -> None:
        self._cri = cri
        self._is_final = is_final
        self._timeout = timeout
        self._parts: dict[str, _Part] = {}
        self._refused_size: int | None = None

    @property
    def is_by_zone(self) -> bool:
        """Whether the containers are listed zone by zone."""
        return self._refused_size is not None

    async def all(self, sandboxes: Iterable[api.PodSandbox]) -> list[Container]:
        """List the containers of all zones.

        Args:
            sandboxes: Every sandbox of Kakuri, as just listed.

        Returns:
            The containers as listed, without what only ContainerStatus reports.

        Raises:
            CriError: A list call failed.
        """
        if not self.is_by_zone:
            try:
                return await self._list_all()
            except CallRefused as error:
                if error.code != TOO_LARGE:
                    raise
        found = await self._list_by_zone(list(sandboxes))
        size = sum(part.size for part in self._parts.values())
        if self._refused_size is None:
            self._refused_size = size
        elif size < self._refused_size * WHOLE_LIST_FRACTION:
            self._refused_size = None
        return found

    async def _list_all(self) -> list[Container]:
        # Only these small records outlive this call: the answer may have 16 MiB.
        listed = await self._cri.list_containers(labels.OURS, timeout=self._timeout)
        found = [Container.of_listed(each) async for each in in_turns(listed)]
        self._parts = {each.zone_id: _Part() for each in found}
        return found

    async def _list_by_zone(self, sandboxes: list[api.PodSandbox]) -> list[Container]:
        ready: set[str] = set()
        zones: dict[str, None] = {}
        for sandbox in sandboxes:
            zone_id = labels.zone_id_of(sandbox.labels)
            zones[zone_id] = None
            if sandbox.state == api.PodSandboxState.SANDBOX_READY:
                ready.add(zone_id)
        known, parts = self._parts, dict[str, _Part]()
        for zone_id in zones | dict.fromkeys(known):  # a container may outlive its sandbox
            part = known.get(zone_id)
            is_kept = (
                part is not None
                and part.containers
                and zone_id in zones
                and zone_id not in ready
                and all(map(self._is_final, part.containers))
            )
            parts[zone_id] = part if part and is_kept else await self._list_zone(zone_id)
        self._parts = {key: part for key, part in parts.items() if key in zones or part.containers}
        return [each for part in self._parts.values() for each in part.containers]

    async def _list_zone(self, zone_id: str) -> _Part:
        selected = labels.of_zone(zone_id)
        listed = await self._cri.list_containers(selected, timeout=self._timeout)
        size = sum(map(_size, listed))
        return _Part(tuple(Container.of_listed(each) for each in listed), size)


def _size(listed: api.Container) -> int:
    """Return the approximate size of a container in an answer, which is mostly these texts."""
    texts = [*listed.labels.items(), *listed.annotations.items()]
    return sum(len(key) + len(value) for key, value in texts)
