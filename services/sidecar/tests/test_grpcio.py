import asyncio
import os

import grpc
import pytest
from kakuri_cri import CallKind, ChannelError, Runtime, RuntimeUnavailable
from kakuri_cri.testing import FakeCri
from kakuri_sidecar import GrpcioChannel
from kakuri_tcp.testing import until

# tests/contract/test_cri_channels.py has the tests that every channel has to pass.


async def test_call_to_socket_of_another_user_raises_runtime_unavailable(runtime, monkeypatch):
    async with Runtime(GrpcioChannel(runtime.endpoint)) as cri:
        await cri.version()
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        os.chown(runtime.path, 54321, -1)
        with pytest.raises(RuntimeUnavailable, match="belongs to user 54321"):
            await cri.version()
        with pytest.raises(RuntimeUnavailable, match="belongs to user 54321"):
            await anext(cri.events())


async def test_channels_to_two_runtimes_share_no_connection():
    async with FakeCri() as one, FakeCri() as other:
        one.node.version, other.node.version = "1", "2"
        first, second = Runtime(GrpcioChannel(one.endpoint)), Runtime(GrpcioChannel(other.endpoint))
        async with first, second:
            assert (await first.version()).runtime_version == "1"
            assert (await second.version()).runtime_version == "2"


async def test_error_about_an_unreachable_runtime_does_not_name_its_socket(tmp_path):
    async with Runtime(GrpcioChannel(f"unix:{tmp_path}/nobody.sock")) as cri:
        with pytest.raises(RuntimeUnavailable) as raised:
            await cri.version(5)
    assert str(tmp_path) not in str(raised.value)
    assert "the runtime's socket" in str(raised.value)


async def test_channel_shows_its_socket(runtime):
    channel = GrpcioChannel(runtime.endpoint)
    assert repr(channel) == f"<GrpcioChannel unix:{runtime.path}>"
    await channel.close()


async def test_channel_keeps_one_stub_for_each_method(runtime, monkeypatch):
    channel = GrpcioChannel(runtime.endpoint)
    made = []
    reads = channel._channels[CallKind.READ]
    create = reads.unary_unary
    monkeypatch.setattr(reads, "unary_unary", lambda path: made.append(path) or create(path))
    async with Runtime(channel) as cri:
        await cri.version()
        await cri.version()
        await cri.status()
    assert len(made) == 2


async def test_stream_that_is_left_is_cancelled(runtime):
    async with Runtime(GrpcioChannel(runtime.endpoint)) as cri:
        events = cri.events()
        runtime.node.conditions["RuntimeReady"] = True
        waiting = asyncio.ensure_future(anext(events))
        await until(lambda: runtime.listeners == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await events.aclose()
        await until(lambda: runtime.listeners == 0)


async def test_failed_calls_and_streams_have_the_status_and_the_details(runtime):
    channel = GrpcioChannel(runtime.endpoint)
    with pytest.raises(ChannelError) as raised:
        await channel.call("/runtime.v1.RuntimeService/Nothing", b"", timeout=5)
    assert raised.value.code == grpc.StatusCode.UNIMPLEMENTED.name
    with pytest.raises(ChannelError) as raised:
        await anext(channel.stream("/runtime.v1.RuntimeService/Nothing", b"", timeout=5))
    assert raised.value.code == "UNIMPLEMENTED"
    await channel.close()


@pytest.mark.parametrize(("owner", "is_refused"), [(0, False), (None, False), (54321, True)])
async def test_socket_of_root_and_of_this_user_is_trusted(runtime, monkeypatch, owner, is_refused):
    user = 12345
    os.chown(runtime.path, user if owner is None else owner, -1)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    async with Runtime(GrpcioChannel(runtime.endpoint)) as cri:
        if is_refused:
            with pytest.raises(RuntimeUnavailable, match="neither root nor this user"):
                await cri.version()
        else:
            assert (await cri.version()).runtime_name == "fake"


async def test_stream_is_cancelled_however_it_ends(runtime, monkeypatch):
    class Answers:
        def __init__(self):
            self.answers = iter([b"one", b"two"])
            self.cancelled = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            if (answer := next(self.answers, None)) is None:
                raise StopAsyncIteration
            return answer

        def cancel(self):
            self.cancelled += 1

    channel = GrpcioChannel(runtime.endpoint)
    for count in (1, 3):
        answers = Answers()
        monkeypatch.setattr(
            channel._channels[CallKind.CHANGE],
            "unary_stream",
            lambda path, given=answers: lambda *_, **__: given,
        )
        stream = channel.stream("/x", b"", timeout=None)
        read = [answer async for _, answer in zip_async(range(count), stream)]
        await stream.aclose()
        assert (read, answers.cancelled) == ([b"one", b"two"][:count], 1)
    await channel.close()


async def zip_async(places, stream):
    """Yield as many answers of a stream as there are places."""
    for place in places:
        try:
            yield place, await anext(stream)
        except StopAsyncIteration:
            return
