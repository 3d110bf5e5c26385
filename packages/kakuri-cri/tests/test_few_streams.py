"""Calls to a runtime that allows only two at a time on a connection."""

import asyncio
from collections import Counter

import pytest
from kakuri_cri import (
    CallKind,
    CallTimeout,
    GrpcChannel,
    Runtime,
    RuntimeUnavailable,
    _call_kinds,
    api,
)
from kakuri_cri.testing import FakeCri
from kakuri_tcp.testing import until

CONFIG = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z", uid="z", namespace="n"))
OTHER = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="o", uid="o", namespace="n"))
CONTAINER = api.ContainerConfig(
    metadata=api.ContainerMetadata(name="main"), image=api.ImageSpec(image="web:1")
)
HOUR = "1000*delay(3600000)"

SLOW = {
    "PullImage": lambda runtime, _: runtime.pull_image("web:1", 3600),
    "StopContainer": lambda runtime, container: runtime.stop_container(container, 3600),
    "RunPodSandbox": lambda runtime, _: runtime.run_pod_sandbox(CONFIG),
    "ListPodSandboxStats": lambda runtime, _: runtime.list_pod_sandbox_stats({}),
}


@pytest.fixture
async def fake():
    async with FakeCri(images={"web:1": "present"}, concurrent_calls=2) as runtime:
        yield runtime


async def started(runtime):
    """Start a container; return the ids of its sandbox and itself."""
    sandbox = await runtime.run_pod_sandbox(CONFIG)
    container = await runtime.create_container(sandbox, CONTAINER, CONFIG)
    await runtime.start_container(container)
    return sandbox, container


async def begin(runtime, fake, method, number=20):
    """Make slow calls of a method; return their tasks."""
    _, container = await started(runtime)
    fake.calls.clear()
    fake.faults.set(method, HOUR)
    tasks = [asyncio.create_task(SLOW[method](runtime, container)) for _ in range(number)]
    await fake.calls.wait_for(method, 2)
    return tasks


async def end(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_fake_runtime_bounds_the_calls_of_one_connection(fake):
    async with Runtime(fake.endpoint) as runtime:
        tasks = await begin(runtime, fake, "PullImage")
        with pytest.raises(CallTimeout):
            await runtime.pull_image("web:1", 0.1)
        assert len(fake.calls.of("PullImage")) == 2
        await end(tasks)


@pytest.mark.parametrize("method", SLOW)
async def test_reads_do_not_wait_for_slow_calls(fake, method):
    async with Runtime(fake.endpoint) as runtime, runtime.events() as events:
        event = asyncio.create_task(anext(events))
        await until(lambda: fake.listeners == 1)
        tasks = await begin(runtime, fake, method)
        sandbox, container = fake.sandboxes[0].id, fake.containers[0].id
        assert (await runtime.version(5)).runtime_name == "fake"
        assert (await runtime.status(5)).status.conditions
        assert [each.id for each in await runtime.list_pod_sandboxes({}, 5)] == [sandbox]
        assert [each.id for each in await runtime.list_containers({}, timeout=5)] == [container]
        assert (await runtime.pod_sandbox_status(sandbox, 5)).id == sandbox
        assert (await runtime.container_status(container, 5)).id == container
        assert (await runtime.image_status("web:1", 5)) is not None
        assert (await event).container_id == sandbox
        await end(tasks)


@pytest.mark.parametrize("method", SLOW)
async def test_removal_does_not_wait_for_slow_calls(fake, method):
    async with Runtime(fake.endpoint) as runtime:
        tasks = await begin(runtime, fake, method)
        sandbox, container = fake.sandboxes[0].id, fake.containers[0].id
        await runtime.stop_pod_sandbox(sandbox, 5)
        await runtime.remove_container(container, 5)
        await runtime.remove_pod_sandbox(sandbox, 5)
        assert fake.sandboxes == []
        await end(tasks)


async def test_all_connections_end_with_the_runtime_and_are_opened_again(fake):
    counts = Counter()

    def count(name, _seconds, status):
        counts[name, status] += 1

    async with Runtime(fake.endpoint, on_call=count) as runtime:
        tasks = await begin(runtime, fake, "StopContainer")
        await fake.crash()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in results} == {RuntimeUnavailable}
        assert counts["StopContainer", "UNAVAILABLE"] == 20
        fake.faults.clear()
        await fake.restart()
        for call in (
            lambda: runtime.version(5),
            lambda: runtime.stop_container("none", 0),
            lambda: runtime.pull_image("web:1", 5),
            lambda: runtime.run_pod_sandbox(OTHER),
            lambda: runtime.image_fs_info(5),
            lambda: runtime.remove_container("none", 5),
        ):
            await until_it_succeeds(call)


async def until_it_succeeds(call):
    async with asyncio.timeout(10):
        while True:
            try:
                return await call()
            except RuntimeUnavailable:
                await asyncio.sleep(0.01)


async def test_close_ends_the_calls_of_all_connections(fake):
    runtime = Runtime(fake.endpoint)
    pulls = await begin(runtime, fake, "PullImage")
    fake.faults.set("Version", HOUR)
    version = asyncio.create_task(runtime.version())
    await fake.calls.wait_for("Version")
    await runtime.close()
    results = await asyncio.gather(version, *pulls, return_exceptions=True)
    assert {type(each) for each in results} == {RuntimeUnavailable}
    with pytest.raises(RuntimeUnavailable, match="is closed"):
        await runtime.remove_container("c")


def test_every_call_that_lists_or_inspects_is_a_read_or_a_measurement():
    paths = [
        method.path
        for service in (api.RuntimeService, api.ImageService)
        for method in vars(service).values()
        if hasattr(method, "path")
    ]
    found = {path.rpartition("/")[2]: CallKind.of(path) for path in paths}
    assert found.keys() >= _call_kinds._KINDS.keys()
    others = {"Version", "RuntimeConfig", "GetContainerEvents"}
    for name, kind in found.items():
        is_inspecting = name.startswith(("List", "Stream")) or name.endswith(
            ("Status", "Stats", "Info")
        )
        is_quick = kind in {CallKind.READ, CallKind.MEASUREMENT}
        assert is_quick == (is_inspecting or name in others), name
    assert CallKind.of("/new.Service/Anything") is CallKind.CHANGE


async def test_channel_shows_the_state_of_each_connection(fake):
    channel = GrpcChannel(fake.endpoint)
    async with Runtime(channel) as runtime:
        await runtime.version()
        states = (
            "read ready, measurement idle, pull idle, sandbox idle, container idle, change idle"
        )
        assert repr(channel) == f"<GrpcChannel {fake.endpoint}: {states}>"
