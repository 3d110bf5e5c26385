"""An agent service with the runtime `cri` and a fake container runtime."""

from contextlib import asynccontextmanager
from dataclasses import replace

from kakuri_agent._cli import Settings, agent_service
from kakuri_rpc import AgentClient, AgentError, ErrorCode
from kakuri_tcp import Endpoint
from kakuri_tcp.testing import until
from kakuri_workload.testing import workload
from kakuri_zones.testing import quick_settings


class CriNode:
    """The directory and the container runtime of a node, for several agents in a row."""

    def __init__(self, directory, cri):
        self.directory, self.cri = directory, cri
        self.zones = quick_settings(cri=cri.endpoint, log_dir=directory / "logs")
        self.settings = Settings(
            Endpoint.unix(str(directory / "agent.sock")),
            self.zones,
            runtime="cri",
            sidecar=Endpoint.unix(str(directory / "sidecar.sock")),
            state_dir=directory / "state",
        )

    @asynccontextmanager
    async def agent(self, **changes):
        """Run an agent on the node; yield a client of it."""
        async with agent_service(replace(self.settings, **changes)) as endpoint:
            client = AgentClient(endpoint)
            try:
                yield client
            finally:
                await client.close()

    @property
    def running(self):
        """Return the ids of the workloads whose containers run, according to the runtime."""
        return sorted(
            each.config.labels["kakuri.dev/workload-id"]
            for each in self.cri.containers
            if each.is_running
        )


async def reached(client, state, workload_id="wl-1"):
    """Wait until a workload is in a state; return its status."""
    while True:
        status = await client.get_status(workload_id)
        if status.state is state:
            return status


async def run(client, workload_id="wl-1", **changes):
    """Start a workload that runs until it is stopped."""
    await client.start_workload(workload(workload_id, **{"image": "app:1", **changes}))


async def removed(client, workload_id="wl-1"):
    """Remove a workload and wait until it is gone."""
    await client.remove_workload(workload_id)
    await gone(client, workload_id)


async def gone(client, workload_id="wl-1"):
    """Wait until the agent does not have the workload."""
    try:
        while True:
            await client.get_status(workload_id)
    except AgentError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise


__all__ = ["CriNode", "gone", "reached", "removed", "run", "until"]
