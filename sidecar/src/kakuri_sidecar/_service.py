"""The sidecar put together: its parts, their order of starting and of ending."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import structlog
from kakuri_daemon import access_log, shed_with
from kakuri_http import Router, serve
from kakuri_tcp import Endpoint, UnixAccess

from kakuri_sidecar._api import HEARTBEAT_SECONDS, Api
from kakuri_sidecar._api_logs import LogApi
from kakuri_sidecar._cgroups import CgroupParent
from kakuri_sidecar._cri import DEFAULT_TIMEOUTS, CallTimeouts, CriClient
from kakuri_sidecar._ended_logs import ENDED_LOGS_MB, MIB, EndedLogs
from kakuri_sidecar._guard import refuse_browsers, refuse_foreign_hosts
from kakuri_sidecar._health import Health, look, own_conditions
from kakuri_sidecar._image_collection import DEFAULT_COLLECTION, CollectionLimits, ImageCollector
from kakuri_sidecar._images import Images
from kakuri_sidecar._inspector import Inspector
from kakuri_sidecar._log_store import LogStore
from kakuri_sidecar._log_watch import LogWatch
from kakuri_sidecar._monitor import DEFAULT_TIMES, Monitor, MonitorTimes
from kakuri_sidecar._pulling import DEFAULT_PULL_LIMITS, PullLimits
from kakuri_sidecar._removal import DEFAULT_RETRIES, Remover, RetryTimes
from kakuri_sidecar._rotation import ROTATE_INTERVAL, LogRotation
from kakuri_sidecar._start import StartTools
from kakuri_sidecar._table import SETTLE_SECONDS, ZoneTable
from kakuri_sidecar._zone_network import ZoneNetwork
from kakuri_sidecar._zones import HALF_MADE_SECONDS, Zones

log = structlog.get_logger()

DEFAULT_HANDLERS = MappingProxyType({"edera-zone": "edera"})
DEFAULT_LOG_DIR = Path("/var/log/kakuri")

RESTART_SECONDS = 1.0

ONLY_OWNER = UnixAccess(mode=0o600)
"""Whoever may connect controls what runs as root on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a sidecar works; times are seconds.

    Attributes:
        cri: the runtime's socket.
        handlers: from runtime classes to the runtime's handlers; a handler is never empty, since
            that would be the runtime's default one.
        cgroup_parent: below which cgroup zones lie; None for the one that fits the driver.
        log_dir: where the runtime writes logs, a folder for each zone.
        ended_log_bytes: what the logs of all ended zones may take together.
        has_hosts: whether each zone gets its own hosts file, which is mounted from that folder.
        dns_servers, dns_searches: the resolvers and search domains of zones; without them, those
            of the host that a zone can reach.
        collection: when images are removed.
        read_timeout: what looking at the runtime may take.
        cancel_patience: what a call that makes something may still take when its start has been
            cancelled.
        drain: what requests in flight may take at the end.

    """

    cri: Endpoint
    handlers: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_HANDLERS))
    cgroup_parent: str | None = None
    log_dir: Path = DEFAULT_LOG_DIR
    ended_log_bytes: int = ENDED_LOGS_MB * MIB
    has_hosts: bool = True
    dns_servers: Sequence[str] = ()
    dns_searches: Sequence[str] = ()
    collection: CollectionLimits = DEFAULT_COLLECTION
    pulls: PullLimits = DEFAULT_PULL_LIMITS
    timeouts: CallTimeouts = DEFAULT_TIMEOUTS
    monitor: MonitorTimes = DEFAULT_TIMES
    retries: RetryTimes = DEFAULT_RETRIES
    read_timeout: float = 10.0
    half_made: float = HALF_MADE_SECONDS
    settle: float = SETTLE_SECONDS
    cancel_patience: float = 10.0
    heartbeat: float = HEARTBEAT_SECONDS
    rotate_interval: float = ROTATE_INTERVAL
    drain: float = 10.0


@asynccontextmanager
async def sidecar_service(listen: Endpoint, settings: Settings) -> AsyncIterator[Endpoint]:
    """Serve the sidecar's API while the context is entered; gives the real endpoint.

    The runtime need not be there: it is looked for until it answers. What runs in it goes on when
    the context is left. Raises kakuri_tcp.ListenFailed.
    """
    async with AsyncExitStack() as stack:
        cri = await stack.enter_async_context(CriClient(settings.cri, settings.timeouts))
        table = ZoneTable(settle_seconds=settings.settle)
        inspector = Inspector(cri, timeout=settings.read_timeout)
        images = Images(cri, settings.pulls)
        stack.push_async_callback(images.close)
        remover = Remover(cri, inspector, settings.retries)
        stack.push_async_callback(remover.close)
        logs = LogStore(settings.log_dir)
        stack.callback(logs.close)
        cgroup_parent = CgroupParent(cri, settings.cgroup_parent)
        network = ZoneNetwork(
            logs,
            servers=settings.dns_servers,
            searches=settings.dns_searches,
            has_hosts=settings.has_hosts,
        )
        tools = StartTools(
            cri,
            inspector,
            table,
            images,
            remover,
            logs,
            cgroup_parent,
            network,
            settings.cancel_patience,
        )
        collector = ImageCollector(cri, images, settings.collection)
        zones = Zones(tools, settings.handlers, half_made_seconds=settings.half_made)
        stack.push_async_callback(zones.close)
        monitor = Monitor(cri, inspector, table, zones.take_listing, settings.monitor)

        async def health() -> Health:
            own = own_conditions(network, collector)
            return await look(cri, monitor, cgroup_parent, settings.handlers.values(), own)

        router = Router()
        router.check(refuse_browsers)
        if listen.scheme != "unix":
            router.check(refuse_foreign_hosts)
        Api(zones, table, health, monitor.wake, heartbeat=settings.heartbeat).add_to(router)
        watch = LogWatch(logs, table, heartbeat=settings.heartbeat)
        LogApi(logs, table, watch).add_to(router)
        ended = EndedLogs(logs, settings.ended_log_bytes)
        rotation = LogRotation(
            cri, table, logs, ended, lambda: zones.busy, settings.rotate_interval
        )
        for work in (monitor.run, rotation.run, collector.run):
            stack.push_async_callback(_cancel, asyncio.create_task(_keep_going(work)))
        server = await serve(listen, router, access_log=access_log(), access=ONLY_OWNER)
        shed_with(server.shed)
        if listen.scheme != "unix":  # a port, unlike a socket, has no owner and no mode
            log.warning("every user of this machine controls its zones", listen=str(listen))
        try:
            yield server.endpoint
        finally:
            table.close()
            watch.close()
            await server.drain(settings.drain)


async def _keep_going(work: Callable[[], Awaitable[None]]) -> None:
    """Carry on whatever happens: without these parts the sidecar would tell what is not so."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("a part of the sidecar failed, starting it again")
        await asyncio.sleep(RESTART_SECONDS)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
