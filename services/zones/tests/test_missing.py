import asyncio
from types import SimpleNamespace

import pytest
import structlog
from kakuri_cri import CallRefused, CallTimeout, NotFound, RuntimeUnavailable, api
from kakuri_tcp.testing import until
from kakuri_workload import WorkloadState as State
from kakuri_zones import _missing
from kakuri_zones._missing import MissingContainers, missing_objects
from kakuri_zones._observed import Container, ObservedZone
from kakuri_zones._removal import Objects
from kakuri_zones._settings import RetryTimes

EXITED = api.ContainerState.CONTAINER_EXITED
RUNNING = api.ContainerState.CONTAINER_RUNNING


class StubRuntime:
    """Answers StopContainer with the error, if any, that a container's id is set to.

    A list has the error of each call.
    """

    def __init__(self, **errors):
        self.errors = errors
        self.stopped = []

    async def stop_container(self, container_id, grace_seconds):
        assert grace_seconds == 0
        self.stopped.append(container_id)
        error = self.errors.get(container_id)
        match error.pop(0) if isinstance(error, list) else error:
            case None:
                return
            case "stuck":
                await asyncio.Event().wait()
            case error:
                raise error("StopContainer", "a test")


def zone(*containers, name="z"):
    return ObservedZone(
        name,
        (),
        tuple(
            Container(each, name, sandbox, 0, state, 1, "hash", 0)
            for each, sandbox, state in containers
        ),
    )


async def find_missing(cri, zones):
    checks = MissingContainers(cri)
    await checks.check(zones)
    await checks.close()
    return {each.id: found for each in zones if (found := missing_objects(each, checks.found))}


async def test_missing_container_is_found_with_its_sandbox():
    cri = StubRuntime(gone=NotFound)
    zones = [zone(("gone", "s", EXITED)), zone(("kept", "t", EXITED), name="y")]
    found = await find_missing(cri, zones)
    assert found == {"z": Objects(frozenset({"s"}), frozenset({"gone"}))}
    assert cri.stopped == ["gone", "kept"]


async def test_every_missing_container_of_a_zone_is_found():
    cri = StubRuntime(a=NotFound, b=NotFound)
    found = await find_missing(cri, [zone(("a", "s", EXITED), ("b", "t", EXITED))])
    assert found == {"z": Objects(frozenset({"s", "t"}), frozenset({"a", "b"}))}


async def test_sandbox_in_which_a_later_container_runs_is_kept():
    cri = StubRuntime(gone=NotFound)
    found = await find_missing(cri, [zone(("gone", "s", EXITED), ("new", "s", RUNNING))])
    assert found == {"z": Objects(containers=frozenset({"gone"}))}
    assert cri.stopped == ["gone"]  # a running container is not stopped


async def test_container_that_the_runtime_refuses_to_stop_is_not_missing():
    with structlog.testing.capture_logs() as logs:
        assert await find_missing(StubRuntime(c=CallRefused), [zone(("c", "s", EXITED))]) == {}
    assert logs == []


async def test_runtime_that_becomes_unavailable_during_the_checks_is_reported():
    with pytest.raises(RuntimeUnavailable):
        await find_missing(StubRuntime(c=RuntimeUnavailable), [zone(("c", "s", EXITED))])


async def test_stuck_containers_delay_the_result_once_and_are_logged(monkeypatch):
    monkeypatch.setattr(_missing, "CHECK_SECONDS", 0.05)
    stuck = [f"s{number:02}" for number in range(3 * _missing.MAX_CONCURRENT_CHECKS)]
    cri = StubRuntime(gone=NotFound, **dict.fromkeys(stuck, "stuck"))
    zones = [zone(*((each, each, EXITED) for each in ["gone", *stuck]))]
    with structlog.testing.capture_logs() as logs:
        assert list(await find_missing(cri, zones)) == ["z"]
    assert len(cri.stopped) == 1 + _missing.MAX_CONCURRENT_CHECKS
    assert logs == [
        {
            "event": "could not check ended containers, trying again",
            "log_level": "warning",
            "containers": len(stuck),
            "ids": stuck[: _missing.MAX_LOGGED_IDS],
        }
    ]


async def test_container_that_was_not_checked_in_time_is_checked_until_the_runtime_answers(
    monkeypatch,
):
    monkeypatch.setattr(_missing, "CHECK_SECONDS", 0.01)
    pauses, sleep = [], asyncio.sleep

    async def record(seconds):
        if seconds >= 1:  # `until` sleeps as well
            pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", record)
    cri = StubRuntime(
        a=["stuck", CallTimeout, RuntimeUnavailable, CallTimeout, NotFound],
        b=["stuck", CallRefused],
        c=["stuck", None],
    )
    checks = MissingContainers(cri, RetryTimes(first=1.0, longest=3.0))
    await checks.check([zone(*((each, each, EXITED) for each in "abc"))])
    assert checks.found == {}
    await until(lambda: not checks._unchecked)
    assert checks.found == {"a": "z"}
    assert sorted(cri.stopped) == [*"aaaaabbcc"]
    assert pauses == [1, 2, 3, 3]


async def test_close_or_another_listing_ends_the_checks_in_the_background(monkeypatch):
    monkeypatch.setattr(_missing, "CHECK_SECONDS", 0.0)
    checks, before = MissingContainers(StubRuntime(c="stuck")), asyncio.all_tasks()
    for _ in range(2):
        await checks.check([zone(("c", "s", EXITED))])
        assert len(asyncio.all_tasks() - before) == 1
    await checks.close()
    assert asyncio.all_tasks() == before


async def test_zone_whose_container_is_found_missing_after_the_first_listing_is_removed(
    runtime, run, monkeypatch
):
    async with run() as node:
        await node.start()
        runtime.exit("z", 3)
        await node.until_state("failed")
    monkeypatch.setattr(_missing, "CHECK_SECONDS", 0.0)  # every check times out
    runtime.faults.set("StopContainer", "9*error(NOT_FOUND: not found)")
    async with run() as node:
        await node.until_gone()


def delay_checks(monkeypatch):
    """Replace the next checks by one that finds all containers missing when the test allows it."""
    events = SimpleNamespace(begun=asyncio.Event(), may_end=asyncio.Event())

    async def check(self, zones):
        self.found = {each.id: zone.id for zone in zones for each in zone.containers}
        events.begun.set()
        await events.may_end.wait()

    monkeypatch.setattr(MissingContainers, "check", check)
    return events


@pytest.mark.parametrize("is_started", [True, False])
async def test_sandbox_that_a_start_adopts_during_the_checks_is_kept(
    runtime, run, monkeypatch, is_started
):
    async with run() as node:
        await node.start()
        runtime.exit("z", 137)
        await node.until_state("failed")
    checks = delay_checks(monkeypatch)
    async with run(is_seen=False) as node:
        await checks.begun.wait()
        runtime.faults.set("StartContainer", "delay(50)")
        start = asyncio.create_task(node.start(attempt=1))
        await (start if is_started else runtime.calls.wait_for("StartContainer"))
        checks.may_end.set()
        await node.until_listed()
        is_new, zone = await start
        assert (is_new, zone.state) == (True, State.RUNNING)
        assert runtime.calls.of("StopPodSandbox") == []


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_container_that_is_found_missing_during_a_stop_is_removed_after_it(
    runtime, run, monkeypatch, is_stopped
):
    async with run() as node:
        await node.start()
        runtime.exit("z", 3)
        await node.until_state("failed")
    checks = delay_checks(monkeypatch)
    async with run(is_seen=False) as node:
        await checks.begun.wait()
        runtime.faults.set("StopPodSandbox", "delay(50)")
        stop = asyncio.create_task(node.stop())
        await (stop if is_stopped else runtime.calls.wait_for("StopPodSandbox"))
        checks.may_end.set()
        await node.until_listed()
        assert (await stop).state is State.FAILED
        await node.until_gone()
        await until(lambda: runtime.containers == [])


async def test_only_the_first_listing_is_checked(runtime, node):
    await node.start()
    runtime.exit("z", 3)
    await node.until_state("failed")
    listings = len(runtime.calls.of("ListContainers"))
    await runtime.calls.wait_for("ListContainers", listings + 3)
    assert runtime.calls.of("StopContainer") == []


async def test_runtime_that_is_lost_during_the_checks_has_not_been_listed(runtime, run):
    async with run() as node:
        await node.start()
        runtime.exit("z", 3)
        await node.until_state("failed")
    lost, gone = "error(UNAVAILABLE: lost)", "error(NOT_FOUND: not found)"
    runtime.faults.set("StopContainer", f"{lost}->1000*{gone}")
    async with run() as node:
        assert node.zones.zones() == []
