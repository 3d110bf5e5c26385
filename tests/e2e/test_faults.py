"""An agent that is paused, and one whose disk is full."""

import asyncio
import os
import signal

import pytest
from kakuri_rpc import (
    AgentClient,
    AgentTimeout,
    ErrorCode,
    ErrorReply,
    GetStatus,
    ListWorkloads,
    RemoveWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
)
from kakuri_tcp import Endpoint
from kakuri_workload.testing import workload

from .kills import AgentProcess, Forker, node

PAUSED_TIMEOUT = 0.2


def server(workload_id):
    return workload(workload_id, image="server", memory_mb=50)


async def test_requests_to_a_paused_agent_are_carried_out_once(tmp_path):
    """After SIGCONT, requests sent meanwhile are answered, unless their connection has ended."""
    async with node(tmp_path, seed=1) as system:
        await system.start()
        endpoint = Endpoint.parse(f"unix:{system.agent_run.socket}")
        before = AgentClient(endpoint)
        await before.start_workload(server("before"))
        os.kill(system.agent_run.pid, signal.SIGSTOP)
        impatient = AgentClient(endpoint, timeout=PAUSED_TIMEOUT)
        for name in ("before", "given-up", "given-up"):
            with pytest.raises(AgentTimeout):
                await impatient.start_workload(server(name))
        waiting = asyncio.ensure_future(before.start_workload(server("waiting")))
        await asyncio.sleep(0)
        os.kill(system.agent_run.pid, signal.SIGCONT)
        assert not (await waiting).existing
        again = await before.start_workload(server("given-up"))
        assert (await before.start_workload(server("given-up"))).existing
        assert again.attempt == 0
        await impatient.close()
        await before.close()
        await system.until(system.has_converged)
        assert sorted(system.running()) == ["before", "given-up", "waiting"]


async def test_agent_on_a_full_disk_refuses_starts_and_serves_other_requests(tmp_path):
    forker = Forker(tmp_path)
    agent = AgentProcess(forker, tmp_path, "--runtime", "simulated")
    try:
        await agent.await_ready()
        for name in ("stays", "stops", "goes"):
            assert isinstance(await agent.call(StartWorkload(server(name))), Status)
        forker.fill()
        number, refused = 0, None
        while not isinstance(refused, ErrorReply):
            refused = await agent.call(StartWorkload(server(f"more-{number}")))
            number += 1
        assert (refused.code, "full" in refused.message) == (ErrorCode.CAPACITY, True)
        assert (await agent.call(GetStatus("stays"))).state is State.RUNNING
        await agent.call(StopWorkload("stops", 0))
        await agent.call(RemoveWorkload("goes"))
        await until(agent, "stops", lambda status: status.state is State.SUCCEEDED)
        await until(agent, "goes", lambda status: isinstance(status, ErrorReply))
        forker.free()
        await until_started(agent, "afterwards")
        listed = await agent.call(ListWorkloads())
        assert {"afterwards", "stays", "stops"} <= {each.id for each in listed.workloads}
    finally:
        agent.kill()
        forker.close()


async def until(agent, workload_id, condition):
    async with asyncio.timeout(20):
        while not condition(await agent.call(GetStatus(workload_id))):
            pass


async def until_started(agent, workload_id):
    async with asyncio.timeout(20):
        while isinstance(await agent.call(StartWorkload(server(workload_id))), ErrorReply):
            pass
