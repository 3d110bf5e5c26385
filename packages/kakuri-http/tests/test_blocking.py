"""The blocking client, against a server in a thread."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import trustme
from kakuri_http import (
    ConnectFailed,
    ConnectionBroken,
    InvalidURL,
    LocalProtocolError,
    RequestTimeout,
    Response,
    Router,
    Timeouts,
    TooManyRedirects,
    UntrustedServer,
    blocking,
    serve,
)
from kakuri_http.blocking import BlockingClient
from kakuri_tcp import ClientTLS, LocalAccess, ServerTLS, _trusted_servers

from .raw_server import raw_server, read_head, reset


def router():
    table = Router()
    table.add("GET", "/small", lambda request: Response(200, b"small"))
    table.add("POST", "/echo", lambda request: Response(200, request.body))
    table.add("GET", "/pieces", lambda request: Response(200, [b"1\n", b"2\n"]))
    table.add("GET", "/close", lambda request: Response(200, b"x" * 100_000))
    table.add("GET", "/a", lambda request: Response(302, b"", headers={"Location": "/b"}))
    table.add("GET", "/b", lambda request: Response(302, b"", headers={"Location": "c?d=e"}))
    table.add("GET", "/c", lambda request: Response(200, request.query_string.encode()))
    table.add("GET", "/round", lambda request: Response(302, b"", headers={"Location": "/round"}))
    table.add("POST", "/see", lambda request: Response(303, b"", headers={"Location": "/small"}))
    table.add("POST", "/same", lambda request: Response(307, b"", headers={"Location": "/echo"}))

    async def never(request):
        await asyncio.Event().wait()

    table.add("GET", "/never", never)
    return table


@contextmanager
def serving(endpoint="127.0.0.1:0", **options):
    """Run a server in a thread of its own; yield its endpoint."""
    started, found = threading.Event(), {}

    async def main():
        found["loop"] = asyncio.get_running_loop()
        found["stop"] = asyncio.Event()
        async with await serve(endpoint, router(), **options) as server:
            found["endpoint"] = server.endpoint
            started.set()
            await found["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert started.wait(10)
        yield found["endpoint"]
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join()


@pytest.fixture(scope="module")
def endpoint():
    with serving() as where:
        yield where


def test_blocking_client_reuses_its_connection(endpoint):
    with BlockingClient() as client:
        url = f"http://{endpoint}"
        for _ in range(3):
            assert client.request("GET", f"{url}/small").body == b"small"
        assert client.request("HEAD", f"{url}/small").body == b""
        assert client.request("POST", f"{url}/echo", body=b"whole").body == b"whole"
        assert client.request("POST", f"{url}/echo", body=[b"in ", b"pieces"]).body == b"in pieces"
        asked = {"Expect": "100-continue"}
        assert client.request("POST", f"{url}/echo", body=b"asked", headers=asked).body == b"asked"
        assert client.request("POST", f"{url}/none", body=b"asked", headers=asked).status == 404
        assert repr(client) == "<BlockingClient 0 idle>"


def test_request_succeeds_if_another_thread_takes_its_idle_connection_immediately(endpoint):
    taken, may_end = threading.Event(), threading.Event()

    def hold_a_connection():
        with client.stream("GET", "/small"):
            taken.set()
            may_end.wait(10)

    other = threading.Thread(target=hold_a_connection)

    class TakenAtOnce(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            if not other.ident:
                other.start()
                taken.wait(0.2)  # it is not set if keeping a connection excludes other threads

    with BlockingClient(endpoint) as client:
        client._idle = TakenAtOnce()
        try:
            assert client.get("/small").body == b"small"
        finally:
            may_end.set()
            other.join()


def test_blocking_client_that_a_signal_handler_closes_completes_the_request(endpoint):
    bodies = []

    class Interrupted(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            client.close()  # as the handler of a signal that arrives now

    client = BlockingClient(endpoint)
    client._idle = Interrupted()
    request = threading.Thread(target=lambda: bodies.append(client.get("/small").body), daemon=True)
    request.start()
    request.join(5)
    assert bodies == [b"small"]
    assert repr(client) == "<BlockingClient 0 idle>"


def test_blocking_client_closes_connections_that_were_idle_for_too_long(endpoint):
    same = f"http://localhost:{endpoint.port}/small"
    with BlockingClient() as client:
        client.get(f"http://{endpoint}/small")
        (first,) = client._idle.values()
        client.get(same)
        assert len(client._idle) == 2
        first._idle_since -= 5
        client.get(same)
        assert repr(first._connection).endswith("closed>")
        assert len(client._idle) == 1


def test_blocking_client_keeps_a_bounded_number_of_connections(endpoint, monkeypatch):
    monkeypatch.setattr(blocking, "_MAX_IDLE", 1)
    with BlockingClient() as client:
        for host in (str(endpoint), f"localhost:{endpoint.port}", str(endpoint)):
            assert client.get(f"http://{host}/small").body == b"small"
            assert len(client._idle) == 1


def test_blocking_stream_yields_pieces_and_trailers(endpoint):
    with BlockingClient(endpoint) as client:
        with client.stream("GET", "/pieces") as response:
            assert b"".join(response) == b"1\n2\n"
        with client.stream("GET", "/close") as response:
            assert response.status == 200
        assert client.request("GET", "/small").body == b"small"


def test_blocking_client_of_a_unix_socket_gets_a_response(tmp_path):
    with serving(f"unix:{tmp_path}/s") as where, BlockingClient(where) as client:
        assert client.request("GET", "/small").body == b"small"


def test_unix_server_of_another_user_raises_untrusted_server(tmp_path, monkeypatch):
    monkeypatch.setattr(_trusted_servers, "unix_credentials", lambda connected: (1, 4711, 4711))
    everyone = LocalAccess(mode=0o666)  # the server sees the same user
    with serving(f"unix:{tmp_path}/s", local_access=everyone) as where:
        with BlockingClient(where) as client, pytest.raises(UntrustedServer) as caught:
            client.request("GET", "/small")
        assert caught.value.uid == 4711
        with BlockingClient(where, trusted_uids=[4711]) as client:
            assert client.request("GET", "/small").body == b"small"


def test_blocking_client_over_tls_verifies_the_server(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pem = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    pem.write_to_path(tmp_path / "server.pem")
    with serving("tls://127.0.0.1:0", tls=ServerTLS(certificate=tmp_path / "server.pem")) as where:
        url = f"https://127.0.0.1:{where.port}/small"
        with BlockingClient(tls=ClientTLS(ca=tmp_path / "ca.pem")) as client:
            assert client.request("GET", url).body == b"small"
            (first,) = client._idle.values()
            assert client.request("GET", url).body == b"small"
            assert list(client._idle.values()) == [first]
        with BlockingClient() as client, pytest.raises(ConnectFailed, match="certificate"):
            client.request("GET", url)


@pytest.mark.parametrize(
    ("timeouts", "phase"),
    [(Timeouts(read=0.05), "read"), (Timeouts(read=0), "read"), (Timeouts(total=0.05), "total")],
)
def test_blocking_timeout_names_its_phase(endpoint, timeouts, phase):
    with BlockingClient(endpoint, timeouts=timeouts) as client:
        with pytest.raises(RequestTimeout) as caught:
            client.request("GET", "/never")
        assert caught.value.phase == phase
        assert repr(client) == "<BlockingClient 0 idle>"


@pytest.mark.parametrize("piece", [b"X: a\r\n", b"", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_read_timeout_is_for_the_whole_head_however_it_arrives(piece):
    def answer(peer):
        read_head(peer)
        peer.sendall(b"" if piece.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            time.sleep(0.02)
            peer.sendall(piece or b"a")

    with raw_server(answer) as (url, _), BlockingClient(timeouts=Timeouts(read=0.1)) as client:
        with pytest.raises(RequestTimeout, match=r"did not respond within 0\.1 s") as caught:
            client.get(url)
        assert caught.value.phase == "read"


def test_blocking_total_timeout_covers_the_tls_handshake():
    def answer(peer):
        while peer.recv(4096):
            pass

    timeouts = Timeouts(total=0.1)
    with raw_server(answer) as (url, _), BlockingClient(timeouts=timeouts) as client:
        with pytest.raises(RequestTimeout) as caught:
            client.get(url.replace("http:", "https:"))
        assert caught.value.phase == "total"


def test_blocking_total_timeout_covers_all_redirects(endpoint):
    with BlockingClient(endpoint, timeouts=Timeouts(total=0.2)) as client:
        with pytest.raises(RequestTimeout) as caught:
            client.request("GET", "/round", redirects=1_000_000)
        assert caught.value.phase == "total"


def test_blocking_request_that_the_server_does_not_read_raises_write_timeout():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        BlockingClient(timeouts=Timeouts(write=0.1)) as client,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(RequestTimeout) as caught:
            client.request("POST", url, body=b"x" * (1 << 26))
        assert caught.value.phase == "write"


def test_blocking_client_follows_at_most_the_given_number_of_redirects(endpoint):
    with BlockingClient(endpoint) as client:
        assert client.request("GET", "/a").status == 302
        assert client.request("GET", "/a", redirects=2).body == b"d=e"
        with pytest.raises(TooManyRedirects) as caught:
            client.request("GET", "/round", redirects=3)
        assert len(caught.value.locations) == 3
        assert client.request("POST", "/see", body=b"x", redirects=1).body == b"small"
        assert client.request("POST", "/same", body=b"x", redirects=1).body == b"x"
        assert client.request("POST", "/same", body=[b"x"], redirects=1).status == 307


def test_blocking_request_that_is_not_valid_is_not_sent(endpoint):
    with BlockingClient(endpoint) as client:
        with pytest.raises(InvalidURL):
            client.request("GET", "/a b")
        with pytest.raises(LocalProtocolError):
            client.request("G\r\nT", "/")
        with pytest.raises(LocalProtocolError):
            client.request("GET", "/", headers={"X": "a\r\nb"})


def test_closed_blocking_client_sends_no_request_and_keeps_no_connection(endpoint):
    client = BlockingClient(endpoint)
    with client.stream("GET", "/small") as response:
        client.close()
        response.read()
    assert repr(client) == "<BlockingClient 0 idle>"
    with pytest.raises(ConnectFailed, match="the client is closed"):
        client.get("/small")


def test_blocking_client_of_a_closed_port_raises_connect_failed():
    with serving() as where, BlockingClient(where) as client:
        assert client.request("GET", "/small").status == 200
        stopped = where
    with BlockingClient(stopped) as client, pytest.raises(ConnectFailed):
        client.request("GET", "/small")


def test_blocking_connection_that_the_server_resets_is_broken_with_the_reason():
    def answer(peer):
        read_head(peer)
        reset(peer)

    with (
        raw_server(answer) as (url, _),
        BlockingClient() as client,
        pytest.raises(ConnectionBroken) as caught,
    ):
        client.request("GET", url)
    address = url.removeprefix("http://").rstrip("/")
    assert str(caught.value) == f"{address} did not complete its response: Connection reset by peer"


def test_blocking_idle_connection_that_the_server_closed_is_not_used():
    with BlockingClient() as client:
        with serving() as where:
            url = f"http://{where}/small"
            assert client.request("GET", url).status == 200
        with pytest.raises(ConnectFailed):
            client.request("GET", url)
