"""The command `kakuri-control-plane`."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import click
import structlog
from kakuri_daemon import (
    DaemonCommand,
    WorkerCount,
    WorkerPeers,
    allow_user,
    endpoint,
    listen_group,
    run_workers,
    user_id,
)
from kakuri_daemon.api import APIRouter, HostGuard, refuse_other_sites, serving
from kakuri_rpc import DEFAULT_TIMEOUT, AgentClient
from kakuri_tcp import Endpoint, ListeningSockets, LocalAccess

from kakuri_control_plane._api import Api
from kakuri_control_plane._version import __version__

log = structlog.get_logger()

MIN_TIMEOUT, MAX_TIMEOUT = 0.1, 300.0
"""Limits in seconds: a healthy agent may need the minimum, and no client waits for the maximum."""

HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
"""A host name of a Host field (RFC 9110 section 7.2), without a port."""


@click.command(cls=DaemonCommand, name="kakuri-control-plane", default_listen="127.0.0.1:8080")
@listen_group
@allow_user
@click.option(
    "--agent",
    type=endpoint,
    callback=lambda _ctx, _param, value: _check_agent(value),
    default="127.0.0.1:9000",
    show_default=True,
    metavar="HOST:PORT|unix:PATH",
    help="Where the node's agent listens.",
)
@click.option(
    "--agent-user",
    "agent_uid",
    type=user_id,
    metavar="USER",
    help="The agent's user, if it is neither root nor this server's own user.",
)
@click.option(
    "--agent-timeout",
    type=float,
    metavar="SECONDS",
    callback=lambda _ctx, _param, value: _check_timeout(value),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="Seconds to wait for the agent's reply.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    callback=lambda _ctx, _param, names: tuple(map(_check_host, names)),
    metavar="NAME",
    help="A name, besides localhost, under which callers may reach this server; may be repeated.",
)
@click.option(
    "--metrics-listen",
    type=endpoint,
    metavar="HOST:PORT|unix:PATH",
    help="A second address, which serves only GET /metrics.",
)
@click.option(
    "--workers",
    type=WorkerCount(),
    default="1",
    show_default=True,
    metavar="NUMBER|auto",
    help="Number of worker processes; auto starts one for each core.",
)
@click.version_option(__version__)
def main(
    listen: Endpoint,
    agent: Endpoint,
    agent_uid: int | None,
    agent_timeout: float,
    allowed_hosts: tuple[str, ...],
    metrics_listen: Endpoint | None,
    local_access: LocalAccess,
    workers: int,
) -> None:
    """Serve the HTTP API for the workloads of an agent."""
    run_workers(
        lambda sockets, metrics=None, *, peers: control_plane_service(
            sockets,
            agent,
            agent_timeout,
            allowed_hosts,
            agent_uid=agent_uid,
            metrics_listen=metrics,
            local_access=local_access,
            peers=peers,
        ),
        listen,
        workers,
        more=() if metrics_listen is None else (metrics_listen,),
        local_access=local_access,
    )


@asynccontextmanager
async def control_plane_service(
    listen: Endpoint | ListeningSockets,
    agent: Endpoint,
    agent_timeout: float = DEFAULT_TIMEOUT,
    allowed_hosts: Iterable[str] = (),
    *,
    agent_uid: int | None = None,
    metrics_listen: Endpoint | ListeningSockets | None = None,
    local_access: LocalAccess = LocalAccess(uids=()),  # noqa: B008 (frozen)
    peers: WorkerPeers | None = None,
) -> AsyncIterator[Endpoint]:
    """Serve the API while the context is entered; yield the endpoint with its real port.

    Args:
        listen: Where to listen, or sockets that do; port 0 lets the kernel choose.
        agent: Where the agent listens.
        agent_timeout: Seconds that the agent may take to answer.
        allowed_hosts: Names besides localhost and the host of `listen` under which callers may
            reach the server.
        agent_uid: The user that the agent runs as, if that is neither root nor this process's.
        metrics_listen: A second address, which serves only metrics.
        local_access: Who on this machine may connect, by default root and this process's user;
            over loopback, every user may read what serves only metrics.
        peers: The other workers, whose metrics a scrape of this one has too.

    Raises:
        kakuri_tcp.ListenFailed: The address can't be used.
    """
    trusted = () if agent_uid is None else (agent_uid,)
    async with AgentClient(agent, timeout=agent_timeout, trusted_uids=trusted) as client:
        api = Api(client, str(agent))
        metrics = api.http_metrics
        async with AsyncExitStack() as stack:
            stack.callback(api.metrics.close)
            if peers is not None:
                from kakuri_control_plane._worker_metrics import WorkerMetrics  # noqa: PLC0415

                api.metrics.workers = WorkerMetrics(peers, api.metrics.own_families)
                await stack.enter_async_context(api.metrics.workers.serving())
            if metrics_listen is not None:
                router = _guarded(api.metrics_router(), metrics_listen, allowed_hosts)
                everyone = replace(local_access, uids=None, identify_users=True)
                second = await stack.enter_async_context(
                    serving(metrics_listen, router, local_access=everyone, metrics=metrics)
                )
                log.info("metrics served", endpoint=str(second))
            router = _guarded(api.router(), listen, allowed_hosts)
            serving_api = serving(listen, router, local_access=local_access, metrics=metrics)
            endpoint = await stack.enter_async_context(serving_api)
            try:
                yield endpoint
            finally:
                await api.end_waiting()


def _guarded(
    router: APIRouter, listen: Endpoint | ListeningSockets, allowed_hosts: Iterable[str]
) -> APIRouter:
    """Return a router that refuses requests from other sites."""
    host = (listen.endpoint if isinstance(listen, ListeningSockets) else listen).host
    names = [*allowed_hosts, host] if host else allowed_hosts
    guard = HostGuard(names, hint="the control plane needs --allowed-host")
    router.check(guard, cacheable=True)
    router.check(refuse_other_sites, cacheable=True)
    return router


def _check_agent(agent: Endpoint) -> Endpoint:
    if agent.scheme != "unix" and agent.port == 0:
        raise click.BadParameter(f"expected a port to connect to, got {agent}")
    return agent


def _check_timeout(seconds: float) -> float:
    if not MIN_TIMEOUT <= seconds <= MAX_TIMEOUT:  # NaN is not in the range either
        expected = f"expected seconds from {MIN_TIMEOUT:g} to {MAX_TIMEOUT:g}"
        raise click.BadParameter(f"{expected}, got {seconds:g}")
    return seconds


def _check_host(name: str) -> str:
    if not HOST_NAME.fullmatch(name):
        raise click.BadParameter(f"expected a host name without scheme and port, got {name!r}")
    return name
