import asyncio

import grpc
import pytest
from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar import _cri_calls as cri
from kakuri_sidecar.testing import CriProxy, FakeCri
from kakuri_tcp.testing import until

OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100)]


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
    channel = grpc.aio.insecure_channel(f"unix:{proxy.path}", options=OPTIONS)
    yield channel
    await channel.close()


async def version(channel, *, ready=True, deadline=10, metadata=None):
    method = channel.unary_unary(
        cri.VERSION.path,
        request_serializer=api.VersionRequest.SerializeToString,
        response_deserializer=api.VersionResponse.FromString,
    )
    answer = await method(
        api.VersionRequest(), timeout=deadline, wait_for_ready=ready, metadata=metadata
    )
    return answer.runtime_name


def run_sandbox(channel, name="zone"):
    metadata = api.PodSandboxMetadata(name=name, uid=name, namespace="kakuri")
    config = api.PodSandboxConfig(metadata=metadata)
    return channel.unary_unary(
        cri.RUN_POD_SANDBOX.path,
        request_serializer=api.RunPodSandboxRequest.SerializeToString,
        response_deserializer=api.RunPodSandboxResponse.FromString,
    )(api.RunPodSandboxRequest(config=config), timeout=10, wait_for_ready=True)


def events(channel):
    return channel.unary_stream(
        cri.GET_CONTAINER_EVENTS.path,
        request_serializer=api.GetEventsRequest.SerializeToString,
        response_deserializer=api.ContainerEventResponse.FromString,
    )(api.GetEventsRequest(), wait_for_ready=True)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details()


async def test_calls_are_passed_on(runtime, proxy, channel):
    assert await version(channel) == "fake"
    identifier = (await run_sandbox(channel)).pod_sandbox_id
    assert runtime.sandbox("zone").id == identifier
    assert [call.code for call in proxy.calls.of("Version")] == ["OK"]
    assert proxy.calls.of("RunPodSandbox")[0].request == (
        runtime.calls.of("RunPodSandbox")[0].request.SerializeToString()
    )
    assert proxy.endpoint.path == str(proxy.path)
    assert repr(proxy) == f"<CriProxy up upstream={str(runtime.path)!r}>"


async def test_errors_are_passed_on_with_their_words(proxy, channel):
    await run_sandbox(channel)
    code, words = await refused(run_sandbox(channel))
    assert code == "UNKNOWN"
    assert "is reserved for" in words
    assert [call.code for call in proxy.calls.of("RunPodSandbox")] == ["OK", "UNKNOWN"]


async def test_what_the_runtime_does_not_have_is_unimplemented(proxy, channel):
    code, _ = await refused(channel.unary_unary("/runtime.v1.RuntimeService/Attach")(b""))
    assert code == "UNIMPLEMENTED"


async def test_streams_are_passed_on_as_they_come(runtime, channel):
    stream = events(channel)
    await run_sandbox(channel)
    kinds = [(await stream.read()).container_event_type for _ in range(2)]
    assert kinds == [api.CONTAINER_CREATED_EVENT, api.CONTAINER_STARTED_EVENT]
    runtime.lose_sandbox("zone")
    assert (await stream.read()).container_event_type == api.CONTAINER_STOPPED_EVENT
    stream.cancel()


async def test_a_deadline_is_passed_on(runtime, channel):
    runtime.faults.set("Version", "delay(3600000)")
    code, _ = await refused(version(channel, deadline=0.2))
    assert code == "DEADLINE_EXCEEDED"


async def test_a_caller_that_leaves_ends_the_call_at_the_runtime(runtime, channel):
    stream = events(channel)
    await run_sandbox(channel)
    await stream.read()
    assert runtime.listeners == 1
    stream.cancel()
    await until(lambda: not runtime.listeners)


async def test_metadata_of_a_caller_does_no_harm(channel):
    assert await version(channel, metadata=(("x-test", "1"),)) == "fake"


async def test_an_error_in_front_of_the_runtime(runtime, proxy, channel):
    proxy.faults.set("RunPodSandbox", "2*error(RESOURCE_EXHAUSTED: too much)")
    for _ in range(2):
        assert await refused(run_sandbox(channel)) == ("RESOURCE_EXHAUSTED", "too much")
    assert runtime.calls.all == []
    await run_sandbox(channel)


async def test_an_answer_that_is_lost(runtime, proxy, channel):
    proxy.faults.set("RunPodSandbox", "2*finish-then-error(UNAVAILABLE: lost)")
    assert await refused(run_sandbox(channel)) == ("UNAVAILABLE", "lost")
    assert len(runtime.sandboxes) == 1
    # The runtime's own refusal is lost as well.
    assert await refused(run_sandbox(channel)) == ("UNAVAILABLE", "lost")


async def test_connections_that_break(runtime, proxy, channel):
    proxy.faults.set("RunPodSandbox", "close->finish-then-close")
    assert (await refused(run_sandbox(channel)))[0] == "UNAVAILABLE"
    assert runtime.sandboxes == []
    assert (await refused(run_sandbox(channel)))[0] == "UNAVAILABLE"
    assert len(runtime.sandboxes) == 1
    await proxy.break_connections()
    assert await version(channel) == "fake"


async def test_a_slow_call(runtime, proxy, channel):
    proxy.faults.set("Version", "delay(20)->delay(3600000)")
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await version(channel) == "fake"
    assert loop.time() - began >= 0.02
    code, _ = await refused(version(channel, deadline=0.1))
    assert code == "DEADLINE_EXCEEDED"
    assert len(runtime.calls.of("Version")) == 1


async def test_a_stream_that_breaks_after_the_first_answer(proxy, channel):
    proxy.faults.set("GetContainerEvents", "finish-then-error(UNAVAILABLE)")
    stream = events(channel)
    await run_sandbox(channel)
    assert (await refused(stream.read()))[0] == "UNAVAILABLE"


async def test_a_runtime_that_can_not_be_reached(runtime, proxy, channel):
    await proxy.crash()
    assert repr(proxy).startswith("<CriProxy down")
    assert (await refused(version(channel, ready=False)))[0] == "UNAVAILABLE"
    await proxy.restart()
    assert await version(channel) == "fake"
    await runtime.crash()
    assert (await refused(version(channel)))[0] == "UNAVAILABLE"


def test_faults_are_checked():
    with pytest.raises(ValueError, match="expected a fault like"):
        CriProxy("/none", faults={"Version": "explode"})
