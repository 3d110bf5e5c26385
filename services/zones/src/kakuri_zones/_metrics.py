"""The metrics of a node's zones: what was counted, and what is read when they are asked for."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from operator import attrgetter

from kakuri_cri import CriError, Runtime
from kakuri_workload.metrics import MetricFamily, MetricKind, MetricSample, counter, gauge

from kakuri_zones._counts import CallCounts, PullCounts
from kakuri_zones._image_collection import DiskUse, disk_use
from kakuri_zones._progress import mountpoint
from kakuri_zones._removal import Remover
from kakuri_zones._stats import ZoneStats, ZoneUsage
from kakuri_zones.logs._store import LogStore

DISK_SECONDS = 0.5
"""Seconds for the runtime to report where its images are."""


class ZoneMetrics:
    """The metrics of a node's zones.

    Args:
        max_zones: How many zones have series of their own; those with the first ids.
    """

    def __init__(
        self,
        cri: Runtime,
        stats: ZoneStats,
        calls: CallCounts,
        pulls: PullCounts,
        remover: Remover,
        logs: LogStore,
        max_zones: int,
    ) -> None:
        self._cri = cri
        self._stats = stats
        self._calls = calls
        self._pulls = pulls
        self._remover = remover
        self._logs = logs
        self._max_zones = max_zones
        self._image_paths: set[str] = set()

    async def families(self) -> list[MetricFamily]:
        """Return all metrics; a value that is not known has no series."""
        usage = await self._stats.read()
        disks = await self._disks()
        volume, available = self._logs.volume, self._stats.is_available
        return [
            *self._calls.families(),
            *self._pulls.families(),
            counter(
                "kakuri_log_bytes",
                "Bytes that zones have written to their logs, with the runtime's framing.",
                volume.written,
            ),
            counter(
                "kakuri_log_lost_bytes",
                "Bytes of logs that were removed to keep logs within their limits.",
                volume.lost,
            ),
            gauge(
                "kakuri_zones_orphaned",
                "Zones with objects in the runtime that no workload uses and that are to be "
                "removed.",
                len(self._remover.zones),
            ),
            gauge(
                "kakuri_disk_size_bytes",
                "Size of the file system of images or logs.",
                {(name,): use.capacity for name, use in disks.items()},
                ("disk",),
            ),
            gauge(
                "kakuri_disk_available_bytes",
                "Bytes of the file system of images or logs that are available.",
                {(name,): use.available for name, use in disks.items()},
                ("disk",),
            ),
            gauge(
                "kakuri_zone_stats_available",
                "Whether the runtime reports the resource usage of zones.",
                None if available is None else float(available),
            ),
            *self._totals(usage),
            *await families_of(usage, self._max_zones),
        ]

    def _totals(self, usage: Mapping[str, ZoneUsage]) -> Iterator[MetricFamily]:
        """Yield the sums over all zones, with those that have no series of their own."""
        known = self._stats.is_available
        yield counter(
            "kakuri_zones_cpu_usage_seconds",
            "CPU time that all zones have used while it was measured.",
            self._stats.cpu_seconds if known else None,
        )
        for name, text, attribute in (
            (
                "kakuri_zones_memory_working_set_bytes",
                "Memory of all zones that can't be reclaimed.",
                "memory_bytes",
            ),
            (
                "kakuri_zones_writable_bytes",
                "Size of the writable layers of all zones.",
                "writable_bytes",
            ),
        ):
            values = [getattr(each, attribute) for each in usage.values()]
            numbers = [each for each in values if each is not None]
            yield gauge(name, text, sum(numbers) if numbers else None)

    async def _disks(self) -> dict[str, DiskUse]:
        if not self._image_paths:
            with suppress(CriError):
                found = await self._cri.image_fs_info(DISK_SECONDS)
                self._image_paths = {mountpoint(each) for each in found} - {""}
        paths = {"logs": str(self._logs.root)}
        if self._image_paths:
            paths["images"] = min(self._image_paths)
        measured = await self._logs.run(lambda: {key: disk_use(paths[key]) for key in paths})
        if measured.get("images") is None:
            self._image_paths = set()  # the runtime may have been reconfigured
        return {name: use for name, use in measured.items() if use is not None}


_VALUES: tuple[tuple[str, str, MetricKind, str], ...] = (
    (
        "cpu_seconds",
        "kakuri_zone_cpu_usage_seconds",
        "counter",
        "CPU time that the container has used.",
    ),
    (
        "memory_bytes",
        "kakuri_zone_memory_working_set_bytes",
        "gauge",
        "Memory of the container that can't be reclaimed.",
    ),
    (
        "writable_bytes",
        "kakuri_zone_writable_bytes",
        "gauge",
        "Size of the container's writable layer.",
    ),
    (
        "processes",
        "kakuri_zone_processes",
        "gauge",
        "Processes in the zone, as the runtime counts them.",
    ),
    (
        "received_bytes",
        "kakuri_zone_network_receive_bytes",
        "counter",
        "Bytes that the zone's network interfaces received.",
    ),
    (
        "sent_bytes",
        "kakuri_zone_network_transmit_bytes",
        "counter",
        "Bytes that the zone's network interfaces sent.",
    ),
)
"""The attributes of ZoneUsage with their families."""


async def families_of(usage: Mapping[str, ZoneUsage], max_zones: int) -> list[MetricFamily]:
    """Return the families with a series for each zone, without holding the event loop for long."""
    shown = dict(islice(usage.items(), max_zones))
    ids = list(shown)
    families = []
    for attribute, name, kind, text in _VALUES:
        values = list(map(attrgetter(attribute), shown.values()))
        known = ids
        if None in values:
            known = [key for key, value in zip(ids, values, strict=True) if value is not None]
            values = [value for value in values if value is not None]
        families.append(MetricFamily(name, kind, text, ("workload",), (known,), values))
        await asyncio.sleep(0)
    waits = [
        MetricSample((zone_id, *key), seconds)
        for zone_id, each in shown.items()
        for key, seconds in each.pressure.items()
    ]
    families.append(
        MetricFamily.of(
            "kakuri_zone_pressure_seconds",
            "counter",
            "Time for which tasks in the container waited for a resource (PSI).",
            ("workload", "resource", "kind"),
            waits,
        )
    )
    await asyncio.sleep(0)
    families.append(
        gauge(
            "kakuri_metrics_zones_omitted",
            "Zones that have no series of their own, because there are too many.",
            len(usage) - len(shown),
        )
    )
    return families
