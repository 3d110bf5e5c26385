"""HEADERS and CONTINUATION frames with everything that may surround a header block."""

import pytest
from kakuri_http2 import (
    ClientConnection,
    ConnectionEnded,
    ErrorCode,
    LimitExceeded,
    Limits,
    RemoteProtocolError,
    Request,
    ServerConnection,
    StreamReset,
)
from kakuri_http2._frames import header_frames

from .wire import FLAGS, PREFACE, block, feed, frame, read, settings

FIELDS = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/x"))
BLOCK = block(*FIELDS)
END, LAST = FLAGS["END_STREAM"], FLAGS["END_HEADERS"]
START = PREFACE + settings()


def requests(data, limits=None):
    """Return the paths of the requests that a server reads after its start."""
    connection = ServerConnection(limits)
    events = feed(connection, START + data, "bytes")
    found = [event for event in events if isinstance(event, Request)]
    return connection, [(each.method, each.path, each.authority) for each in found]


def fault(data, limits=None):
    """Return the error that ends a server's connection after some data."""
    events = feed(ServerConnection(limits), START + data, "whole")
    assert isinstance(events[-1], ConnectionEnded)
    return events[-1].error


def padded(payload, count):
    return bytes((count,)) + payload + b"\0" * count


@pytest.mark.parametrize("priority", [b"", b"\0\0\0\0\x10", b"\x80\0\0\3\xff"])
@pytest.mark.parametrize("padding", [None, 0, 1, 255])
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_block_is_read_with_any_priority_padding_and_pieces(priority, padding, pieces):
    size = len(BLOCK) // pieces + 1
    parts = [BLOCK[at : at + size] for at in range(0, len(BLOCK), size)]
    assert len(parts) == pieces
    flags = END | (FLAGS["PRIORITY"] if priority else 0) | (LAST if pieces == 1 else 0)
    payload = priority + parts[0]
    if padding is not None:
        flags |= FLAGS["PADDED"]
        payload = padded(payload, padding)
    data = frame("HEADERS", flags, 1, payload)
    for number, part in enumerate(parts[1:], 2):
        data += frame("CONTINUATION", LAST if number == pieces else 0, 1, part)
    _, found = requests(data + frame("HEADERS", LAST | END, 3, BLOCK))
    assert found == [(b"GET", b"/x", b"a")] * 2


@pytest.mark.parametrize(
    ("flags", "payload"),
    [
        (FLAGS["PRIORITY"], b"\0\0\0\0"),
        (FLAGS["PADDED"], b""),
        (FLAGS["PADDED"], b"\3ab"),
    ],
)
def test_frame_too_short_for_its_flags_ends_the_connection(flags, payload):
    assert isinstance(fault(frame("HEADERS", LAST | END | flags, 1, payload)), RemoteProtocolError)


def test_stream_that_depends_on_itself_is_reset_and_its_block_is_read_all_the_same():
    payload = b"\0\0\0\1\x10" + BLOCK
    good = frame("HEADERS", LAST | END, 3, BLOCK)
    data = frame("HEADERS", LAST | END | FLAGS["PRIORITY"], 1, payload) + good
    connection, found = requests(data)
    assert found == [(b"GET", b"/x", b"a")]
    resets = [each for each in read(connection.data_to_send()) if each.kind == 3]
    assert [(each.stream, each.payload) for each in resets] == [(1, b"\0\0\0\1")]


@pytest.mark.parametrize("number", [0, 2])
def test_headers_on_a_stream_that_no_client_opens_end_the_connection(number):
    assert isinstance(fault(frame("HEADERS", LAST | END, number, BLOCK)), RemoteProtocolError)


def spread(pieces, size):
    """Return a block of some bytes in a HEADERS frame and some CONTINUATION frames."""
    content = BLOCK + block((b"x", b"y" * (size - len(BLOCK) - 6)))
    step = -(-len(content) // pieces)
    parts = [content[at : at + step] for at in range(0, len(content), step)]
    data = frame("HEADERS", END | (LAST if len(parts) == 1 else 0), 1, parts[0])
    for number, part in enumerate(parts[1:], 2):
        data += frame("CONTINUATION", LAST if number == len(parts) else 0, 1, part)
    return data, len(content), len(parts)


def test_pieces_and_bytes_of_a_block_are_limited():
    limits = Limits(continuations=4, header_block=200)
    data, size, parts = spread(4, 150)
    assert (size <= 200, parts) == (True, 4)
    assert requests(data, limits)[1]
    data, size, _ = spread(1, 201)
    assert size == 200
    assert requests(data, limits)[1]
    for data in (spread(5, 150)[0], spread(1, 202)[0], spread(3, 202)[0]):
        assert isinstance(fault(data, limits), LimitExceeded)


@pytest.mark.parametrize(
    ("trailers", "flags"),
    [((("x", "y"),), 4), (((":path", "/"),), 5), (((":status", "200"),), 5)],
)
@pytest.mark.parametrize("role", ["server", "client"])
def test_trailers_that_do_not_end_the_stream_or_have_pseudo_header_fields_reset_it(
    role, trailers, flags
):
    if role == "server":
        connection = ServerConnection()
        head = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
        opening = PREFACE + settings() + frame("HEADERS", 4, 1, head)
    else:
        connection = ClientConnection()
        connection.send(Request(b"POST", b"/", b"a"))
        opening = settings() + frame("HEADERS", 4, 1, block((":status", "200")))
    feed(connection, opening, "whole")
    connection.data_to_send()
    events = feed(connection, frame("HEADERS", flags, 1, block(*trailers)), "whole")
    assert [type(event) for event in events] == [StreamReset]
    assert events[0].code == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(10, [10]), (11, [10, 1]), (20, [10, 10]), (21, [10, 10, 1]), (35, [10, 10, 10, 5])],
)
def test_block_beyond_the_frame_size_continues_until_its_last_frame(size, sizes):
    content = bytes(range(size))
    frames = list(read(header_frames(content, 5, END, 10)))
    assert [len(one.payload) for one in frames] == sizes
    assert b"".join(one.payload for one in frames) == content
    assert {one.stream for one in frames} == {5}
    assert [one.kind for one in frames] == [1] + [9] * (len(sizes) - 1)
    flags = [one.flags for one in frames]
    flags[-1] -= LAST
    assert flags == [END] + [0] * (len(sizes) - 1)


def test_large_head_is_sent_in_frames_that_the_server_reads():
    client, server = ClientConnection(), ServerConnection()
    client.receive_data(settings())
    request = Request(b"GET", b"/x", b"a", ((b"x", b"\xff" * 40_000),), b"http", True)
    client.send(request)
    (found,) = [
        each for each in feed(server, client.data_to_send(), "whole") if type(each) is Request
    ]
    assert found.fields == request.fields


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS[:-1],  # no :path
        (*FIELDS, (b":status", b"200")),
        ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"x")),
        ((b":method", b"G T"), (b":scheme", b"http"), (b":path", b"/")),
        (*FIELDS, (b":path", b"/")),
        (*FIELDS, (b"x", b"1"), (b":protocol", b"y")),
        (*FIELDS, (b"x", b"a\r\nb")),
    ],
)
def test_request_with_faulty_fields_is_reset_and_not_reported(fields):
    connection, found = requests(frame("HEADERS", END | LAST, 1, block(*fields)))
    assert found == []
    resets = [each for each in read(connection.data_to_send()) if each.kind == 3]
    assert [(each.stream, each.payload) for each in resets] == [(1, b"\0\0\0\1")]


@pytest.mark.parametrize("status", [b"101", b"20", b"2000", b"abc", b""])
def test_response_with_a_faulty_status_resets_the_exchange(status):
    client = ClientConnection()
    client.receive_data(settings())
    stream = client.send(Request(b"GET", b"/", b"a", end=True))
    events = feed(client, frame("HEADERS", END | LAST, stream, block((":status", status))), "whole")
    assert isinstance(events[-1], StreamReset)
    assert events[-1].code is ErrorCode.PROTOCOL_ERROR
