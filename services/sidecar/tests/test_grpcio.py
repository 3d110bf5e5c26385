import os

import pytest
from kakuri_cri import Runtime, RuntimeUnavailable
from kakuri_cri.testing import FakeCri
from kakuri_sidecar import GrpcioChannel

# tests/contract/test_cri_channels.py has the tests that every channel has to pass.


async def test_call_to_socket_of_another_user_is_refused(runtime, monkeypatch):
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
