"""Servers on loopback and clients of several users."""

import asyncio
import errno
import logging
import os
import socket
import struct
import subprocess
import sys

import pytest
from kakuri_tcp import (
    Connection,
    Endpoint,
    ForbiddenUser,
    LineServerLimits,
    ListenFailed,
    ListeningSockets,
    LocalAccess,
    blocking,
    listen,
    listen_lines,
)
from kakuri_tcp import _socket_users as socket_users
from kakuri_tcp._peers import Peer
from kakuri_tcp._socket_users import client_user
from kakuri_tcp._user_check import UserCheck

from .users import EACH_USER, OTHER

# Connects as a user, sends a line and prints what comes back.
CLIENT = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
with socket.socket() as connected:
    connected.connect(("127.0.0.1", int(sys.argv[2])))
    connected.sendall(b"hello\\n")
    print(connected.recv(100).decode(), flush=True)
"""


@pytest.fixture
def connecting_as(monkeypatch):
    """Return a function that sets which user the kernel reports as the connecting one."""

    def connecting_as(uid):
        monkeypatch.setattr("kakuri_tcp._user_check.client_user", lambda accepted: uid)

    return connecting_as


class Recorder:
    """Handles the lines and the faults of a server."""

    def __init__(self):
        self.lines, self.faults = [], []

    def handle(self, line):
        self.lines.append(line)
        return line.upper()

    def refuse(self, fault):
        self.faults.append(fault)
        return b"refused"


async def exchange(endpoint, sent=b"hello\n"):
    """Send bytes; return what comes back until the server closes, or a line."""
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.write(sent)
    received = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return received


def serving(recorder, **options):
    access = LocalAccess(**options)
    return listen_lines(
        "127.0.0.1:0", recorder.handle, on_fault=recorder.refuse, local_access=access
    )


@pytest.mark.parametrize("uid", [0, os.geteuid(), 4711])
async def test_root_this_user_and_named_users_may_connect(connecting_as, uid):
    connecting_as(uid)
    async with await serving(Recorder(), uids=[4711]) as server:
        assert await exchange(server.endpoint) == b"HELLO\n"


async def test_every_user_may_connect_without_a_list(connecting_as):
    connecting_as(OTHER)
    async with await serving(Recorder()) as server:
        assert await exchange(server.endpoint) == b"HELLO\n"


@pytest.mark.parametrize("uid", [OTHER, None])
async def test_users_are_identified_and_all_may_connect(connecting_as, uid):
    connecting_as(uid)
    uids = []

    class Protocol(Connection):
        def opened(self):
            uids.append(self.uid)
            self.close()

    access = LocalAccess(identify_users=True)
    async with await listen("127.0.0.1:0", Protocol, local_access=access) as server:
        assert await exchange(server.endpoint, b"") == b""
    assert uids == [uid]


@pytest.mark.parametrize(
    ("uid", "message"),
    [
        (7, "user 7 of this machine may not use this server; ask root"),
        (None, "a client whose user is unknown may not use this server"),
    ],
)
async def test_hint_follows_the_refusal_of_a_known_user(connecting_as, uid, message):
    connecting_as(uid)
    refusals = []

    def refuse(fault):
        refusals.append(str(fault))
        return b"refused"

    access = LocalAccess(uids=(), hint="ask root")
    async with await listen_lines(
        "127.0.0.1:0", bytes.upper, on_fault=refuse, local_access=access
    ) as server:
        assert await exchange(server.endpoint) == b"refused\n"
    assert refusals == [message]


async def test_line_of_another_user_is_not_handled(connecting_as, caplog):
    connecting_as(OTHER)
    recorder = Recorder()
    async with await serving(recorder, uids=()) as server:
        for _ in range(3):
            assert await exchange(server.endpoint) == b"refused\n"
        assert (server.counters.forbidden, server.counters.refused) == (3, 0)
        assert server.counters.faults == 0
    assert recorder.lines == []
    assert [(type(fault), fault.uid) for fault in recorder.faults] == [(ForbiddenUser, OTHER)] * 3
    message = f"{server.endpoint}: user {OTHER} of this machine may not use this server"
    assert caplog.record_tuples == [("kakuri_tcp", logging.WARNING, message)]  # once


async def test_large_input_of_another_user_does_not_destroy_the_reply(connecting_as):
    connecting_as(OTHER)
    async with await serving(Recorder(), uids=()) as server:
        assert await exchange(server.endpoint, b"x" * 100_000) == b"refused\n"


async def test_connection_of_another_user_is_aborted_by_any_other_protocol(connecting_as):
    connecting_as(OTHER)
    opened, closed = [], asyncio.get_running_loop().create_future()

    class Protocol(Connection):
        def opened(self):
            opened.append(self)

        def data_received(self, data):
            raise AssertionError(data)

        def closed(self, fault):
            closed.set_result(fault)

    access = LocalAccess(uids=())
    async with await listen("127.0.0.1:0", Protocol, local_access=access) as server:
        with socket.create_connection((server.endpoint.host, server.endpoint.port)) as client:
            client.sendall(b"x")
            assert isinstance(await closed, ForbiddenUser)
            with pytest.raises(ConnectionResetError):
                client.recv(1)


async def test_refused_connections_do_not_count_against_the_limit_of_admitted_users(connecting_as):
    limits = LineServerLimits(connections=8, connections_per_peer=2)
    recorder = Recorder()
    async with await listen_lines(
        "127.0.0.1:0", recorder.handle, limits=limits, local_access=LocalAccess(uids=())
    ) as server:
        own = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        own[1].write(b"a\n")
        assert await own[0].readline() == b"A\n"
        connecting_as(OTHER)
        others = [
            await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
            for _ in range(20)
        ]
        connecting_as(os.geteuid())
        assert await exchange(server.endpoint) == b"HELLO\n"
        own[1].write(b"b\n")
        assert await own[0].readline() == b"B\n"
        assert (server.counters.forbidden, server.counters.refused) == (20, 0)
        for _, writer in [own, *others]:
            writer.close()


async def test_connections_of_one_admitted_user_do_not_replace_those_of_another(connecting_as):
    limits = LineServerLimits(connections=8, connections_per_peer=2)
    access = LocalAccess(uids=[OTHER])
    connecting_as(os.geteuid())
    async with await listen_lines(
        "127.0.0.1:0", bytes.upper, limits=limits, local_access=access
    ) as server:
        opened = [await asyncio.open_connection(server.endpoint.host, server.endpoint.port)]
        connecting_as(OTHER)
        for _ in range(3):
            opened.append(await asyncio.open_connection(server.endpoint.host, server.endpoint.port))
        assert await opened[1][0].read() == b""  # replaced by the third of the same user
        opened[0][1].write(b"own\n")
        assert await opened[0][0].readline() == b"OWN\n"
        for _, writer in opened:
            writer.close()


async def test_checked_connection_has_its_user(connecting_as):
    connecting_as(OTHER)
    uids = []

    class Protocol(Connection):
        def opened(self):
            uids.append(self.uid)
            self.close()

    access = LocalAccess(uids=[OTHER])
    async with await listen("127.0.0.1:0", Protocol, local_access=access) as server:
        reader, writer = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        assert await reader.read() == b""
        writer.close()
    assert uids == [OTHER]


async def test_client_that_has_closed_is_refused(connecting_as):
    connecting_as(None)
    recorder = Recorder()
    async with await serving(recorder, uids=[OTHER]) as server:
        assert await exchange(server.endpoint) == b"refused\n"
    assert recorder.faults[0].uid is None


async def test_every_user_may_connect_where_the_kernel_has_no_diagnostics(monkeypatch, caplog):
    monkeypatch.setattr(socket_users, "_NETLINK_SOCK_DIAG", 31)
    async with await serving(Recorder(), uids=()) as server:
        (record,) = caplog.records  # at the start
        assert await exchange(server.endpoint) == b"HELLO\n"
    assert caplog.records == [record]
    assert "the kernel doesn't report the users of clients on loopback" in record.message


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOBUFS])
async def test_server_does_not_start_while_the_kernel_cannot_be_asked(monkeypatch, number):
    def fail():
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("kakuri_tcp._user_check.knows_users", fail)
    with pytest.raises(ListenFailed, match=f"(?i){os.strerror(number)}"):
        await serving(Recorder(), uids=())
    with pytest.raises(ListenFailed, match=f"(?i){os.strerror(number)}"):
        blocking.Server("127.0.0.1:0", local_access=LocalAccess(uids=()))


async def test_every_client_is_refused_while_the_kernel_cannot_be_asked(monkeypatch):
    async with await serving(Recorder(), uids=()) as server:
        with monkeypatch.context() as exhausted:
            exhausted.setattr("kakuri_tcp._user_check.client_user", out_of_descriptors)
            assert await exchange(server.endpoint) == b"refused\n"
        assert await exchange(server.endpoint) == b"HELLO\n"


def out_of_descriptors(_socket):
    raise OSError(errno.EMFILE, "Too many open files")


def test_errors_of_the_kernel_are_not_taken_for_an_answer(monkeypatch):
    monkeypatch.setattr(socket_users, "_SOCK_DIAG_BY_FAMILY", 19)
    with pytest.raises(OSError, match="Invalid argument"):
        socket_users.knows_users()


async def run_client(server, uid):
    """Run a client as a user; return the line that it received."""
    arguments = [sys.executable, "-c", CLIENT, str(uid), str(server.endpoint.port)]
    client = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    output, _ = await client.communicate()
    return output.decode().strip()


@EACH_USER
async def test_process_is_served_only_if_its_user_may_connect(uid):
    recorder = Recorder()
    async with await serving(recorder, uids=[uid]) as server:
        assert await run_client(server, uid) == "HELLO"
    async with await serving(recorder, uids=()) as server:
        received = await run_client(server, uid)
    if uid == os.geteuid():
        assert (received, recorder.lines) == ("HELLO", [b"hello"] * 2)
    else:
        assert (received, recorder.lines) == ("refused", [b"hello"])
        assert recorder.faults[0].uid == uid


def test_user_of_a_client_is_known_until_it_closes():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            assert client_user(accepted) == os.geteuid()
            client.shutdown(socket.SHUT_WR)
            assert client_user(accepted) == os.geteuid()  # nc -N
            client.close()
            assert client_user(accepted) is None


CHECK = UserCheck(LocalAccess(uids=()), ListeningSockets(Endpoint.parse("127.0.0.1:1"), []))


@pytest.fixture
def accepted_and_client():
    """Return both ends of a connection; the client's is bound to the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            yield accepted, client


def test_user_of_a_client_that_is_bound_to_the_interface_is_known(accepted_and_client):
    assert client_user(accepted_and_client[0]) == os.geteuid()


def test_client_on_loopback_with_the_address_of_another_interface_is_refused(
    accepted_and_client, connecting_as
):
    connecting_as(OTHER)
    _, refusal = CHECK.check(accepted_and_client[0], Peer("192.0.2.2", "192.0.2.2:40000"))
    assert refusal.uid == OTHER


def test_client_that_has_reset_the_connection_is_refused(accepted_and_client):
    accepted, client = accepted_and_client
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert CHECK.check(accepted, Peer("loopback", "127.0.0.1:40000"))[1].uid is None


def test_server_that_listens_at_the_address_of_a_client_is_not_taken_for_it():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        assert socket_users._user(address) == os.geteuid()
        assert socket_users._user(address, ("127.0.0.1", 1)) is None


def test_blocking_server_skips_clients_of_other_users(monkeypatch):
    users = iter([OTHER, os.geteuid()])
    monkeypatch.setattr("kakuri_tcp._user_check.client_user", lambda accepted: next(users))
    with (
        blocking.Server("127.0.0.1:0", timeout=5.0, local_access=LocalAccess(uids=())) as server,
        blocking.connect(server.endpoint, timeout=5.0) as other,
        blocking.connect(server.endpoint, timeout=5.0) as own,
    ):
        own.send(b"own")
        with server.accept() as accepted:
            assert accepted.receive() == b"own"
        assert other.receive() == b""


@pytest.mark.parametrize("uids", [1000, "1000", ["root"]])
def test_uids_that_are_not_numbers_raise_type_error(uids):
    with pytest.raises(TypeError, match="expected user ids as uids, got"):
        LocalAccess(uids=uids)
