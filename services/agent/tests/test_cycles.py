"""Tests that removed workloads leave no resources in the agent."""

import asyncio
import gc
import threading
import tracemalloc
from pathlib import Path

from kakuri_agent._cli import Settings, agent_service
from kakuri_rpc import AgentClient, AgentError, ErrorCode
from kakuri_tcp import Endpoint
from kakuri_workload.testing import workload
from kakuri_zones import Settings as ZoneSettings

AT_ONCE = 20
ROUNDS = 50
MORE_MEMORY = 512 * 1024
"""Bytes by which memory may differ: caches are bounded, and full before the first measurement."""


async def cycle(client, workload_id):
    await client.start_workload(workload(workload_id))
    await client.stop_workload(workload_id)
    await client.remove_workload(workload_id)
    await gone(client, workload_id)


async def gone(client, workload_id):
    try:
        while True:
            await client.get_status(workload_id)
    except AgentError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise


async def cycles(client):
    for _ in range(ROUNDS):
        await asyncio.gather(*(cycle(client, f"w{number}") for number in range(AT_ONCE)))


def used():
    gc.collect()
    return (
        len(list(Path("/proc/self/fd").iterdir())),
        threading.active_count(),
        len(asyncio.all_tasks()),
    )


async def test_thousand_cycles_return_to_the_initial_resources(crash_directory, monkeypatch):
    monkeypatch.setattr("kakuri_registry._journal.MAX_EVENTS", 1000)
    zones = ZoneSettings(cri=Endpoint.parse("unix:/nowhere"))
    settings = Settings(
        Endpoint.parse("127.0.0.1:0"),
        zones,
        runtime="simulated",
        state_dir=crash_directory,
        store="sqlite",
    )
    async with agent_service(settings) as endpoint:
        client = AgentClient(endpoint, timeout=60)  # tracing memory makes the agent slow
        tracemalloc.start()
        try:
            await cycles(client)  # fills everything that is bounded, such as the journal
            before, memory = used(), tracemalloc.get_traced_memory()[0]
            await cycles(client)
            assert used() == before
            assert tracemalloc.get_traced_memory()[0] - memory < MORE_MEMORY
            node = await client.describe_node()
            assert (node.workloads, node.memory_mb_used, node.cpu_millicores_used) == (
                0,
                0,
                0,
            )
        finally:
            tracemalloc.stop()
            await client.close()
