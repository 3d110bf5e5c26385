"""Exchanges, persistence and content of the server's core, on its fast and its general path."""

import pytest
from kakuri_http import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Headers,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
)


def asked(method="GET", version="1.1", fields=""):
    """Return a core that has received a request without content, to its end."""
    connection = ServerConnection()
    connection.receive_data(f"{method} / HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode())
    drain(connection)
    return connection


def drain(connection):
    while not isinstance(
        connection.next_event(), (type(NEED_DATA), type(PAUSED), ConnectionClosed)
    ):
        pass


def pieces():
    yield b"x"


WAYS = {
    "bytes": lambda core: [core.send(Response(200, b"x"))],
    "no content": lambda core: [core.send(Response(204))],
    "own field": lambda core: [core.send(Response(200, b"x", headers={"x": "y"}))],
    "stream": lambda core: [
        core.send(Response(200, pieces())), core.send(Data(b"x")), core.send(EndOfMessage())
    ],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_exchanges_are_counted_when_both_messages_have_ended(way):
    connection = asked()
    for number in range(1, 4):
        WAYS[way](connection)
        assert connection.exchanges == number
        connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        drain(connection)


@pytest.mark.parametrize("way", WAYS)
def test_response_before_the_end_of_the_request_does_not_end_the_exchange(way):
    connection = ServerConnection()
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
    drain(connection)
    WAYS[way](connection)
    assert connection.exchanges == 0
    connection.receive_data(b"y")
    drain(connection)
    assert connection.exchanges == 1


def test_client_counts_exchanges():
    connection = ClientConnection()
    for number in range(1, 3):
        connection.send(Request("GET", "/", Headers(), host="a"))
        assert connection.exchanges == number - 1
        connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        drain(connection)
        assert connection.exchanges == number


@pytest.mark.parametrize("way", WAYS)
def test_response_to_head_has_fields_and_no_content(way):
    sent = b"".join(WAYS[way](asked("HEAD")))
    assert sent.endswith(b"\r\n\r\n")
    assert sent.count(b"\r\n\r\n") == 1
    assert b"HTTP/1.1 20" in sent


def test_response_after_one_without_content_has_its_content():
    connection = asked("HEAD")
    WAYS["stream"](connection)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    drain(connection)
    assert b"".join(WAYS["stream"](connection)).endswith(b"1\r\nx\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("version", "fields", "way", "option", "keeps"),
    [
        ("1.1", "", "bytes", b"", True),
        ("1.1", "Connection: close\r\n", "bytes", b"Connection: close\r\n", False),
        ("1.0", "", "bytes", b"Connection: close\r\n", False),
        ("1.0", "Connection: keep-alive\r\n", "bytes", b"Connection: keep-alive\r\n", True),
        ("1.0", "Connection: keep-alive\r\n", "stream", b"Connection: close\r\n", False),
    ],
)
def test_connection_persists_as_version_fields_and_content_allow(
    version, fields, way, option, keeps
):
    connection = asked(version=version, fields=fields)
    sent = b"".join(WAYS[way](connection))
    assert connection.keep_alive == keeps
    assert (option in sent) if option else (b"Connection:" not in sent)
    assert (b"Transfer-Encoding: chunked" in sent) == (way == "stream" and version == "1.1")


def test_second_response_to_a_request_raises_local_protocol_error():
    connection = asked()
    connection.send(Response(200, pieces()))
    with pytest.raises(
        LocalProtocolError, match="response can't be sent: the response is in state 'body'"
    ):
        connection.send(Response(200, b"x"))


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_client_that_sent_connection_close_does_not_reuse_the_connection(sent):
    for keep_alive in (True, False):
        connection = ClientConnection()
        request = Request("GET", "/", Headers(), host="a")
        request.keep_alive = keep_alive
        head = connection.send(request)
        assert (b"Connection: close" in head) == (not keep_alive)
        connection.receive_data(sent)
        drain(connection)
        assert connection.is_reusable == keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",  # a TLS client
        b"GET\x00/ HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
    ],
)
def test_bytes_that_cannot_begin_the_next_line_are_rejected_before_its_end(data):
    connection = ServerConnection()
    for byte in data:
        connection.receive_data(bytes([byte]))
    with pytest.raises(RemoteProtocolError):
        drain(connection)


@pytest.mark.parametrize("part", [b"GET /", b"GET / HTTP/1.1\r\nHos", b"GET / HTTP/1.1\r\nX: \t"])
def test_unfinished_head_that_may_still_be_valid_is_waited_for(part):
    connection = ServerConnection()
    connection.receive_data(part)
    drain(connection)
    assert connection.head_has_begun
