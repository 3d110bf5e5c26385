"""Tests of the runtime `cri`, with which the agent calls the container runtime itself."""

import asyncio
from dataclasses import replace

import pytest
import structlog
from kakuri_agent.runtimes import _end_failures
from kakuri_cri.testing import FakeCri, FakeImage
from kakuri_daemon import DaemonError
from kakuri_rpc import AgentError, ErrorCode, State
from kakuri_tcp.testing import until
from kakuri_workload.testing import workload

from .cri_node import CriNode, gone, reached, removed, run


@pytest.fixture
async def cri():
    async with FakeCri(handlers=("", "edera", "qemu")) as fake:
        yield fake


@pytest.fixture
def node(tmp_path, cri):
    return CriNode(tmp_path, cri)


async def test_workload_is_started_read_stopped_and_removed(node):
    async with node.agent() as client:
        await run(client)
        status = await reached(client, State.RUNNING)
        assert status.address is not None
        node.cri.write("wl-1", b"hello\n")
        log = await client.read_log("wl-1", wait_seconds=20)
        assert log.data == b"hello\n"
        await client.stop_workload("wl-1", grace_seconds=0)
        assert (await reached(client, State.FAILED)).exit_code is not None
        await removed(client)
    assert (node.cri.sandboxes, node.cri.containers) == ([], [])
    assert list((node.directory / "logs").iterdir()) == []


async def test_exit_of_the_container_ends_the_workload(node):
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        node.cri.exit("wl-1", 3)
        status = await reached(client, State.FAILED)
        assert (status.reason, status.exit_code) == ("Error", 3)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (FakeImage(state="missing"), "ImagePullFailed"),
        (FakeImage(state="present", start_error="exec: not found"), "StartError"),
    ],
)
async def test_failed_start_leaves_nothing_and_has_its_reason(node, image, reason):
    node.cri.images.set("bad:1", image)
    async with node.agent() as client:
        await run(client, image="bad:1")
        assert (await reached(client, State.FAILED)).reason == reason
        await until(lambda: not node.cri.sandboxes)


async def test_describe_node_has_the_kind_of_socket_and_the_handlers(node):
    async with node.agent() as client:
        found = await client.describe_node()
        assert (found.runtime, found.runtime_endpoint) == ("cri", "unix")
        assert found.runtime_handlers == {"edera-zone": "edera"}


async def test_runtime_class_with_a_handler_runs_and_any_other_raises_agent_error(node):
    handlers = {"edera-zone": "edera", "machine": "qemu"}
    zones = replace(node.zones, handlers=handlers)
    async with node.agent(zones=zones) as client:
        await run(client, runtime_class="machine")
        await reached(client, State.RUNNING)
        assert node.cri.sandbox("wl-1").handler == "qemu"
        with pytest.raises(AgentError, match="expected runtime class edera-zone or machine") as got:
            await run(client, "wl-2", runtime_class="other")
        assert got.value.code is ErrorCode.BAD_REQUEST


async def test_unavailable_runtime_is_a_fault_until_it_answers_again(node):
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        with structlog.testing.capture_logs() as logs:
            await node.cri.crash()
            while (found := await client.describe_node()).runtime_available:
                pass
            assert str(node.cri.path) not in found.message
            await run(client, "wl-2")
            while (await client.get_status("wl-2")).reason != "RuntimeUnavailable":
                pass
            assert (await client.get_status("wl-1")).state is State.RUNNING
            await node.cri.restart()
            await reached(client, State.RUNNING, "wl-2")
            # A start may reach the runtime before its zones are listed again.
            while not (await client.describe_node()).runtime_available:
                pass
    assert node.running == ["wl-1", "wl-2"]
    outages = [each["event"] for each in logs if "runtime" in each["event"]]
    assert outages == ["the runtime does not answer", "the runtime answers"]


async def test_pulls_that_hang_do_not_make_a_runtime_of_few_calls_unavailable(tmp_path):
    async with FakeCri(handlers=("", "edera"), concurrent_calls=2) as cri:
        node = CriNode(tmp_path, cri)
        cri.images.set("here:1", FakeImage(state="present"))
        cri.faults.set("PullImage", "100*delay(3600000)")
        with structlog.testing.capture_logs() as logs:
            async with node.agent(cpu_millicores=100_000, memory_mb=100_000) as client:
                for number in range(10):
                    await run(client, f"slow-{number}", image=f"slow:{number}")
                await cri.calls.wait_for("PullImage", 2)
                await run(client, image="here:1")
                await reached(client, State.RUNNING)
                cri.exit("wl-1", 3)
                await reached(client, State.FAILED)
                await removed(client)
                assert (await client.describe_node()).runtime_available
    assert not [each for each in logs if each["event"] == "the runtime does not answer"]


async def test_runtime_without_a_network_is_a_fault_until_it_has_one(node):
    zones = replace(node.zones, health_interval=0.02)
    node.cri.node.conditions["NetworkReady"] = False
    with structlog.testing.capture_logs() as logs:
        async with node.agent(zones=zones) as client:
            while not ((await client.describe_node()).message or "").startswith("NetworkReady: "):
                pass
            assert not (await client.describe_node()).runtime_available
            node.cri.node.conditions["NetworkReady"] = True
            while not (await client.describe_node()).runtime_available:
                pass
    events = [each["event"] for each in logs if "run zones" in each["event"]]
    assert events == ["the runtime can't run zones", "the runtime can run zones again"]


async def test_missing_handler_is_a_fault(node):
    zones = replace(node.zones, handlers={"edera-zone": "nowhere"}, health_interval=1.0)
    async with node.agent(zones=zones) as client:
        while "to have handler 'nowhere'" not in ((await client.describe_node()).message or ""):
            pass


@pytest.mark.parametrize("call", ["PullImage", "RunPodSandbox", "CreateContainer"])
@pytest.mark.parametrize("command", ["stop", "remove"])
async def test_stop_or_removal_during_a_start_leaves_nothing_in_the_runtime(node, call, command):
    node.cri.faults.set(call, "delay(200)")
    async with node.agent() as client:
        await run(client)
        await node.cri.calls.wait_for(call)
        if command == "stop":
            await client.stop_workload("wl-1", grace_seconds=0)
            await reached(client, State.FAILED)
        await removed(client)
        await until(lambda: not node.cri.sandboxes and not node.cri.containers)


@pytest.mark.parametrize(
    "call",
    ["PullImage", "RunPodSandbox", "PodSandboxStatus", "CreateContainer", "StartContainer"],
)
async def test_start_in_progress_at_the_end_of_an_agent_is_completed_by_the_next(node, call):
    node.cri.faults.set(call, "delay(100)")
    async with node.agent() as client:
        await run(client)
        await node.cri.calls.wait_for(call)
    async with node.agent() as client:
        status = await reached(client, State.RUNNING)
        await until(lambda: (len(node.cri.sandboxes), len(node.cri.containers)) == (1, 1))
        assert (status.attempt, node.running) == (0, ["wl-1"])


@pytest.mark.parametrize("call", ["StopContainer", "RemoveContainer", "RemovePodSandbox"])
async def test_removal_in_progress_at_the_end_of_an_agent_is_completed_by_the_next(node, call):
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        node.cri.faults.set(call, "delay(100)")
        await client.remove_workload("wl-1")
        await node.cri.calls.wait_for(call)
    async with node.agent() as client:
        await gone(client)
        await until(lambda: not node.cri.sandboxes and not node.cri.containers)


async def test_workload_removed_while_its_sandbox_was_created_for_a_dead_agent_leaves_nothing(node):
    """The container runtime completes RunPodSandbox after the agent that called it has ended."""
    node.cri.faults.set("RunPodSandbox", "delay(300)")
    async with node.agent() as client:
        await run(client)
        await node.cri.calls.wait_for("RunPodSandbox")
        await client.remove_workload("wl-1")
    async with node.agent() as client:
        await node.cri.calls.wait_for("RemovePodSandbox", timeout=60)  # it existed, however briefly
        await until(lambda: not node.cri.sandboxes, timeout=60)
        await gone(client)


async def test_end_of_a_run_without_an_agent_is_reported_by_the_next_agent(node):
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
    node.cri.exit("wl-1", 7)
    async with node.agent() as client:
        assert (await reached(client, State.FAILED)).exit_code == 7


async def test_zone_without_a_workload_is_adopted_with_its_spec(node, tmp_path):
    async with node.agent() as client:
        await run(client, args=("a",))
        before = await reached(client, State.RUNNING)
    async with node.agent(state_dir=tmp_path / "empty") as client:
        while not (await client.list_workloads()).workloads:
            pass
        assert await reached(client, State.RUNNING) == before
        await client.start_workload(workload("wl-1", image="app:1", args=("a",)))


async def test_second_agent_at_the_same_runtime_raises_daemon_error(node, tmp_path):
    async with node.agent():
        with pytest.raises(DaemonError, match="another process manages the zones"):
            async with node.agent(state_dir=tmp_path / "other"):
                raise AssertionError


async def test_log_that_is_awaited_arrives_when_it_is_written(node):
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        reading = asyncio.create_task(client.read_log("wl-1", wait_seconds=20))
        await until(lambda: not reading.done())
        node.cri.write("wl-1", b"late\n")
        assert (await reading).data == b"late\n"


async def test_log_is_read_while_the_runtime_is_unavailable(node):
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        node.cri.write("wl-1", b"words\n")
        await node.cri.crash()
        assert (await client.read_log("wl-1", wait_seconds=20)).data == b"words\n"


async def test_refused_stop_of_running_workload_has_reason_stop_failed(node, monkeypatch):
    monkeypatch.setattr(_end_failures, "REPORT_SECONDS", 0.0)
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        for call in ("StopContainer", "StopPodSandbox"):
            node.cri.faults.set(call, "9999*error(UNKNOWN: the shim hangs)")
        await client.stop_workload("wl-1", grace_seconds=0)
        async with asyncio.timeout(20):
            while (status := await client.get_status("wl-1")).reason != "StopFailed":
                assert status.state is State.RUNNING
        assert (status.state, status.message) == (State.RUNNING, "StopPodSandbox: the shim hangs")
        for call in ("StopContainer", "StopPodSandbox"):
            node.cri.faults.set(call, "delay(0)")
        status = await reached(client, State.FAILED)
        assert (status.reason, status.message) == ("Stopped", None)


@pytest.mark.parametrize("end", ["stop_workload", "remove_workload"])
async def test_stop_that_hangs_has_reason_stop_failed_before_its_call_ends(node, end, monkeypatch):
    monkeypatch.setattr(_end_failures, "OVERDUE_SECONDS", 0.01)
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        node.cri.faults.set("StopContainer", "delay(60000)")
        await getattr(client, end)("wl-1", grace_seconds=0)
        async with asyncio.timeout(20):
            while (status := await client.get_status("wl-1")).reason != "StopFailed":
                assert status.state is State.RUNNING
        assert status.message == "the stop is still in progress at least 0 s after the grace period"


@pytest.mark.parametrize("detail", [False, True])
async def test_removal_that_the_runtime_refuses_is_in_the_message_of_the_ended_workload(
    node, detail, monkeypatch
):
    monkeypatch.setattr(_end_failures, "REPORT_SECONDS", 0.0)
    async with node.agent() as client:
        await run(client)
        await reached(client, State.RUNNING)
        node.cri.exit("wl-1", 3)
        ended = await reached(client, State.FAILED)
        node.cri.faults.set("RemovePodSandbox", "9999*error(UNKNOWN: busy)")
        await client.remove_workload("wl-1")
        async with asyncio.timeout(20):
            while (
                status := await client.get_status("wl-1", detail=detail)
            ).message == ended.message:
                pass
        message = "its zone can't be stopped or removed: RemovePodSandbox: busy"
        assert (status.reason, status.message, status.exit_code) == ("Error", message, 3)
        listed = await client.list_workloads(detail=detail)
        assert [each.message for each in listed.workloads] == [message]
        assert (await client.remove_workload("wl-1")).message == message
        node.cri.faults.set("RemovePodSandbox", "delay(0)")
        await gone(client)
        assert (await client.get_status("wl-1", removed=True)).message == ended.message
