"""Which responses, and which ends of the connection, let a client send another request on it."""

import pytest
from kakuri_http import (
    CONNECTION_CLOSED,
    NEED_DATA,
    ClientConnection,
    Data,
    EndOfMessage,
    Headers,
    LocalProtocolError,
    Request,
)

NEXT = Request("GET", "/next", Headers(), host="a")


def answered(response, *, method="GET", at_end=False):
    """Return a client's core that has read a response, and its events before the response ended.

    Args:
        response: the bytes that the server sends.
        method: of the request.
        at_end: whether the server ends the connection after them.
    """
    core = ClientConnection()
    core.send(Request(method, "/", Headers(), host="a"))
    core.receive_data(response)
    core.next_event()
    keeps = core.keep_alive
    if at_end:
        core.receive_eof()
    while isinstance(core.next_event(), Data):
        pass
    return core, keeps


@pytest.mark.parametrize(
    ("method", "response"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
def test_response_with_a_framed_end_leaves_the_connection_reusable(method, response):
    core, keeps = answered(response, method=method)
    assert keeps
    assert core.is_reusable
    assert core.send(NEXT).startswith(b"GET /next ")


@pytest.mark.parametrize(
    ("response", "at_end"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", False),
    ],
    ids=[
        "until the close",
        "until the close, kept",
        "close",
        "1.0",
        "1.0, kept",
        "close, no content",
    ],
)
def test_response_with_close_makes_the_connection_unusable_from_its_head_on(response, at_end):
    core, keeps = answered(response, at_end=at_end)
    assert not keeps
    assert not core.keep_alive
    assert not core.is_reusable
    with pytest.raises(LocalProtocolError):
        core.send(NEXT)


def test_end_of_the_connection_between_two_requests_leaves_it_unusable():
    core, _ = answered(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert core.next_event() is NEED_DATA
    assert core.is_reusable
    core.receive_eof()
    assert core.next_event() is CONNECTION_CLOSED
    assert not core.keep_alive
    assert not core.is_reusable
    with pytest.raises(LocalProtocolError):
        core.send(NEXT)


def test_request_with_close_makes_the_connection_unusable():
    core = ClientConnection()
    request = Request("GET", "/", Headers(), host="a")
    request.keep_alive = False
    core.send(request)
    assert not core.keep_alive
    core.receive_data(b"HTTP/1.1 204 No Content\r\n\r\n")
    core.next_event()
    assert isinstance(core.next_event(), EndOfMessage)
    assert not core.is_reusable
