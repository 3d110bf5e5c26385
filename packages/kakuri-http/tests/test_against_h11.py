"""h11 as oracle, in both roles: both read a message alike, and each reads what the other wrote."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_http import (
    ClientConnection,
    Data,
    EndOfMessage,
    Headers,
    ProtocolError,
    Request,
    Response,
    ServerConnection,
)

from .cases import WAYS

NAMES = st.sampled_from(["Accept", "X-One", "x-two", "User-Agent", "Cookie", "Via"])
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
TARGETS = st.from_regex(r"/[a-z0-9/_~-]{0,20}(\?[a-z=&]{0,10})?", fullmatch=True)
BODIES = st.lists(st.binary(min_size=1, max_size=50), max_size=4)
CHUNKED = st.booleans()
WAY = st.sampled_from(sorted(WAYS))


def h11_message(connection, head, body, chunked):
    length = sum(map(len, body))
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(length))
    data = connection.send(head([framing]))
    for piece in body:
        data += connection.send(h11.Data(data=piece))
    return data + connection.send(h11.EndOfMessage())


def read_ours(core, pieces):
    head, body, ended = None, b"", False
    for piece in pieces:
        core.receive_data(piece)
        while not ended:
            event = core.next_event()
            if isinstance(event, (Request, Response)):
                head = event
            elif isinstance(event, Data):
                body += event.data
            elif isinstance(event, EndOfMessage):
                ended = True
            else:
                break
    assert ended
    return head, body


def read_h11(connection, data):
    connection.receive_data(data)
    head, body = None, b""
    while True:
        event = connection.next_event()
        if isinstance(event, (h11.Request, h11.Response)):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return head, body
        else:
            pytest.fail(f"unexpected {event!r}")


@given(TARGETS, FIELDS, BODIES, CHUNKED, WAY)
@settings(max_examples=50, deadline=None)
def test_request_written_by_h11_is_read_the_same(target, fields, body, chunked, way):
    def head(framing):
        return h11.Request(method="POST", target=target, headers=[("Host", "a"), *fields, *framing])

    data = h11_message(h11.Connection(h11.CLIENT), head, body, chunked)
    request, content = read_ours(ServerConnection(), WAYS[way](data))
    assert (request.method, request.target, content) == ("POST", target, b"".join(body))
    ours = [(name.lower(), value) for name, value in request.headers]
    assert all((name.lower(), value) in ours for name, value in fields)


@given(st.integers(200, 599).filter(lambda s: s not in (204, 304)), FIELDS, BODIES, CHUNKED, WAY)
@settings(max_examples=50, deadline=None)
def test_response_written_by_h11_is_read_the_same(status, fields, body, chunked, way):
    server = h11.Connection(h11.SERVER)
    core = ClientConnection()
    server.receive_data(core.send(Request("GET", "/", Headers(), host="a")))
    assert isinstance(server.next_event(), h11.Request)

    def head(framing):
        return h11.Response(status_code=status, headers=[*fields, *framing], reason=b"Reason")

    data = h11_message(server, head, body, chunked)
    response, content = read_ours(core, WAYS[way](data))
    assert (response.status, response.reason, content) == (status, "Reason", b"".join(body))


@given(TARGETS, FIELDS, BODIES, CHUNKED)
@settings(max_examples=50, deadline=None)
def test_request_of_this_client_is_read_the_same_by_h11(target, fields, body, chunked):
    core = ClientConnection()
    length = None if chunked else sum(map(len, body))
    request = Request("POST", target, Headers(fields), host="a", length=length)
    if not chunked:
        request.body = b"".join(body)
    data = core.send(request)
    if chunked:
        data += b"".join(core.send(Data(piece)) for piece in body)
        data += core.send(EndOfMessage(Headers({"X-Trailer": "1"})))
    head, content = read_h11(h11.Connection(h11.SERVER), data)
    assert (head.method, head.target.decode(), content) == (b"POST", target, b"".join(body))


@given(st.integers(200, 599).filter(lambda s: s != 205), FIELDS, BODIES, CHUNKED)
@settings(max_examples=50, deadline=None)
def test_response_of_this_server_is_read_the_same_by_h11(status, fields, body, chunked):
    client = h11.Connection(h11.CLIENT)
    server = ServerConnection()
    server.receive_data(client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")])))
    client.send(h11.EndOfMessage())
    server.next_event()
    server.next_event()
    if chunked:
        data = server.send(Response(status, None, headers=fields))
        data += b"".join(server.send(Data(piece)) for piece in body)
        data += server.send(EndOfMessage())
    else:
        data = server.send(Response(status, b"".join(body), headers=fields))
    head, content = read_h11(client, data)
    assert head.status_code == status
    assert content == (b"" if status in (204, 304) else b"".join(body))


HEAD = st.lists(
    st.sampled_from(
        [b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"Host: a", b"\n", b"X: y", b":", b"Content-Length: 2",
         b"Transfer-Encoding: chunked", b"\x00", b"ab", b"2\r\nab\r\n0\r\n", b"Host:", b"Content-Length: +2"]
    ), max_size=14,
).map(b"".join)  # fmt: skip


@given(HEAD | HEAD.map(lambda h: b"GET / HTTP/1.1\r\nHost: a\r\n" + h + b"\r\n\r\n"))
@settings(max_examples=200, deadline=None)
def test_accepted_head_is_read_the_same_by_h11(data):
    """The reverse is not true: this parser is stricter."""
    core = ServerConnection()
    core.receive_data(data)
    try:
        request = core.next_event()
    except ProtocolError:
        return
    if not isinstance(request, Request):
        return
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(data)
    theirs = oracle.next_event()
    assert isinstance(theirs, h11.Request)
    assert (theirs.method.decode(), theirs.target.decode()) == (request.method, request.target)
    assert [(n.lower(), v) for n, v in request.headers] == [
        (n.decode(), v.decode("latin-1")) for n, v in theirs.headers
    ]
