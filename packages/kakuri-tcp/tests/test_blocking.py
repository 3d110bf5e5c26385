import select
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from kakuri_tcp import (
    ConnectFailed,
    Endpoint,
    EndpointError,
    IncompleteLine,
    LineTooLong,
    ListenFailed,
)
from kakuri_tcp.blocking import Connection, LineReader, Server, connect

LOCAL = Endpoint.parse("127.0.0.1:0")


@pytest.fixture
def ends():
    """Return two connected connections."""
    near, far = socket.socketpair()
    with Connection(near, "near") as client, Connection(far, "far") as server:
        yield client, server


def test_blocking_server_answers_each_line_of_a_client():
    def serve(server):
        with server.accept() as connection:
            for line in connection.reader():
                connection.send_line(line.upper())

    with Server(LOCAL, timeout=5) as server, ThreadPoolExecutor() as pool:
        serving = pool.submit(serve, server)
        with connect(server.endpoint, timeout=5) as connection:
            reader = connection.reader()
            connection.send(b"a\nb\r\nc")
            connection.send_line(b"d")
            assert [reader.read_line() for _ in range(3)] == [b"A", b"B", b"CD"]
            connection.send_eof()
            assert reader.read_line() is None
            assert reader.read_line() is None
            assert "open" in repr(connection)
        serving.result()
    assert "closed" in repr(server)
    assert "closed" in repr(connection)


@pytest.mark.parametrize("text", ["localhost:0", "unix:{}/x.sock"])
def test_blocking_server_serves_tcp_and_unix_endpoints(text, tmp_path):
    with Server(Endpoint.parse(text.format(tmp_path)), timeout=5) as server:
        with connect(server.endpoint, timeout=5) as client, server.accept() as connection:
            client.send_line(b"a")
            assert connection.reader().read_line() == b"a"
            assert connection.peer.startswith(("unix:pid=", "127.0.0.1:", "[::1]:"))
        assert "listening" in repr(server)


def test_blocking_reader_splits_lines_like_the_decoder(ends):
    client, server = ends
    client.send(b"toolong\n")
    with pytest.raises(LineTooLong):
        server.reader(limit=6).read_line()
    client.send(b"half")
    client.send_eof()
    with pytest.raises(IncompleteLine):
        LineReader(server).read_line()


def test_read_line_after_a_timeout_continues_the_line(ends):
    client, server = ends
    server._socket.settimeout(0.01)
    reader = server.reader()
    client.send(b"ha")
    with pytest.raises(TimeoutError):
        reader.read_line()
    client.send(b"lf\n")
    assert reader.read_line() == b"half"


@pytest.mark.parametrize("line", [b"a\nb", b"a\r"])
def test_send_line_with_a_line_end_raises_value_error(ends, line):
    with pytest.raises(ValueError, match="expected a line without its end"):
        ends[0].send_line(line)


@pytest.mark.parametrize("seconds", [0, 0.0, -1])
def test_timeout_that_has_passed_raises_timeout_error(ends, seconds):
    client, _ = ends
    client.set_timeout(seconds)
    with pytest.raises(TimeoutError):
        client.receive()
    with pytest.raises(TimeoutError):
        client.reader().read_line()
    with pytest.raises(TimeoutError):
        client.send(b"x" * 10_000_000)
    with Server(LOCAL, timeout=seconds) as listening, pytest.raises(TimeoutError):
        listening.accept()


def test_accept_without_a_connection_raises_timeout_error():
    with (
        Server(LOCAL, timeout=0.01) as server,
        pytest.raises(TimeoutError, match=r"within 0\.01 s"),
    ):
        server.accept()


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_accept_of_a_closed_server_raises_listen_failed(timeout):
    with Server("127.0.0.1:0", timeout=timeout) as server:
        pass
    with pytest.raises(ListenFailed, match="the server is closed"):
        server.accept()


def test_connect_failed_names_the_endpoint_and_the_reason(tmp_path):
    with Server(LOCAL) as server:
        with pytest.raises(ListenFailed, match="Address already in use"):
            Server(server.endpoint)
        gone = server.endpoint
    for endpoint, why in (
        (gone, "connection refused"),
        (Endpoint.unix(f"{tmp_path}/x"), "no such file or directory"),
    ):
        with pytest.raises(ConnectFailed, match=f"can't connect to {endpoint}: {why}"):
            connect(endpoint, timeout=5)


def test_blocking_server_at_a_tls_endpoint_raises_endpoint_error():
    with pytest.raises(EndpointError, match="to listen on, got 'tls://localhost:1'"):
        Server(Endpoint.parse("tls://localhost:1"))


def test_blocking_connection_has_input_once_data_or_the_end_has_arrived(ends):
    client, server = ends
    assert not client.has_input()
    server.send(b"x")
    assert client.has_input()
    assert client.receive() == b"x"
    assert not client.has_input()
    server.send_eof()
    assert client.has_input()
    assert client.receive() == b""


def test_receive_available_returns_what_has_arrived_without_waiting():
    with Server("127.0.0.1:0") as server, connect(server.endpoint) as client:
        with server.accept() as accepted:
            assert client.receive_available() is None
            accepted.send(b"hello")
            assert select.select([client._socket], [], [], 10)[0]
            assert client.receive_available() == b"hello"
        assert select.select([client._socket], [], [], 10)[0]
        assert client.receive_available() == b""


LONG_TIMEOUTS = [2_147_484, 4_294_968, 1e10, 1e300, float("inf")]
MAX_POLL_MILLISECONDS = 2**31


@pytest.mark.parametrize("seconds", LONG_TIMEOUTS)
def test_timeout_beyond_the_limit_of_poll_is_capped(seconds):
    ours, theirs = socket.socketpair()
    with Connection(ours, "the peer") as connection, theirs:
        connection.set_timeout(seconds)
        assert MAX_POLL_MILLISECONDS - 1000 < ours.gettimeout() * 1000 < MAX_POLL_MILLISECONDS
        connection.set_timeout(None)
        assert ours.gettimeout() is None


@pytest.mark.parametrize("seconds", LONG_TIMEOUTS)
def test_server_and_client_accept_a_timeout_beyond_the_limit_of_poll(seconds, tmp_path):
    for text in ("tcp://127.0.0.1:0", f"unix:{tmp_path}/s.sock"):
        with Server(text, timeout=seconds) as server:
            client = connect(server.endpoint, timeout=seconds)
            with client, server.accept() as accepted:
                client.send_line(b"a")
                assert accepted.reader().read_line() == b"a"


@pytest.mark.parametrize("seconds", ["5", True, float("nan")])
def test_server_with_a_wrong_timeout_leaves_no_socket_behind(tmp_path, seconds):
    with pytest.raises((TypeError, ValueError), match="expected seconds or None as timeout, got"):
        Server(f"unix:{tmp_path}/socket", timeout=seconds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", ["5", True, float("nan"), 10**400])
def test_wrong_timeout_of_a_connection_raises_type_or_value_error(seconds):
    with (
        Server("127.0.0.1:0", timeout=5) as server,
        connect(server.endpoint) as client,
        pytest.raises((TypeError, ValueError), match="seconds or None as seconds, got"),
    ):
        client.set_timeout(seconds)


def send_until_full(connection):
    connection.set_timeout(0.01)
    sent = 0
    while True:
        try:
            sent += connection.send_some(b"x" * 10_000)
        except TimeoutError:
            return sent


def test_outstanding_bytes_fall_while_the_peer_reads(ends):
    client, server = ends
    sent = send_until_full(client)
    full, _ = client.outstanding()
    while sent:
        sent -= len(server.receive())
    assert full > client.outstanding()[0] == 0
