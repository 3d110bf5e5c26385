import asyncio
import contextlib
import socket
import ssl
import threading

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from kakuri_tcp import (
    ClientTLS,
    ConnectFailed,
    Connection,
    ConnectionLost,
    Endpoint,
    EndpointError,
    LineClient,
    LineServerLimits,
    ListenFailed,
    RequestLost,
    ServerTLS,
    TLSSettingsError,
    blocking,
    connect,
    listen,
    listen_lines,
)
from kakuri_tcp._tls import cached_context, tls_for
from kakuri_tcp.testing import until

LOCAL = Endpoint.parse("tls://localhost:0")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write an authority, and certificates of it for a server and a client, to files."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    trustme.CA().cert_pem.write_to_path(directory / "other-ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        directory / "server.pem"
    )
    authority.issue_cert(
        "operator@example.org", common_name="localhost"
    ).private_key_and_cert_chain_pem.write_to_path(directory / "subject-only.pem")
    client = authority.issue_cert("control-plane")
    client.private_key_pem.write_to_path(directory / "client.key")
    client.cert_chain_pems[0].write_to_path(directory / "client.pem")
    return directory


async def test_request_over_tls_is_answered(files):
    tls = ServerTLS(certificate=files / "server.pem")
    async with (
        await listen_lines(LOCAL, bytes.upper, tls=tls) as server,
        LineClient(server.endpoint, tls=ClientTLS(ca=files / "ca.pem")) as client,
    ):
        assert str(server.endpoint) == f"tls://localhost:{server.endpoint.port}"
        assert await client.request(b"a" * 300_000, timeout=5) == b"A" * 300_000


async def test_client_that_paused_reading_receives_all_that_a_closing_server_sent(files):
    class Slow(Connection):
        def __init__(self):
            super().__init__()
            self.size, self.ends = 0, []

        def data_received(self, data):
            self.size += len(data)
            self.pause_reading()
            asyncio.get_running_loop().call_later(0.05, self.resume_reading)

        def receive_eof(self):
            self.ends.append("eof")
            super().receive_eof()

        def closed(self, fault):
            self.ends.append(fault)

    def send_and_close(listener):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files / "server.pem")
        with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
            peer.sendall(b"x" * 200_000)
            peer.settimeout(0)  # not waiting for the client's close_notify
            with contextlib.suppress(OSError):
                peer.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sending = asyncio.create_task(asyncio.to_thread(send_and_close, listener))
        endpoint = Endpoint.tls("localhost", listener.getsockname()[1])
        slow = await connect(endpoint, Slow, tls=ClientTLS(ca=files / "ca.pem"))
        await sending
        await until(lambda: len(slow.ends) == 2)
    assert slow.size == 200_000
    assert slow.ends == ["eof", None]


async def test_blocking_connection_over_tls_is_answered(files):
    def ask(endpoint, trust):
        with blocking.connect(endpoint, timeout=5, tls=trust) as connection:
            connection.set_timeout(4)
            connection.send_line(b"hello")
            return connection.reader().read_line()

    tls = ServerTLS(certificate=files / "server.pem")
    async with await listen_lines(LOCAL, bytes.upper, tls=tls) as server:
        trusting = ClientTLS(ca=files / "ca.pem")
        assert await asyncio.to_thread(ask, server.endpoint, trusting) == b"HELLO"
        with pytest.raises(ConnectFailed, match="its certificate was not accepted"):
            await asyncio.to_thread(ask, server.endpoint, None)


def test_blocking_stream_that_ends_without_close_notify_raises_connection_lost(files):
    def serve():
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            connection.recv(1)
            connection.sendall(b"part of a li")

    context = ServerTLS(certificate=files / "server.pem").context()
    with socket.create_server(("localhost", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        endpoint = Endpoint.tls("localhost", listener.getsockname()[1])
        with blocking.connect(
            endpoint, timeout=5, tls=ClientTLS(ca=files / "ca.pem")
        ) as connection:
            connection.send(b"a")
            with pytest.raises(ConnectionLost, match="closed TLS without close_notify"):
                connection.reader().read_line()
        thread.join()


@pytest.mark.parametrize(
    ("tls", "certificate", "why"),
    [
        (ClientTLS(), "server.pem", "its certificate was not accepted: "),
        (ClientTLS(ca="other-ca.pem"), "server.pem", "its certificate was not accepted: "),
        (ClientTLS(ca="ca.pem", server_name="example.org"), "server.pem", "Hostname mismatch"),
        (ClientTLS(ca="ca.pem"), "subject-only.pem", "Hostname mismatch"),
    ],
)
async def test_server_with_another_name_receives_nothing(files, monkeypatch, tls, certificate, why):
    monkeypatch.chdir(files)
    lines = []
    async with (
        await listen_lines(LOCAL, lines.append, tls=ServerTLS(certificate=certificate)) as server,
        LineClient(server.endpoint, tls=tls) as client,
    ):
        with pytest.raises(ConnectFailed, match=why):
            await client.request(b"a", timeout=5)
    assert lines == []


def test_certificate_of_a_server_is_compared_with_its_address_without_zone():
    assert tls_for(Endpoint.tls("fe80::1%lo", 1), None)[1] == "fe80::1"


def test_certificate_of_a_server_is_compared_with_an_absolute_name_without_its_dot():
    assert tls_for(Endpoint.tls("example.com.", 1), None)[1] == "example.com"
    named = ClientTLS(server_name="example.org.")
    assert tls_for(Endpoint.tls("example.com", 1), named)[1] == "example.org"


async def test_client_certificate_is_required_and_verified(files):
    server_tls = ServerTLS(certificate=files / "server.pem", client_ca=files / "ca.pem")
    known = ClientTLS(
        ca=files / "ca.pem", certificate=files / "client.pem", key=files / "client.key"
    )
    async with await listen_lines(LOCAL, bytes.upper, tls=server_tls) as server:
        async with LineClient(server.endpoint, tls=known) as client:
            assert await client.request(b"a", timeout=5) == b"A"
        async with LineClient(server.endpoint, tls=ClientTLS(ca=files / "ca.pem")) as client:
            # In TLS 1.3, the client completes its handshake before the server can refuse it.
            with pytest.raises((ConnectFailed, RequestLost)):
                await client.request(b"a", timeout=5)
    assert server.counters.handshakes_failed == 1


async def test_plain_text_on_a_tls_port_raises_request_lost(files):
    async with (
        await listen_lines(
            LOCAL, bytes.upper, tls=ServerTLS(certificate=files / "server.pem")
        ) as server,
        LineClient(Endpoint.tcp("localhost", server.endpoint.port)) as client,
    ):
        with pytest.raises(RequestLost):
            await client.request(b"longer than the head of a TLS record", timeout=5)
    assert server.counters.handshakes_failed == 1


async def test_tls_client_on_a_plain_port_raises_connect_failed():
    class Greeting(Connection):
        def opened(self):
            self.write(b"220 no TLS is spoken here\r\n")

    async with (
        await listen(Endpoint.parse("localhost:0"), Greeting) as server,
        LineClient(Endpoint.tls("localhost", server.endpoint.port)) as client,
    ):
        with pytest.raises(ConnectFailed, match="the TLS handshake failed"):
            await client.request(b"a", timeout=5)


async def test_failed_handshake_error_says_whether_the_server_closed_or_timed_out():
    class Closing(Connection):
        def data_received(self, data):
            self.close()

    for factory, timeout, why in (
        (Closing, 5, "the peer closed the connection during the TLS handshake"),
        (Connection, 0.05, "it took longer than 0.05 s"),
    ):
        async with await listen(Endpoint.parse("localhost:0"), factory) as server:
            endpoint = Endpoint.tls("localhost", server.endpoint.port)
            message = f"^can't connect to {endpoint}: {why}$"
            with pytest.raises(ConnectFailed, match=message):
                await connect(endpoint, Connection, timeout=timeout)
            with pytest.raises(ConnectFailed, match=message):
                await asyncio.to_thread(blocking.connect, endpoint, timeout=timeout)


async def test_tls_settings_and_tls_endpoint_require_each_other(files):
    with pytest.raises(ListenFailed, match="tls:// needs a certificate"):
        await listen_lines(LOCAL, bytes.upper)
    with pytest.raises(ListenFailed, match="TLS settings need tls://"):
        await listen_lines(
            Endpoint.parse("localhost:0"),
            bytes.upper,
            tls=ServerTLS(certificate=files / "server.pem"),
        )


def test_invalid_tls_files_raise_an_error_with_their_path(files, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for settings in (
        ServerTLS(certificate=files / "missing.pem"),
        ServerTLS(certificate=files / "client.pem"),
        ServerTLS(certificate=files / "client.pem", key=files / "server.pem"),
        ServerTLS(certificate=files / "server.pem", client_ca=tmp_path / "empty.pem"),
        ClientTLS(ca=files / "missing.pem"),
    ):
        with pytest.raises(TLSSettingsError, match=r"^can't load .* from '.*\.pem': "):
            settings.context()


def test_encrypted_key_raises_tls_settings_error_without_a_prompt(files):
    key = serialization.load_pem_private_key((files / "client.key").read_bytes(), password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (files / "encrypted.key").write_bytes(encrypted)
    with pytest.raises(TLSSettingsError, match="the key is encrypted"):
        ClientTLS(certificate=files / "client.pem", key=files / "encrypted.key").context()


async def test_handshake_that_does_not_complete_is_closed_after_its_timeout(files):
    limits = LineServerLimits(handshake_timeout=0.05)
    tls = ServerTLS(certificate=files / "server.pem")
    async with await listen_lines(LOCAL, bytes.upper, limits=limits, tls=tls) as server:
        with socket.create_connection(("localhost", server.endpoint.port)):
            await until(lambda: server.connections == 1)
            await until(lambda: server.counters.handshakes_failed == 1)
            assert server.connections == 0


async def test_drain_closes_connections_in_a_handshake(files):
    tls = ServerTLS(certificate=files / "server.pem")
    server = await listen_lines(LOCAL, bytes.upper, tls=tls)
    with socket.create_connection(("localhost", server.endpoint.port)):
        await until(lambda: server.connections == 1)
        assert await server.drain(5) == 0


async def test_end_of_a_tls_stream_closes_the_connection(files):
    """asyncio has no half-closed TLS: immediate replies still arrive, later ones do not."""
    tls = ServerTLS(certificate=files / "server.pem")

    async def later(line):
        await asyncio.Event().wait()

    def handler(line):
        return b"now" if line == b"now" else later(line)

    async with await listen_lines(LOCAL, handler, tls=tls) as server:
        reader, writer = await asyncio.open_connection(
            "localhost", server.endpoint.port, ssl=ClientTLS(ca=files / "ca.pem").context()
        )
        writer.write(b"now\nlater\n")
        assert await reader.readline() == b"now\n"
        writer.close()
        await writer.wait_closed()
        await until(lambda: server.connections == 0)


async def test_client_tls_with_a_plain_endpoint_raises_endpoint_error(files):
    plain = Endpoint.tcp("localhost", 1)
    trust = ClientTLS(ca=files / "ca.pem")
    for use in (LineClient, blocking.connect):
        with pytest.raises(
            EndpointError, match="expected tls:// with TLS settings, got 'localhost:1'"
        ):
            use(plain, tls=trust)
    with pytest.raises(EndpointError):
        await connect(plain, Connection, timeout=1, tls=trust)
    with pytest.raises(TLSSettingsError):
        LineClient(LOCAL, tls=ClientTLS(ca=files / "missing.pem"))


def test_client_context_is_cached_until_a_file_changes(files, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_bytes((files / "ca.pem").read_bytes())
    first = cached_context(ClientTLS(ca=authority))
    assert cached_context(ClientTLS(ca=authority)) is first
    authority.write_bytes((files / "other-ca.pem").read_bytes() + b"\n")
    assert cached_context(ClientTLS(ca=authority)) is not first


def test_tls_contexts_require_tls_1_2_and_verify(files):
    server = ServerTLS(certificate=files / "server.pem", alpn=("http/1.1",)).context()
    client = ClientTLS().context()
    for context in (server, client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
    assert client.verify_mode == ssl.CERT_REQUIRED
    assert client.check_hostname
