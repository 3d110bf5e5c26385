"""Frames at the edges of what is allowed: the last good one, the first bad one, and its answer."""

import pytest
from kakuri_http2 import (
    ClientConnection,
    ConnectionEnded,
    Data,
    ErrorCode,
    HPACKError,
    LimitExceeded,
    Limits,
    Request,
    Response,
    ServerConnection,
    StreamReset,
)
from kakuri_http2.hpack import Decoder
from kakuri_http2.hpack._encoder import encode_integer

from .wire import FLAGS, PREFACE, TYPES, block, feed, frame, read, settings

LAST, END, ACK = FLAGS["END_HEADERS"], FLAGS["END_STREAM"], FLAGS["ACK"]
REQUEST = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
RESPONSE = block((":status", "200"))
CALL = Request(b"POST", b"/", b"a")
LARGEST = (1 << 31) - 1
TO_LARGEST = (LARGEST - 65_535).to_bytes(4, "big")


def open_server(limits: Limits | None = None) -> ServerConnection:
    """Return a server on which stream 1 is open, with a response that has begun."""
    connection = ServerConnection(limits)
    connection.receive_data(PREFACE + settings() + frame("HEADERS", LAST, 1, REQUEST))
    connection.send(Response(1, 200))
    connection.data_to_send()
    return connection


def open_client(limits: Limits | None = None) -> ClientConnection:
    """Return a client on which stream 1 is open, with a response that has begun."""
    connection = ClientConnection(limits)
    connection.receive_data(settings())
    connection.send(CALL)
    connection.data_to_send()
    connection.receive_data(frame("HEADERS", LAST, 1, RESPONSE))
    return connection


ROLES = {"server": open_server, "client": open_client}

SIZE, FLOW, PROTOCOL = (
    ErrorCode.FRAME_SIZE_ERROR, ErrorCode.FLOW_CONTROL_ERROR, ErrorCode.PROTOCOL_ERROR,
)  # fmt: skip
FAULTS = [
    ("DATA", 0, 0, b"x", PROTOCOL, "DATA on a stream"),
    ("HEADERS", LAST, 0, REQUEST, PROTOCOL, "HEADERS on a stream"),
    ("HEADERS", LAST | 0x20, 1, b"\0\0\0\3", SIZE, "five bytes of priority"),
    ("PRIORITY", 0, 0, bytes(5), PROTOCOL, "PRIORITY on a stream"),
    ("RST_STREAM", 0, 0, bytes(4), PROTOCOL, "RST_STREAM on a stream"),
    ("RST_STREAM", 0, 1, bytes(3), SIZE, "four bytes in RST_STREAM"),
    ("RST_STREAM", 0, 1, bytes(5), SIZE, "four bytes in RST_STREAM"),
    ("SETTINGS", 0, 1, b"", PROTOCOL, "SETTINGS on the connection"),
    ("SETTINGS", 0, 0, bytes(5), SIZE, "entries of six bytes"),
    ("SETTINGS", 0, 0, bytes(7), SIZE, "entries of six bytes"),
    ("SETTINGS", ACK, 0, bytes(6), SIZE, "an empty acknowledgement"),
    ("SETTINGS", 0, 0, b"\0\2\0\0\0\2", PROTOCOL, "ENABLE_PUSH"),
    ("SETTINGS", 0, 0, b"\0\4\x80\0\0\0", FLOW, "an initial window of 31 bits"),
    ("SETTINGS", 0, 0, b"\0\5\0\0\x3f\xff", PROTOCOL, "a frame size from 16384 to 16777215"),
    ("SETTINGS", 0, 0, b"\0\5\1\0\0\0", PROTOCOL, "a frame size from 16384 to 16777215"),
    ("PUSH_PROMISE", LAST, 1, bytes(4), PROTOCOL, "no PUSH_PROMISE"),
    ("PING", 0, 1, bytes(8), PROTOCOL, "PING on the connection"),
    ("PING", 0, 0, bytes(7), SIZE, "eight bytes in PING"),
    ("PING", ACK, 0, bytes(9), SIZE, "eight bytes in PING"),
    ("GOAWAY", 0, 1, bytes(8), PROTOCOL, "GOAWAY on the connection"),
    ("GOAWAY", 0, 0, bytes(7), SIZE, "eight bytes or more in GOAWAY"),
    ("WINDOW_UPDATE", 0, 0, bytes(3), SIZE, "four bytes in WINDOW_UPDATE"),
    ("WINDOW_UPDATE", 0, 1, bytes(5), SIZE, "four bytes in WINDOW_UPDATE"),
    ("WINDOW_UPDATE", 0, 0, bytes(4), PROTOCOL, "an increment of a window"),
    ("WINDOW_UPDATE", 0, 0, b"\x80\0\0\0", PROTOCOL, "an increment of a window"),
    ("CONTINUATION", 0, 1, b"", PROTOCOL, "CONTINUATION only within a header block"),
    ("CONTINUATION", LAST, 1, RESPONSE, PROTOCOL, "CONTINUATION only within a header block"),
    ("DATA", 0, 1, bytes(16_385), SIZE, "a frame of at most 16384 bytes, got 16385"),
]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("kind", "flags", "stream", "payload", "code", "message"), FAULTS)
def test_faulty_frame_ends_the_connection_with_its_code(
    role, kind, flags, stream, payload, code, message
):
    connection = ROLES[role]()
    events = feed(connection, frame(kind, flags, stream, payload), "whole")
    assert isinstance(events[-1], ConnectionEnded)
    assert (events[-1].error.code, message in str(events[-1].error)) == (code, True)
    sent = list(read(connection.data_to_send()))[-1]
    last = bytes(4) if role == "client" else b"\0\0\0\1"
    assert (sent.kind, sent.flags, sent.stream) == (TYPES["GOAWAY"], 0, 0)
    assert sent.payload == last + code.to_bytes(4, "big") + events[-1].error.message.encode()


GOOD = [
    ("SETTINGS", 0, 0, b"\0\2\0\0\0\0"),
    ("SETTINGS", 0, 0, b"\0\4\x7f\xff\xff\xff"),
    ("SETTINGS", 0, 0, b"\0\4\0\0\0\0"),
    ("SETTINGS", 0, 0, b"\0\5\0\0\x40\0"),
    ("SETTINGS", 0, 0, b"\0\5\0\xff\xff\xff"),
    ("SETTINGS", 0, 0, b"\0\x7f\0\0\0\0" * 32),
    ("SETTINGS", ACK, 0, b""),
    ("PING", 0, 0, bytes(8)),
    ("GOAWAY", 0, 0, b"\0\0\0\1" + bytes(4)),
    ("WINDOW_UPDATE", 0, 0, TO_LARGEST),
    ("WINDOW_UPDATE", 0, 1, TO_LARGEST),
    ("DATA", 0, 1, bytes(16_384)),
]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("kind", "flags", "stream", "payload"), GOOD)
def test_frame_at_the_edge_is_accepted(role, kind, flags, stream, payload):
    connection = ROLES[role]()
    events = feed(connection, frame(kind, flags, stream, payload), "whole")
    assert not any(isinstance(event, ConnectionEnded | StreamReset) for event in events)
    assert connection.has_stream(1)
    assert not connection.has_stream(3)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("stream", [0, 1])
def test_update_of_a_window_of_the_largest_size_is_a_flow_control_error(role, stream):
    connection = ROLES[role]()
    feed(connection, frame("WINDOW_UPDATE", 0, stream, TO_LARGEST), "whole")
    event = feed(connection, frame("WINDOW_UPDATE", 0, stream, b"\0\0\0\1"), "whole")[-1]
    if stream:
        assert (event.stream, event.code, event.by_peer) == (1, FLOW, False)
        assert not connection.has_stream(1)
    else:
        assert event.error.code is FLOW


@pytest.mark.parametrize("role", ROLES)
def test_initial_window_that_makes_a_stream_s_window_too_large_ends_the_connection(role):
    connection = ROLES[role]()
    feed(connection, frame("WINDOW_UPDATE", 0, 1, b"\0\0\0\1"), "whole")
    assert not connection.is_over
    event = feed(connection, settings(s4=LARGEST), "whole")[-1]
    assert event.error.code is FLOW


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("other", [name for name in TYPES if name != "CONTINUATION"])
def test_frame_other_than_continuation_within_a_header_block_ends_the_connection(role, other):
    number, another = (3, 1) if role == "server" else (1, 3)
    for following in (frame(other, 0, 1, bytes(8)), frame("CONTINUATION", LAST, another, b"")):
        connection = ROLES[role]()
        start = frame("HEADERS", END, number, REQUEST if role == "server" else b"")
        event = feed(connection, start + following, "whole")[-1]
        assert "the CONTINUATION of a header block" in str(event.error)


@pytest.mark.parametrize("size", [1, 2047, 2048, 4096, 16_383, 16_384])
@pytest.mark.parametrize("role", ROLES)
def test_content_justifies_two_window_updates_and_one_for_every_2_kib(role, size):
    connection = ROLES[role](Limits(idle_frames=3))
    connection.send(Data(1, bytes(size)))
    connection.data_to_send()
    update = frame("WINDOW_UPDATE", 0, 0, b"\0\0\0\1")
    feed(connection, update * (2 + size // 2048 + 3), "whole")
    assert not connection.is_over
    event = feed(connection, update, "whole")[-1]
    assert isinstance(event.error, LimitExceeded)
    assert event.error.limit == "idle_frames"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("size", "is_right"), [(0, False), (4, False), (5, True), (6, False)])
def test_content_before_trailers_has_the_length_that_was_announced(role, size, is_right):
    if role == "server":
        connection = ServerConnection()
        connection.receive_data(PREFACE + settings())
        head = REQUEST
    else:
        connection = ClientConnection()
        connection.receive_data(settings())
        connection.send(CALL)
        head = RESPONSE
    data = frame("HEADERS", LAST, 1, head + block(("content-length", "5")))
    data += frame("DATA", 0, 1, bytes(size)) if size else b""
    data += frame("HEADERS", LAST | END, 1, block(("x", "y")))
    resets = [each for each in feed(connection, data, "whole") if isinstance(each, StreamReset)]
    assert [reset.code for reset in resets] == ([] if is_right else [PROTOCOL])


@pytest.mark.parametrize("count", [0, 1, 61, 62, 63, 70])
def test_index_beyond_both_tables_raises_hpack_error(count):
    decoder = Decoder()
    for number in range(count):
        decoder.decode(b"\x40\1x" + bytes((1, 0x30 + number % 10)))
    largest = 61 + count
    for index in range(1, largest + 1):
        expected = decoder.decode(encode_integer(index, 7, 0x80))[0]
        assert decoder.decode(encode_integer(index, 4, 0) + b"\1z")[0] == (expected[0], b"z")
    for index in (0, largest + 1, largest + 2, 1000):
        with pytest.raises(HPACKError, match="an index of a table"):
            decoder.decode(encode_integer(index, 7, 0x80))
    for index in (largest + 1, 1000):
        with pytest.raises(HPACKError, match="an index of a table"):
            decoder.decode(encode_integer(index, 4, 0) + b"\1z")
