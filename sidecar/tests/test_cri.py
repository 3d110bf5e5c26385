import asyncio
import os

import pytest
from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar._cri import OPTIONS, CallTimeouts, CriClient
from kakuri_sidecar._errors import (
    CallRefused,
    CallTimeout,
    NameReserved,
    NotFound,
    RuntimeUnavailable,
    Unimplemented,
)
from kakuri_sidecar.testing import FakeCri
from kakuri_tcp import Endpoint
from kakuri_tcp.testing import until


@pytest.fixture
async def cri(runtime):
    async with CriClient(runtime.endpoint) as client:
        yield client


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("error(UNKNOWN: no)", CallRefused, "UNKNOWN"),
        ("error(INVALID_ARGUMENT: no)", CallRefused, "INVALID_ARGUMENT"),
        ("error(RESOURCE_EXHAUSTED: no)", CallRefused, "RESOURCE_EXHAUSTED"),
        ("error(NOT_FOUND: no)", NotFound, "NOT_FOUND"),
        ("error(ALREADY_EXISTS: no)", NameReserved, "ALREADY_EXISTS"),
        ("error(UNIMPLEMENTED: no)", Unimplemented, "UNIMPLEMENTED"),
        ("error(UNIMPLEMENTED: unknown service runtime.v1.RuntimeService)",
         RuntimeUnavailable, "UNIMPLEMENTED"),
        ("error(UNKNOWN: server is not initialized yet)", RuntimeUnavailable, "UNKNOWN"),
        ("error(UNAVAILABLE: no)", RuntimeUnavailable, "UNAVAILABLE"),
        ("error(CANCELLED: no)", RuntimeUnavailable, "CANCELLED"),
        ("error(DEADLINE_EXCEEDED: no)", CallTimeout, "DEADLINE_EXCEEDED"),
        ("close", RuntimeUnavailable, "UNAVAILABLE"),
    ],
)  # fmt: skip
async def test_failures_are_errors_of_ours(runtime, cri, fault, kind, code):
    runtime.faults.set("Version", fault)
    with pytest.raises(kind) as failure:
        await cri.version()
    assert type(failure.value) is kind
    assert (failure.value.call, failure.value.code) == ("Version", code)
    assert str(failure.value) == f"Version: {failure.value.words}"


async def test_runtime_socket_of_another_user_is_not_called(runtime, cri, monkeypatch):
    await cri.version()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    os.chown(runtime.path, 54321, -1)
    with pytest.raises(RuntimeUnavailable, match="belongs to user 54321"):
        await cri.version()
    with pytest.raises(RuntimeUnavailable, match="belongs to user 54321"):
        await anext(cri.container_events())


RESERVED = [
    'failed to reserve name "z": name "z" is reserved for "x"',
    "the container name is already in use",
    'pod sandbox with name "z" already exists',
]


@pytest.mark.parametrize("words", RESERVED)
async def test_name_that_is_taken_is_recognized_where_names_are_reserved(runtime, cri, words):
    runtime.faults.set("RunPodSandbox", f"error(UNKNOWN: {words})")
    config = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z"))
    with pytest.raises(NameReserved):
        await cri.run_pod_sandbox(config, "edera")
    runtime.faults.set("CreateContainer", f"error(UNKNOWN: {words})")
    with pytest.raises(NameReserved):
        await cri.create_container("s", api.ContainerConfig(), config)


@pytest.mark.parametrize("words", RESERVED)
async def test_pull_error_that_mentions_a_reserved_name_is_not_name_taken(runtime, cri, words):
    runtime.faults.set("PullImage", f"error(UNKNOWN: {words})")
    with pytest.raises(CallRefused) as failure:
        await cri.pull_image("evil.example/x", 5.0)
    assert type(failure.value) is CallRefused


async def test_long_message_of_the_runtime_is_cut(runtime, cri):
    runtime.faults.set("Version", f"error(UNKNOWN: {'x' * 5000})")
    with pytest.raises(CallRefused) as failure:
        await cri.version()
    assert failure.value.words == "x" * 4095 + "…"


async def test_message_of_the_runtime_is_printable(runtime, cri):
    runtime.faults.set("PullImage", "error(UNKNOWN: a\x1b[2J\x9b\u202e\u2028\ufeff z)")
    with pytest.raises(CallRefused) as failure:
        await cri.pull_image("evil.example/x", 5.0)
    assert failure.value.words == "a\\x1b[2J\\x9b\\u202e\\u2028\\ufeff z"


async def test_every_call_has_a_deadline(runtime):
    async with CriClient(runtime.endpoint, CallTimeouts(usual=0.05, run_pod_sandbox=0.05)) as cri:
        runtime.faults.set("Version", "delay(10000)")
        runtime.faults.set("RunPodSandbox", "delay(10000)")
        with pytest.raises(CallTimeout):
            await cri.version()
        config = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z"))
        with pytest.raises(CallTimeout):
            await cri.run_pod_sandbox(config, "edera")


async def test_a_stop_may_take_its_grace_time_longer(runtime):
    async with CriClient(runtime.endpoint, CallTimeouts(usual=0.05)) as cri:
        runtime.faults.set("StopContainer", "delay(200)")
        await cri.stop_container("gone", 1)


async def test_a_runtime_that_comes_back_is_found(runtime, cri):
    await cri.version()
    await runtime.crash()
    with pytest.raises(RuntimeUnavailable):
        await cri.version()
    await runtime.restart()
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await cri.version()).runtime_name == "fake"
                break
            except RuntimeUnavailable:
                await asyncio.sleep(0)


async def test_a_socket_that_is_not_there(tmp_path):
    async with CriClient(Endpoint.unix(str(tmp_path / "nope.sock"))) as cri:
        with pytest.raises(RuntimeUnavailable):
            await cri.version()
        assert repr(cri) == f"<CriClient unix:{tmp_path}/nope.sock>"


async def test_events_come_until_the_stream_breaks(runtime, cri):
    events = cri.container_events()
    reading = asyncio.create_task(anext(events))
    await until(lambda: runtime.listeners == 1)
    config = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z"))
    made = await cri.run_pod_sandbox(config, "edera")
    assert (await reading).container_id == made
    await runtime.crash()
    with pytest.raises(RuntimeUnavailable):
        async for _ in events:
            pass


async def test_a_runtime_without_events_says_so(cri, runtime):
    runtime.unimplemented.add("GetContainerEvents")
    with pytest.raises(Unimplemented):
        await anext(cri.container_events())


async def test_answers_may_be_as_large_as_the_kubelet_takes(cri, runtime):
    metadata = api.PodSandboxMetadata(name="z")
    for attempt in range(6):
        metadata.attempt = attempt
        config = api.PodSandboxConfig(metadata=metadata, labels={"a": "x" * 10**6})
        await cri.run_pod_sandbox(config, "edera")
    assert len(await cri.list_pod_sandboxes({})) == 6


async def test_the_authority_is_a_host_name():
    # Servers built on hyper refuse the socket's path, which gRPC would send.
    assert dict(OPTIONS)["grpc.default_authority"] == "localhost"


async def test_two_runtimes_are_two():
    async with FakeCri() as one, FakeCri() as other:
        one.node.version, other.node.version = "1", "2"
        async with CriClient(one.endpoint) as first, CriClient(other.endpoint) as second:
            assert (await first.version()).runtime_version == "1"
            assert (await second.version()).runtime_version == "2"


async def test_error_about_an_unreachable_runtime_does_not_name_its_socket(tmp_path):
    socket = tmp_path / "nobody.sock"
    async with CriClient(Endpoint.unix(str(socket))) as client:
        with pytest.raises(RuntimeUnavailable) as raised:
            await client.version(5)
    assert str(tmp_path) not in str(raised.value)
    assert "the runtime's socket" in str(raised.value)
