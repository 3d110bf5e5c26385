import asyncio
import ssl

import pytest
import trustme
from kakuri_tcp import (
    ClientTLS,
    ConnectFailed,
    Connection,
    Endpoint,
    LineClient,
    ListenFailed,
    RequestLost,
    ServerTLS,
    TLSSettingsError,
    blocking,
    listen,
    listen_lines,
)

LOCAL = Endpoint.parse("tls://localhost:0")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write an authority, and certificates of it for a server and a client, to files."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other-ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    client = authority.issue_cert("control-plane")
    client.private_key_pem.write_to_path(folder / "client.key")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    return folder


async def test_a_request_over_tls(files):
    tls = ServerTLS(certificate=files / "server.pem")
    async with (
        await listen_lines(LOCAL, bytes.upper, tls=tls) as server,
        LineClient(server.endpoint, tls=ClientTLS(ca=files / "ca.pem")) as client,
    ):
        assert str(server.endpoint) == f"tls://localhost:{server.endpoint.port}"
        assert await client.request(b"a" * 300_000, timeout=5) == b"A" * 300_000


async def test_a_blocking_connection_over_tls(files):
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


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        (ClientTLS(), "its certificate was not accepted: "),
        (ClientTLS(ca="other-ca.pem"), "its certificate was not accepted: "),
        (ClientTLS(ca="ca.pem", server_name="example.org"), "Hostname mismatch"),
    ],
)
async def test_a_server_that_cannot_prove_its_name_gets_nothing(files, monkeypatch, tls, why):
    monkeypatch.chdir(files)
    lines = []
    async with (
        await listen_lines(LOCAL, lines.append, tls=ServerTLS(certificate="server.pem")) as server,
        LineClient(server.endpoint, tls=tls) as client,
    ):
        with pytest.raises(ConnectFailed, match=why):
            await client.request(b"a", timeout=5)
    assert lines == []


async def test_a_client_certificate_is_asked_for_and_checked(files):
    server_tls = ServerTLS(certificate=files / "server.pem", client_ca=files / "ca.pem")
    known = ClientTLS(
        ca=files / "ca.pem", certificate=files / "client.pem", key=files / "client.key"
    )
    async with await listen_lines(LOCAL, bytes.upper, tls=server_tls) as server:
        async with LineClient(server.endpoint, tls=known) as client:
            assert await client.request(b"a", timeout=5) == b"A"
        async with LineClient(server.endpoint, tls=ClientTLS(ca=files / "ca.pem")) as client:
            # In TLS 1.3 the client is done with its handshake before the server has refused.
            with pytest.raises((ConnectFailed, RequestLost)):
                await client.request(b"a", timeout=5)
    assert server.counters.handshakes_failed == 1


async def test_plain_bytes_on_a_tls_port_are_refused(files):
    async with (
        await listen_lines(
            LOCAL, bytes.upper, tls=ServerTLS(certificate=files / "server.pem")
        ) as server,
        LineClient(Endpoint.tcp("localhost", server.endpoint.port)) as client,
    ):
        with pytest.raises(RequestLost):
            await client.request(b"longer than the head of a TLS record", timeout=5)
    assert server.counters.handshakes_failed == 1


async def test_a_tls_client_on_a_plain_port_fails_to_connect():
    class Greeting(Connection):
        def opened(self):
            self.write(b"220 no TLS is spoken here\r\n")

    async with (
        await listen(Endpoint.parse("localhost:0"), Greeting) as server,
        LineClient(Endpoint.tls("localhost", server.endpoint.port)) as client,
    ):
        with pytest.raises(ConnectFailed, match="the TLS handshake failed"):
            await client.request(b"a", timeout=5)


async def test_a_tls_endpoint_needs_a_certificate_and_no_other_takes_one(files):
    with pytest.raises(ListenFailed, match="there is no certificate for it"):
        await listen_lines(LOCAL, bytes.upper)
    with pytest.raises(ListenFailed, match="there is a certificate for it"):
        await listen_lines(
            Endpoint.parse("localhost:0"),
            bytes.upper,
            tls=ServerTLS(certificate=files / "server.pem"),
        )


def test_files_that_cannot_be_used_are_named(files, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for settings in (
        ServerTLS(certificate=files / "missing.pem"),
        ServerTLS(certificate=files / "client.pem"),
        ServerTLS(certificate=files / "client.pem", key=files / "server.pem"),
        ServerTLS(certificate=files / "server.pem", client_ca=tmp_path / "empty.pem"),
        ClientTLS(ca=files / "missing.pem"),
    ):
        with pytest.raises(TLSSettingsError, match=r"^expected .* in '.*\.pem', but "):
            settings.context()


def test_the_defaults_are_sane(files):
    server = ServerTLS(certificate=files / "server.pem", alpn=("http/1.1",)).context()
    client = ClientTLS().context()
    for context in (server, client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
    assert client.verify_mode == ssl.CERT_REQUIRED
    assert client.check_hostname
