"""Chooses what runs the workloads."""

from pathlib import Path

from kakuri_daemon import DaemonError
from kakuri_http import Client, HttpError, Timeouts
from kakuri_tcp import Endpoint

from kakuri_agent._runtime import Runtime
from kakuri_agent._sidecar import SidecarZones
from kakuri_agent._simulated import Outcome, SimulatedRuntime, read_script
from kakuri_agent._zone_runtime import ZoneRuntime

SIDECAR = Endpoint.parse("unix:/run/kakuri/sidecar.sock")
"""Where a sidecar listens unless it is told otherwise."""

PROBE = Timeouts(connect=1.0, read=5.0, total=5.0)
"""Seconds for a sidecar to show that it is there."""


async def choose_runtime(
    wanted: str, sidecar: Endpoint, script: Path | None, known: frozenset[str]
) -> Runtime:
    """Give the runtime that the operator wants: "sidecar", "simulated", or "auto".

    `known` are the runtimes that have run workloads of this node before. Where one was the
    sidecar's, "auto" is the sidecar whether it answers or not: its zones run on without it.
    """
    if wanted == "auto":
        if SidecarZones.name in known:
            wanted = SidecarZones.name
        else:
            wanted = SidecarZones.name if await _answers(sidecar) else SimulatedRuntime.name
    if wanted == SidecarZones.name:
        return ZoneRuntime(SidecarZones(sidecar))
    return SimulatedRuntime(_outcomes(script))


async def _answers(sidecar: Endpoint) -> bool:
    try:
        async with Client(sidecar, timeouts=PROBE) as client:
            await client.request("GET", "/healthz")
    except HttpError:
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
