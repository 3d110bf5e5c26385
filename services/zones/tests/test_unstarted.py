"""A container whose start the runtime abandoned because its caller disconnected: it never ran."""

import time

import pytest
from kakuri_cri import api
from kakuri_tcp.testing import until
from kakuri_workload import WorkloadState as State


@pytest.fixture
async def abandoned(runtime, run):
    """Return the id of a container whose node ended while the runtime was starting it."""
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        assert (await node.start()).code == "RuntimeUnavailable"
    (container,) = runtime.containers
    container.state = api.ContainerState.CONTAINER_EXITED
    container.exit_code, container.reason = 128, "StartError"
    container.finished_at = time.time_ns()
    return container.id


async def test_container_whose_start_was_abandoned_is_pending(runtime, run, abandoned):
    async with run(orphan_grace=30) as node:
        await node.until_listed()
        zone = await node.zone()
        assert (zone.state, zone.reason, zone.container_id) == (
            State.PENDING,
            "Starting",
            abandoned,
        )
        assert (zone.exit_code, zone.ended_at) == (None, None)


async def test_start_after_an_abandoned_one_creates_another_container(runtime, run, abandoned):
    async with run(orphan_grace=30) as node:
        is_new, zone = await node.start()
        assert (is_new, zone.state) == (True, State.RUNNING)
        assert zone.container_id != abandoned
        await until(lambda: [each.id for each in runtime.containers] == [zone.container_id])
        assert len(runtime.sandboxes) == 1


async def test_container_whose_start_was_abandoned_is_removed_unless_started_again(
    runtime, run, abandoned
):
    async with run():
        await until(lambda: not runtime.sandboxes and not runtime.containers)
