import asyncio
import errno
import socket
import ssl
import sys
from types import ModuleType

import pytest
from kakuri_tcp import (
    ConnectFailed,
    Connection,
    Endpoint,
    EndpointError,
    LineClient,
    blocking,
    connect,
    listen,
    listen_lines,
)
from kakuri_tcp._connect import is_self_connected
from kakuri_tcp._reasons import reason_of
from kakuri_tcp.testing import FaultProxy

LOCAL = Endpoint.parse("127.0.0.1:0")


class Quiet(Connection):
    def data_received(self, data):
        self.made_progress = True


async def unused(host="127.0.0.1"):
    """Return an endpoint whose port is closed."""
    async with await listen(Endpoint.tcp(host, 0), Quiet) as server:
        return server.endpoint


async def failure(endpoint, *, timeout=5.0):
    with pytest.raises(ConnectFailed, match=r"^can't connect to .*: ") as caught:
        await connect(endpoint, Quiet, timeout=timeout)
    assert caught.value.endpoint == str(endpoint)
    return caught.value.reason


async def test_connect_to_a_closed_port_raises_connect_failed():
    assert await failure(await unused()) == "connection refused"


async def test_connect_to_a_name_without_a_listener_raises_connect_failed():
    assert await failure(await unused("localhost")) == "connection refused"


async def test_connect_to_a_missing_socket_file_raises_connect_failed(tmp_path):
    assert await failure(Endpoint.unix(f"{tmp_path}/x")) == "no such file or directory"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name was not found: Name or"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b, [Errno 111] c"), "connection refused and network is unreachable"),
        (OSError("something else"), "something else"),
        (ssl.SSLError(1, "no number"), "the TLS handshake failed: "),
    ],
)  # fmt: skip
def test_reason_of_an_error_is_the_message_of_the_system(error, reason):
    assert reason_of(error).startswith(reason)


def test_reason_does_not_depend_on_a_module_that_another_thread_is_importing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ssl", ModuleType("ssl"))
    error = OSError(errno.ENOTCONN, "…")
    assert reason_of(error) == "transport endpoint is not connected"


async def test_connect_to_a_full_backlog_fails_by_timeout():
    """The listener never accepts, and its queue for one is full, so the kernel does not respond."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        endpoint = Endpoint.tcp("127.0.0.1", listener.getsockname()[1])
        with socket.socket() as first, socket.socket() as second:
            for peer in (first, second):
                peer.settimeout(0)
                peer.connect_ex(("127.0.0.1", endpoint.port))
            assert await failure(endpoint, timeout=0.05) == "it took longer than 0.05 s"


async def test_connection_to_itself_is_recognized():
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.connect(alone.getsockname())
        alone.settimeout(0)
        transport, _ = await asyncio.get_running_loop().create_connection(Quiet, sock=alone.dup())
        assert is_self_connected(transport)
        transport.abort()
    async with await listen(LOCAL, Quiet) as server:
        peer = await connect(server.endpoint, Quiet, timeout=5)
        assert not is_self_connected(peer._transport)
        peer.abort()


@pytest.mark.parametrize("endpoint", [9000, ("127.0.0.1", 9000), None, b"127.0.0.1:9000"])
async def test_endpoint_of_wrong_type_raises_type_error_that_shows_the_form(endpoint):
    expected = "expected an endpoint such as '127.0.0.1:9000', got"
    for call in (
        lambda: LineClient(endpoint),
        lambda: blocking.connect(endpoint),
        lambda: blocking.Server(endpoint),
        lambda: FaultProxy(endpoint),
    ):
        with pytest.raises(TypeError, match=expected):
            call()
    for call in (
        lambda: connect(endpoint, Connection),
        lambda: listen(endpoint, Connection),
        lambda: listen_lines(endpoint, lambda line: line),
    ):
        with pytest.raises(TypeError, match=expected):
            await call()


async def test_text_is_accepted_wherever_an_endpoint_is():
    async with (
        await listen_lines("127.0.0.1:0", lambda line: line) as server,
        FaultProxy(str(server.endpoint)) as proxy,
        LineClient(str(proxy.endpoint)) as client,
    ):
        assert await client.request(b"x") == b"x"
        (await connect(str(server.endpoint), Connection)).close()
        with blocking.connect(str(server.endpoint)) as connection:
            assert connection.peer == str(server.endpoint)
    async with await listen("127.0.0.1:0", Connection) as server:
        assert server.endpoint.port
    with blocking.Server("127.0.0.1:0") as server:
        assert server.endpoint.port


async def test_text_that_is_not_an_endpoint_raises_endpoint_error():
    with pytest.raises(EndpointError, match="expected HOST:PORT"):
        LineClient("nowhere")
    with pytest.raises(EndpointError, match="expected HOST:PORT"):
        await listen_lines("nowhere", lambda line: line)


@pytest.mark.parametrize("tls", [True, {}, "ca.pem"])
async def test_tls_settings_of_the_wrong_type_raise_type_error(tls):
    with pytest.raises(TypeError, match="expected ClientTLS as tls, got"):
        await connect(Endpoint.tls("127.0.0.1", 1), Connection, timeout=1.0, tls=tls)


@pytest.mark.parametrize("line", ["text", 5, None, bytearray(b"x")])
async def test_request_line_that_is_not_bytes_raises_type_error(line):
    async with LineClient(Endpoint.tcp("127.0.0.1", 1)) as client:
        with pytest.raises(TypeError, match="expected bytes as a request line, got"):
            await client.request(line, timeout=1.0)


def test_line_client_used_in_another_event_loop_raises_runtime_error():
    client = LineClient(Endpoint.tcp("127.0.0.1", 1))

    async def ask():
        with pytest.raises(ConnectFailed):
            await client.request(b"x", timeout=1.0)

    asyncio.run(ask())
    for use in (ask, client.close):
        with pytest.raises(RuntimeError, match="one client per loop"):
            asyncio.run(use())


async def test_connection_to_itself_raises_connect_failed(monkeypatch):
    monkeypatch.setattr("kakuri_tcp._connect.is_self_connected", lambda transport: True)
    async with await listen("127.0.0.1:0", Connection) as server:
        with pytest.raises(ConnectFailed, match="refused"):
            await connect(server.endpoint, Connection, timeout=5)
