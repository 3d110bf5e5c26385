"""The sidecar's service: an HTTP server in front of a zone node."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from kakuri_cri import Runtime
from kakuri_daemon.api import APIRouter, HostGuard, refuse_browsers, serving
from kakuri_tcp import Endpoint, LocalAccess
from kakuri_workload import WORKLOAD_ID
from kakuri_zones import CallCounts, Settings, zone_node

from kakuri_sidecar._api import Api
from kakuri_sidecar._api_logs import LogApi
from kakuri_sidecar._grpcio import GrpcioChannel
from kakuri_sidecar._problems import PROBLEMS

log = structlog.get_logger()

DRAIN_SECONDS = 10.0
"""Seconds that requests in progress may take when the sidecar stops."""

MIN_THREADS = 16
"""Threads that the sidecar must be able to start: grpcio starts about ten, and crashes or hangs if
it can't."""

ONLY_OWNER = LocalAccess(mode=0o600, uids=())
"""Only root and its own user may connect: clients control what runs as root on this machine."""


@asynccontextmanager
async def sidecar_service(
    listen: Endpoint,
    settings: Settings,
    *,
    drain: float = DRAIN_SECONDS,
    local_access: LocalAccess = ONLY_OWNER,
) -> AsyncIterator[Endpoint]:
    """Serve the sidecar's API while the context is entered; yield the endpoint it listens on.

    The runtime need not answer yet; it is polled until it does. Zones continue to run when the
    context is left.

    Args:
        listen: Where to listen; port 0 lets the kernel choose.
        settings: How zones are run.
        drain: Seconds that requests in progress may take at the end.
        local_access: Who on this machine may connect.

    Raises:
        kakuri_tcp.ListenFailed: The address can't be used.
        kakuri_zones.NodeUnavailable: Another process manages this node's zones, or the log
            directory can't be used.
        RuntimeError: The system does not allow MIN_THREADS threads.
    """
    _check_threads()
    channel, calls = GrpcioChannel(settings.cri), CallCounts()
    async with (
        Runtime(channel, timeouts=settings.timeouts, on_call=calls.count) as runtime,
        zone_node(runtime, settings, calls) as node,
    ):
        log.info("zones are run", cri=str(settings.cri), handlers=dict(settings.handlers))
        router = APIRouter(PROBLEMS, ids={"zone": WORKLOAD_ID})
        router.check(refuse_browsers, cacheable=True)
        if listen.scheme != "unix":
            router.check(HostGuard(loopback_only=True), cacheable=True)
        Api(node).add_to(router)
        LogApi(node).add_to(router)
        async with serving(
            listen, router, local_access=local_access, drain_seconds=drain
        ) as endpoint:
            if listen.scheme != "unix" and local_access.uids is None:
                event = "every client that can reach this address controls its zones"
                log.warning(event, listen=str(listen))
            try:
                yield endpoint
            finally:
                node.end_streams()


def _check_threads() -> None:
    """Start MIN_THREADS threads for a moment; raise RuntimeError if that is not allowed."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(MIN_THREADS)]
    try:
        for thread in threads:
            thread.start()
    finally:
        end.set()
    for thread in threads:
        thread.join()
