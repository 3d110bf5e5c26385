import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from kakuri_cri import CriError, Timeouts
from kakuri_cri.testing import FakeImage
from kakuri_tcp.testing import until
from kakuri_workload import WorkloadState as State
from kakuri_workload import ZoneSpec
from kakuri_zones import ZoneError


def has_no_objects(runtime):
    return not runtime.sandboxes and not runtime.containers


# Stopping


async def test_stop_waits_for_the_end_and_frees_the_sandbox(runtime, node):
    _, zone = await node.start()
    ended = await node.stop(grace=7)
    assert (ended.state, ended.reason, ended.exit_code) == (State.FAILED, "Error", 143)
    assert ended.container_id == zone.container_id
    assert ended.ended_at >= ended.started_at
    assert runtime.calls.of("StopContainer")[0].request.timeout == 7
    assert not runtime.sandbox("z").is_ready
    assert await node.zone() == ended
    assert await node.stop() == ended


async def test_stop_kills_a_container_that_ignores_sigterm(runtime, node):
    runtime.images.set("app:1", FakeImage(on_term=None))
    await node.start()
    ended = await node.stop(grace=0)
    assert (ended.state, ended.exit_code) == (State.FAILED, 137)


async def test_second_stop_with_a_shorter_grace_period_takes_effect_at_once(runtime, node):
    runtime.images.set("app:1", FakeImage(on_term=None))
    await node.start()
    patient = asyncio.create_task(node.stop(grace=1000))
    await runtime.calls.wait_for("StopContainer")
    assert (await node.stop(grace=0)).exit_code == 137
    assert (await patient).exit_code == 137


async def test_stop_of_an_ended_zone_returns_its_end(runtime, node):
    await node.start()
    runtime.exit("z", 0)
    assert (await node.stop()).state is State.SUCCEEDED


async def test_stop_of_an_unknown_zone_is_not_found(node):
    assert (await node.stop()).code == "not_found"
    assert (await node.stop("NO")).code == "not_found"


async def test_stop_cancels_a_pull(runtime, node):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for("PullImage")
    assert (await node.until_state("pending")).reason == "Pulling"
    ended = await node.stop()
    assert (ended.state, ended.reason) == (State.FAILED, "Stopped")
    problem = await start
    assert problem.code == "Stopped"
    assert has_no_objects(runtime)
    assert await node.zone() is None
    assert runtime.calls.of("RunPodSandbox") == []


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer"])
async def test_stop_cancels_a_start_and_leaves_nothing(runtime, node, method):
    runtime.faults.set(method, "delay(80)")
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for(method)
    assert (await node.stop()).reason == "Stopped"
    assert (await start).code == "Stopped"
    assert has_no_objects(runtime)


async def test_stop_during_the_call_that_starts_the_container_stops_it_once_it_runs(runtime, node):
    runtime.faults.set("StartContainer", "delay(80)")
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for("StartContainer")
    assert (await node.stop()).exit_code == 143
    assert (await start)[1].id == "z"
    assert not has_no_objects(runtime)  # a container that ran remains until it is removed


async def test_stop_during_a_start_that_the_runtime_refuses_leaves_nothing(runtime, node):
    runtime.images.set("app:1", FakeImage(start_error="no such program"))
    runtime.faults.set("StartContainer", "delay(80)")
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for("StartContainer")
    assert (await node.stop()).reason == "Stopped"
    assert (await start).code == "Stopped"
    assert has_no_objects(runtime)


async def test_stop_abandons_a_call_that_exceeds_the_cancel_timeout(runtime, run):
    async with run(cancel_timeout=0.05) as node:
        runtime.faults.set("RunPodSandbox", "delay(400)")
        start = asyncio.create_task(node.start())
        await runtime.calls.wait_for("RunPodSandbox")
        assert (await node.stop()).reason == "Stopped"
        assert (await start).code == "Stopped"
        # The abandoned call succeeds late, and its sandbox is removed.
        await runtime.calls.wait_for("RemovePodSandbox", timeout=60)
        await until(lambda: has_no_objects(runtime), timeout=60)


async def test_stop_of_a_partially_created_zone_removes_it(runtime, run):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        assert (await node.start()).code == "RuntimeUnavailable"
        await node.until_listed()
        ended = await node.stop()
        assert (ended.state, ended.reason) == (State.FAILED, "Stopped")
        assert has_no_objects(runtime)


async def test_stop_stops_the_sandbox_if_the_container_cannot_be_stopped(runtime, node):
    await node.start()
    runtime.faults.set("StopContainer", "error(UNKNOWN: shim is gone)")
    ended = await node.stop()
    assert (ended.state, ended.exit_code) == (State.FAILED, 137)


# Removing


async def test_delete_removes_sandbox_container_and_log(runtime, node, tmp_path):
    await node.start()
    runtime.write("z", b"hello\n")
    assert (tmp_path / "logs" / "z" / "0.log").exists()
    assert await node.remove() is None
    assert has_no_objects(runtime)
    assert not (tmp_path / "logs" / "z").exists()
    assert await node.zone() is None
    assert await node.remove() is None


async def test_delete_waits_for_the_grace_period_of_the_container(runtime, node):
    await node.start()
    assert await node.remove(grace=33) is None
    assert runtime.calls.of("StopContainer")[0].request.timeout == 33


async def test_delete_cancels_a_start(runtime, node):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for("PullImage")
    assert await node.remove() is None
    assert (await start).code == "Stopped"
    assert has_no_objects(runtime)


async def test_delete_during_a_stop_shortens_its_grace_period(runtime, node):
    runtime.images.set("app:1", FakeImage(on_term=None))
    await node.start()
    patient = asyncio.create_task(node.stop(grace=1000))
    await runtime.calls.wait_for("StopContainer")
    assert await node.remove() is None
    await patient
    assert has_no_objects(runtime)


async def test_two_deletes_at_once_both_succeed(runtime, node):
    await node.start()
    assert await asyncio.gather(node.remove(), node.remove()) == [None, None]


async def test_start_during_a_delete_waits_and_creates_a_new_zone(runtime, node):
    _, first = await node.start()
    runtime.faults.set("RemovePodSandbox", "delay(80)")
    removal = asyncio.create_task(node.remove())
    await runtime.calls.wait_for("RemovePodSandbox")
    is_new, second = await node.start()
    assert await removal is None
    assert is_new
    assert second.container_id != first.container_id


async def test_delete_reports_the_end_and_no_pending_zone(runtime, node):
    await node.start()
    runtime.faults.set("RemovePodSandbox", "delay(80)")
    events = node.events()
    async for event in events:
        if type(event).__name__ == "ZonesListed":
            break
    removal = asyncio.create_task(node.remove())
    states = []
    async for event in events:
        if type(event).__name__ == "ZoneChanged":
            states.append(event.zone.state)
        if type(event).__name__ == "ZoneGone":
            break
    await removal
    assert states == [State.FAILED]
    await events.aclose()


async def test_failed_delete_raises_and_can_be_repeated(runtime, node):
    await node.start()
    runtime.faults.set("RemovePodSandbox", "1*error(UNKNOWN: device busy)")
    problem = await node.remove()
    assert problem.code == "RuntimeError"
    assert "device busy" in problem.message
    assert (await node.zone()).state is State.FAILED
    assert await node.remove() is None
    assert has_no_objects(runtime)


async def test_delete_while_the_runtime_is_down_is_unavailable(runtime, node):
    await node.start()
    await runtime.crash()
    problem = await node.remove()
    assert problem.code == "RuntimeUnavailable"
    await runtime.restart()
    async with asyncio.timeout(10):
        while await node.remove() is not None:
            await runtime.calls.wait_for("ListPodSandbox", len(runtime.calls.of("ListPodSandbox")))
    assert has_no_objects(runtime)


# Objects of earlier nodes


async def test_new_node_adopts_running_zones(runtime, run):
    async with run() as node:
        _, zone = await node.start(env={"A": "b"}, labels={"team": "x"})
    async with run() as node:
        assert await node.zone() == zone
        assert await node.start(env={"A": "b"}, labels={"team": "x"}) == (False, zone)
    assert len(runtime.calls.of("RunPodSandbox")) == 1


async def test_new_node_removes_partially_created_objects(runtime, run, tmp_path):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("RunPodSandbox", "finish-then-close")
        await node.start("a")
        runtime.faults.set("StartContainer", "close")
        async with asyncio.timeout(10):
            while not runtime.containers:
                await node.start("b")
        assert len(runtime.sandboxes) == 2
    async with run():
        await until(lambda: has_no_objects(runtime))
        await until(lambda: not (tmp_path / "logs" / "b").exists())


async def test_new_node_completes_a_start_that_is_requested_again(runtime, run):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        await node.start()
        made = runtime.containers[0].id
    async with run(orphan_grace=30) as node:
        is_new, zone = await node.start()
        assert (is_new, zone.container_id) == (True, made)


async def test_partially_created_objects_of_another_spec_are_replaced(runtime, run):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        assert (await node.start()).code == "RuntimeUnavailable"
        async with asyncio.timeout(10):
            while not isinstance(answer := await node.start(memory_mb=99), tuple):
                assert answer.code == "RuntimeUnavailable"
        assert (await node.spec_of()).workload.memory_mb == 99
        await until(lambda: len(runtime.sandboxes) == len(runtime.containers) == 1)


async def test_lost_zone_is_reported_and_its_container_stopped(runtime, node):
    _, zone = await node.start()
    runtime.lose_sandbox("z")
    lost = await node.until_state("failed")
    assert (lost.reason, lost.container_id) == ("ZoneLost", zone.container_id)
    await until(lambda: not runtime.container("z").is_running)
    await node.until(lambda seen: seen == lost)
    is_new, again = await node.start(attempt=1)
    assert (is_new, again.state) == (True, State.RUNNING)


async def test_fifty_zones_leave_no_objects_or_files(runtime, node, tmp_path):
    async def cycle(number):
        zone = f"z{number}"
        runtime.images.set("app:1", FakeImage(state="present"))
        assert (await node.start(zone))[0] is True
        assert await node.remove(zone) is None

    await cycle(0)
    await node.until_gone()
    tasks, files = len(asyncio.all_tasks()), open_files()
    for number in range(50):
        await cycle(number)
    await node.until_gone()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await until(lambda: open_files() <= files)
    assert has_no_objects(runtime)
    assert [each for each in (tmp_path / "logs").iterdir() if each.is_dir()] == []


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_stop_of_a_start_that_fails_returns_its_reason(runtime, node):
    runtime.faults.set("CreateContainer", "error(UNKNOWN: disk full)")
    runtime.faults.set("StopPodSandbox", "delay(80)")
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for("StopPodSandbox")
    ended = await node.stop()
    assert (ended.state, ended.reason, ended.message) == (State.FAILED, "StartError", "disk full")
    assert (await start).code == "StartError"


async def test_stop_of_a_container_that_cannot_be_stopped_raises_the_refusal(runtime, node):
    await node.start()
    runtime.faults.set("StopContainer", "error(UNKNOWN: shim is gone)")
    runtime.faults.set("StopPodSandbox", "error(UNKNOWN: shim is gone)")
    problem = await node.stop()
    assert problem.code == "RuntimeError"
    assert (await node.zone()).state is State.RUNNING


@pytest.mark.parametrize("has_changed", [False, True])
async def test_refused_stop_that_is_repeated_is_logged_once(runtime, node, has_changed):
    await node.start()
    runtime.faults.set("StopContainer", "3*error(UNKNOWN: shim is gone)")
    runtime.faults.set("StopPodSandbox", "3*error(UNKNOWN: shim is gone)")
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert (await node.stop()).code == "RuntimeError"
            if has_changed:  # during a listing, which then omits the zone
                node.zones._zones.reconcile({})
    assert [each["event"] for each in logs].count("could not stop a container") == 1
    assert (await node.stop()).state is State.FAILED
    assert await node.remove() is None
    await until(lambda: not node.zones._zones._refused)


async def test_delete_of_a_container_that_another_client_removed_frees_its_id(runtime, node):
    await node.start()
    first = runtime.container("z").id
    for method in ("StopContainer", "RemoveContainer", "RemovePodSandbox"):
        runtime.faults.set(method, "9*error(NOT_FOUND: not found)")
    assert await node.remove() is None
    assert await node.remove() is None
    await node.until_gone()
    is_new, zone = await node.start()
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert zone.container_id != first


async def test_removed_zone_that_the_runtime_still_lists_does_not_reappear_in_a_new_node(
    runtime, run
):
    async with run() as node:
        await node.start()
        runtime.exit("z", 137)
        await node.until_state("failed")
        for method in ("StopContainer", "RemoveContainer", "RemovePodSandbox"):
            runtime.faults.set(method, "1000*error(NOT_FOUND: not found)")
        assert await node.remove() is None
    async with run() as node:
        assert node.zones.zones() == []
        is_new, zone = await node.start()
        assert (is_new, zone.state) == (True, State.RUNNING)


@pytest.mark.parametrize("fault", ["delay(60000)", "error(UNKNOWN: a shim does not answer)"])
async def test_ended_zone_stays_listed_while_the_runtime_refuses_to_check_its_container(
    runtime, run, monkeypatch, fault
):
    monkeypatch.setattr("kakuri_zones._missing.CHECK_SECONDS", 0.02)
    async with run() as node:
        await node.start()
        runtime.exit("z", 3)
        await node.until_state("failed")
    runtime.faults.set("StopContainer", fault)
    async with run() as node:
        assert (await node.zone()).exit_code == 3


async def test_stop_of_a_container_that_another_client_removed_ends_the_zone(runtime, node):
    await node.start()
    runtime.faults.set("StopContainer", "error(NOT_FOUND: not found)")
    zone = await node.stop()
    assert zone.state.is_terminal


async def begun_by_an_earlier_node(runtime, run):
    """End a node while the runtime starts its container, and return the container."""
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        async with asyncio.timeout(10):
            while not runtime.containers:
                await node.start()
    container = runtime.container("z")
    container.is_starting = True
    runtime.calls.clear()
    return container


async def test_start_that_an_earlier_node_began_is_waited_for(runtime, run):
    container = await begun_by_an_earlier_node(runtime, run)
    async with run(orphan_grace=30) as node:
        start = asyncio.create_task(node.start())
        await runtime.calls.wait_for("StartContainer")
        runtime.finish_start("z")
        is_new, zone = await start
    assert (is_new, zone.state, zone.container_id) == (True, State.RUNNING, container.id)
    assert len(runtime.calls.of("StartContainer")) == 1
    assert runtime.calls.of("CreateContainer") == []


async def test_failed_start_of_an_earlier_node_is_repeated_with_a_new_container(runtime, run):
    container = await begun_by_an_earlier_node(runtime, run)
    container.image = FakeImage(start_error="context canceled")
    async with run(orphan_grace=30) as node:
        start = asyncio.create_task(node.start())
        await runtime.calls.wait_for("StartContainer")
        runtime.finish_start("z")
        is_new, zone = await start
        assert (is_new, zone.state) == (True, State.RUNNING)
        assert zone.container_id != container.id


async def test_start_of_an_earlier_node_that_never_completes_is_unavailable(runtime, run):
    await begun_by_an_earlier_node(runtime, run)
    timeouts = Timeouts(usual=0.1, run_pod_sandbox=10)
    async with run(orphan_grace=30, timeouts=timeouts) as node:
        problem = await node.start()
    assert problem.code == "RuntimeUnavailable"


async def test_shorter_grace_period_takes_effect_while_a_longer_one_runs(runtime, node):
    runtime.images.set("stubborn:1", FakeImage(on_term=None))
    await node.start(image="stubborn:1")
    patient = asyncio.create_task(node.stop(grace=3600))
    await runtime.calls.wait_for("StopContainer")
    zone = await node.stop(grace=0)
    assert zone.state.is_terminal
    assert (await patient).state.is_terminal


@pytest.mark.parametrize(
    "image",
    [FakeImage(start_error="no"), FakeImage(state="missing"), FakeImage()],
    ids=["start fails", "pull fails", "starts"],
)
async def test_specs_of_starts_are_freed_without_the_garbage_collector(
    runtime, node, uncollected, image
):
    runtime.images.set("app:1", image)
    await node.start("first")
    with uncollected() as kept:
        for number in range(5):
            await node.start(f"z{number}", env={"LARGE": "x" * 10_000})
            await node.remove(f"z{number}")
        found = [each for each in kept() if isinstance(each, ZoneSpec)]
    assert found == []


async def test_errors_of_failed_commands_are_freed_without_the_garbage_collector(
    runtime, node, uncollected
):
    await node.start()
    with uncollected() as kept:
        for _ in range(3):
            runtime.faults.set("StopPodSandbox", "error(UNKNOWN: no)")
            assert (await node.remove()).code == "RuntimeError"
            assert (await node.stop("nope")).code == "not_found"
        found = [each for each in kept() if isinstance(each, ZoneError | CriError)]
    assert found == []


class Pauses:
    """Records what happens in each pause of an operation."""

    def __init__(self, value):
        self.value = value
        self.found = []

    @asynccontextmanager
    async def __call__(self):
        before = self.value()
        yield
        self.found.append((before, self.value()))


@pytest.mark.parametrize("operation", ["stop", "remove"])
async def test_operation_pauses_only_while_it_stops_the_container(runtime, node, operation):
    def calls():
        return [each.method for each in runtime.calls.all if "Stop" in each.method]

    await node.start()
    pauses = Pauses(calls)
    await getattr(node.zones, operation)("z", 1, pauses)
    assert pauses.found == [([], []), ([], ["StopContainer"])]
    assert calls() == ["StopContainer", "StopPodSandbox"]


@pytest.mark.parametrize("operation", ["stop", "remove"])
async def test_operation_pauses_while_it_cancels_a_start(runtime, node, operation):
    runtime.faults.set("RunPodSandbox", "delay(80)")
    starting = asyncio.create_task(node.start())
    await runtime.calls.wait_for("RunPodSandbox")
    pauses = Pauses(starting.done)
    await getattr(node.zones, operation)("z", 1, pauses)
    assert pauses.found[0][0] is False
    assert (await starting).code == "Stopped"
    assert runtime.sandboxes == []
