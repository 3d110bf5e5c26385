"""Nothing is lost or duplicated when a node is switched from a sidecar to the agent alone."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from kakuri_cri.testing import FakeCri
from kakuri_rpc import State
from kakuri_sidecar import sidecar_service

from services.agent.tests.cri_node import CriNode, gone, reached, removed, run

NAMES = ["wl-1", "wl-2", "wl-3"]


@pytest.fixture
async def node(tmp_path):
    async with FakeCri() as cri:
        yield CriNode(tmp_path, cri)


@asynccontextmanager
async def agent(node, runtime):
    """Run an agent with one of the runtimes, and a sidecar if that is the one."""
    if runtime == "cri":
        async with node.agent(runtime="cri") as client:
            yield client
        return
    async with (
        sidecar_service(node.settings.sidecar, node.zones),
        node.agent(runtime="sidecar") as client,
    ):
        yield client


def containers(cri):
    return sorted(each.id for each in cri.containers)


async def statuses(client):
    return {each.id: each for each in (await client.list_workloads()).workloads}


@pytest.mark.parametrize("order", [("sidecar", "cri", "sidecar"), ("cri", "sidecar", "cri")])
async def test_workloads_keep_running_while_the_runtime_is_switched(node, order):
    async with agent(node, order[0]) as client:
        for name in NAMES:
            await run(client, name)
            await reached(client, State.RUNNING, name)
        before, made = await statuses(client), containers(node.cri)
        node.cri.write("wl-1", b"first\n")
        log = await client.read_log("wl-1", wait_seconds=20)
    for runtime in order[1:]:
        async with agent(node, runtime) as client:
            while not (await client.describe_node()).runtime_available:
                pass
            node.cri.write("wl-1", runtime.encode() + b"\n")
            log = await client.read_log("wl-1", after=log.next, wait_seconds=20)
            assert log.data == runtime.encode() + b"\n"
            assert await statuses(client) == before
            assert containers(node.cri) == made
    async with agent(node, order[0]) as client:
        for name in NAMES:
            await removed(client, name)
    assert node.cri.sandboxes == []


@pytest.mark.parametrize("order", [("sidecar", "cri"), ("cri", "sidecar")])
@pytest.mark.parametrize(
    "call", ["PullImage", "RunPodSandbox", "CreateContainer", "StartContainer"]
)
async def test_start_in_progress_is_completed_by_the_other_runtime(node, order, call):
    node.cri.faults.set(call, "delay(100)")
    async with agent(node, order[0]) as client:
        await run(client)
        await node.cri.calls.wait_for(call)
    async with agent(node, order[1]) as client:
        status = await reached(client, State.RUNNING)
        assert (status.attempt, node.running, len(node.cri.containers)) == (0, ["wl-1"], 1)


@pytest.mark.parametrize("order", [("sidecar", "cri"), ("cri", "sidecar")])
async def test_removal_and_restart_in_progress_are_completed_by_the_other_runtime(node, order):
    async with agent(node, order[0]) as client:
        for name in ("wl-1", "wl-2"):
            await run(client, name)
            await reached(client, State.RUNNING, name)
        node.cri.faults.set("StopContainer", "delay(100)")
        await client.remove_workload("wl-1")
    node.cri.exit("wl-2", 5)
    async with agent(node, order[1]) as client:
        await gone(client)
        ended = await reached(client, State.FAILED, "wl-2")
        assert (ended.exit_code, ended.attempt) == (5, 0)


async def test_auto_chooses_the_runtime_that_answers(node):
    names = []
    auto = replace(node.settings, runtime="auto")
    async with sidecar_service(auto.sidecar, node.zones), node.agent(runtime="auto") as client:
        names.append((await client.describe_node()).runtime)
        await run(client)
        before = await reached(client, State.RUNNING)
    for _ in range(2):
        async with node.agent(runtime="auto") as client:
            names.append((await client.describe_node()).runtime)
            assert await reached(client, State.RUNNING) == before
    assert (names, node.running) == (["sidecar", "cri", "cri"], ["wl-1"])
