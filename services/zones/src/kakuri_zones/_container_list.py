"""Listing containers when together they exceed what one answer may hold.

Each container carries the spec that it was made from, up to a quarter of a mebibyte, so a hundred
of them exceed the 16 MiB of a gRPC message. The runtime then refuses the list, having built all of
it. From the first refusal on, containers are listed zone by zone, until they have become so few
that one answer holds them again; that is known from their sizes, without asking in vain.

A zone whose sandboxes have all ended, and whose containers have too, is not listed again: nothing
about it changes but its removal, and then its sandboxes are gone as well.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kakuri_cri import CallRefused, Runtime, api

from kakuri_zones import _labels as labels
from kakuri_zones._observed import Container

TOO_LARGE = "RESOURCE_EXHAUSTED"

WHOLE_AGAIN = 0.75
"""Part of a refused list's size below which the whole list is requested again."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The containers of one zone, and about how large the runtime's answer was."""

    containers: tuple[Container, ...] = ()
    size: int = 0


class ContainerList:
    """Lists every container of ours, in one call or zone by zone.

    `is_final` says of a container that the runtime has nothing more to report about it.
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
    def is_in_parts(self) -> bool:
        """Whether the containers are listed zone by zone."""
        return self._refused_size is not None

    async def all(self, sandboxes: Iterable[api.PodSandbox]) -> list[Container]:
        """List the containers of all zones.

        Args:
            sandboxes: every sandbox of ours, just listed.

        Returns:
            The containers as listed, without what only ContainerStatus says.

        Raises:
            CriError: the runtime could not be asked.

        """
        if not self.is_in_parts:
            try:
                return await self._whole()
            except CallRefused as error:
                if error.code != TOO_LARGE:
                    raise
        found = await self._in_parts(list(sandboxes))
        size = sum(part.size for part in self._parts.values())
        if self._refused_size is None:
            self._refused_size = size
        elif size < self._refused_size * WHOLE_AGAIN:
            self._refused_size = None
        return found

    async def _whole(self) -> list[Container]:
        # Nothing of the answer but these small records outlives this call.
        listed = await self._cri.list_containers(labels.OURS, timeout=self._timeout)
        found = [Container.of_listed(each) for each in listed]
        self._parts = {each.zone_id: _Part() for each in found}
        return found

    async def _in_parts(self, sandboxes: list[api.PodSandbox]) -> list[Container]:
        ready: set[str] = set()
        zones: dict[str, None] = {}
        for sandbox in sandboxes:
            zone_id = sandbox.labels.get(labels.WORKLOAD_ID, "")
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
            parts[zone_id] = part if part and is_kept else await self._part(zone_id)
        self._parts = {key: part for key, part in parts.items() if key in zones or part.containers}
        return [each for part in self._parts.values() for each in part.containers]

    async def _part(self, zone_id: str) -> _Part:
        selected = labels.of_zone(zone_id)
        listed = await self._cri.list_containers(selected, timeout=self._timeout)
        size = sum(map(_size, listed))
        return _Part(tuple(Container.of_listed(each) for each in listed), size)


def _size(listed: api.Container) -> int:
    """Return about how large a container is in an answer: nearly all of it are these texts."""
    texts = [*listed.labels.items(), *listed.annotations.items()]
    return sum(len(key) + len(value) for key, value in texts)
