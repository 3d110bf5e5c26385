"""Clients of Unix sockets against servers of several users."""

import asyncio
import contextlib
import os
import subprocess
import sys

import pytest
from kakuri_tcp import (
    ConnectFailed,
    Endpoint,
    LocalAccess,
    UntrustedServer,
    _trusted_servers,
    blocking,
    listen_lines,
)

from .users import EACH_CLIENT, EACH_USER, OTHER, with_blocking, with_connect, with_line_client

# The server sees the same user, and would refuse it.
ANYBODY = LocalAccess(mode=0o666)

# Binds, becomes the user, listens: the kernel records who called listen().
LISTENER = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
if int(sys.argv[2]) != os.geteuid():
    os.setuid(int(sys.argv[2]))
listener.listen()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def endpoint(tmp_path):
    where = Endpoint.unix(f"{tmp_path}/socket")
    async with await listen_lines(where, bytes.upper, local_access=ANYBODY) as server:
        yield server.endpoint


@pytest.fixture
def listening_as(monkeypatch):
    """Return a function that sets which user system calls report as the listening one."""

    def listening_as(uid):
        monkeypatch.setattr(_trusted_servers, "unix_credentials", lambda connected: (1, uid, uid))

    return listening_as


@EACH_CLIENT
@pytest.mark.parametrize("uid", [0, os.geteuid()])
async def test_unix_server_of_root_or_of_the_own_user_is_trusted(
    client, uid, endpoint, listening_as
):
    listening_as(uid)
    await client(endpoint)


@EACH_CLIENT
@pytest.mark.parametrize("trusted", [(), [OTHER + 1], {1, 2}])
async def test_unix_server_of_another_user_raises_untrusted_server(
    client, trusted, endpoint, listening_as
):
    listening_as(OTHER)
    with pytest.raises(UntrustedServer, match=f"user {OTHER} listens there") as caught:
        await client(endpoint, trusted_uids=trusted)
    assert (caught.value.uid, caught.value.endpoint) == (OTHER, str(endpoint))
    assert isinstance(caught.value, ConnectFailed)


@EACH_CLIENT
async def test_unix_server_of_a_trusted_user_is_accepted(client, endpoint, listening_as):
    listening_as(OTHER)
    await client(endpoint, trusted_uids=[OTHER])


@EACH_CLIENT
async def test_unix_server_is_trusted_on_a_system_without_credentials(
    client, endpoint, monkeypatch
):
    monkeypatch.setattr(_trusted_servers, "unix_credentials", lambda connected: None)
    await client(endpoint)


async def test_untrusted_server_receives_no_byte(tmp_path, listening_as):
    received = []

    class Server(asyncio.Protocol):
        def data_received(self, data):
            received.append(data)

        def connection_lost(self, exc):
            closed.set_result(None)

    loop = asyncio.get_running_loop()
    closed = loop.create_future()
    server = await loop.create_unix_server(Server, f"{tmp_path}/socket")
    listening_as(OTHER)
    with pytest.raises(UntrustedServer):
        await with_line_client(Endpoint.unix(f"{tmp_path}/socket"))
    await closed
    server.close()
    assert not received


@contextlib.contextmanager
def listening_process(path, uid):
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(path), str(uid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        yield Endpoint.unix(str(path))
        process.stdin.close()


@EACH_USER
@pytest.mark.parametrize("client", [with_connect, with_blocking])
async def test_credentials_of_a_server_are_those_of_the_user_that_listens(client, tmp_path, uid):
    with listening_process(tmp_path / "socket", uid) as endpoint:
        if uid == os.geteuid():
            await client(endpoint)
        else:
            with pytest.raises(UntrustedServer, match=f"user {uid} listens there"):
                await client(endpoint)
            await client(endpoint, trusted_uids=[uid])


async def test_connect_waits_while_the_queue_of_a_unix_server_is_full(tmp_path):
    endpoint = Endpoint.unix(f"{tmp_path}/socket")
    with (
        blocking.Server(endpoint, backlog=0, timeout=5.0) as server,
        blocking.connect(endpoint, timeout=5.0),
    ):
        waiting = asyncio.create_task(with_connect(endpoint))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        server.accept().close()
        await waiting
