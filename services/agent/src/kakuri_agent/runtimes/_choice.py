"""Choice of the runtime, and opening it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from kakuri_daemon import DaemonError
from kakuri_http import Client, HTTPError, Timeouts
from kakuri_tcp import Endpoint
from kakuri_zones import NodeUnavailable
from kakuri_zones import Settings as ZoneSettings

from kakuri_agent.runtimes._node_zones import NodeZones, node_zones, runtime_answers
from kakuri_agent.runtimes._protocol import Runtime
from kakuri_agent.runtimes._sidecar import SidecarZones
from kakuri_agent.runtimes._simulated import Outcome, SimulatedRuntime, read_script
from kakuri_agent.runtimes._zone_runtime import ZoneRuntime

log = structlog.get_logger()

SIDECAR = Endpoint.parse("unix:/run/kakuri/sidecar.sock")
"""The default endpoint of a sidecar."""

RUNTIMES = (SidecarZones.name, NodeZones.name, SimulatedRuntime.name)
"""The values of `--runtime` besides `auto`."""

PROBE_SECONDS = 5.0
"""Seconds within which a sidecar or a container runtime has to answer to be chosen."""

_PROBE = Timeouts(connect=1.0, read=PROBE_SECONDS, total=PROBE_SECONDS)


async def choose_runtime(
    sidecar: Endpoint, zones: ZoneSettings, last: str | None
) -> tuple[str, str]:
    """Return the name of the runtime for `--runtime auto`, and the reason.

    Args:
        sidecar: Where the sidecar listens.
        zones: Has the socket of the container runtime.
        last: The name of the runtime that ran the zones of this node last, if any did. They exist
            whether or not anything answers now, so the simulated runtime can't take its place.
    """
    if await _sidecar_answers(sidecar):
        return SidecarZones.name, "the sidecar answers"
    if await runtime_answers(zones, PROBE_SECONDS):
        return NodeZones.name, "the container runtime answers, and no sidecar does"
    if last is not None:
        return last, "it ran the zones of this node before, and nothing answers now"
    return SimulatedRuntime.name, "neither a sidecar nor a container runtime answers"


def log_runtime(name: str, reason: str | None, sidecar: Endpoint, zones: ZoneSettings) -> None:
    """Log what runs the workloads, and the reason if the operator did not choose it."""
    if reason is not None:
        log.info("runtime chosen", runtime=name, reason=reason)
    if name == SimulatedRuntime.name:
        log.warning("nothing really runs: the runtime is simulated")
    elif name == SidecarZones.name:
        log.info("zones are run", by=name, sidecar=str(sidecar))
    else:
        log.info("zones are run", by=name, cri=str(zones.cri), handlers=dict(zones.handlers))


@asynccontextmanager
async def open_runtime(
    name: str, sidecar: Endpoint, zones: ZoneSettings, script: Path | None
) -> AsyncIterator[Runtime]:
    """Open a runtime by its name, and close it at the end; zones continue to run.

    Raises:
        DaemonError: The script can't be read, or another process manages this node's zones.
    """
    async with AsyncExitStack() as stack:
        runtime: Runtime
        if name == SimulatedRuntime.name:
            runtime = SimulatedRuntime(_outcomes(script))
        elif name == SidecarZones.name:
            runtime = ZoneRuntime(SidecarZones(sidecar))
        else:
            try:
                operations = await stack.enter_async_context(node_zones(zones))
            except NodeUnavailable as error:
                raise DaemonError(str(error)) from error
            runtime = ZoneRuntime(operations)
        stack.push_async_callback(runtime.close)
        yield runtime


async def _sidecar_answers(sidecar: Endpoint) -> bool:
    try:
        async with Client(sidecar, timeouts=_PROBE) as client:
            await client.request("GET", "/healthz")
    except HTTPError:
        return False
    return True


def _outcomes(script: Path | None) -> list[Outcome]:
    if script is None:
        return []
    try:
        return read_script(script)
    except OSError as error:
        message = f"can't read {script}: {error.strerror}"
        raise DaemonError(message) from error
    except ValueError as error:
        message = f"{script}: {error}"
        raise DaemonError(message) from error
