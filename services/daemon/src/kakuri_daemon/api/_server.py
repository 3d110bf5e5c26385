"""Serving an API from the start of a daemon to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kakuri_http import Router, serve
from kakuri_tcp import Endpoint, ListeningSockets, LocalAccess

from kakuri_daemon._supervision import shed_with
from kakuri_daemon.api._access import access_log
from kakuri_daemon.api._metrics import HTTPMetrics

DRAIN_SECONDS = 10.0
"""Seconds that requests in progress may take when the daemon stops."""


@asynccontextmanager
async def serving(
    listen: Endpoint | ListeningSockets,
    router: Router,
    *,
    local_access: LocalAccess | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    metrics: HTTPMetrics | None = None,
) -> AsyncIterator[Endpoint]:
    """Serve an API while the context is entered; yield the endpoint with its real port.

    Requests are logged, and the server sheds load when the event loop is late. On exit no new
    request is accepted, and those in progress may finish. End streams that have no end of their
    own before you leave the context, or they last for all of `drain_seconds`.

    Args:
        listen: Where to listen, or sockets that do; port 0 lets the kernel choose.
        router: The routes.
        local_access: Who on this machine may connect.
        drain_seconds: Seconds that requests in progress may take at the end.
        metrics: Counts requests and connections.

    Raises:
        kakuri_tcp.ListenFailed: The address can't be used.
    """
    log = access_log()
    if metrics is not None:
        log = metrics.counting(log)
    server = await serve(listen, router, access_log=log, local_access=local_access)
    if metrics is not None:
        metrics.add_server(server)
    shed_with(server.shed)
    try:
        yield server.endpoint
    finally:
        await server.drain(drain_seconds)
