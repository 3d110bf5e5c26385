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
from kakuri_daemon import cancel_all

from kakuri_zones._observed import ObservedZone
from kakuri_zones._removal import Objects, ignore_not_found
from kakuri_zones._settings import DEFAULT_RETRIES, RetryTimes
from kakuri_zones._tasks import gather_bounded

log = structlog.get_logger()

MAX_CONCURRENT_CHECKS = 16
"""Maximum number of concurrent checks for ended containers."""

CHECK_SECONDS = 5.0
"""Maximum delay of the first listing by these checks."""

MAX_LOGGED_IDS = 10
"""Maximum number of containers that a log line names."""


class MissingContainers:
    """Finds containers that the first listing reports as ended but that no longer exist.

    A container that the runtime refuses to stop is not missing. A container for which the runtime
    did not answer is checked again in the background until it answers.

    Attributes:
        found: Zone id by missing container, until the owner of this object deletes it.
    """

    def __init__(self, cri: Runtime, times: RetryTimes = DEFAULT_RETRIES) -> None:
        self._cri = cri
        self._times = times
        self._unchecked: dict[str, str] = {}
        self.found: dict[str, str] = {}
        self._checks: list[asyncio.Task[None]] = []

    async def check(self, zones: Iterable[ObservedZone]) -> None:
        """Check the ended containers of zones, for at most `CHECK_SECONDS`.

        Raises:
            CallUnanswered: The runtime stopped responding.
        """
        await self.close()
        self._unchecked = {
            each.id: zone.id for zone in zones for each in zone.containers if each.has_ended
        }
        if (outage := await self._check_all(CHECK_SECONDS)) is not None:
            raise outage
        if self._unchecked:
            log.warning(
                "could not check ended containers, trying again",
                containers=len(self._unchecked),
                ids=sorted(self._unchecked)[:MAX_LOGGED_IDS],
            )
            self._checks.append(asyncio.create_task(self._check_again()))

    async def close(self) -> None:
        """Cancel the checks in the background."""
        await cancel_all(self._checks)
        self._checks.clear()

    async def _check_again(self) -> None:
        pause = self._times.first
        while self._unchecked:
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._times.longest)
            await self._check_all(None)

    async def _check_all(self, timeout: float | None) -> CallUnanswered | None:
        """Check every unchecked container until the first outage, and return that."""
        outage: CallUnanswered | None = None

        async def check(container_id: str) -> None:
            nonlocal outage
            if outage is not None:
                return
            try:
                if not await ignore_not_found(self._cri.stop_container(container_id, 0)):
                    self.found[container_id] = self._unchecked[container_id]
            except CallRefused:
                pass
            except CallTimeout:
                return
            except CallUnanswered as error:
                outage = error  # if raised, gather_bounded would not cancel the other checks
                return
            del self._unchecked[container_id]

        checks = [partial(check, each) for each in sorted(self._unchecked)]
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await gather_bounded(checks, limit=MAX_CONCURRENT_CHECKS)
        return outage


def missing_objects(zone: ObservedZone, missing: Collection[str]) -> Objects:
    """Return the missing containers of a zone, with the sandboxes that only these use."""
    containers = [each for each in zone.containers if each.id in missing]
    kept = {each.sandbox_id for each in zone.containers if each.id not in missing}
    return Objects(
        frozenset({each.sandbox_id for each in containers} - kept),
        frozenset(each.id for each in containers),
    )
