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
    State,
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


def test_client_counts_an_exchange_when_its_response_is_complete():
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


CUT_OFF = {
    "head": b"GET / HTTP/1.1\r\nHo",
    "content": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx",
}
FAULTY = {
    "head": b"GET /\r\n\r\n",
    "content": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("place", ["head", "content"])
@pytest.mark.parametrize("is_cut_off", [False, True])
def test_fault_of_the_client_is_raised_once_and_ends_the_connection(place, is_cut_off):
    connection = ServerConnection()
    connection.receive_data((CUT_OFF if is_cut_off else FAULTY)[place])
    if is_cut_off:
        connection.receive_eof()
    with pytest.raises(RemoteProtocolError):
        drain(connection)
    assert (connection.request_state, connection.keep_alive) == (State.ERROR, False)
    for _ in range(2):
        assert isinstance(connection.next_event(), ConnectionClosed)


@pytest.mark.parametrize("place", ["head", "content", "before any request"])
@pytest.mark.parametrize("is_cut_off", [False, True])
def test_fault_of_the_server_is_raised_once_and_ends_the_connection(place, is_cut_off):
    connection = ClientConnection()
    data = b"HTTP/1.1 200 OK\r\n"
    if place != "before any request":
        connection.send(Request("GET", "/", Headers(), host="a"))
    if place == "content":
        data += b"Transfer-Encoding: chunked\r\n\r\n"
    connection.receive_data(data + (b"1" if is_cut_off else b"x: \0\r\n"))
    if is_cut_off:
        connection.receive_eof()
    with pytest.raises(RemoteProtocolError):
        drain(connection)
    assert (connection.response_state, connection.keep_alive) == (State.ERROR, False)
    for _ in range(2):
        assert isinstance(connection.next_event(), ConnectionClosed)


@pytest.mark.parametrize(
    "begun", [b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"]
)
def test_connection_that_closes_within_a_head_raises_remote_protocol_error(begun):
    connection = ServerConnection()
    connection.receive_data(begun)
    connection.receive_eof()
    with pytest.raises(RemoteProtocolError, match="before the end of a request's head"):
        connection.next_event()


@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_connection_that_closes_between_requests_returns_connection_closed(before):
    connection = ServerConnection()
    connection.receive_data(before)
    connection.receive_eof()
    assert isinstance(connection.next_event(), ConnectionClosed)


@pytest.mark.parametrize("value", ["200-maybe", "100-continue, x", "100-continue\r\nExpect: x"])
def test_unknown_expectation_is_rejected_with_417(value):
    connection = ServerConnection()
    connection.receive_data(f"GET / HTTP/1.1\r\nHost: a\r\nExpect: {value}\r\n\r\n".encode())
    with pytest.raises(RemoteProtocolError, match="expected 100-continue as expectation") as caught:
        connection.next_event()
    assert (caught.value.status, caught.value.code) == (417, "expectation_failed")


@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_expect_100_continue_is_recognized_from_http_1_1_on(value, version):
    connection = ServerConnection()
    head = f"GET / HTTP/{version}\r\nHost: a\r\nExpect: {value}\r\n\r\n"
    connection.receive_data(head.encode())
    assert connection.next_event().expects_continue is (version == "1.1")


def test_request_with_less_content_than_it_announces_raises_local_protocol_error():
    request = Request("POST", "/", Headers(), host="a", length=2)
    request.body = b"x"
    with pytest.raises(LocalProtocolError, match="expected a body of 2 bytes, got 1"):
        ClientConnection().send(request)


@pytest.mark.parametrize("name", ["content-length", "Transfer-Encoding", "Host"])
def test_trailer_that_belongs_to_the_head_raises_local_protocol_error(name):
    connection = asked()
    connection.send(Response(200, pieces()))
    with pytest.raises(LocalProtocolError, match="may not be a trailer"):
        connection.send(EndOfMessage(Headers({name: "1"})))


@pytest.mark.parametrize("part", [b"GET / HT", b"GET / HTTP/1.1\r\nX: " + b"y" * 100 + b"\r\nZ"])
def test_dropped_input_is_not_buffered(part):
    connection = ServerConnection()
    connection.receive_data(part)
    drain(connection)
    assert connection.held == len(part) or connection.held > connection.buffered
    connection.drop_input()
    assert (connection.held, connection.buffered, connection.keep_alive) == (0, 0, False)


def test_idle_connection_is_released_and_its_buffers_are_freed():
    connection = asked()
    assert not connection.release_if_idle()  # it owes a response
    connection.send(Response(200, b"x"))
    assert connection.release_if_idle()
    assert (connection.buffered, connection.held) == (0, 0)
    connection.receive_data(b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
    assert connection.next_event().path == "/again"


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_connection_with_a_begun_request_is_not_released(part):
    connection = ServerConnection()
    connection.receive_data(part)
    assert not connection.release_if_idle()
    drain(connection)
    assert not connection.release_if_idle()
    connection.receive_data((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")[len(part) :])
    assert isinstance(connection.next_event(), Request)


def test_connection_that_the_client_has_closed_is_not_released():
    connection = ServerConnection()
    connection.receive_eof()
    assert not connection.release_if_idle()


@pytest.mark.parametrize("received", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_connection_that_the_client_ended_between_requests_is_closed(received):
    connection = ServerConnection()
    connection.receive_data(received)
    drain(connection)
    if received:
        connection.send(Response(204))
    connection.receive_eof()
    for _ in range(2):
        assert isinstance(connection.next_event(), ConnectionClosed)
        assert connection.request_state is State.CLOSED


def test_repr_of_a_core_shows_both_states():
    server = ServerConnection()
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.next_event()
    assert repr(server) == "<ServerConnection request BODY, response IDLE>"
