"""Every limit on a message accepts a message of exactly that size and none larger."""

import pytest
from kakuri_http import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    Data,
    EndOfMessage,
    Headers,
    Limits,
    PoolLimits,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    Timeouts,
)
from kakuri_http.core._states import InterimResponse

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
    line = b"X: " + b"y" * (size // 20) + b"\r\n"
    lines, last = divmod(size - len(start) - 10, len(line))
    return start + line * lines + b"X: " + b"y" * (last + 5) + b"\r\n\r\n"


def body(size):
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def chunked_body(size):
    return CHUNKED + b"1\r\nx\r\n" * size + b"0\r\n\r\n"


def chunk_line(size):
    return CHUNKED + b"1;" + b"x" * (size - 2) + b"\r\nx\r\n0\r\n\r\n"


def chunk_extensions(size):
    """Ten bytes of extensions on each chunk; what exceeds the content's bytes is counted."""
    count = (size - 1) // 9
    last = size - 9 * count
    chunk = b"1;" + b"x" * 9 + b"\r\nx\r\n"
    return CHUNKED + chunk * count + b"0;" + b"x" * (last - 1) + b"\r\n\r\n"


def trailers(number):
    return CHUNKED + b"0\r\n" + b"X: y\r\n" * number + b"\r\n"


def empty_lines(number):
    return b"\r\n" * number + b"GET / HTTP/1.1" + REST


def trailer_line(size):
    return CHUNKED + b"0\r\nX: " + b"y" * (size - 3) + b"\r\n\r\n"


def trailer_section(size):
    return CHUNKED + b"0\r\n" + b"X: 5678\r\n" * (size // 9 - 1) + (
        b"X: " + b"y" * (size - 9 * (size // 9 - 1) - 5) + b"\r\n\r\n"
    )  # fmt: skip


# The value of a limit, a function that makes a message of a size, the status of one over it.
EDGES = [
    ({"request_line": 60}, request_line, 414),
    ({"field_line": 60}, field_line, 431),
    ({"fields": 5}, fields, 431),
    ({"head": 200}, head, 431),
    ({"body": 50}, body, 413),
    ({"body": 50}, chunked_body, 413),
    ({"chunk_line": 30}, chunk_line, 400),
    ({"chunk_extensions": 50}, chunk_extensions, 400),
    ({"trailers": 4}, trailers, 431),
    ({"field_line": 60}, trailer_line, 431),
    ({"head": 200}, trailer_section, 431),
    ({"empty_lines": 3}, empty_lines, 400),
]
DEFAULTS = [
    ({"request_line": 8192}, request_line, 414),
    ({"field_line": 8192}, field_line, 431),
    ({"fields": 100}, fields, 431),
    ({"head": 32_768}, head, 431),
    ({"body": 1_048_576}, body, 413),
    ({"chunk_line": 1024}, chunk_line, 400),
    ({"chunk_extensions": 16_384}, chunk_extensions, 400),
    ({"trailers": 32}, trailers, 431),
    ({"empty_lines": 8}, empty_lines, 400),
]


def complete(connection, data, step):
    """Feed bytes in steps; return whether they made a complete message."""
    for start in range(0, len(data), step):
        connection.receive_data(data[start : start + step])
        while (event := connection.next_event()) is not NEED_DATA:
            if isinstance(event, EndOfMessage):
                return True
            assert isinstance(event, Request | Data | Response | InterimResponse)
    return False


@pytest.mark.parametrize("step", [1, 1_000_000], ids=["byte by byte", "whole"])
@pytest.mark.parametrize(("limits", "make", "status"), EDGES)
def test_request_at_a_limit_is_accepted_and_over_it_rejected(limits, make, status, step):
    (edge,) = limits.values()
    assert complete(ServerConnection(Limits(**limits)), make(edge), step)
    with pytest.raises(RemoteProtocolError) as caught:
        complete(ServerConnection(Limits(**limits)), make(edge + 1), step)
    assert caught.value.status == status


@pytest.mark.parametrize(("limits", "make", "status"), DEFAULTS)
def test_default_limit_matches_the_documentation(limits, make, status):
    (edge,) = limits.values()
    assert complete(ServerConnection(), make(edge), 1_000_000)
    with pytest.raises(RemoteProtocolError) as caught:
        complete(ServerConnection(), make(edge + 1), 1_000_000)
    assert caught.value.status == status


@pytest.mark.parametrize("step", [1, 1_000_000], ids=["byte by byte", "whole"])
def test_interim_responses_at_the_limit_are_accepted_and_over_it_rejected(step):
    small = Limits(interim_responses=3)

    def ask(limits):
        connection = ClientConnection(limits)
        connection.send(Request("GET", "/", Headers(), host="a"))
        return connection

    final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert complete(ask(small), interim * 3 + final, step)
    with pytest.raises(RemoteProtocolError, match="at most 3 interim responses"):
        complete(ask(small), interim * 4 + final, step)
    assert complete(ask(Limits()), interim * 16 + final, step)
    with pytest.raises(RemoteProtocolError, match="at most 16 interim responses"):
        complete(ask(Limits()), interim * 17 + final, step)


def test_default_of_a_limit_that_no_message_shows_matches_the_documentation():
    limits, pool, timeouts = Limits(), PoolLimits(), Timeouts()
    assert (limits.pipeline, limits.stream_buffer, limits.discarded_body) == (
        65_536, 262_144, 262_144
    )  # fmt: skip
    assert (limits.idle_timeout, limits.head_timeout, limits.body_timeout) == (75.0, 10.0, 20.0)
    assert (limits.body_rate, limits.half_closed_timeout) == (1024, 3.0)
    assert (pool.connections, pool.per_host, pool.idle) == (100, 10, 4.0)
    assert (timeouts.pool, timeouts.connect, timeouts.write, timeouts.read, timeouts.total) == (
        5.0, 5.0, 30.0, 30.0, 60.0
    )  # fmt: skip


@pytest.mark.parametrize("length", [2**63 - 2, 2**63 - 1, 2**63, 2**64])
def test_length_that_no_route_can_allow_raises_remote_protocol_error_as_soon_as_the_head_is_read(
    length,
):
    connection = ServerConnection()
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
    if length < 2**63:
        assert isinstance(connection.next_event(), Request)
        return
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_event()
    assert (caught.value.status, caught.value.code) == (413, "content_too_large")


@pytest.mark.parametrize("data", [b"\n", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\n"])
def test_bare_line_feed_as_the_first_byte_of_a_line_raises_remote_protocol_error_immediately(data):
    connection = ServerConnection()
    connection.receive_data(data)
    with pytest.raises(RemoteProtocolError, match="got a bare LF"):
        connection.next_event()


def test_client_is_paused_after_a_response_that_arrives_before_the_end_of_its_request():
    connection = ClientConnection()
    connection.send(Request("POST", "/", Headers(), host="a", length=5))
    connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    events = [connection.next_event() for _ in range(5)]
    assert isinstance(events[0], Response)
    assert isinstance(events[2], EndOfMessage)
    assert events[3] is events[4] is PAUSED
