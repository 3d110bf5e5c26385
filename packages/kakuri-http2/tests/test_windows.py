"""Flow control: when content leaves, when credit is returned, and what is dropped at the end."""

import pytest
from kakuri_http2 import (
    ClientConnection,
    Data,
    Drained,
    ErrorCode,
    Limits,
    Request,
    Response,
    ServerConnection,
)

from .wire import PREFACE, TYPES, block, feed, frame, read, settings

CALL = Request(b"POST", b"/x", b"localhost")
REQUEST = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
WINDOW = 1 << 16


def open_client(window):
    """Return a client with a request on stream 1 that the server grants a window of content."""
    connection = ClientConnection()
    connection.receive_data(settings(s4=window))
    connection.send(CALL)
    connection.data_to_send()
    return connection


def open_server(limits):
    connection = ServerConnection(limits)
    connection.receive_data(PREFACE + settings() + frame("HEADERS", 4, 1, REQUEST))
    connection.data_to_send()
    return connection


def of_kind(connection, kind):
    return [one for one in read(connection.data_to_send()) if one.kind == TYPES[kind]]


def granted(connection):
    """Return the stream and increment of each WINDOW_UPDATE that a connection sends."""
    updates = of_kind(connection, "WINDOW_UPDATE")
    return [(one.stream, int.from_bytes(one.payload, "big")) for one in updates]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_stream_window_of_zero_sends_what_an_update_grants(size):
    connection = open_client(window=0)
    connection.send(Data(1, bytes(200)))
    assert of_kind(connection, "DATA") == []
    feed(connection, frame("WINDOW_UPDATE", 0, 1, size.to_bytes(4, "big")), "whole")
    assert [len(one.payload) for one in of_kind(connection, "DATA")] == [size]
    assert connection.unsent_on(1) == 200 - size


def test_last_of_many_initial_windows_in_a_frame_applies():
    connection = open_client(window=100)
    connection.receive_data(frame("WINDOW_UPDATE", 0, 1, (10).to_bytes(4, "big")))
    windows = (2**31 - 1, 0, 150)
    payload = b"".join(b"\0\4" + window.to_bytes(4, "big") for window in windows)
    feed(connection, frame("SETTINGS", payload=payload), "whole")
    connection.send(Data(1, bytes(200)))
    assert [len(one.payload) for one in of_kind(connection, "DATA")] == [160]


@pytest.mark.parametrize(("increment", "sizes"), [(9, []), (10, []), (11, [1]), (12, [2])])
def test_stream_window_below_zero_sends_nothing_until_it_is_above(increment, sizes):
    connection = open_client(window=100)
    connection.send(Data(1, bytes(100)))
    connection.data_to_send()
    feed(connection, settings(s4=90), "whole")  # the window is now -10
    connection.send(Data(1, bytes(50)))
    feed(connection, frame("WINDOW_UPDATE", 0, 1, increment.to_bytes(4, "big")), "whole")
    assert [len(one.payload) for one in of_kind(connection, "DATA")] == sizes


@pytest.mark.parametrize("size", [1, 2, 100])
def test_connection_window_of_zero_sends_what_an_update_grants(size):
    connection = open_client(window=1 << 20)
    connection.send(Data(1, bytes(65_535 + 200)))
    connection.data_to_send()
    feed(connection, frame("WINDOW_UPDATE", 0, 0, size.to_bytes(4, "big")), "whole")
    assert [len(one.payload) for one in of_kind(connection, "DATA")] == [size]


@pytest.mark.parametrize(
    ("size", "updates"), [(WINDOW // 2 - 1, []), (WINDOW // 2, [(1, WINDOW // 2)])]
)
def test_stream_credit_is_returned_once_half_of_the_window_was_consumed(size, updates):
    connection = open_server(Limits(stream_window=WINDOW))
    for start in range(0, WINDOW // 2, 16_384):
        feed(connection, frame("DATA", 0, 1, bytes(min(16_384, WINDOW // 2 - start))), "whole")
    connection.consumed(1, size)
    assert granted(connection) == updates


@pytest.mark.parametrize(
    ("size", "updates"), [(WINDOW // 2 - 1, []), (WINDOW // 2, [(0, WINDOW // 2)])]
)
def test_connection_credit_is_returned_once_half_of_the_window_was_consumed(size, updates):
    connection = open_server(Limits(connection_window=WINDOW))
    for start in range(0, WINDOW // 2, 16_384):
        feed(connection, frame("DATA", 0, 1, bytes(min(16_384, WINDOW // 2 - start))), "whole")
    connection.consumed(1, size)
    assert granted(connection) == updates


def test_credit_for_more_than_was_received_is_that_for_what_was_received():
    connection = open_server(Limits(stream_window=WINDOW))
    for _ in range(2):
        feed(connection, frame("DATA", 0, 1, bytes(16_384)), "whole")
    connection.consumed(1, WINDOW)
    assert granted(connection) == [(1, 2 * 16_384)]
    connection.consumed(1, WINDOW)
    assert granted(connection) == []


@pytest.mark.parametrize("window", [0, 10, 1 << 20])
def test_content_that_waits_is_dropped_when_the_connection_ends(window):
    connection = open_client(window)
    connection.send(Data(1, bytes(100_000)))
    if window == 1 << 20:
        connection.send(Data(1, bytes(100_000), end=True))
    connection.fail("no answer came", ErrorCode.CANCEL)
    assert [one.kind for one in read(connection.data_to_send())] == [TYPES["GOAWAY"]]
    assert not connection.has_output


def test_content_that_waits_for_the_connection_window_is_dropped_when_the_connection_ends():
    connection = open_client(1 << 20)
    connection.send(Data(1, bytes(100_000)))
    while of_kind(connection, "DATA"):
        pass
    connection.fail("no answer came", ErrorCode.CANCEL)
    assert [one.kind for one in read(connection.data_to_send())] == [TYPES["GOAWAY"]]
    assert not connection.has_output


def test_data_to_send_returns_256_kib_of_content_at_a_time():
    connection = open_client(window=1 << 20)
    feed(connection, frame("WINDOW_UPDATE", 0, 0, (1 << 20).to_bytes(4, "big")), "whole")
    connection.send(Data(1, bytes(600_000)))
    sizes = [sum(len(one.payload) for one in of_kind(connection, "DATA")) for _ in range(4)]
    assert sizes == [262_144, 262_144, 600_000 - 2 * 262_144, 0]


def test_reset_stream_does_not_block_content_of_others():
    connection = open_client(window=1 << 20)
    streams = [1, *(connection.send(CALL) for _ in range(2))]
    connection.data_to_send()
    for stream in streams:
        connection.send(Data(stream, bytes(20_000)))
    connection.reset(1)
    frames = of_kind(connection, "DATA")
    assert [(one.stream, len(one.payload)) for one in frames] == [
        (3, 16_384), (5, 16_384), (3, 3_616), (5, 3_616),
    ]  # fmt: skip
    assert not connection.has_output


def test_stream_without_window_does_not_block_content_that_is_queued_after_it():
    connection = open_client(window=16_384)
    other = connection.send(CALL)
    connection.data_to_send()
    connection.send(Data(1, bytes(40_000)))
    connection.send(Data(other, bytes(16_000)))
    connection.send(Data(other, bytes(384)))
    frames = of_kind(connection, "DATA")
    assert [(one.stream, len(one.payload)) for one in frames] == [
        (1, 16_384), (other, 16_000), (other, 384),
    ]  # fmt: skip


def test_stream_whose_content_never_waited_reports_nothing():
    connection = open_client(window=1 << 20)
    connection.send(Data(1, bytes(40_000)))
    connection.data_to_send()
    assert Drained(1) not in feed(connection, frame("PING", 1, 0, bytes(8)), "whole")


def test_stream_whose_content_has_left_reports_that_once_if_it_was_asked_to():
    connection = open_client(window=1 << 20)
    connection.report_drained(1)
    connection.send(Data(1, bytes(40_000)))
    connection.data_to_send()
    assert Drained(1) in feed(connection, frame("PING", 1, 0, bytes(8)), "whole")
    connection.send(Data(1, bytes(40_000)))
    connection.data_to_send()
    assert Drained(1) not in feed(connection, frame("PING", 1, 0, bytes(8)), "whole")


def test_streams_that_waited_for_the_connection_window_continue_in_turn_after_more_was_queued():
    connection = open_client(window=1 << 20)
    other = connection.send(CALL)
    for stream in (1, other):
        connection.send(Data(stream, bytes(100_000)))
    connection.data_to_send()
    connection.send(Data(1, b"more"))
    feed(connection, frame("WINDOW_UPDATE", 0, 0, (65_536).to_bytes(4, "big")), "whole")
    assert [one.stream for one in of_kind(connection, "DATA")] == [1, other, 1, other]


def test_resets_by_this_side_among_streams_that_finish_are_not_a_flood():
    connection = open_server(Limits(own_resets=2))
    malformed = block(("A", "b"))
    for number in range(3, 83, 4):
        feed(connection, frame("HEADERS", 5, number, malformed), "whole")
        feed(connection, frame("HEADERS", 5, number + 2, REQUEST), "whole")
        connection.send(Response(number + 2, 200, end=True))
        connection.data_to_send()
    assert not connection.is_over
    for number in range(83, 87, 2):
        feed(connection, frame("HEADERS", 5, number, malformed), "whole")
        connection.data_to_send()
    assert not connection.is_over
    feed(connection, frame("HEADERS", 5, 87, malformed), "whole")
    assert connection.is_over


@pytest.mark.parametrize("number", [0x8000_0001, 0xFFFF_FFFF])
def test_reserved_bit_of_a_stream_identifier_is_ignored(number):
    connection = ServerConnection()
    connection.receive_data(PREFACE + settings() + frame("PING", 0, 0x8000_0000, bytes(8)))
    events = feed(connection, frame("HEADERS", 5, number, REQUEST), "whole")
    assert events[-1].stream == number & 0x7FFF_FFFF
    connection.send(Response(number & 0x7FFF_FFFF, 200, end=True))
    kinds = [one.kind for one in read(connection.data_to_send())]
    assert kinds.count(TYPES["PING"]) == kinds.count(TYPES["HEADERS"]) == 1


@pytest.mark.parametrize(
    ("windows", "size", "waits"),
    [
        ({"s4": 100}, 100, False),
        ({"s4": 100}, 101, True),
        ({"s4": 1 << 20}, 16_384, False),
        ({"s4": 1 << 20}, 16_385, True),
        ({"s4": 1 << 20, "s5": 1 << 20}, 65_535, False),
        ({"s4": 1 << 20, "s5": 1 << 20}, 65_536, True),
    ],
)
def test_content_waits_only_beyond_the_windows_and_the_frame_size(windows, size, waits):
    connection = ClientConnection()
    connection.receive_data(settings(**windows))
    connection.send(CALL)
    connection.send(Data(1, bytes(size)))
    assert connection.unsent_on(1) == (size if waits else 0)


@pytest.mark.parametrize("fault", ["after the end", "beyond the window", "before the head"])
def test_credit_of_content_that_breaks_the_protocol_is_returned(fault):
    """Otherwise the content of forty streams would use up the connection's window."""
    limits = Limits(stream_window=65_535, connection_window=1 << 18)
    if fault == "before the head":
        connection = ClientConnection(limits)
        connection.receive_data(settings())
        for _ in range(40):
            connection.send(CALL)
    else:
        connection = ServerConnection(limits)
        connection.receive_data(PREFACE + settings())
    connection.data_to_send()
    for number in range(1, 81, 2):
        if fault != "before the head":
            flags = 5 if fault == "after the end" else 4
            feed(connection, frame("HEADERS", flags, number, REQUEST), "whole")
        for _ in range(4 if fault == "beyond the window" else 1):
            feed(connection, frame("DATA", 0, number, bytes(16_384)), "whole")
        assert not connection.is_over
        assert [one.stream for one in of_kind(connection, "RST_STREAM")] == [number]


@pytest.mark.parametrize(("size", "waits"), [(16_369, False), (16_370, True)])
def test_content_beyond_256_kib_of_output_waits_until_the_output_was_taken(size, waits):
    """Each DATA frame counts as one byte more than its content."""
    connection = open_client(window=1 << 20)
    feed(connection, frame("WINDOW_UPDATE", 0, 0, (1 << 20).to_bytes(4, "big")), "whole")
    for _ in range(15):
        connection.send(Data(1, bytes(16_384)))
    assert connection.unsent_on(1) == 0
    connection.send(Data(1, bytes(size)))
    assert connection.unsent_on(1) == (size if waits else 0)
    connection.data_to_send()
    connection.data_to_send()
    assert connection.unsent_on(1) == 0
