import asyncio
import os
from dataclasses import replace

import pytest
from kakuri_cri import NotFound, RuntimeUnavailable
from kakuri_cri.testing import FakeImage
from kakuri_workload import Isolation, WorkloadState, ZoneStatus
from kakuri_zones._isolation import IsolationChecks
from kakuri_zones._security import profile_hash
from kakuri_zones._table import ZoneTable

from .test_table import observed

UNAME = ("uname", "-r")
MIB = 1 << 20


@pytest.fixture
def checking(run, runtime):
    """Return a context manager that runs zones whose isolation is checked every moment."""

    def start(kernel=b"6.16.1\n", code=0, **changes):
        runtime.images.set("app:1", FakeImage(commands={UNAME: (kernel, code)}))
        return run(isolation_interval=0.01, **changes)

    return start


async def checked(node):
    return (await node.until(lambda seen: seen.isolation is not None)).isolation


async def test_running_zone_is_checked_once(checking, runtime):
    async with checking() as node:
        await node.start()
        isolation = await checked(node)
        assert isolation == Isolation(
            handler="edera",
            kernel="6.16.1",
            host_kernel=os.uname().release,
            profile=profile_hash(),
            checked_at=isolation.checked_at,
        )
        await runtime.calls.wait_for("ListContainers", len(runtime.calls.of("ListContainers")) + 3)
        (call,) = runtime.calls.of("ExecSync")
        assert (call.request.cmd, call.request.timeout) == (UNAME, 2)


async def test_result_is_reported_in_lists_and_events_and_kept_after_the_end(checking, runtime):
    async with checking() as node:
        await node.start()
        isolation = await checked(node)
        runtime.exit("z", 3)
        ended = await node.until_state("failed")
        assert ended.isolation == isolation


async def test_next_attempt_is_checked_again(checking, runtime):
    async with checking() as node:
        await node.start()
        first = await checked(node)
        runtime.exit("z", 1)
        await node.until_state("failed")
        await node.start(attempt=1)
        again = await node.until(lambda seen: seen.attempt == 1 and seen.isolation is not None)
        assert again.isolation.checked_at > first.checked_at
        assert len(runtime.calls.of("ExecSync")) == 2


@pytest.mark.parametrize(
    ("output", "code"),
    [(b"6.16\n", 1), (b"", 0), (b"not a release\n", 0), (b"\x1b[31m6.16", 0), (b"6" * 100, 0)],
)
async def test_output_that_is_not_a_release_is_not_reported_as_kernel(checking, output, code):
    async with checking(output, code) as node:
        await node.start()
        isolation = await checked(node)
        assert (isolation.kernel, isolation.handler) == (None, "edera")


@pytest.mark.parametrize("fault", ["error(UNIMPLEMENTED: no)", "error(UNKNOWN: no shell)"])
async def test_runtime_that_cannot_execute_reports_no_kernel(checking, runtime, fault):
    runtime.faults.set("ExecSync", fault)
    async with checking() as node:
        await node.start()
        assert (await checked(node)).kernel is None


async def test_zone_without_free_memory_gets_no_process(checking, runtime):
    async with checking() as node:
        runtime.faults.set("ContainerStats", "delay(20)")
        await node.start(memory_mb=64)
        runtime.container("z").memory_bytes = 33 * MIB
        assert (await checked(node)).kernel is None
        assert runtime.calls.of("ExecSync") == []


async def test_check_that_hangs_delays_neither_the_start_nor_the_end_of_a_zone(checking, runtime):
    runtime.faults.set("ExecSync", "delay(60000)")
    async with checking() as node:
        await node.start()
        await runtime.calls.wait_for("ExecSync")
        runtime.exit("z", 0)
        assert (await node.until_state("succeeded")).isolation is None
        await node.remove()


class FailingCri:
    """A runtime whose calls fail."""

    def __init__(self, error):
        self.error = error
        self.calls = asyncio.Semaphore(0)
        self.number = 0

    async def pod_sandbox_status(self, *_):
        self.number += 1
        self.calls.release()
        raise self.error


@pytest.mark.parametrize(
    ("error", "number"),
    [(NotFound("PodSandboxStatus", "no"), 1), (RuntimeUnavailable("PodSandboxStatus", "no"), 3)],
)
@pytest.mark.parametrize("is_eager", [False, True])
async def test_failed_check_is_repeated_only_if_the_runtime_was_unavailable(
    start_tasks_eagerly, error, number, is_eager
):
    if is_eager:
        start_tasks_eagerly()
    table, cri = ZoneTable(), FailingCri(error)
    table.observe("z", observed())
    checks = IsolationChecks(cri, table, 1.0)
    for _ in range(3):
        checks.check()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert cri.number == number
    assert table.get("z").isolation is None


def test_result_for_an_earlier_container_is_dropped():
    table = ZoneTable()
    table.observe("z", observed())
    status = table.get("z")
    table.set_isolation("z", "another", Isolation(checked_at=1.0))
    assert table.get("z") == status
    table.set_isolation("z", status.container_id, Isolation(checked_at=2.0))
    assert table.get("z") == replace(status, isolation=Isolation(checked_at=2.0))
    table.observe("z", None)
    table.set_isolation("z", status.container_id, Isolation(checked_at=3.0))
    assert table.get("z") is None


def test_isolation_is_not_part_of_a_run():
    status = ZoneStatus("z", WorkloadState.RUNNING, isolation=Isolation(checked_at=1.0))
    assert not hasattr(status.run, "isolation")


def test_profile_hash_identifies_the_profile():
    assert profile_hash() == profile_hash()
    assert len(profile_hash()) == len("sha256:") + 64
