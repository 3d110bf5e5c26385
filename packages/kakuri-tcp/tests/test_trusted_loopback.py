"""Clients of loopback addresses against servers of several users."""

import contextlib
import errno
import os
import socket
import subprocess
import sys

import pytest
from kakuri_tcp import (
    ConnectFailed,
    Connection,
    UntrustedServer,
    _trusted_servers,
    connect,
    listen_lines,
)
from kakuri_tcp import _socket_users as socket_users
from kakuri_tcp._socket_users import is_loopback, server_user
from kakuri_tcp._trusted_servers import check_server

from .users import EACH_CLIENT, EACH_USER, OTHER, with_blocking, with_connect, with_line_client

# Listens as a user, reports the port, and accepts after a line of input.
LISTENER = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
listener = socket.create_server((sys.argv[2], 0), family=int(sys.argv[3]))
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
accepted, _ = listener.accept()
print("accepted", flush=True)
print(accepted.recv(100), flush=True)
sys.stdin.readline()
"""


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


LOOPBACK = [("127.0.0.1", socket.AF_INET), *([("::1", socket.AF_INET6)] * _has_ipv6())]
"""The loopback addresses of this machine, with their families."""


@pytest.fixture
async def endpoint():
    async with await listen_lines("127.0.0.1:0", bytes.upper) as server:
        yield server.endpoint


@pytest.fixture
def listening_as(monkeypatch):
    """Return a function that sets which user the kernel reports as the listening one."""

    def listening_as(uid):
        monkeypatch.setattr(_trusted_servers, "server_user", lambda connected: uid)

    return listening_as


@contextlib.contextmanager
def listening_process(uid, host="127.0.0.1", family=socket.AF_INET):
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(uid), host, str(int(family))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.kill()


@EACH_CLIENT
@pytest.mark.parametrize("uid", [0, os.geteuid(), None])
async def test_server_of_root_or_this_user_or_an_unknown_one_is_trusted(
    client, uid, endpoint, listening_as, monkeypatch
):
    listening_as(uid)
    monkeypatch.setattr(_trusted_servers, "knows_users", lambda: uid is not None)
    await client(endpoint, trusted_uids=())


@EACH_CLIENT
async def test_server_without_a_socket_here_raises_connect_failed(client, endpoint, listening_as):
    listening_as(None)  # as where a firewall forwards the port to another network namespace
    with pytest.raises(ConnectFailed, match="connect to the address where the server listens"):
        await client(endpoint, trusted_uids=())


def test_server_that_has_closed_its_sockets_has_reset_the_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = socket.create_connection(listener.getsockname())
        listener.accept()[0].close()
    with connected, pytest.raises(ConnectionResetError):
        check_server(connected, "endpoint", ())


@EACH_CLIENT
async def test_server_on_loopback_is_the_one_that_the_kernel_knows(client, endpoint):
    await client(endpoint, trusted_uids=())


@EACH_CLIENT
@pytest.mark.parametrize("trusted", [(), [OTHER + 1], {1, 2}])
async def test_server_of_another_user_raises_untrusted_server(
    client, trusted, endpoint, listening_as
):
    listening_as(OTHER)
    with pytest.raises(UntrustedServer, match=f"user {OTHER} listens there") as caught:
        await client(endpoint, trusted_uids=trusted)
    assert (caught.value.uid, caught.value.endpoint) == (OTHER, str(endpoint))


@EACH_CLIENT
async def test_server_of_a_trusted_user_is_accepted(client, endpoint, listening_as):
    listening_as(OTHER)
    await client(endpoint, trusted_uids=[OTHER])


@EACH_CLIENT
async def test_server_on_loopback_is_not_checked_unless_asked_for(client, endpoint, listening_as):
    listening_as(OTHER)
    await client(endpoint)


@pytest.mark.parametrize("trusted", [None, ()])
async def test_connection_has_tcp_nodelay_with_and_without_a_check_of_its_server(endpoint, trusted):
    connection = await connect(endpoint, Connection, timeout=5.0, trusted_uids=trusted)
    connected = connection._transport.get_extra_info("socket")
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.abort()


async def test_untrusted_server_receives_no_byte(listening_as):
    listening_as(OTHER)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(UntrustedServer):
            await with_line_client(f"127.0.0.1:{listener.getsockname()[1]}", trusted_uids=())
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b""


@EACH_CLIENT
async def test_nothing_is_sent_while_the_kernel_cannot_be_asked(client, endpoint, monkeypatch):
    def out_of_descriptors(_socket):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(_trusted_servers, "server_user", out_of_descriptors)
    with pytest.raises(ConnectFailed, match="too many open files"):
        await client(endpoint, trusted_uids=())


@EACH_CLIENT
async def test_user_of_a_server_at_localhost_is_checked(client, listening_as):
    listening_as(OTHER)
    async with await listen_lines("localhost:0", bytes.upper) as server:
        with pytest.raises(UntrustedServer):
            await client(f"localhost:{server.endpoint.port}", trusted_uids=())
        await client(f"localhost:{server.endpoint.port}", trusted_uids=[OTHER])


@pytest.mark.parametrize("has_trusted", [True, False])
async def test_untrusted_server_at_one_address_of_a_name_does_not_hide_a_trusted_one(
    has_trusted, endpoint, monkeypatch
):
    async with await listen_lines("127.0.0.1:0", bytes.upper) as untrusted:
        ports = [untrusted.endpoint.port, endpoint.port if has_trusted else 1]
        addresses = [(socket.AF_INET, ("127.0.0.1", port)) for port in ports]

        async def found(_endpoint):
            return addresses

        def user(connected):
            return OTHER if connected.getpeername() == addresses[0][1] else os.geteuid()

        monkeypatch.setattr("kakuri_tcp._connect._addresses", found)
        monkeypatch.setattr(_trusted_servers, "server_user", user)
        with contextlib.nullcontext() if has_trusted else pytest.raises(UntrustedServer):
            await with_line_client("localhost:9000", trusted_uids=())


@EACH_USER
@pytest.mark.parametrize("client", [with_connect, with_blocking])
@pytest.mark.parametrize("is_accepted", [False, True])
async def test_port_is_trusted_only_if_the_user_who_took_it_is(client, is_accepted, uid):
    with listening_process(uid) as (process, port):
        if is_accepted:
            process.stdin.write(b"\n")
            process.stdin.flush()
        endpoint = f"127.0.0.1:{port}"
        if uid == os.geteuid():
            await client(endpoint, trusted_uids=())
        else:
            with pytest.raises(UntrustedServer, match=f"user {uid} listens there"):
                await client(endpoint, trusted_uids=())
            await client(endpoint, trusted_uids=[uid])


@EACH_USER
@pytest.mark.parametrize(("host", "family"), LOOPBACK)
def test_user_of_a_server_is_that_of_its_process_before_and_after_it_accepts(host, family, uid):
    with (
        listening_process(uid, host, family) as (process, port),
        socket.create_connection((host, port)) as connected,
    ):
        assert server_user(connected) == uid
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"accepted\n"
        assert server_user(connected) == uid
        process.stdin.close()


@pytest.mark.parametrize("options", [{}, *([{"dualstack_ipv6": True}] * _has_ipv6())])
def test_user_of_a_server_of_every_family_is_known(options):
    family = socket.AF_INET6 if options else socket.AF_INET
    with (
        socket.create_server(("", 0), family=family, **options) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])) as connected,
    ):
        assert server_user(connected) == os.geteuid()
        with listener.accept()[0]:
            assert server_user(connected) == os.geteuid()


@pytest.mark.parametrize("is_accepted", [False, True])
def test_server_that_is_bound_to_the_interface_cannot_hide_its_user(is_accepted):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with (
            socket.create_connection(listener.getsockname()) as connected,
            listener.accept()[0] if is_accepted else contextlib.nullcontext(),
        ):
            assert server_user(connected) == os.geteuid()


@pytest.mark.parametrize("host", ["127.0.0.1", *(["::ffff:127.0.0.1"] * _has_ipv6())])
def test_user_of_a_server_at_an_ipv4_address_is_known_by_its_mapped_one_too(host):
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as connected,
    ):
        connected.connect((host, listener.getsockname()[1]))
        assert server_user(connected) == os.geteuid()


def test_user_of_a_server_that_has_closed_is_unknown():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with connected:
        accepted.close()
        assert server_user(connected) is None


def test_user_is_unknown_where_the_kernel_has_no_diagnostics(monkeypatch):
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connected,
    ):
        monkeypatch.setattr(socket_users, "_NETLINK_SOCK_DIAG", 31)
        assert server_user(connected) is None


async def test_server_that_cannot_be_checked_is_trusted_with_one_warning(
    endpoint, monkeypatch, caplog
):
    _trusted_servers._warn_of_unchecked_servers.cache_clear()
    monkeypatch.setattr(socket_users, "_NETLINK_SOCK_DIAG", 31)
    for _ in range(2):
        await with_line_client(endpoint, trusted_uids=())
    (record,) = caplog.records
    assert "the kernel doesn't report the users of servers on loopback" in record.message


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False), ("::ffff:192.0.2.1", False), ("fe80::1%eth0", False),
    ],
)  # fmt: skip
def test_is_loopback_accepts_only_loopback_addresses(host, expected):
    assert is_loopback(host) is expected
