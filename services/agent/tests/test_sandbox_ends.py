"""Tests that the sandbox of a workload is stopped after its last run, and not before."""

from kakuri_agent import Agent
from kakuri_rpc import RemoveWorkload, StartWorkload
from kakuri_workload import DesiredState, RestartPolicy, WorkloadState
from kakuri_workload.testing import workload

from .loop_clock import begin

SUCCEEDED, FAILED = WorkloadState.SUCCEEDED, WorkloadState.FAILED


async def test_sandbox_of_an_ended_workload_is_stopped_once(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    for _ in range(2):
        runtime.change(SUCCEEDED, exit_code=0, pod_sandbox_id="s1", container_id="c1")
        await until_idle()
    assert [order[:2] for order in runtime.commands] == [("start", "wl-1"), ("stop", "wl-1")]
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    assert runtime.commands[-1][0] == "remove"
    runtime.observer.zone_removed("wl-1")
    runtime.zones.clear()
    runtime.commands.clear()
    agent.handle(StartWorkload(workload()))  # the same id of the workload and of the sandbox
    await until_idle()
    runtime.change(SUCCEEDED, exit_code=0, pod_sandbox_id="s1", container_id="c2")
    await until_idle()
    assert [order[0] for order in runtime.commands] == ["start", "stop"]


async def test_sandbox_of_an_ended_workload_is_stopped_again_after_a_restart(
    agent, runtime, registry, writer, until_idle
):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    runtime.change(FAILED, reason="Error", exit_code=1, pod_sandbox_id="s1", container_id="c1")
    await until_idle()
    agent.close()
    runtime.commands.clear()
    following = Agent(registry, writer, runtime)
    await until_idle()
    assert runtime.commands == [("stop", "wl-1", registry.get("wl-1").grace_seconds)]
    assert registry.get("wl-1").run.reason == "Error"
    following.close()


async def test_sandbox_is_kept_during_a_back_off(restarting, registry, runtime, until_idle):
    reconciler, clock = restarting
    policy = {"restart_policy": RestartPolicy.ON_FAILURE, "max_restarts": 1}
    await begin(registry, reconciler, until_idle, **policy)
    ended = {"reason": "Error", "exit_code": 3, "pod_sandbox_id": "s1"}
    runtime.change(FAILED, container_id="c1", **ended)
    await until_idle()
    assert [order[0] for order in runtime.commands] == ["start"]
    clock.run_back_offs()
    await until_idle()
    runtime.change(FAILED, container_id="c2", attempt=1, **ended)
    await until_idle()
    assert [order[0] for order in runtime.commands] == ["start", "start", "stop"]


async def test_stop_during_a_back_off_stops_the_sandbox(restarting, registry, runtime, until_idle):
    reconciler, _ = restarting
    await begin(registry, reconciler, until_idle, restart_policy=RestartPolicy.ALWAYS)
    runtime.change(FAILED, reason="Error", pod_sandbox_id="s1", container_id="c1")
    await until_idle()
    registry.set_desired("wl-1", DesiredState.STOP, now=1.0)
    reconciler.enqueue("wl-1")
    await until_idle()
    assert registry.get("wl-1").state is FAILED
    runtime.observer.zone_changed("wl-1")
    await until_idle()
    assert [order[0] for order in runtime.commands] == ["start", "stop"]
