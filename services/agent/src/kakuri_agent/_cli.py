"""The command `kakuri-agent`."""

import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click
from kakuri_daemon import (
    DaemonCommand,
    DaemonError,
    NonEmptyPath,
    NumberRange,
    allow_user,
    endpoint,
    listen_group,
    run,
    shed_with,
)
from kakuri_registry import VERSION_GAP, EphemeralStore
from kakuri_rpc import serve
from kakuri_tcp import Endpoint, LocalAccess
from kakuri_workload import MAX_DOCUMENT_BYTES
from kakuri_zones import Settings as ZoneSettings
from kakuri_zones.options import zone_options

from kakuri_agent._agent import Agent
from kakuri_agent._capacity import MEMORY_FLOOR_MB, Capacity, cpu_of_machine, memory_of_machine
from kakuri_agent._node_metrics import RefusalMetrics
from kakuri_agent._retention import Retention
from kakuri_agent._state import StateDirectory, default_state_dir, open_registry
from kakuri_agent._store_metrics import StoreMetrics
from kakuri_agent._version import __version__
from kakuri_agent.runtimes._choice import (
    DEFAULT_SIDECAR,
    choose_runtime,
    log_runtime,
    open_runtime,
)
from kakuri_agent.runtimes._names import CRI, SIDECAR, SIMULATED

DRAIN_SECONDS = 10.0
"""Seconds that requests in flight may take when the agent stops."""

RETENTION_HOURS = 24.0
"""Hours for which an ended workload is kept, with its log."""

ENDED_BUDGET_MB = 64
"""Budget of all workloads that have ended: enough for tens of thousands of ordinary ones or 256
with the largest specifications, and less than what the agent needs for those that run."""

MAX_RETENTION_HOURS = 1_000_000.0
"""More than a hundred years."""

MIN_DOCUMENT_BYTES = 1024
"""The smallest limit; with a lower one, hardly any workload could be submitted."""

EXIT_DAMAGED = 1
"""The exit status of --check-store for a damaged store."""

MAX_START_TIME = 1 << 32
"""Latest start time, in seconds since the epoch, from which a version is derived: in 2106. It keeps
versions below 2^53, the limit of JSON numbers, if the clock is wrong."""

NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
"""The form of a node's name, which is part of paths and can't be an option: that of host names."""

DEFAULT_NODE_NAME = "node"
"""The name of a node whose host name does not have that form."""

MAX_FIGURE = 2**31 - 1
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command; None stands for the value of the machine or of the runtime."""

    listen: Endpoint
    zones: ZoneSettings
    local_access: LocalAccess = LocalAccess(uids=())  # noqa: RUF009 (frozen)
    runtime: str = "auto"
    sidecar: Endpoint = DEFAULT_SIDECAR
    simulated_script: Path | None = None
    state_dir: Path | None = None
    store: str = "auto"
    memory_mb: int | None = None
    cpu_millicores: int | None = None
    memory_floor_mb: int | None = None
    retention_hours: float = RETENTION_HOURS
    ended_budget_mb: int = ENDED_BUDGET_MB
    max_document_bytes: int = MAX_DOCUMENT_BYTES
    name: str | None = None


def _node_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    """Return the node's name: by default the host's, if that is a valid name of a node."""
    if value is None:
        host = socket.gethostname()
        return host if NODE_NAME.fullmatch(host) else DEFAULT_NODE_NAME
    if not NODE_NAME.fullmatch(value):
        expected = "a name of 1 to 253 letters, digits, '.', '_' and '-'"
        raise click.BadParameter(f"expected {expected}, got {value!r}")
    return value


@click.command(
    cls=DaemonCommand,
    name="kakuri-agent",
    default_listen="127.0.0.1:9000",
    foreign_variables=("KAKURI_AGENT_TIMEOUT", "KAKURI_AGENT_USER"),  # the control plane's
)
@listen_group
@allow_user
@click.option(
    "--name",
    callback=_node_name,
    help="The node's name, for clients of the control plane.  [default: the host's name]",
)
@click.option(
    "--runtime",
    type=click.Choice(["auto", SIDECAR, CRI, SIMULATED], case_sensitive=False),
    default="auto",
    show_default=True,
    help="What runs the workloads: a sidecar; this process, by calls to the container runtime at "
    "--cri; or nothing. auto is the sidecar if it answers, else cri if a container runtime does, "
    "else the one of the two that ran zones of this node last, else simulated.",
)
@click.option(
    "--sidecar",
    type=endpoint,
    default=str(DEFAULT_SIDECAR),
    show_default=True,
    metavar="unix:PATH|HOST:PORT",
    help="Where the sidecar listens.",
)
@click.option(
    "--simulated-script",
    type=NonEmptyPath(dir_okay=False, path_type=Path),
    help="A TOML file of outcomes for the simulated runtime, by image.",
)
@zone_options
@click.option(
    "--state-dir",
    type=NonEmptyPath(file_okay=False, path_type=Path),
    help="The directory of the durable store.  [default: /var/lib/kakuri for root, else the user's "
    "XDG state directory]",
)
@click.option(
    "--store",
    type=click.Choice(["auto", "sqlite", "memory"], case_sensitive=False),
    default="auto",
    show_default=True,
    help="Whether workloads survive a restart; auto is sqlite, but memory for the simulated "
    "runtime without --state-dir: its zones end with this process anyway.",
)
@click.option(
    "--memory-mb",
    type=click.IntRange(1, MAX_FIGURE),
    help="Memory for zones, in units of 2^20 bytes.  [default: the machine's; simulated: no limit]",
)
@click.option(
    "--cpu-millicores",
    type=click.IntRange(1, MAX_FIGURE),
    help="CPU for zones, 1000 for a core.  [default: the machine's; simulated: no limit]",
)
@click.option(
    "--memory-floor-mb",
    type=click.IntRange(0, MAX_FIGURE),
    help=f"Memory of the smallest zone.  [default: {MEMORY_FLOOR_MB}, the minimum of Edera; "
    "simulated: none]",
)
@click.option(
    "--retention-hours",
    type=NumberRange(0, MAX_RETENTION_HOURS),
    default=RETENTION_HOURS,
    show_default=True,
    help="How long ended workloads are kept, with their logs; and how long removed ones can be "
    "read, up to 1,000 and 64 MiB. With 0, nothing of a removed workload is kept.",
)
@click.option(
    "--ended-budget-mb",
    type=click.IntRange(1, MAX_FIGURE),
    default=ENDED_BUDGET_MB,
    show_default=True,
    help="Budget of all workloads that have ended, in units of 2^20 bytes: their specifications, "
    "messages and histories, in memory and in the store. When it is exceeded, those that ended "
    "first are removed, with their logs.",
)
@click.option(
    "--max-document-bytes",
    type=click.IntRange(MIN_DOCUMENT_BYTES, MAX_DOCUMENT_BYTES),
    default=MAX_DOCUMENT_BYTES,
    show_default=True,
    help="Largest size of a workload in its compact JSON encoding, in bytes.",
)
@click.option(
    "--check-store",
    is_flag=True,
    help="Check the stores in the state directory without changing them, report, and exit: 0 if "
    "they are intact, 1 if one is damaged, 2 if one can't be checked. The agent must be stopped.",
)
@click.version_option(__version__)
def main(*, check_store: bool, **options: object) -> None:
    """Run the workloads of this machine, for a control plane that connects to a socket."""
    if check_store:
        state_dir = cast("Path | None", options["state_dir"])
        try:
            is_intact = StateDirectory(state_dir or default_state_dir()).check(click.echo)
        except OSError as error:  # a traceback would exit with EXIT_DAMAGED
            raise DaemonError(f"can't write the report: {error.strerror}") from error
        sys.exit(0 if is_intact else EXIT_DAMAGED)
    settings = Settings(**options)  # type: ignore[arg-type]  # click has checked them
    run(lambda: agent_service(settings))


def first_version(now: float) -> int:
    """Return the first version of a store in memory, from the time in seconds since the epoch.

    If the clock is right, it is larger than all versions of earlier processes, so a reader of one
    of them notices that the store was replaced.
    """
    return min(max(int(now), 0), MAX_START_TIME) * VERSION_GAP


@asynccontextmanager
async def agent_service(settings: Settings) -> AsyncIterator[Endpoint]:
    """Serve the agent protocol while the context is entered; yield the actual endpoint."""
    state = StateDirectory(settings.state_dir or default_state_dir())
    name, reason = settings.runtime, None
    if name == "auto":
        name, reason = await choose_runtime(settings.sidecar, settings.zones, state.last_runtime)
    is_simulated = name == SIMULATED
    is_durable = settings.store == "sqlite" or (
        settings.store == "auto" and not (is_simulated and settings.state_dir is None)
    )
    store = (
        state.store(is_simulated=is_simulated)
        if is_durable
        else EphemeralStore(version=first_version(time.time()), store_id=os.urandom(16).hex())
    )
    async with (
        open_registry(store) as (registry, writer),
        open_runtime(name, settings.sidecar, settings.zones, settings.simulated_script) as runtime,
    ):
        if is_durable and not is_simulated:
            state.record_runtime(name)
        store_metrics, refusals = StoreMetrics(writer, store), RefusalMetrics()
        agent = Agent(
            registry,
            writer,
            runtime,
            _capacity(settings, is_simulated=is_simulated),
            name=settings.name,
            store="sqlite" if is_durable else "memory",
            keeps_removed=settings.retention_hours > 0,
            families=[store_metrics.families, refusals.families],
            metrics_zones=settings.zones.metrics_zones,
        )
        retention = Retention(
            registry,
            agent.enqueue,
            settings.retention_hours * SECONDS_PER_HOUR,
            budget=settings.ended_budget_mb << 20,
            drop_removed_before=writer.drop_removed_before,
        )
        agent.notify_ends(retention.workload_ended)
        try:
            server = await serve(
                settings.listen,
                agent.handle,
                max_document=settings.max_document_bytes,
                local_access=settings.local_access,
                on_error=refusals,
            )
            shed_with(server.shed)
            log_runtime(name, reason, settings.sidecar, settings.zones)
            try:
                yield server.endpoint
            finally:
                agent.stop_waiting()  # a follower would otherwise delay the stop
                await server.drain(DRAIN_SECONDS)
        finally:
            retention.close()
            agent.close()


def _capacity(settings: Settings, *, is_simulated: bool) -> Capacity:
    memory_mb, cpu_millicores = settings.memory_mb, settings.cpu_millicores
    floor = settings.memory_floor_mb
    if is_simulated:
        return Capacity(memory_mb, cpu_millicores, floor or 0)
    if floor is None:
        floor = MEMORY_FLOOR_MB
    try:
        return Capacity(memory_mb or memory_of_machine(), cpu_millicores or cpu_of_machine(), floor)
    except OSError as error:
        message = f"can't find out how much memory this machine has; set --memory-mb: {error}"
        raise DaemonError(message) from error
