"""The preparation of a start, before it creates anything: image, log, cgroup, configuration."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kakuri_workload import ZoneSpec

from kakuri_zones._cancellation import Cancellation
from kakuri_zones._errors import StartFailed
from kakuri_zones._images import Images
from kakuri_zones._observed import START_ERROR
from kakuri_zones._pulling import Report
from kakuri_zones._security import leaves_zone
from kakuri_zones._zone_config import ZoneConfig, zone_config
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones.logs._store import LogStore


class Preparation:
    """Provides what zones are created from.

    Args:
        images: Pulls images and holds them.
        logs: Creates the directories of logs.
        network: Has the resolvers of zones.
        cgroup_parent: Returns the cgroup parent of sandboxes.
    """

    def __init__(
        self,
        images: Images,
        logs: LogStore,
        network: ZoneNetwork,
        cgroup_parent: Callable[[], Awaitable[str]],
    ) -> None:
        self._images = images
        self._logs = logs
        self._network = network
        self._cgroup_parent = cgroup_parent

    @asynccontextmanager
    async def prepared(
        self,
        spec: ZoneSpec,
        spec_hash: str,
        report: Report,
        cancellation: Cancellation,
        *,
        repair: bool = False,
    ) -> AsyncIterator[ZoneConfig]:
        """Provide the image and the log's directory of a zone, and yield its configuration.

        The image is held on the node while the context is entered.

        Args:
            spec: The spec of the zone.
            spec_hash: Its hash.
            report: Receives the progress of a pull.
            cancellation: Ends a pull when the start is cancelled.
            repair: Whether to pull even if the image is listed; see `Images.ensure`.

        Raises:
            StartFailed: The image can't be provided or used.
            StartCancelled: The start was cancelled.
            LogError: The log's directory can't be created.
            CriError: The runtime did not answer or refused.
        """
        workload = spec.workload
        with self._images.holding() as hold:
            # The log's directory is created while the runtime looks for the image.
            preparing = asyncio.ensure_future(self._logs.prepare(spec.id, spec.attempt))
            ensuring = self._images.ensure(
                workload.image, workload.pull, report, hold, repair=repair
            )
            try:
                image = await cancellation.guard(ensuring, at_once=True)
            finally:
                location = await preparing
            if not workload.working_dir and leaves_zone(image.working_dir):
                shown = image.working_dir[:100]
                message = f"the image's working directory {shown!r} leaves the zone"
                raise StartFailed(START_ERROR, message)
            yield zone_config(
                spec,
                spec_hash,
                image,
                location,
                cgroup_parent=await self._cgroup_parent(),
                dns_config=self._network.dns_config(),
            )
