import asyncio
from pathlib import Path

import pytest
from kakuri_registry import WorkloadState as State
from kakuri_registry import ZoneSpec
from kakuri_sidecar._cri import CallTimeouts
from kakuri_sidecar._errors import SidecarError
from kakuri_sidecar.testing import FakeImage
from kakuri_tcp.testing import until


def nothing_is_left(runtime):
    return not runtime.sandboxes and not runtime.containers


# Stopping


async def test_stop_waits_for_the_end_and_frees_the_sandbox(runtime, sidecar):
    _, zone = await sidecar.post()
    ended = await sidecar.stop(grace=7)
    assert (ended.state, ended.reason, ended.exit_code) == (State.FAILED, "Error", 143)
    assert ended.container_id == zone.container_id
    assert ended.ended_at >= ended.started_at
    assert runtime.calls.of("StopContainer")[0].request.timeout == 7
    assert not runtime.sandbox("z").is_ready
    assert await sidecar.zone() == ended
    assert await sidecar.stop() == ended


async def test_stop_kills_what_does_not_end(runtime, sidecar):
    runtime.images.set("app:1", FakeImage(on_term=None))
    await sidecar.post()
    ended = await sidecar.stop(grace=0)
    assert (ended.state, ended.exit_code) == (State.FAILED, 137)


async def test_a_shorter_grace_time_takes_effect_at_once(runtime, sidecar):
    runtime.images.set("app:1", FakeImage(on_term=None))
    await sidecar.post()
    patient = asyncio.create_task(sidecar.stop(grace=1000))
    await runtime.calls.wait_for("StopContainer")
    assert (await sidecar.stop(grace=0)).exit_code == 137
    assert (await patient).exit_code == 137


async def test_what_has_ended_by_itself_keeps_its_end(runtime, sidecar):
    await sidecar.post()
    runtime.exit("z", 0)
    assert (await sidecar.stop()).state is State.SUCCEEDED


async def test_stop_of_nothing_is_not_found(sidecar):
    assert (await sidecar.stop()).status == 404
    assert (await sidecar.stop("NO")).status == 404


async def test_stop_cancels_a_pull(runtime, sidecar):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    start = asyncio.create_task(sidecar.post())
    await runtime.calls.wait_for("PullImage")
    assert (await sidecar.until_state("pending")).reason == "Pulling"
    ended = await sidecar.stop()
    assert (ended.state, ended.reason) == (State.FAILED, "Stopped")
    problem = await start
    assert (problem.status, problem.code) == (409, "Stopped")
    assert nothing_is_left(runtime)
    assert await sidecar.zone() is None
    assert runtime.calls.of("RunPodSandbox") == []


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer", "StartContainer"])
async def test_stop_cancels_a_start_and_leaves_nothing(runtime, sidecar, method):
    runtime.faults.set(method, "delay(80)")
    start = asyncio.create_task(sidecar.post())
    await runtime.calls.wait_for(method)
    assert (await sidecar.stop()).reason == "Stopped"
    assert (await start).code == "Stopped"
    assert nothing_is_left(runtime)


async def test_a_call_that_takes_too_long_is_abandoned_when_cancelled(runtime, run):
    async with run(cancel_patience=0.05) as sidecar:
        runtime.faults.set("RunPodSandbox", "delay(400)")
        start = asyncio.create_task(sidecar.post())
        await runtime.calls.wait_for("RunPodSandbox")
        assert (await sidecar.stop()).reason == "Stopped"
        assert (await start).code == "Stopped"
        await until(lambda: bool(runtime.sandboxes))  # it comes after all
        await until(lambda: nothing_is_left(runtime))  # and is swept away


async def test_stop_of_something_half_made_removes_it(runtime, run):
    async with run(half_made=30) as sidecar:
        runtime.faults.set("StartContainer", "close")
        assert (await sidecar.post()).status == 503
        await sidecar.until_listed()
        ended = await sidecar.stop()
        assert (ended.state, ended.reason) == (State.FAILED, "Stopped")
        assert nothing_is_left(runtime)


async def test_stop_uses_force_where_the_container_can_not_be_stopped(runtime, sidecar):
    await sidecar.post()
    runtime.faults.set("StopContainer", "error(UNKNOWN: shim is gone)")
    ended = await sidecar.stop()
    assert (ended.state, ended.exit_code) == (State.FAILED, 137)


# Removing


async def test_delete_leaves_nothing_not_even_the_log(runtime, sidecar, tmp_path):
    await sidecar.post()
    runtime.write("z", b"hello\n")
    assert (tmp_path / "logs" / "z" / "0.log").exists()
    assert await sidecar.delete() == 204
    assert nothing_is_left(runtime)
    assert not (tmp_path / "logs" / "z").exists()
    assert await sidecar.zone() is None
    assert await sidecar.delete() == 204


async def test_delete_gives_the_container_its_grace_time(runtime, sidecar):
    await sidecar.post()
    assert await sidecar.delete(grace=33) == 204
    assert runtime.calls.of("StopContainer")[0].request.timeout == 33


async def test_delete_cancels_a_start(runtime, sidecar):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    start = asyncio.create_task(sidecar.post())
    await runtime.calls.wait_for("PullImage")
    assert await sidecar.delete() == 204
    assert (await start).code == "Stopped"
    assert nothing_is_left(runtime)


async def test_delete_hurries_a_stop(runtime, sidecar):
    runtime.images.set("app:1", FakeImage(on_term=None))
    await sidecar.post()
    patient = asyncio.create_task(sidecar.stop(grace=1000))
    await runtime.calls.wait_for("StopContainer")
    assert await sidecar.delete() == 204
    await patient
    assert nothing_is_left(runtime)


async def test_two_deletes_at_once_both_succeed(runtime, sidecar):
    await sidecar.post()
    assert await asyncio.gather(sidecar.delete(), sidecar.delete()) == [204, 204]


async def test_a_start_waits_for_a_delete_and_starts_anew(runtime, sidecar):
    _, first = await sidecar.post()
    runtime.faults.set("RemovePodSandbox", "delay(80)")
    removal = asyncio.create_task(sidecar.delete())
    await runtime.calls.wait_for("RemovePodSandbox")
    status, second = await sidecar.post()
    assert await removal == 204
    assert status == 201
    assert second.container_id != first.container_id


async def test_delete_tells_an_end_and_nothing_that_begins(runtime, sidecar):
    await sidecar.post()
    runtime.faults.set("RemovePodSandbox", "delay(80)")
    events = sidecar.events()
    async for event in events:
        if type(event).__name__ == "ZonesListed":
            break
    removal = asyncio.create_task(sidecar.delete())
    states = []
    async for event in events:
        if type(event).__name__ == "ZoneChanged":
            states.append(event.zone.state)
        if type(event).__name__ == "ZoneGone":
            break
    await removal
    assert states == [State.FAILED]
    await events.aclose()


async def test_a_delete_that_fails_says_so_and_can_be_repeated(runtime, sidecar):
    await sidecar.post()
    runtime.faults.set("RemovePodSandbox", "1*error(UNKNOWN: device busy)")
    problem = await sidecar.delete()
    assert (problem.status, problem.code) == (502, "RuntimeError")
    assert "device busy" in problem.detail
    assert (await sidecar.zone()).state is State.FAILED
    assert await sidecar.delete() == 204
    assert nothing_is_left(runtime)


async def test_delete_while_the_runtime_is_away_is_to_be_repeated(runtime, sidecar):
    await sidecar.post()
    await runtime.crash()
    problem = await sidecar.delete()
    assert (problem.status, problem.code) == (503, "RuntimeUnavailable")
    await runtime.restart()
    async with asyncio.timeout(10):
        while await sidecar.delete() != 204:
            await runtime.calls.wait_for("ListPodSandbox", len(runtime.calls.of("ListPodSandbox")))
    assert nothing_is_left(runtime)


# What nobody works on


async def test_a_new_sidecar_adopts_what_runs(runtime, run):
    async with run() as sidecar:
        _, zone = await sidecar.post(env={"A": "b"}, labels={"team": "x"})
    async with run() as sidecar:
        assert await sidecar.zone() == zone
        assert await sidecar.post(env={"A": "b"}, labels={"team": "x"}) == (200, zone)
    assert len(runtime.calls.of("RunPodSandbox")) == 1


async def test_a_new_sidecar_removes_what_was_half_made(runtime, run, tmp_path):
    async with run(half_made=30) as sidecar:
        runtime.faults.set("RunPodSandbox", "finish-then-close")
        await sidecar.post("a")
        runtime.faults.set("StartContainer", "close")
        async with asyncio.timeout(10):
            while not runtime.containers:
                await sidecar.post("b")
        assert len(runtime.sandboxes) == 2
    async with run():
        await until(lambda: nothing_is_left(runtime))
        await until(lambda: not (tmp_path / "logs" / "b").exists())


async def test_a_new_sidecar_carries_on_what_is_asked_for_again(runtime, run):
    async with run(half_made=30) as sidecar:
        runtime.faults.set("StartContainer", "close")
        await sidecar.post()
        made = runtime.containers[0].id
    async with run(half_made=30) as sidecar:
        status, zone = await sidecar.post()
        assert (status, zone.container_id) == (201, made)


async def test_half_made_things_of_another_spec_are_replaced(runtime, run):
    async with run(half_made=30) as sidecar:
        runtime.faults.set("StartContainer", "close")
        assert (await sidecar.post()).status == 503
        async with asyncio.timeout(10):
            while not isinstance(answer := await sidecar.post(memory_mb=99), tuple):
                assert answer.status == 503
        assert (await sidecar.spec_of()).memory_mb == 99
        await until(lambda: len(runtime.sandboxes) == len(runtime.containers) == 1)


async def test_a_lost_zone_is_told_and_its_rest_stopped(runtime, sidecar):
    _, zone = await sidecar.post()
    runtime.lose_sandbox("z")
    lost = await sidecar.until_state("failed")
    assert (lost.reason, lost.container_id) == ("ZoneLost", zone.container_id)
    await until(lambda: not runtime.container("z").is_running)
    await sidecar.until(lambda seen: seen == lost)
    status, again = await sidecar.post(attempt=1)
    assert (status, again.state) == (201, State.RUNNING)


async def test_fifty_zones_leave_nothing_behind(runtime, sidecar, tmp_path):
    async def cycle(number):
        zone = f"z{number}"
        runtime.images.set("app:1", FakeImage(state="present"))
        assert (await sidecar.post(zone))[0] == 201
        assert await sidecar.delete(zone) == 204

    await cycle(0)
    await sidecar.until_gone()
    tasks, files = len(asyncio.all_tasks()), open_files()
    for number in range(50):
        await cycle(number)
    await sidecar.until_gone()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await until(lambda: open_files() <= files)
    assert nothing_is_left(runtime)
    assert list((tmp_path / "logs").iterdir()) == []


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_zone_that_could_not_start_when_it_was_stopped_says_why(runtime, sidecar):
    runtime.faults.set("CreateContainer", "error(UNKNOWN: disk full)")
    runtime.faults.set("StopPodSandbox", "delay(80)")
    start = asyncio.create_task(sidecar.post())
    await runtime.calls.wait_for("StopPodSandbox")
    ended = await sidecar.stop()
    assert (ended.state, ended.reason, ended.message) == (State.FAILED, "StartError", "disk full")
    assert (await start).code == "StartError"


async def test_a_container_that_can_not_be_ended_at_all_is_told(runtime, sidecar):
    await sidecar.post()
    runtime.faults.set("StopContainer", "error(UNKNOWN: shim is gone)")
    runtime.faults.set("StopPodSandbox", "error(UNKNOWN: shim is gone)")
    problem = await sidecar.stop()
    assert (problem.status, problem.code) == (502, "RuntimeError")
    assert (await sidecar.zone()).state is State.RUNNING


async def test_delete_of_a_container_that_another_client_removed_frees_its_id(runtime, sidecar):
    await sidecar.post()
    first = runtime.container("z").id
    for method in ("StopContainer", "RemoveContainer", "RemovePodSandbox"):
        runtime.faults.set(method, "9*error(NOT_FOUND: not found)")
    assert await sidecar.delete() == 204
    assert await sidecar.delete() == 204
    await sidecar.until_gone()
    status, zone = await sidecar.post()
    assert (status, zone.state) == (201, State.RUNNING)
    assert zone.container_id != first


async def test_stop_of_a_container_that_another_client_removed_ends_the_zone(runtime, sidecar):
    await sidecar.post()
    runtime.faults.set("StopContainer", "error(NOT_FOUND: not found)")
    zone = await sidecar.stop()
    assert zone.state.is_terminal


async def begun_by_an_earlier_sidecar(runtime, run):
    """Let a sidecar die while the runtime starts a container for it; gives the container."""
    async with run(half_made=30) as sidecar:
        runtime.faults.set("StartContainer", "close")
        async with asyncio.timeout(10):
            while not runtime.containers:
                await sidecar.post()
    container = runtime.container("z")
    container.is_starting = True
    runtime.calls.clear()
    return container


async def test_start_that_an_earlier_sidecar_began_is_waited_for(runtime, run):
    container = await begun_by_an_earlier_sidecar(runtime, run)
    async with run(half_made=30) as sidecar:
        start = asyncio.create_task(sidecar.post())
        await runtime.calls.wait_for("StartContainer")
        runtime.finish_start("z")
        status, zone = await start
    assert (status, zone.state, zone.container_id) == (201, State.RUNNING, container.id)
    assert len(runtime.calls.of("StartContainer")) == 1
    assert runtime.calls.of("CreateContainer") == []


async def test_failed_start_of_an_earlier_sidecar_is_repeated_with_a_new_container(runtime, run):
    container = await begun_by_an_earlier_sidecar(runtime, run)
    container.image = FakeImage(start_error="context canceled")
    async with run(half_made=30) as sidecar:
        start = asyncio.create_task(sidecar.post())
        await runtime.calls.wait_for("StartContainer")
        runtime.finish_start("z")
        status, zone = await start
        assert (status, zone.state) == (201, State.RUNNING)
        assert zone.container_id != container.id


async def test_start_that_an_earlier_sidecar_began_and_that_never_ends_is_unavailable(runtime, run):
    await begun_by_an_earlier_sidecar(runtime, run)
    timeouts = CallTimeouts(usual=0.1, run_pod_sandbox=10)
    async with run(half_made=30, timeouts=timeouts) as sidecar:
        problem = await sidecar.post()
    assert (problem.status, problem.code) == (503, "RuntimeUnavailable")


async def test_shorter_grace_time_takes_effect_while_a_longer_one_runs(runtime, sidecar):
    runtime.images.set("stubborn:1", FakeImage(on_term=None))
    await sidecar.post(image="stubborn:1")
    patient = asyncio.create_task(sidecar.stop(grace=3600))
    await runtime.calls.wait_for("StopContainer")
    zone = await sidecar.stop(grace=0)
    assert zone.state.is_terminal
    assert (await patient).state.is_terminal


@pytest.mark.parametrize(
    "image",
    [FakeImage(start_error="no"), FakeImage(state="missing"), FakeImage()],
    ids=["start fails", "pull fails", "starts"],
)
async def test_specs_of_starts_are_freed_without_the_garbage_collector(
    runtime, sidecar, uncollected, image
):
    runtime.images.set("app:1", image)
    await sidecar.post("first")
    with uncollected() as kept:
        for number in range(5):
            await sidecar.post(f"z{number}", env={"LARGE": "x" * 10_000})
            await sidecar.delete(f"z{number}")
        found = [each for each in kept() if isinstance(each, ZoneSpec)]
    assert found == []


async def test_errors_of_failed_commands_are_freed_without_the_garbage_collector(
    runtime, sidecar, uncollected
):
    await sidecar.post()
    with uncollected() as kept:
        for _ in range(3):
            runtime.faults.set("StopPodSandbox", "error(UNKNOWN: no)")
            assert (await sidecar.delete()).status == 502
            assert (await sidecar.stop("nope")).status == 404
        found = [each for each in kept() if isinstance(each, SidecarError)]
    assert found == []
