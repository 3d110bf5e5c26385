"""How connections end on real sockets: what the kernel still holds, and resets."""

import asyncio
import socket
import ssl

import pytest
import trustme
from kakuri_tcp import Connection, Endpoint, ServerLimits, ServerTLS, WriteTimeout, listen
from kakuri_tcp.testing import until

SIZE = 8_000_000


class Source(Connection):
    """Writes much, and reads nothing."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def opened(self):
        self.write(b"x" * self.size)


def open_peer(server, ca=None):
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    peer.settimeout(10)
    peer.connect((server.endpoint.host, server.endpoint.port))
    if ca is not None:
        context = ssl.create_default_context(cafile=str(ca))
        peer = context.wrap_socket(peer, server_hostname="localhost", suppress_ragged_eofs=False)
    return peer


def read(peer, size):
    received = 0
    while received < size and (data := peer.recv(size - received)):
        received += len(data)
    return received


@pytest.fixture(params=["plain", "tls"])
def options(request, tmp_path):
    """Endpoint, TLS of the server, authority for the client."""
    if request.param == "plain":
        return Endpoint.parse("127.0.0.1:0"), None, None
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pem = authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem
    pem.write_to_path(tmp_path / "server.pem")
    tls = ServerTLS(certificate=tmp_path / "server.pem")
    return Endpoint.parse("tls://127.0.0.1:0"), tls, tmp_path / "ca.pem"


async def test_peer_that_reads_from_the_kernels_buffer_restarts_the_write_timeout(options):
    """The peer reads less at a time than has to be free before the kernel accepts more output."""
    endpoint, tls, ca = options
    limits = ServerLimits(write_timeout=1000, idle_timeout=1000)
    made = []

    def factory():
        made.append(Source(SIZE))
        return made[-1]

    async with await listen(endpoint, factory, limits=limits, tls=tls) as server:
        peer = await asyncio.to_thread(open_peer, server, ca)
        await until(lambda: bool(made) and not made[0].is_closing)
        (connection,) = made
        connection.pause_writing()  # over TLS, asyncio accepts everything and never calls this
        now = asyncio.get_running_loop().time()
        connection.sweep(now)
        for _ in range(10):
            assert await asyncio.to_thread(read, peer, 300_000) == 300_000
            now += 900
            connection.sweep(now)
        assert not connection.is_closing
        for _ in range(2):
            now += 1001
            connection.sweep(now)
        assert isinstance(connection.fault, WriteTimeout)
        await until(lambda: not server.connections)
        peer.close()


@pytest.mark.parametrize(
    ("size", "end"), [(SIZE, "cut off"), (10, "clean")], ids=["unsent data", "nothing unsent"]
)
async def test_abort_with_unsent_data_is_a_reset(size, end, options):
    endpoint, tls, ca = options
    made = []

    def factory():
        made.append(Source(size))
        return made[-1]

    def rest(peer):
        try:
            while peer.recv(65_536):
                pass
        except (ConnectionResetError, ssl.SSLEOFError):
            return "cut off"
        return "clean"

    async with await listen(endpoint, factory, tls=tls) as server:
        peer = await asyncio.to_thread(open_peer, server, ca)
        await until(lambda: bool(made) and not made[0].is_closing)
        if size == 10:
            assert await asyncio.to_thread(read, peer, 10) == 10
        made[0].abort()
        got = await asyncio.to_thread(rest, peer)
        peer.close()
    if ca is None or end == "cut off":
        assert got == end  # else the end lacks a close_notify; not every TLS version reports that


async def test_abort_on_a_unix_socket_ends_the_stream(tmp_path):
    made = []

    def factory():
        made.append(Source(10_000_000))
        return made[-1]

    async with await listen(Endpoint.parse(f"unix:{tmp_path}/s"), factory) as server:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.setblocking(False)
            await asyncio.get_running_loop().sock_connect(peer, f"{tmp_path}/s")
            await until(lambda: bool(made) and made[0].unsent > 0)
            made[0].abort()
            await until(lambda: not server.connections)
            peer.setblocking(True)
            assert 0 < read(peer, 10_000_000) < 10_000_000
