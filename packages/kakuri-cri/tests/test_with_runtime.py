"""The client and a runtime over a real socket, through kakuri-grpc on both ends."""

import asyncio
import gc
from contextlib import aclosing, contextmanager

import pytest
from kakuri_cri import (
    CallRefused,
    CallTimeout,
    NameReserved,
    NotFound,
    Runtime,
    RuntimeUnavailable,
    StartUnderWay,
    Timeouts,
    Unimplemented,
    _errors,
    _grpc_channel,
    _limits,
    api,
)
from kakuri_cri.testing import CriProxy, FakeCri, FakeImage
from kakuri_tcp.testing import until

STATES = api.ContainerState
EVENTS = api.ContainerEventType


def sandbox_config(name="z", attempt=0, **labels):
    metadata = api.PodSandboxMetadata(name=name, uid=name, namespace="n", attempt=attempt)
    return api.PodSandboxConfig(metadata=metadata, labels=labels)


def container_config(attempt=0, image="web:1", **labels):
    metadata = api.ContainerMetadata(name="main", attempt=attempt)
    return api.ContainerConfig(metadata=metadata, image=api.ImageSpec(image=image), labels=labels)


@pytest.fixture
async def fake():
    commands = {("ls", "/"): (b"bin\netc\n", 0)}
    images = {"web:1": FakeImage(state="present", commands=commands)}
    async with FakeCri(images=images) as runtime:
        yield runtime


@pytest.fixture
async def runtime(fake):
    async with Runtime(fake.endpoint) as client:
        yield client


async def run(runtime, name="z", **labels):
    """Start a container, and return the ids of its sandbox and itself."""
    config = sandbox_config(name, **labels)
    sandbox = await runtime.run_pod_sandbox(config, handler="edera")
    container = await runtime.create_container(sandbox, container_config(**labels), config)
    await runtime.start_container(container)
    return sandbox, container


async def test_container_goes_from_created_to_removed(runtime, fake):
    sandbox, container = await run(runtime)
    assert (await runtime.pod_sandbox_status(sandbox)).runtime_handler == "edera"
    assert (await runtime.container_status(container)).state is STATES.CONTAINER_RUNNING
    await runtime.reopen_container_log(container)
    await runtime.stop_container(container, 5)
    status = await runtime.container_status(container)
    assert (status.state, status.exit_code) == (STATES.CONTAINER_EXITED, 143)
    await runtime.remove_container(container)
    await runtime.stop_pod_sandbox(sandbox)
    await runtime.remove_pod_sandbox(sandbox)
    with pytest.raises(NotFound):
        await runtime.pod_sandbox_status(sandbox)
    assert fake.sandboxes == []


async def test_lost_create_is_found_by_label_and_its_name_is_reserved(runtime, fake):
    fake.faults.set("RunPodSandbox", "finish-then-close")
    config = sandbox_config(zone="1")
    with pytest.raises(RuntimeUnavailable):
        await runtime.run_pod_sandbox(config)
    await until_available(runtime)
    with pytest.raises(NameReserved):
        await runtime.run_pod_sandbox(config)
    (found,) = await runtime.list_pod_sandboxes({"zone": "1"})
    assert found.id == fake.sandbox("z").id
    assert await runtime.run_pod_sandbox(sandbox_config(attempt=1)) != found.id


async def until_available(runtime):
    async with asyncio.timeout(10):
        while True:
            try:
                return await runtime.version()
            except RuntimeUnavailable:
                await asyncio.sleep(0.01)


async def test_second_start_during_the_first_is_start_under_way(runtime, fake):
    config = sandbox_config()
    sandbox = await runtime.run_pod_sandbox(config)
    container = await runtime.create_container(sandbox, container_config(), config)
    fake.faults.set("StartContainer", "delay(3600000)")
    first = asyncio.ensure_future(runtime.start_container(container))
    await fake.calls.wait_for("StartContainer")
    with pytest.raises(StartUnderWay):
        await runtime.start_container(container)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_command_returns_output_and_exit_code(runtime):
    _, container = await run(runtime)
    response = await runtime.exec_sync(container, ["ls", "/"], 5)
    assert (response.stdout, response.stderr, response.exit_code) == (b"bin\netc\n", b"", 0)
    response = await runtime.exec_sync(container, ["nope"], 5)
    assert (response.stderr, response.exit_code) == (b"exec: 'nope': not found\n", 127)
    await runtime.stop_container(container, 0)
    with pytest.raises(CallRefused, match="CONTAINER_EXITED"):
        await runtime.exec_sync(container, ["ls", "/"], 5)


async def test_streaming_calls_return_urls(runtime):
    sandbox, container = await run(runtime)
    request = api.ExecRequest(container_id=container, cmd=("sh",), tty=True, stdin=True)
    assert (await runtime.exec(request)).startswith("http://127.0.0.1:")
    assert "/attach/" in await runtime.attach(api.AttachRequest(container_id=container))
    assert "/portforward/" in await runtime.port_forward(sandbox, [80])


async def test_new_limits_show_in_the_status(runtime):
    _, container = await run(runtime)
    limits = api.LinuxContainerResources(memory_limit_in_bytes=1 << 20)
    await runtime.update_container_resources(container, limits)
    assert (await runtime.container_status(container)).resources.linux == limits


async def test_statistics_of_containers_and_sandboxes_are_read(runtime, fake):
    sandbox, container = await run(runtime, zone="1")
    await run(runtime, "other", zone="2")
    fake.container("z").memory_bytes = 5
    stats = await runtime.container_stats(container)
    assert (stats.attributes.id, stats.memory.working_set_bytes.value) == (container, 5)
    assert stats.cpu.usage_core_nano_seconds == api.UInt64Value()
    (listed,) = await runtime.list_container_stats({"zone": "1"})
    assert listed.attributes.id == container
    assert await runtime.list_container_stats({}, sandbox_id="none") == []
    of_sandbox = await runtime.pod_sandbox_stats(sandbox)
    assert of_sandbox.linux.containers[0].memory.working_set_bytes.value == 5
    assert len(await runtime.list_pod_sandbox_stats({})) == 2
    with pytest.raises(NotFound):
        await runtime.container_stats("none")


async def test_optional_calls_of_a_runtime_that_lacks_them_are_unimplemented(runtime):
    for call in (
        runtime.list_metric_descriptors(),
        runtime.list_pod_sandbox_metrics(),
        runtime.checkpoint_container("c", "/tmp/c.tar"),
        runtime.update_runtime_config("10.0.0.0/8"),
    ):
        with pytest.raises(Unimplemented):
            await call


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_lists_of_200_items_are_complete(is_streamed):
    missing = () if is_streamed else ("StreamContainers", "StreamPodSandboxes", "StreamImages")
    async with (
        FakeCri(images={"web:1": "present"}, unimplemented=missing) as fake,
        Runtime(fake.endpoint) as runtime,
    ):
        await asyncio.gather(*[run(runtime, f"z{n}", zone=str(n)) for n in range(200)])
        assert len(await runtime.list_containers({})) == 200
        async with aclosing(runtime.containers()) as containers:
            found = {one.labels["zone"] async for one in containers}
        assert found == {str(n) for n in range(200)}
        async with aclosing(runtime.pod_sandboxes({"zone": "7"})) as sandboxes:
            assert [one.metadata.name async for one in sandboxes] == ["z7"]
        async with aclosing(runtime.images()) as images:
            assert [one.repo_tags async for one in images] == [("docker.io/library/web:1",)]


async def test_response_of_sixteen_mebibytes_is_accepted_and_a_larger_one_refused(runtime, fake):
    for number in range(16):
        config = sandbox_config(str(number), text="x" * ((1 << 20) - 300))
        await runtime.run_pod_sandbox(config)
    assert len(await runtime.list_pod_sandboxes({})) == 16
    await runtime.run_pod_sandbox(sandbox_config("last", text="x" * (1 << 20)))
    with pytest.raises(CallRefused) as caught:
        await runtime.list_pod_sandboxes({})
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    async with aclosing(runtime.pod_sandboxes()) as sandboxes:
        assert len([one async for one in sandboxes]) == 17


async def test_every_call_has_a_deadline(fake):
    timeouts = Timeouts(usual=0.05, run_pod_sandbox=0.05)
    async with Runtime(fake.endpoint, timeouts=timeouts) as runtime:
        fake.faults.set("Version", "delay(10000)")
        fake.faults.set("RunPodSandbox", "delay(10000)")
        with pytest.raises(CallTimeout):
            await runtime.version()
        with pytest.raises(CallTimeout):
            await runtime.run_pod_sandbox(sandbox_config())


async def test_stop_timeout_is_extended_by_the_grace_period(fake):
    async with Runtime(fake.endpoint, timeouts=Timeouts(usual=0.05)) as runtime:
        fake.faults.set("StopContainer", "delay(200)")
        await runtime.stop_container("gone", 10)


async def test_cancelled_pull_ends_at_the_runtime(runtime, fake):
    fake.images.set("slow", FakeImage(state="hanging"))
    pull = asyncio.ensure_future(runtime.pull_image("slow"))
    await fake.calls.wait_for("PullImage")
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert fake.calls.of("PullImage")[0].code is None


# Restarts.


async def test_restarted_runtime_is_found_at_its_new_socket(runtime, fake):
    _, container = await run(runtime)
    await fake.crash()
    with pytest.raises(RuntimeUnavailable):
        await runtime.version()
    assert runtime.seconds_since_silence < 60
    await fake.restart()
    await until_available(runtime)
    assert (await runtime.container_status(container)).state is STATES.CONTAINER_RUNNING


async def test_socket_that_appears_late_is_found(tmp_path):
    async with Runtime(f"unix:{tmp_path}/s") as runtime:
        with pytest.raises(RuntimeUnavailable):
            await runtime.version()
        async with FakeCri(tmp_path / "s"):
            assert (await until_available(runtime)).runtime_name == "fake"


async def test_call_or_list_of_a_closed_client_is_unavailable(fake):
    async with Runtime(fake.endpoint) as runtime:
        assert (await runtime.version()).runtime_name == "fake"
    with pytest.raises(RuntimeUnavailable, match="is closed"):
        await runtime.version()
    with pytest.raises(RuntimeUnavailable, match="is closed"):
        [each async for each in runtime.images()]


def test_defaults_of_the_client_are_those_of_the_kubelet():
    timeouts = Timeouts()
    assert (timeouts.usual, timeouts.run_pod_sandbox) == (120.0, 240.0)
    backoff = _grpc_channel._BACKOFF
    assert (backoff.first, backoff.longest, backoff.connect) == (0.1, 3.0, 5.0)
    assert (_limits.MAX_RECEIVED, _errors.MAX_MESSAGE) == (16_777_216, 4096)


async def test_runtime_that_is_starting_is_unavailable_and_then_responds(runtime, fake):
    fake.faults.set(
        "Version",
        "error(UNIMPLEMENTED: unknown service runtime.v1.RuntimeService)"
        "->2*error(UNKNOWN: server is not initialized yet)",
    )
    for _ in range(3):
        with pytest.raises(RuntimeUnavailable):
            await runtime.version()
    assert (await runtime.version()).runtime_name == "fake"


async def test_runtime_of_an_untrusted_user_gets_no_call(runtime, fake, monkeypatch):
    other = (1, 54321, 1)
    monkeypatch.setattr("kakuri_tcp._trusted_servers.unix_credentials", lambda _: other)
    with pytest.raises(RuntimeUnavailable, match="54321"):
        await runtime.version()
    with pytest.raises(RuntimeUnavailable, match="54321"):
        await anext(runtime.events())
    assert fake.calls.all == []


async def test_two_runtimes_have_two_connections():
    async with FakeCri() as one, FakeCri() as other:
        one.node.version, other.node.version = "1", "2"
        async with Runtime(one.endpoint) as first, Runtime(other.endpoint) as second:
            assert (await first.version()).runtime_version == "1"
            assert (await second.version()).runtime_version == "2"


# Events.


async def test_events_arrive_until_the_runtime_crashes(runtime, fake):
    async with runtime.events() as events:
        reading = asyncio.ensure_future(anext(events))
        await until(lambda: fake.listeners == 1)
        sandbox = await runtime.run_pod_sandbox(sandbox_config())
        assert (await reading).container_id == sandbox
        await fake.crash()
        with pytest.raises(RuntimeUnavailable):
            async for _ in events:
                pass


async def test_stream_of_events_that_is_left_is_cancelled_at_the_runtime(runtime, fake):
    async with runtime.events() as events:
        await runtime.run_pod_sandbox(sandbox_config())
        await anext(events)
        assert fake.listeners == 1
    await until(lambda: fake.listeners == 0)


async def test_unread_events_do_not_delay_other_calls(runtime, fake):
    """A backlog of some megabytes waits in the windows of its stream alone."""
    async with runtime.events() as events:
        first = asyncio.ensure_future(anext(events))
        await until(lambda: fake.listeners == 1)
        for number in range(300):
            config = sandbox_config(str(number), text="x" * 10_000)
            await runtime.run_pod_sandbox(config)
        assert len(await runtime.list_pod_sandboxes({})) == 300
        kinds = [(await first).container_event_type]
        while len(kinds) < 600:
            kinds.append((await anext(events)).container_event_type)
    expected = [EVENTS.CONTAINER_CREATED_EVENT, EVENTS.CONTAINER_STARTED_EVENT] * 300
    assert kinds == expected


async def test_events_of_a_runtime_without_them_are_unimplemented(runtime, fake):
    fake.unimplemented.add("GetContainerEvents")
    with pytest.raises(Unimplemented):
        await anext(runtime.events())


async def test_events_before_the_first_listener_are_kept_for_it(runtime):
    await run(runtime)
    async with runtime.events() as events:
        kinds = [(await anext(events)).container_event_type for _ in range(4)]
    created, started = EVENTS.CONTAINER_CREATED_EVENT, EVENTS.CONTAINER_STARTED_EVENT
    assert kinds == [created, started, created, started]


# Through the proxy, and memory.


async def test_response_lost_by_the_proxy_leaves_the_sandbox(fake):
    async with CriProxy(fake.path) as proxy, Runtime(proxy.endpoint) as runtime:
        proxy.faults.set("RunPodSandbox", "finish-then-error(UNAVAILABLE: lost)->error(UNKNOWN: x)")
        with pytest.raises(RuntimeUnavailable, match="lost"):
            await runtime.run_pod_sandbox(sandbox_config())
        assert len(fake.sandboxes) == 1
        with pytest.raises(CallRefused):
            await runtime.run_pod_sandbox(sandbox_config(attempt=1))
        assert len(fake.sandboxes) == 1


@contextmanager
def no_collector():
    """Disable the collector; yields a function that returns what it would have freed."""
    gc.collect()
    gc.disable()

    def garbage():
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return list(gc.garbage)

    try:
        yield garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_failed_calls_are_freed_without_the_garbage_collector(runtime, fake):
    await run(runtime)
    for _ in range(2):  # the first time, codecs are compiled
        with no_collector() as garbage:
            for _ in range(5):
                await runtime.list_containers({})
                with pytest.raises(NotFound):
                    await runtime.container_status("none")
                fake.faults.set("Version", "error(UNKNOWN: no)")
                with pytest.raises(CallRefused):
                    await runtime.version()
            found = [one for one in garbage() if isinstance(one, api.Container | BaseException)]
    assert found == []


async def test_calls_beyond_the_streams_of_the_connection_wait_instead_of_failing(runtime):
    responses = await asyncio.gather(*(runtime.version() for _ in range(1500)))
    assert {each.runtime_name for each in responses} == {"fake"}
