"""Sockets that several processes serve together."""

import asyncio
import errno
import os
import socket

import pytest
from kakuri_tcp import (
    Connection,
    Endpoint,
    ListenFailed,
    ListeningSockets,
    _listeners,
    connect,
    listen,
    open_listening_sockets,
)

ANY_PORT = Endpoint("tcp", host="127.0.0.1", port=0)


class Named(Connection):
    """Sends its server's name to every peer and closes."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def opened(self):
        self.write(self.name)
        self.close()


async def name_of_server(endpoint):
    reading = asyncio.get_running_loop().create_future()

    class Reader(Connection):
        def data_received(self, data):
            reading.set_result(data)

    connection = await connect(endpoint, Reader, timeout=5)
    try:
        return await reading
    finally:
        connection.abort()


def endpoint_of(kind, tmp_path):
    return ANY_PORT if kind == "tcp" else Endpoint.parse(f"unix:{tmp_path / 'socket'}")


async def test_kernel_spreads_connections_between_the_servers_of_one_port():
    first, second = open_listening_sockets(ANY_PORT, 2)
    assert first.endpoint == second.endpoint
    async with (
        await listen(first, lambda: Named(b"1")) as server,
        await listen(second, lambda: Named(b"2")),
    ):
        names = {await name_of_server(server.endpoint) for _ in range(64)}
    assert names == {b"1", b"2"}


async def test_server_of_a_shared_unix_socket_continues_when_another_one_ends(tmp_path):
    parent, first, second = open_listening_sockets(endpoint_of("unix", tmp_path), 3)
    async with await listen(second, lambda: Named(b"2")) as server:
        await (await listen(first, lambda: Named(b"1"))).close()
        assert await name_of_server(server.endpoint) == b"2"
    parent.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_connection_waits_until_another_server_takes_over_the_sockets(kind, tmp_path):
    (opened,) = open_listening_sockets(endpoint_of(kind, tmp_path), 1)
    answer = asyncio.create_task(name_of_server(opened.endpoint))
    copies = [os.dup(descriptor) for descriptor in opened.descriptors]
    inherited = ListeningSockets.inherited(endpoint_of(kind, tmp_path), copies)
    assert inherited.endpoint == opened.endpoint
    assert not any(os.get_inheritable(copy) for copy in copies)
    async with await listen(inherited, lambda: Named(b"successor")):
        assert await answer == b"successor"
    opened.close()


async def test_endpoint_that_another_program_shares_among_its_processes_is_in_use():
    others = open_listening_sockets(ANY_PORT, 2)
    with pytest.raises(ListenFailed, match="in use"):
        open_listening_sockets(others[0].endpoint, 2)
    for other in others:
        other.close()


async def test_sockets_of_a_name_listen_at_every_address_at_one_port(monkeypatch):
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
        for address in ("127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    opened = open_listening_sockets(Endpoint("tcp", host="both.example", port=0), 2)
    ports = [[one.getsockname() for one in each.sockets] for each in opened]
    port = opened[0].endpoint.port
    assert ports == [[("127.0.0.1", port), ("127.0.0.2", port)]] * 2
    for each in opened:
        each.close()


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", b"127.0.0.1"), ("bücher", "bücher")])
def test_ascii_host_is_resolved_without_the_codec_of_other_names(monkeypatch, host, expected):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_args, **_options: asked.append(name))
    with pytest.raises(TypeError):  # the stand-in finds nothing
        open_listening_sockets(Endpoint("tcp", host=host, port=0), 1)
    assert asked == [expected]


def test_socket_file_is_removed_only_by_the_process_that_created_it(tmp_path):
    path = tmp_path / "socket"
    first, second = open_listening_sockets(Endpoint.parse(f"unix:{path}"), 2)
    second.close()
    assert path.exists()
    first.close()
    assert not path.exists()


@pytest.mark.parametrize("number", [0, -1])
def test_number_of_processes_below_one_is_an_error(number):
    with pytest.raises(ValueError, match="expected a number of processes from 1"):
        open_listening_sockets(ANY_PORT, number)


def test_inherited_descriptor_that_is_not_a_socket_is_an_error(tmp_path):
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="non-socket"):
        ListeningSockets.inherited(ANY_PORT, [os.dup(file.fileno())])


async def test_sockets_at_an_address_that_is_taken_raise_listen_failed():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = Endpoint("tcp", host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(ListenFailed, match="in use"):
            open_listening_sockets(endpoint, 2)


async def test_sockets_that_cannot_all_be_opened_are_closed(monkeypatch):
    opened = []
    bind = _listeners._bind

    def bind_two(*arguments, **options):
        if len(opened) == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        opened.append(bind(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(_listeners, "_bind", bind_two)
    with pytest.raises(ListenFailed, match="Too many open files"):
        open_listening_sockets(ANY_PORT, 3)
    assert [each.fileno() for each in opened] == [-1, -1]
