"""The command `kakuri-agent`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import structlog
from kakuri_daemon import DaemonCommand, DaemonError, run
from kakuri_registry import WorkloadRegistry
from kakuri_rpc import serve
from kakuri_tcp import Endpoint

from kakuri_agent._agent import Agent
from kakuri_agent._runtime import Runtime
from kakuri_agent._simulated import Outcome, SimulatedRuntime, read_script
from kakuri_agent._version import __version__

log = structlog.get_logger()

DRAIN_SECONDS = 10.0
"""How long a request in flight may take when the agent is told to stop."""


@click.command(cls=DaemonCommand, name="kakuri-agent", default_listen="127.0.0.1:9000")
@click.option(
    "--runtime",
    type=click.Choice(["simulated"]),
    default="simulated",
    show_default=True,
    help="What runs the workloads.",
)
@click.option(
    "--simulated-script",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML file of outcomes for the simulated runtime, by image.",
)
@click.version_option(__version__)
def main(listen: Endpoint, runtime: str, simulated_script: Path | None) -> None:
    """Run the workloads of this machine, for a control plane that asks over TCP."""
    runtimes = {"simulated": lambda: SimulatedRuntime(_outcomes(simulated_script))}
    run(lambda: agent_service(listen, runtimes[runtime]()))


@asynccontextmanager
async def agent_service(listen: Endpoint, runtime: Runtime) -> AsyncIterator[Endpoint]:
    """Serve the agent protocol while the context is entered; gives the real endpoint."""
    agent = Agent(WorkloadRegistry(), runtime)
    server = await serve(listen, agent.handle)
    if runtime.is_simulated:
        log.warning("nothing really runs: the runtime is simulated")
    try:
        yield server.endpoint
    finally:
        await server.drain(DRAIN_SECONDS)
        runtime.close()


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
