"""Choice of the runtime, and opening it.

Each function imports only the runtime that it needs. The clients of a sidecar and of a container
runtime take a quarter of an agent's memory and start-up time, and no agent uses both for long.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from kakuri_daemon import DaemonError
from kakuri_tcp import Endpoint
from kakuri_zones import Settings as ZoneSettings

from kakuri_agent.runtimes._names import CRI, SIDECAR, SIMULATED
from kakuri_agent.runtimes._protocol import Runtime

log = structlog.get_logger()

DEFAULT_SIDECAR = Endpoint.parse("unix:/run/kakuri/sidecar.sock")
"""The default endpoint of a sidecar."""

PROBE_SECONDS = 5.0
"""Seconds within which a sidecar or a container runtime has to answer to be chosen."""


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
        return SIDECAR, "the sidecar answers"
    if await _runtime_answers(zones):
        return CRI, "the container runtime answers, and no sidecar does"
    if last is not None:
        return last, "it ran the zones of this node before, and nothing answers now"
    return SIMULATED, "neither a sidecar nor a container runtime answers"


def log_runtime(name: str, reason: str | None, sidecar: Endpoint, zones: ZoneSettings) -> None:
    """Log what runs the workloads, and the reason if the operator did not choose it."""
    if reason is not None:
        log.info("runtime chosen", runtime=name, reason=reason)
    if name == SIMULATED:
        log.warning("nothing really runs: the runtime is simulated")
    elif name == SIDECAR:
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
        if name == SIMULATED:
            runtime = _simulated_runtime(script)
        elif name == SIDECAR:
            runtime = _sidecar_runtime(sidecar)
        else:
            runtime = await _cri_runtime(zones, stack)
        stack.push_async_callback(runtime.close)
        yield runtime


def _simulated_runtime(script: Path | None) -> Runtime:
    from kakuri_agent.runtimes._simulated import SimulatedRuntime, read_script  # noqa: PLC0415

    if script is None:
        return SimulatedRuntime()
    try:
        return SimulatedRuntime(read_script(script))
    except OSError as error:
        message = f"can't read {script}: {error.strerror}"
        raise DaemonError(message) from error
    except ValueError as error:
        message = f"{script}: {error}"
        raise DaemonError(message) from error


def _sidecar_runtime(endpoint: Endpoint) -> Runtime:
    from kakuri_agent.runtimes._sidecar import SidecarZones  # noqa: PLC0415
    from kakuri_agent.runtimes._zone_runtime import ZoneRuntime  # noqa: PLC0415

    return ZoneRuntime(SidecarZones(endpoint))


async def _cri_runtime(settings: ZoneSettings, stack: AsyncExitStack) -> Runtime:
    from kakuri_zones import NodeUnavailable  # noqa: PLC0415

    from kakuri_agent.runtimes._node_zones import node_zones  # noqa: PLC0415
    from kakuri_agent.runtimes._zone_runtime import ZoneRuntime  # noqa: PLC0415

    try:
        return ZoneRuntime(await stack.enter_async_context(node_zones(settings)))
    except NodeUnavailable as error:
        raise DaemonError(str(error)) from error


async def _sidecar_answers(endpoint: Endpoint) -> bool:
    if not _may_listen(endpoint):
        return False
    from kakuri_agent.runtimes._sidecar import sidecar_answers  # noqa: PLC0415

    return await sidecar_answers(endpoint, PROBE_SECONDS)


async def _runtime_answers(settings: ZoneSettings) -> bool:
    if not _may_listen(settings.cri):
        return False
    from kakuri_agent.runtimes._node_zones import runtime_answers  # noqa: PLC0415

    return await runtime_answers(settings, PROBE_SECONDS)


def _may_listen(endpoint: Endpoint) -> bool:
    """Return False if the endpoint is a Unix socket that does not exist, otherwise True."""
    return not endpoint.path or Path(endpoint.path).exists()
