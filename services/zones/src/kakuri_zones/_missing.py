"""Finding ended containers that the runtime lists although they no longer exist.

containerd 1.6 does that, until it is restarted, with a container that another of its clients has
deleted. It answers ContainerStatus from its cache, but StopContainer with NotFound. The protocol
requires success instead, so with other runtimes nothing is found.
"""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial

import structlog
from kakuri_cri import CallRefused, CallTimeout, CallUnanswered, Runtime

from kakuri_zones._observed import ObservedZone
from kakuri_zones._removal import Objects, ignore_not_found
from kakuri_zones._settings import DEFAULT_RETRIES, RetryTimes
from kakuri_zones._tasks import cancel_all, gather_bounded

log = structlog.get_logger()

MAX_CONCURRENT_CHECKS = 16
"""Maximum number of concurrent checks for ended containers."""

CHECK_SECONDS = 5.0
"""Seconds for which the first listing waits for all checks together."""

MAX_LOGGED_IDS = 10
"""Maximum number of containers that a log line names."""


class MissingContainers:
    """Finds the missing ones among the ended containers of the first listing.

    A container that the runtime refuses to stop is not missing. Those that it has not answered for
    are checked again in the background until it has.
    """

    def __init__(self, cri: Runtime, times: RetryTimes = DEFAULT_RETRIES) -> None:
        self._cri = cri
        self._times = times
        self._unchecked: set[str] = set()
        self._missing: set[str] = set()
        self._checks: list[asyncio.Task[None]] = []

    async def check(self, zones: Iterable[ObservedZone]) -> None:
        """Check the ended containers of zones, for at most `CHECK_SECONDS`.

        Raises:
            CallUnanswered: The runtime stopped responding.
        """
        await self.close()
        self._unchecked = {each.id for zone in zones for each in zone.containers if each.has_ended}
        outages: list[CallUnanswered] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await self._check_all(outages)
        if outages:
            raise outages[0]
        if self._unchecked:
            log.warning(
                "could not check ended containers, trying again",
                containers=len(self._unchecked),
                ids=sorted(self._unchecked)[:MAX_LOGGED_IDS],
            )
            self._checks.append(asyncio.create_task(self._check_again()))

    def take(self) -> set[str]:
        """Return the ids of the missing containers that were found since the last call."""
        missing, self._missing = self._missing, set()
        return missing

    async def close(self) -> None:
        """Cancel the checks in the background."""
        await cancel_all(self._checks)
        self._checks.clear()

    async def _check_again(self) -> None:
        pause = self._times.first
        while self._unchecked:
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._times.longest)
            await self._check_all([])

    async def _check_all(self, outages: list[CallUnanswered]) -> None:
        """Check every unchecked container, until the first outage, which is added to the list."""
        checks = [partial(self._check, each, outages) for each in sorted(self._unchecked)]
        await gather_bounded(checks, limit=MAX_CONCURRENT_CHECKS)

    async def _check(self, container_id: str, outages: list[CallUnanswered]) -> None:
        if outages:
            return
        try:
            if not await ignore_not_found(self._cri.stop_container(container_id, 0)):
                self._missing.add(container_id)
        except CallRefused:
            pass
        except CallTimeout:
            return
        except CallUnanswered as error:
            outages.append(error)  # raised here, it would not end the other checks
            return
        self._unchecked.discard(container_id)


def missing_objects(zone: ObservedZone, missing: Collection[str]) -> Objects:
    """Return the missing containers of a zone, with the sandboxes that only these use."""
    containers = [each for each in zone.containers if each.id in missing]
    kept = {each.sandbox_id for each in zone.containers if each.id not in missing}
    return Objects(
        frozenset({each.sandbox_id for each in containers} - kept),
        frozenset(each.id for each in containers),
    )
