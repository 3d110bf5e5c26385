"""Faults between Kakuri and a real runtime: calls that fail, hang, or whose answer is lost."""

import asyncio
import os
import signal
import threading

import pytest
from kakuri_cri.testing import CriProxy

from .system import IDLE, await_that

START_CALLS = (
    "ImageStatus",
    "RunPodSandbox",
    "PodSandboxStatus",
    "CreateContainer",
    "StartContainer",
)
LIST_CALLS = ("ListPodSandbox", "ListContainers", "ContainerStatus", "PodSandboxStatus")
REMOVAL_CALLS = (
    "StopContainer", "StopPodSandbox", "RemoveContainer", "RemovePodSandbox", "ListPodSandbox",
)  # fmt: skip
TRANSIENT_FAULTS = (
    "2*error(UNAVAILABLE)",
    "close",
    "delay(700)",
    "finish-then-close",
    "finish-then-error(UNAVAILABLE)",
)
"""Faults after which the call is repeated."""
LONG_MS = 8000
"""Milliseconds of a delay during which a test acts, however busy the machine is."""


class Proxy:
    """A proxy in front of the runtime, in its own thread."""

    def __init__(self, upstream, path):
        self._upstream, self.path = upstream, path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])
        self._ready = threading.Event()

    async def _serve(self):
        self._end = asyncio.Event()
        async with CriProxy(self._upstream, path=self.path) as self._proxy:
            self._ready.set()
            await self._end.wait()

    def start(self):
        self._thread.start()
        assert self._ready.wait(20)

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    def fail(self, method, script):
        """Make calls of a method fail from now on."""
        self._call(lambda: self._proxy.faults.set(method, script))

    def heal(self):
        """Remove all faults."""
        self._call(self._proxy.faults.clear)

    def _call(self, work):
        done = threading.Event()

        def run():
            work()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(20)


@pytest.fixture(scope="module")
def proxy(node, tmp_path_factory):
    proxy = Proxy(node.socket, tmp_path_factory.mktemp("proxy") / "cri.sock")
    proxy.start()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def proxied_system(start_system, proxy):
    return start_system(cri=proxy.path)


@pytest.fixture
def system(proxied_system, proxy):
    yield proxied_system
    proxy.heal()
    proxied_system.clear()


def sandboxes_and_containers(system):
    return len(system.ctr("containers", "ls", "-q").split())


@pytest.mark.parametrize("script", TRANSIENT_FAULTS)
@pytest.mark.parametrize("method", START_CALLS)
def test_start_survives_a_transient_fault_of_one_call(system, proxy, method, script):
    proxy.fail(method, script)
    system.run("starting", *IDLE)
    assert system.await_state("starting", "running", "failed")["state"] == "running"
    await_that("one of each", lambda: sandboxes_and_containers(system) == 2)
    assert system.containers() == ["starting"]
    system.remove("starting")
    await_that("nothing left", lambda: sandboxes_and_containers(system) == 0)


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer", "StartContainer"])
def test_refused_start_reports_its_reason_and_leaves_no_object(system, proxy, method):
    # More than once, because a call is repeated once if the runtime was just unavailable.
    proxy.fail(method, "2*error(UNKNOWN: the runtime refuses)")
    system.run("refused", *IDLE)
    status = system.await_end("refused")
    assert (status["state"], status["reason"]) == ("failed", "StartError")
    assert "the runtime refuses" in status["message"]
    await_that("nothing left", lambda: sandboxes_and_containers(system) == 0)
    proxy.heal()
    system.run("after", *IDLE)
    system.await_state("after", "running")


def test_image_that_another_client_removes_during_a_start_is_pulled_again(system, proxy):
    system.run("first", *IDLE)
    system.await_state("first", "running")
    proxy.fail("RunPodSandbox", f"delay({LONG_MS})")
    system.run("second", *IDLE)
    await_that("a sandbox", lambda: system.workload("second").get("reason") == "CreatingSandbox")
    images = system.ctr("images", "ls", "-q").split()
    system.ctr("images", "rm", *(each for each in images if "pause" not in each))
    assert system.await_state("second", "running", "failed")["state"] == "running"


def test_sandbox_that_is_killed_before_its_container_starts_is_replaced(system, proxy):
    proxy.fail("StartContainer", f"delay({LONG_MS})")
    system.run("starting", *IDLE)
    await_that("a container", lambda: system.workload("starting").get("reason") == "Starting")
    ((sandbox_id, pid),) = (line.split()[:2] for line in system.ctr("tasks", "ls").splitlines()[1:])
    os.kill(int(pid), signal.SIGKILL)
    assert system.await_state("starting", "running", "failed")["state"] == "running"
    assert sandbox_id not in system.ctr("containers", "ls", "-q").split()


@pytest.mark.parametrize("method", ["StopPodSandbox", "RemovePodSandbox"])
def test_rollback_that_fails_is_completed_later(system, proxy, method):
    proxy.fail("CreateContainer", "2*error(UNKNOWN: refused)")
    proxy.fail(method, "2*error(UNKNOWN: refused)")
    system.run("twice", *IDLE)
    assert system.await_end("twice")["reason"] == "StartError"
    await_that("nothing left", lambda: sandboxes_and_containers(system) == 0)


@pytest.mark.parametrize("script", TRANSIENT_FAULTS)
@pytest.mark.parametrize("method", REMOVAL_CALLS)
def test_removal_survives_a_transient_fault_of_one_call(system, proxy, method, script):
    system.run("ending", *IDLE)
    system.await_state("ending", "running")
    proxy.fail(method, script)
    system.remove("ending")
    await_that("nothing left", lambda: sandboxes_and_containers(system) == 0)


@pytest.mark.parametrize("script", ["3*error(UNAVAILABLE)", "2*close", "3*error(INTERNAL)"])
@pytest.mark.parametrize("method", LIST_CALLS)
def test_running_workload_is_kept_while_lists_of_the_runtime_fail(system, proxy, method, script):
    system.run("running", *IDLE)
    before = system.await_state("running", "running")
    system.run("brief", "sh", "-c", "sleep 0.5; exit 4")  # its end has to be found all the same
    system.await_state("brief", "running")
    proxy.fail(method, script)
    assert system.await_end("brief")["exit_code"] == 4
    assert system.workload("running") == before


def test_pull_that_the_registry_refuses_fails_the_workload(system, proxy):
    proxy.fail("PullImage", "error(UNKNOWN: the registry is closed)")
    status, _ = system.submit("pulling", image="not-there:1")
    assert status == 201
    status = system.await_end("pulling")
    assert (status["reason"], status["state"]) == ("ImagePullFailed", "failed")
    assert "the registry is closed" in status["message"]
