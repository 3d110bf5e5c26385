import asyncio
from contextlib import suppress

import pytest
from kakuri_cri import Runtime, RuntimeUnavailable
from kakuri_zones._cgroups import CgroupParent


@pytest.fixture
async def cri(runtime):
    async with Runtime(runtime.endpoint) as client:
        yield client


@pytest.mark.parametrize(
    ("driver", "parent"), [("cgroupfs", "/kakuri"), ("systemd", "/kakuri.slice")]
)
async def test_cgroup_parent_has_the_form_of_the_runtimes_driver(runtime, cri, driver, parent):
    runtime.node.cgroup_driver = driver
    cgroups = CgroupParent(cri)
    assert await cgroups() == parent
    assert await cgroups() == parent
    assert cgroups.has_runtime_config
    assert len(runtime.calls.of("RuntimeConfig")) == 1


async def test_cgroup_parent_follows_the_driver_of_a_restarted_runtime(runtime, cri):
    cgroups = CgroupParent(cri)
    assert await cgroups() == "/kakuri"
    await runtime.crash()
    with pytest.raises(RuntimeUnavailable):
        await cri.version()
    runtime.node.cgroup_driver = "systemd"
    await runtime.restart()
    await answered(cri)
    assert await cgroups() == "/kakuri.slice"
    assert await cgroups() == "/kakuri.slice"
    assert len(runtime.calls.of("RuntimeConfig")) == 2


async def answered(cri):
    """Wait until the runtime answers: a channel connects again after a back-off."""
    async with asyncio.timeout(10):
        while True:
            with suppress(RuntimeUnavailable):
                await cri.version()
                return
            await asyncio.sleep(0.01)


async def test_runtime_without_runtime_config_gets_the_default_path(runtime, cri):
    runtime.unimplemented.add("RuntimeConfig")
    cgroups = CgroupParent(cri)
    assert await cgroups() == "/kakuri"
    assert cgroups.has_runtime_config is False


async def test_configured_cgroup_parent_is_used_without_a_call(runtime, cri):
    assert await CgroupParent(cri, "/mine")() == "/mine"
    assert runtime.calls.all == []


async def test_cgroup_parent_raises_unavailable_while_the_runtime_does_not_answer(runtime, cri):
    await runtime.crash()
    with pytest.raises(RuntimeUnavailable):
        await CgroupParent(cri)()
