"""Finding ended containers that the runtime lists although they no longer exist.

containerd 1.6 does that, until it is restarted, with a container that another of its clients has
deleted. It answers ContainerStatus from its cache, but StopContainer with NotFound. The protocol
requires success instead, so with other runtimes nothing is found.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from kakuri_cri import CallRefused, CallTimeout, CallUnanswered, Runtime

from kakuri_zones._observed import ObservedZone
from kakuri_zones._removal import Objects, ignore_not_found
from kakuri_zones._tasks import gather_bounded

MAX_CONCURRENT_CHECKS = 16
"""Maximum number of concurrent checks for ended containers."""

CHECK_SECONDS = 5.0
"""Seconds that all checks may take together, since the first listing waits for them."""


async def find_missing(cri: Runtime, zones: Iterable[ObservedZone]) -> dict[str, Objects]:
    """Return the missing ended containers of zones, with the sandboxes that only these use.

    A container whose check is refused or times out is not returned.

    Returns:
        The objects by the zone's id.

    Raises:
        CallUnanswered: The runtime stopped responding.
    """
    missing: set[str] = set()
    outages: list[
        CallUnanswered
    ] = []  # collected, because the others would continue after an error

    async def check(container_id: str) -> None:
        if outages:
            return
        try:
            if not await ignore_not_found(cri.stop_container(container_id, 0)):
                missing.add(container_id)
        except (CallRefused, CallTimeout):
            pass
        except CallUnanswered as error:
            outages.append(error)

    zones = list(zones)
    ended = [each.id for zone in zones for each in zone.containers if each.has_ended]
    with suppress(TimeoutError):
        async with asyncio.timeout(CHECK_SECONDS):
            checks = [partial(check, container_id) for container_id in ended]
            await gather_bounded(checks, limit=MAX_CONCURRENT_CHECKS)
    if outages:
        raise outages[0]
    found = {zone.id: _objects(zone, missing) for zone in zones}
    return {zone_id: objects for zone_id, objects in found.items() if objects}


def _objects(zone: ObservedZone, missing: set[str]) -> Objects:
    containers = [each for each in zone.containers if each.id in missing]
    kept = {each.sandbox_id for each in zone.containers if each.id not in missing}
    return Objects(
        frozenset({each.sandbox_id for each in containers} - kept),
        frozenset(each.id for each in containers),
    )
