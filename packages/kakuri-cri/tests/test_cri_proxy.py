"""Faults in front of a runtime, which is the fake one here."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from kakuri_cri import Runtime, api
from kakuri_cri.testing import CriProxy, FakeCri
from kakuri_grpc import Channel, DeadlineExceeded, Server, StatusCode, StatusError, status_error
from kakuri_protobuf import encode
from kakuri_tcp.testing import until

RUNTIME = api.RuntimeService


@pytest.fixture
async def runtime():
    async with FakeCri() as runtime:
        yield runtime


@pytest.fixture
async def proxy(runtime):
    async with CriProxy(runtime.path) as proxy:
        yield proxy


@pytest.fixture
async def channel(proxy):
    async with Channel(f"unix:{proxy.path}") as channel:
        yield channel


async def version(channel, *, ready=True, deadline=10, metadata=()):
    request = api.VersionRequest()
    response = await channel.call(
        RUNTIME.Version, request, timeout=deadline, wait_for_ready=ready, metadata=metadata
    )
    return response.runtime_name


async def run_sandbox(channel, name="zone"):
    metadata = api.PodSandboxMetadata(name=name, uid=name, namespace="kakuri")
    request = api.RunPodSandboxRequest(config=api.PodSandboxConfig(metadata=metadata))
    response = await channel.call(RUNTIME.RunPodSandbox, request, timeout=10, wait_for_ready=True)
    return response.pod_sandbox_id


def events(channel):
    request = api.GetEventsRequest()
    return channel.stream(RUNTIME.GetContainerEvents, request, timeout=None, wait_for_ready=True)


async def refused(call):
    with pytest.raises(StatusError) as caught:
        await call
    return caught.value.code.name, caught.value.message


async def test_call_is_passed_on(runtime, proxy, channel):
    assert await version(channel) == "fake"
    identifier = await run_sandbox(channel)
    assert runtime.sandbox("zone").id == identifier
    assert [call.code for call in proxy.calls.of("Version")] == ["OK"]
    assert proxy.calls.of("RunPodSandbox")[0].request == (
        encode(runtime.calls.of("RunPodSandbox")[0].request)
    )
    assert proxy.endpoint.path == str(proxy.path)
    assert repr(proxy) == f"<CriProxy up upstream={str(runtime.path)!r}>"


async def test_error_of_the_runtime_is_passed_on_with_its_message(proxy, channel):
    await run_sandbox(channel)
    code, message = await refused(run_sandbox(channel))
    assert code == "UNKNOWN"
    assert "is reserved for" in message
    assert [call.code for call in proxy.calls.of("RunPodSandbox")] == ["OK", "UNKNOWN"]


@asynccontextmanager
async def runtime_that_responds(handler, path):
    async with Server() as server, CriProxy(path) as proxy:
        server.add(RUNTIME.Version, handler)
        await server.listen(f"unix:{path}")
        async with Channel(f"unix:{proxy.path}") as channel:
            yield channel


async def test_details_of_an_error_are_passed_on(tmp_path):
    async def fail(request, call):
        error = status_error(StatusCode.INTERNAL, "broken")
        error.trailers = (("grpc-status-details-bin", b"\x08\x0d"), ("x-hint", "h"))
        raise error

    async with runtime_that_responds(fail, tmp_path / "s") as channel:
        with pytest.raises(StatusError) as caught:
            await version(channel)
    assert caught.value.details == b"\x08\x0d"
    assert ("x-hint", "h") in caught.value.trailers


async def test_metadata_is_passed_on(tmp_path):
    received = []

    async def respond(request, call):
        received.extend(call.metadata)
        return api.VersionResponse(runtime_name="other")

    async with runtime_that_responds(respond, tmp_path / "s") as channel:
        assert await version(channel, metadata=(("x-test", "1"),)) == "other"
    assert ("x-test", "1") in received
    assert [name for name, _ in received].count("user-agent") == 1


async def test_call_that_the_runtime_does_not_have_is_unimplemented(runtime, channel):
    runtime.unimplemented.add("Version")
    code, message = await refused(version(channel))
    assert (code, message) == (
        "UNIMPLEMENTED", "unknown method Version for service runtime.v1.RuntimeService"
    )  # fmt: skip


async def test_stream_is_passed_on_message_by_message(runtime, channel):
    async with await events(channel) as stream:
        await run_sandbox(channel)
        kinds = [(await stream.receive()).container_event_type for _ in range(2)]
        created = api.ContainerEventType.CONTAINER_CREATED_EVENT
        assert kinds == [created, api.ContainerEventType.CONTAINER_STARTED_EVENT]
        runtime.lose_sandbox("zone")
        stopped = (await stream.receive()).container_event_type
        assert stopped is api.ContainerEventType.CONTAINER_STOPPED_EVENT


async def test_deadline_is_passed_on(runtime, channel):
    runtime.faults.set("Version", "delay(3600000)")
    with pytest.raises(DeadlineExceeded):
        await version(channel, deadline=0.2)


async def test_cancelled_call_is_cancelled_at_the_runtime(runtime, channel):
    async with await events(channel) as stream:
        await run_sandbox(channel)
        await stream.receive()
        assert runtime.listeners == 1
    await until(lambda: not runtime.listeners)


async def test_error_fault_keeps_the_call_from_the_runtime(runtime, proxy, channel):
    proxy.faults.set("RunPodSandbox", "2*error(RESOURCE_EXHAUSTED: too much)")
    for _ in range(2):
        assert await refused(run_sandbox(channel)) == ("RESOURCE_EXHAUSTED", "too much")
    assert runtime.calls.all == []
    await run_sandbox(channel)


async def test_finish_then_error_fault_loses_the_response(runtime, proxy, channel):
    proxy.faults.set("RunPodSandbox", "2*finish-then-error(UNAVAILABLE: lost)")
    assert await refused(run_sandbox(channel)) == ("UNAVAILABLE", "lost")
    assert len(runtime.sandboxes) == 1
    # The runtime's own refusal is lost as well.
    assert await refused(run_sandbox(channel)) == ("UNAVAILABLE", "lost")


async def test_close_faults_break_the_connection_before_and_after_the_call(runtime, proxy, channel):
    proxy.faults.set("RunPodSandbox", "close->finish-then-close")
    assert (await refused(run_sandbox(channel)))[0] == "UNAVAILABLE"
    assert runtime.sandboxes == []
    assert (await refused(run_sandbox(channel)))[0] == "UNAVAILABLE"
    assert len(runtime.sandboxes) == 1
    await proxy.break_connections()
    assert await version(channel) == "fake"
    assert len(proxy.calls.of("RunPodSandbox")) == 2


async def test_delay_fault_delays_the_call(runtime, proxy, channel):
    proxy.faults.set("Version", "delay(20)->delay(3600000)")
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await version(channel) == "fake"
    assert loop.time() - began >= 0.02
    with pytest.raises(DeadlineExceeded):
        await version(channel, deadline=0.1)
    assert len(runtime.calls.of("Version")) == 1


async def test_fault_of_a_stream_replaces_its_first_message(proxy, channel):
    proxy.faults.set("GetContainerEvents", "finish-then-error(UNAVAILABLE)")
    async with await events(channel) as stream:
        await run_sandbox(channel)
        assert (await refused(stream.receive()))[0] == "UNAVAILABLE"


async def test_proxy_or_runtime_that_crashed_is_unavailable(runtime, proxy, channel):
    await proxy.crash()
    assert repr(proxy).startswith("<CriProxy down")
    assert (await refused(version(channel, ready=False)))[0] == "UNAVAILABLE"
    await proxy.restart()
    assert await version(channel) == "fake"
    await runtime.crash()
    assert (await refused(version(channel)))[0] == "UNAVAILABLE"


async def test_restarted_proxy_has_a_new_socket(proxy, channel, tmp_path):
    old = tmp_path / "old"
    old.hardlink_to(proxy.path)  # so that its inode is not used again
    await proxy.crash()
    await proxy.restart()
    assert not proxy.path.samefile(old)
    assert await version(channel) == "fake"


async def test_response_of_sixteen_mebibytes_is_passed_on(tmp_path):
    name = "x" * ((16 << 20) - 100)

    async def respond(request, call):
        return api.VersionResponse(runtime_name=name)

    async with Server() as server, CriProxy(tmp_path / "s") as proxy:
        server.add(RUNTIME.Version, respond)
        await server.listen(f"unix:{tmp_path}/s")
        async with Runtime(proxy.endpoint) as runtime:
            assert (await runtime.version()).runtime_name == name


def test_fault_that_is_not_valid_raises_value_error():
    with pytest.raises(ValueError, match="expected a fault like"):
        CriProxy("/none", faults={"Version": "explode"})
