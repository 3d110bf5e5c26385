"""Every limit on a message accepts a message of exactly that size and none larger."""

import pytest
from kakuri_http import (
    NEED_DATA,
    ClientConnection,
    Data,
    EndOfMessage,
    Headers,
    Limits,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
)
from kakuri_http._events import InterimResponse

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REST = b"\r\nHost: a\r\n\r\n"


def request_line(size):
    return b"GET /" + b"a" * (size - 14) + b" HTTP/1.1" + REST


def field_line(size):
    return b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (size - 3) + b"\r\n\r\n"


def fields(number):
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * (number - 1) + b"\r\n"


def head(size):
    start = b"GET / HTTP/1.1\r\nHost: a\r\n"
    lines = (size - len(start)) // 10
    last = size - len(start) - 10 * (lines - 1)
    return start + b"X: 56789\r\n" * (lines - 1) + b"X: " + b"y" * (last - 5) + b"\r\n\r\n"


def body(size):
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def chunked_body(size):
    return CHUNKED + b"1\r\nx\r\n" * size + b"0\r\n\r\n"


def chunk_line(size):
    return CHUNKED + b"1;" + b"x" * (size - 2) + b"\r\nx\r\n0\r\n\r\n"


def chunk_extensions(size):
    line = b"1;" + b"x" * 9  # ten bytes of extensions
    return CHUNKED + (line + b"\r\nx\r\n") * (size // 10) + b"0\r\n\r\n"


def trailers(number):
    return CHUNKED + b"0\r\n" + b"X: y\r\n" * number + b"\r\n"


def empty_lines(number):
    return b"\r\n" * number + b"GET / HTTP/1.1" + REST


EDGES = [
    ({"request_line": 60}, request_line, 60, 1),
    ({"field_line": 60}, field_line, 60, 1),
    ({"fields": 5}, fields, 5, 1),
    ({"head": 200}, head, 200, 1),
    ({"body": 50}, body, 50, 1),
    ({"body": 50}, chunked_body, 50, 1),
    ({"chunk_line": 30}, chunk_line, 30, 1),
    ({"chunk_extensions": 50}, chunk_extensions, 50, 10),
    ({"trailers": 4}, trailers, 4, 1),
    ({"empty_lines": 3}, empty_lines, 3, 1),
]


def complete(connection, data, step):
    """Feed bytes in steps; return whether a message with its end came out of them."""
    for start in range(0, len(data), step):
        connection.receive_data(data[start : start + step])
        while (event := connection.next_event()) is not NEED_DATA:
            if isinstance(event, EndOfMessage):
                return True
            assert isinstance(event, Request | Data | Response | InterimResponse)
    return False


@pytest.mark.parametrize("step", [1, 1_000_000], ids=["byte by byte", "whole"])
@pytest.mark.parametrize(("limits", "make", "edge", "more"), EDGES)
def test_request_at_a_limit_is_accepted_and_over_it_refused(limits, make, edge, more, step):
    assert complete(ServerConnection(Limits(**limits)), make(edge), step)
    with pytest.raises(RemoteProtocolError):
        complete(ServerConnection(Limits(**limits)), make(edge + more), step)


@pytest.mark.parametrize("step", [1, 1_000_000], ids=["byte by byte", "whole"])
def test_interim_responses_at_the_limit_are_accepted_and_over_it_refused(step):
    def ask():
        connection = ClientConnection(Limits(interim_responses=3))
        connection.send(Request("GET", "/", Headers(), host="a"))
        return connection

    final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert complete(ask(), interim * 3 + final, step)
    with pytest.raises(RemoteProtocolError, match="at most 3 interim responses"):
        complete(ask(), interim * 4 + final, step)
