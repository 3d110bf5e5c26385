"""A container whose start the runtime gave up, as its caller went away: it has never run."""

import time

import pytest
from kakuri_cri import api
from kakuri_registry import WorkloadState as State
from kakuri_tcp.testing import until


@pytest.fixture
async def given_up(runtime, run):
    """Let a node end while its container is being started."""
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        assert (await node.start()).code == "RuntimeUnavailable"
    (container,) = runtime.containers
    container.state = api.ContainerState.CONTAINER_EXITED
    container.exit_code, container.reason = 128, "StartError"
    container.finished_at = time.time_ns()
    return container.id


async def test_it_has_not_ended(runtime, run, given_up):
    async with run(orphan_grace=30) as node:
        await node.until_listed()
        zone = await node.zone()
        assert (zone.state, zone.reason, zone.container_id) == (State.PENDING, "Starting", given_up)
        assert (zone.exit_code, zone.ended_at) == (None, None)


async def test_next_start_creates_another_container(runtime, run, given_up):
    async with run(orphan_grace=30) as node:
        is_new, zone = await node.start()
        assert (is_new, zone.state) == (True, State.RUNNING)
        assert zone.container_id != given_up
        await until(lambda: [each.id for each in runtime.containers] == [zone.container_id])
        assert len(runtime.sandboxes) == 1


async def test_it_is_removed_if_nobody_starts_it_again(runtime, run, given_up):
    async with run():
        await until(lambda: not runtime.sandboxes and not runtime.containers)
