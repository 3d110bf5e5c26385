"""Assembling the parts of a zone node, and running its background tasks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial

import structlog
from kakuri_cri import Runtime
from kakuri_daemon import cancel_all

from kakuri_zones._cgroups import CgroupParent
from kakuri_zones._counts import CallCounts
from kakuri_zones._health import Health, check_health, own_conditions, watch_health
from kakuri_zones._image_collection import ImageCollector
from kakuri_zones._images import Images
from kakuri_zones._isolation import IsolationChecks
from kakuri_zones._lock import NodeLock, keep_locked
from kakuri_zones._log_watch import LogWatch
from kakuri_zones._metrics import ZoneMetrics
from kakuri_zones._monitor import Monitor
from kakuri_zones._node import ZoneNode
from kakuri_zones._preparation import Preparation
from kakuri_zones._probe import Probe
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._removal import Remover
from kakuri_zones._rotation import LogRotation
from kakuri_zones._settings import Settings
from kakuri_zones._start import Start
from kakuri_zones._stats import ZoneStats
from kakuri_zones._table import ZoneTable
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones._zones import Zones
from kakuri_zones.logs._ended import EndedLogs
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

RESTART_SECONDS = 1.0
"""Pause before a background task that failed is started again."""


@asynccontextmanager
async def zone_node(
    runtime: Runtime, settings: Settings, calls: CallCounts | None = None
) -> AsyncIterator[ZoneNode]:
    """Manage a node's zones while the context is entered.

    The runtime need not answer yet; it is polled until it does. When the context is left,
    operations in progress are abandoned and zones continue to run. The next `zone_node` finds them
    by their labels, and removes objects that were only partially created. The lock on the log
    directory is held while the context is entered.

    Args:
        runtime: A client of the runtime, which the caller closes afterwards.
        settings: See Settings.
        calls: Counts the runtime's calls as its `on_call`, for the node's metrics.

    Raises:
        NodeLocked: Another process manages zones with the same log directory.
        NodeUnavailable: The log directory can't be used.

    Example:
        async with Runtime(channel) as runtime, zone_node(runtime, settings) as node:
            status, existed = await node.start(ZoneSpec(workload))
            async for event in node.events():
                ...
    """
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(closing(NodeLock(settings.log_dir)))
        table = ZoneTable(end_delay=settings.end_delay)
        reader = RuntimeReader(runtime, timeout=settings.read_timeout)
        images = Images(runtime, settings.pulls)
        stack.push_async_callback(images.close)
        remover = Remover(runtime, reader, settings.retries)
        stack.push_async_callback(remover.close)
        logs = LogStore(settings.log_dir)
        stack.callback(logs.close)
        cgroup_parent = CgroupParent(runtime, settings.cgroup_parent)
        network = ZoneNetwork(
            logs,
            servers=settings.dns_servers,
            searches=settings.dns_searches,
            has_hosts=settings.has_hosts,
        )
        new_start = partial(
            Start,
            cri=runtime,
            reader=reader,
            table=table,
            remover=remover,
            preparation=Preparation(images, logs, network, cgroup_parent),
            network=network,
            pulls=settings.pulls,
            cancel_timeout=settings.cancel_timeout,
        )
        collector = ImageCollector(runtime, images, settings.collection)
        zones = Zones(
            runtime,
            reader,
            table,
            remover,
            logs,
            new_start,
            settings.handlers,
            retries=settings.retries,
            orphan_grace=settings.orphan_grace,
        )
        stack.push_async_callback(zones.close)
        monitor = Monitor(
            runtime,
            reader,
            table,
            zones.drop_missing,
            zones.reconcile,
            settings.monitor,
            settings.handlers,
        )
        ended = EndedLogs(logs, settings.ended_log_bytes)
        rotation = LogRotation(
            runtime, table, logs, ended, lambda: zones.busy, settings.rotate_interval
        )
        watch = LogWatch(logs, table, heartbeat=settings.heartbeat)

        async def health() -> Health:
            own = own_conditions(network, collector)
            return await check_health(
                runtime, monitor, cgroup_parent, settings.handlers.values(), own
            )

        isolation = IsolationChecks(
            runtime, table, settings.isolation_interval, is_local=settings.cri.scheme == "unix"
        )
        probe = Probe(health)
        stack.push_async_callback(probe.close)
        works = [monitor.run, rotation.run, collector.run, isolation.run]
        works.append(partial(keep_locked, partial(logs.run, lock.renew)))
        if settings.health_interval is not None:
            works.append(partial(watch_health, probe.health, monitor, settings.health_interval))
        for work in works:
            stack.push_async_callback(cancel_all, [asyncio.create_task(_keep_running(work))])
        stats = ZoneStats(runtime, table)
        stack.push_async_callback(stats.close)
        metrics = ZoneMetrics(
            runtime,
            stats,
            calls or CallCounts(),
            images.pull_counts,
            remover,
            logs,
            settings.metrics_zones,
        )
        node = ZoneNode(
            zones, table, monitor, logs, watch, probe.health, metrics, images, settings.heartbeat
        )
        stack.callback(node.end_streams)
        yield node


async def _keep_running(work: Callable[[], Awaitable[None]]) -> None:
    """Restart a background task that fails: without it, the node would report outdated states."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("a background task of the zones failed and is started again")
        await asyncio.sleep(RESTART_SECONDS)
