"""Exchanges, windows, settings and ends of connections, with a client wired to a server."""

import copy
import pickle

import pytest
from kakuri_http2 import (
    ClientConnection,
    ConnectionEnded,
    Data,
    Drained,
    ErrorCode,
    ExchangeEnded,
    GoingAway,
    HeaderListTooLarge,
    HPACKError,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    PingAcknowledged,
    Processed,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
    StreamReset,
    Trailers,
)

from .wire import CUTS, PREFACE, TYPES, block, feed, frame, read, settings

CALL = Request(b"POST", b"/x", b"localhost", ((b"te", b"trailers"),))


class Pair:
    """A client and a server whose bytes reach each other when asked to."""

    def __init__(self, client: Limits | None = None, server: Limits | None = None) -> None:
        self.client = ClientConnection(client)
        self.server = ServerConnection(server)
        self.client_events: list[object] = []
        self.server_events: list[object] = []
        self.run()
        self.client_events.clear()
        self.server_events.clear()

    def run(self) -> None:
        """Move bytes both ways until nothing is left."""
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            self.server.receive_data(up)
            self.client.receive_data(down)
            before = len(self.client_events) + len(self.server_events)
            for connection, events in (
                (self.client, self.client_events),
                (self.server, self.server_events),
            ):
                while (event := connection.next_event()) is not None:
                    events.append(event)
            if not up and not down and before == len(self.client_events) + len(self.server_events):
                return


def test_exchange_is_received_by_both_sides():
    pair = Pair()
    stream = pair.client.send(CALL)
    pair.client.send(Data(stream, b"question", end=True))
    pair.run()
    assert pair.server_events == [
        Request(b"POST", b"/x", b"localhost", ((b"te", b"trailers"),), b"http", False, stream),
        Data(stream, b"question", True),
    ]
    pair.server.send(Response(stream, 100))
    pair.server.send(Response(stream, 200, ((b"a", b"b"),)))
    pair.server.send(Data(stream, b"answer"))
    pair.server.send(Trailers(stream, ((b"status", b"0"),)))
    pair.run()
    assert pair.client_events == [
        Response(stream, 100),
        Response(stream, 200, ((b"a", b"b"),)),
        Data(stream, b"answer"),
        Trailers(stream, ((b"status", b"0"),)),
    ]
    assert pair.client.open_streams == pair.server.open_streams == 0


@pytest.mark.parametrize("cuts", CUTS)
def test_result_does_not_depend_on_how_bytes_are_split(cuts):
    client = ClientConnection()
    for _ in range(3):
        stream = client.send(CALL)
        client.send(Data(stream, b"x" * 20_000, end=True))
    data = client.data_to_send()
    server = ServerConnection()
    events = feed(server, data, cuts)
    pieces = [one for one in events if isinstance(one, Data)]
    assert len([one for one in events if isinstance(one, Request)]) == 3
    assert b"".join(one.data for one in pieces) == b"x" * 60_000
    assert server.data_to_send()


def test_content_beyond_the_window_waits_and_reports_when_it_has_left():
    pair = Pair(server=Limits(stream_window=65_535))
    stream = pair.client.send(CALL)
    pair.client.send(Data(stream, b"x" * 200_000, end=True))
    pair.run()
    received = sum(len(one.data) for one in pair.server_events if isinstance(one, Data))
    assert received == 65_535
    assert pair.client.unsent_on(stream) == 200_000 - 65_535
    while pair.client.unsent_on(stream):
        pair.server.consumed(stream, 65_535)
        pair.run()
    assert Drained(stream) in pair.client_events
    assert sum(len(one.data) for one in pair.server_events if isinstance(one, Data)) == 200_000


def test_stream_without_window_does_not_block_another():
    pair = Pair(server=Limits(stream_window=65_535))
    slow, quick = pair.client.send(CALL), pair.client.send(CALL)
    pair.client.send(Data(slow, b"x" * 100_000, end=True))
    pair.client.send(Data(quick, b"y", end=True))
    pair.run()
    assert Data(quick, b"y", True) in pair.server_events


def test_streams_share_the_connection_in_turn():
    pair = Pair()
    streams = [pair.client.send(CALL) for _ in range(3)]
    for stream in streams:
        pair.client.send(Data(stream, b"x" * 16_384 * 2))
    order = [one.stream for one in read(pair.client.data_to_send()) if one.kind == TYPES["DATA"]]
    assert order == [*streams, *streams]


def test_window_lowered_below_zero_recovers():
    connection = ClientConnection()
    connection.receive_data(settings())
    stream = connection.send(CALL)
    connection.send(Data(stream, bytes(60_000)))
    connection.data_to_send()
    connection.receive_data(settings(s4=0))
    connection.send(Data(stream, b"more", end=True))
    connection.data_to_send()
    assert connection.unsent_on(stream) == 4
    connection.receive_data(frame("WINDOW_UPDATE", 0, stream, (59_999).to_bytes(4, "big")))
    connection.data_to_send()
    assert connection.unsent_on(stream) == 4
    connection.receive_data(frame("WINDOW_UPDATE", 0, stream, (10).to_bytes(4, "big")))
    assert any(one.kind == TYPES["DATA"] for one in read(connection.data_to_send()))
    assert connection.unsent_on(stream) == 0


def test_credit_is_returned_for_data_that_is_not_read():
    pair = Pair(client=Limits(stream_window=65_535, connection_window=65_535 * 2))
    for _ in range(200):
        stream = pair.client.send(CALL)
        pair.run()
        pair.server.send(Response(stream, 200))
        pair.server.send(Data(stream, bytes(30_000), end=True))
        pair.client.send(Data(stream, b"", end=True))
        pair.run()
    assert pair.client.open_streams == 0
    assert pair.server.open_streams == 0


def test_cancelled_calls_free_their_streams():
    pair = Pair()
    for _ in range(1000):
        stream = pair.client.send(CALL)
        pair.client.send(Data(stream, bytes(100)))
        pair.run()
        pair.client.reset(stream)
        pair.run()
        pair.server_events.clear()
        full = pair.client.send(Request(b"GET", b"/", end=True))  # one that finishes
        pair.run()
        pair.server.send(Response(full, 200, end=True))
        pair.run()
    for connection in (pair.client, pair.server):
        assert connection.open_streams == 0
        assert not connection.is_over
        assert len(connection._ended) <= 256
        assert not connection._ready
        assert not connection._blocked


def test_padding_uses_the_window_and_is_credited_at_once():
    connection = ServerConnection(Limits(stream_window=65_535))
    head = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
    connection.receive_data(PREFACE + settings() + frame("HEADERS", 4, 1, head))
    for _ in range(1000):
        connection.receive_data(frame("DATA", 8, 1, bytes((200,)) + b"x" + bytes(200)))
        connection.data_to_send()
    assert not connection.is_over
    assert connection._streams[1].unread == 1000


def test_settings_limit_the_number_of_streams_and_their_frames():
    pair = Pair(server=Limits(concurrent_streams=2, frame_size=20_000))
    assert pair.client.available_streams == 2
    stream = pair.client.send(CALL)
    pair.client.send(Request(b"GET", b"/", end=True))
    assert pair.client.available_streams == 0
    with pytest.raises(LocalProtocolError, match="accepts no request now"):
        pair.client.send(CALL)
    pair.client.send(Data(stream, bytes(20_000)))
    frames = [one for one in read(pair.client.data_to_send()) if one.kind == TYPES["DATA"]]
    assert [len(one.payload) for one in frames] == [20_000]


def test_streams_above_the_servers_limit_are_refused_as_not_processed():
    pair = Pair(server=Limits(concurrent_streams=1))
    pair.client._peer_streams = 10  # a client that has not read the setting yet
    first, second = pair.client.send(CALL), pair.client.send(CALL)
    pair.run()
    assert pair.client_events == [
        StreamReset(second, ErrorCode.REFUSED_STREAM, by_peer=True, processed=Processed.NO)
    ]
    assert pair.server._streams.keys() == {first}


def test_goaway_ends_streams_above_the_last_one_as_not_processed():
    client = ClientConnection()
    client.receive_data(settings())
    first, second = client.send(CALL), client.send(CALL)
    away = frame("GOAWAY", 0, 0, first.to_bytes(4, "big") + bytes(4) + b"bye")
    events = feed(client, away, "whole")
    assert StreamReset(second, 0, by_peer=True, processed=Processed.NO) in events
    assert GoingAway(first, 0, b"bye") in events
    assert client.available_streams == 0
    assert not client.accepts_streams
    head = block((":status", "200"))
    events = feed(client, frame("HEADERS", 5, first, head), "whole")
    assert Response(first, 200, (), end=True) in events


def test_second_goaway_may_lower_but_not_raise_the_last_stream():
    client = ClientConnection()
    client.receive_data(settings())
    streams = [client.send(CALL) for _ in range(3)]
    largest = ((1 << 31) - 1).to_bytes(4, "big")
    events = feed(client, frame("GOAWAY", 0, 0, largest + bytes(4)), "whole")
    assert not [one for one in events if isinstance(one, StreamReset)]
    lower = frame("GOAWAY", 0, 0, streams[0].to_bytes(4, "big") + bytes(4))
    ended = [one.stream for one in feed(client, lower, "whole") if isinstance(one, StreamReset)]
    assert ended == streams[1:]
    feed(client, frame("GOAWAY", 0, 0, streams[2].to_bytes(4, "big") + bytes(4)), "whole")
    assert client.is_over


def test_server_that_sent_goaway_completes_open_exchanges():
    pair = Pair()
    stream = pair.client.send(Request(b"GET", b"/", end=True))
    pair.run()
    pair.server.go_away()
    pair.run()
    assert GoingAway(stream, 0, b"") in pair.client_events
    pair.server.send(Response(stream, 200, end=True))
    pair.run()
    assert Response(stream, 200, (), end=True) in pair.client_events


def test_ping_is_answered_and_reported():
    pair = Pair()
    pair.client.ping(b"12345678")
    pair.run()
    assert pair.client_events == [PingAcknowledged(b"12345678")]
    with pytest.raises(LocalProtocolError, match="eight bytes"):
        pair.client.ping(b"1")


@pytest.mark.parametrize("sent", range(0, 60, 7))
def test_end_of_the_transport_ends_every_stream_once(sent):
    client = ClientConnection()
    client.receive_data(settings())
    stream = client.send(CALL)
    client.data_to_send()
    head = frame("HEADERS", 4, stream, block((":status", "200"))) + frame(
        "DATA", 0, stream, b"x" * 30
    )
    events = feed(client, head[:sent], "whole")
    client.receive_eof()
    client.receive_eof()
    while (event := client.next_event()) is not None:
        events.append(event)
    assert [one for one in events if isinstance(one, StreamReset)] == [
        StreamReset(stream, 0, by_peer=True)
    ]
    assert events[-1] == ConnectionEnded(None)
    assert client.is_over
    client.receive_data(head)
    assert client.next_event() is None


def test_fail_ends_the_connection_with_the_error_of_its_caller():
    pair = Pair()
    stream = pair.client.send(CALL)
    pair.client.data_to_send()
    pair.client.fail("no acknowledgement came", ErrorCode.SETTINGS_TIMEOUT)
    pair.run()
    reset = StreamReset(
        stream, ErrorCode.SETTINGS_TIMEOUT, by_peer=False, message="no acknowledgement came"
    )
    assert reset in pair.client_events
    assert any(
        isinstance(one, GoingAway) and one.code == ErrorCode.SETTINGS_TIMEOUT
        for one in pair.server_events
    )


def test_request_that_has_not_left_when_the_connection_ends_was_not_processed():
    client = ClientConnection()
    first = client.send(CALL)
    client.data_to_send()
    second = client.send(CALL)
    client.receive_eof()
    assert client.next_event() == StreamReset(first, 0, by_peer=True)
    assert client.next_event() == StreamReset(second, 0, by_peer=True, processed=Processed.NO)


@pytest.mark.parametrize("make", [ClientConnection, ServerConnection])
def test_nothing_is_sent_after_the_connection_has_ended(make):
    connection = make()
    connection.fail("over", ErrorCode.INTERNAL_ERROR)
    assert [one.kind for one in read(connection.data_to_send())][-1] == TYPES["GOAWAY"]
    connection.ping(bytes(8))
    connection.go_away()
    connection.send(Data(1, b"x"))
    connection.consumed(1, 10)
    connection.reset(1)
    assert connection.data_to_send() == b""


def test_streams_opened_before_the_client_saw_goaway_are_ignored_with_their_content():
    pair = Pair()
    first = pair.client.send(CALL)
    pair.run()
    pair.server.go_away()
    away = pair.server.data_to_send()
    late = pair.client.send(CALL)
    pair.client.send(Data(late, bytes(100_000)))
    pair.client.send(Trailers(late, ((b"a", b"b"),)))
    pair.server.receive_data(pair.client.data_to_send())
    assert not pair.server.is_over
    pair.client.receive_data(away)
    pair.run()
    reset = StreamReset(late, 0, by_peer=True, processed=Processed.NO)
    assert reset in pair.client_events
    pair.server.send(Response(first, 200, end=True))
    pair.run()
    assert Response(first, 200, (), end=True) in pair.client_events


def test_credit_of_the_connection_does_not_depend_on_which_stream_was_read():
    pair = Pair(server=Limits(stream_window=1 << 20, connection_window=1 << 20))
    streams = [pair.client.send(CALL) for _ in range(4)]
    for stream in streams * 20:
        pair.client.send(Data(stream, bytes(50_000)))
        pair.run()
        pair.server.consumed(stream, 50_000)
    pair.run()
    assert sum(len(one.data) for one in pair.server_events if isinstance(one, Data)) == 4_000_000
    assert pair.server._receive_window >= 1 << 19


def test_streams_that_wait_for_the_connections_window_continue_in_turn():
    client = ClientConnection()
    client.receive_data(settings(s4=1 << 20))
    streams = [client.send(CALL) for _ in range(3)]
    for stream in streams:
        client.send(Data(stream, bytes(100_000)))
    client.data_to_send()
    assert sum(client.unsent_on(stream) for stream in streams) == 300_000 - 65_535
    assert client.unsent == 300_000 - 65_535
    order = []
    for _ in range(6):
        client.receive_data(frame("WINDOW_UPDATE", 0, 0, (100).to_bytes(4, "big")))
        order += [one.stream for one in read(client.data_to_send())]
    assert sorted(order[:3]) == sorted(order[3:]) == streams


@pytest.mark.parametrize(
    "end",
    [
        lambda client, stream: client.reset(stream),
        lambda client, stream: client.receive_data(
            frame("RST_STREAM", 0, stream, (8).to_bytes(4, "big"))
        ),
        lambda client, stream: client.receive_eof(),
        lambda client, stream: (
            [
                client.receive_data(frame("WINDOW_UPDATE", 0, number, (1 << 20).to_bytes(4, "big")))
                for number in (0, stream)
            ]
            + [client.data_to_send()]
        ),
    ],
)
def test_unsent_content_of_a_stream_that_ends_no_longer_counts(end):
    client = ClientConnection()
    client.receive_data(settings())
    stream = client.send(CALL)
    client.send(Data(stream, bytes(100_000)))
    client.data_to_send()
    assert client.unsent == 100_000 - 65_535
    end(client, stream)
    assert client.unsent == 0


def test_unread_content_counts_until_it_is_consumed_or_its_stream_ends():
    server = open_server()
    server.receive_data(frame("DATA", 8, 1, b"\x02abcde\0\0"))
    assert server.unread == 5
    server.consumed(1, 2)
    assert server.unread == 3
    server.reset(1)
    assert server.unread == 0


@pytest.mark.parametrize("payload", [b"1234", bytes((0, 0, 0, 9, 0))])
def test_faulty_priority_on_an_idle_stream_ends_the_connection(payload):
    connection = open_server()
    events = feed(connection, frame("PRIORITY", 0, 9, payload), "whole")
    assert isinstance(events[-1], ConnectionEnded)
    assert not [f for f in read(connection.data_to_send()) if f.kind == TYPES["RST_STREAM"]]


# What this side may not do.

WRONG_REQUESTS = [
    Request(b"POST", b"x"),
    Request(b"POST", b"/a b"),
    Request(b"", b"/"),
    Request(b"POST", b"/", fields=((b"Upper", b"x"),)),
    Request(b"POST", b"/", fields=((b"a", b"x\r\ny"),)),
    Request(b"POST", b"/", fields=((b"a", b" x"),)),
    Request(b"POST", b"/", fields=((b"connection", b"close"),)),
    Request(b"POST", b"/", fields=((b"te", b"gzip"),)),
    Request(b"POST", b"/", fields=((b":path", b"/"),)),
    Request(b"POST", b"/", fields=((b"content-length", b"x"),)),
]


@pytest.mark.parametrize("request_", WRONG_REQUESTS, ids=str)
def test_request_that_is_not_allowed_raises_local_protocol_error_and_opens_nothing(request_):
    pair = Pair()
    with pytest.raises(LocalProtocolError):
        pair.client.send(request_)
    assert pair.client.open_streams == 0
    assert pair.client.send(CALL) == 1


def test_sending_on_a_stream_that_was_ended_or_never_opened_raises_local_protocol_error():
    pair = Pair()
    stream = pair.client.send(Request(b"GET", b"/", end=True))
    with pytest.raises(LocalProtocolError, match="was ended by this side"):
        pair.client.send(Data(stream, b"x"))
    with pytest.raises(LocalProtocolError, match="a stream that was opened, got 9"):
        pair.client.send(Data(9, b"x"))
    with pytest.raises(LocalProtocolError, match="expected a Request"):
        pair.client.send("text")
    with pytest.raises(LocalProtocolError, match="expected a Response"):
        pair.server.send(CALL)


def test_response_that_breaks_the_order_of_messages_raises_local_protocol_error():
    pair = Pair()
    stream = pair.client.send(CALL)
    pair.run()
    with pytest.raises(LocalProtocolError, match="expected a response on stream 1 before"):
        pair.server.send(Data(stream, b"x"))
    with pytest.raises(LocalProtocolError, match="expected a response on stream 1 before"):
        pair.server.send(Trailers(stream, ((b"a", b"b"),)))
    with pytest.raises(LocalProtocolError, match="interim response not to end its stream"):
        pair.server.send(Response(stream, 103, end=True))
    pair.server.send(Response(stream, 103))
    pair.server.send(Response(stream, 200))
    for status in (103, 200):
        with pytest.raises(LocalProtocolError, match="was already sent"):
            pair.server.send(Response(stream, status))


def test_message_on_a_stream_that_the_peer_has_reset_is_dropped():
    pair = Pair()
    stream = pair.client.send(CALL)
    pair.run()
    pair.client.reset(stream)
    pair.run()
    pair.server.send(Response(stream, 200))
    pair.server.send(Data(stream, b"x", end=True))
    pair.run()
    assert not pair.client_events


def test_response_does_not_depend_on_the_header_list_that_the_client_accepts():
    connection = open_server()
    connection.receive_data(settings(s6=1))
    connection.send(Response(1, 200, end=True))  # the client may reset it
    assert connection.data_to_send()


@pytest.mark.parametrize(("value", "is_valid"), [(b" a ", True), (b"a\n", False)])
def test_spaces_at_the_ends_of_a_value_are_accepted_in_untrimmed_fields_only(value, is_valid):
    client = ClientConnection(untrimmed={b"x-text"})
    client.receive_data(settings())
    for name in (b"x-text", b"x-other"):
        stream = client.send(Request(b"GET", b"/", end=True))
        head = block((":status", "200"), (name, value))
        events = feed(client, frame("HEADERS", 5, stream, head), "whole")
        is_accepted = is_valid and name == b"x-text"
        assert isinstance(events[-1], Response if is_accepted else StreamReset)


@pytest.mark.parametrize("names", [["x-text"], "x-text", 1])
def test_untrimmed_names_that_are_not_bytes_raise_type_error(names):
    with pytest.raises(TypeError, match="expected names in bytes as untrimmed"):
        ClientConnection(untrimmed=names)


def test_fields_beyond_the_peers_limit_raise_before_they_are_sent():
    connection = ClientConnection()
    connection.receive_data(settings(s6=200))
    with pytest.raises(LocalProtocolError, match="at most 200 bytes"):
        connection.send(Request(b"GET", b"/", fields=((b"a", bytes(200).replace(b"\0", b"x")),)))


def open_server(limits: Limits | None = None) -> ServerConnection:
    connection = ServerConnection(limits)
    head = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
    connection.receive_data(PREFACE + settings() + frame("HEADERS", 4, 1, head))
    connection.data_to_send()
    return connection


# Content-length.

LENGTHS = [
    ("5", [(b"hello", True)], True),
    ("5", [(b"hel", False), (b"lo", True)], True),
    ("5", [(b"hell", True)], False),
    ("5", [(b"hello!", True)], False),
    ("0", [(b"", True)], True),
    ("x", [(b"", True)], False),
    ("-1", [(b"", True)], False),
]


@pytest.mark.parametrize(("length", "pieces", "is_valid"), LENGTHS)
def test_content_length_is_checked_against_the_content(length, pieces, is_valid):
    connection = open_server()
    head = block(
        (":method", "POST"), (":scheme", "http"), (":path", "/"), ("content-length", length)
    )
    events = feed(connection, frame("HEADERS", 4, 3, head), "whole")
    for data, is_end in pieces:
        events += feed(connection, frame("DATA", int(is_end), 3, data), "whole")
    assert any(isinstance(one, StreamReset) for one in events) is not is_valid or not is_valid
    resets = [one for one in read(connection.data_to_send()) if one.kind == TYPES["RST_STREAM"]]
    assert bool(resets) is not is_valid


def test_head_and_304_announce_content_that_does_not_follow():
    client = ClientConnection()
    client.receive_data(settings())
    answer = (":status", "200"), ("content-length", "9")
    stream = client.send(Request(b"HEAD", b"/", end=True))
    assert isinstance(
        feed(client, frame("HEADERS", 5, stream, block(*answer)), "whole")[-1], Response
    )
    stream = client.send(Request(b"GET", b"/", end=True))
    answer = (":status", "304"), ("content-length", "9")
    assert isinstance(
        feed(client, frame("HEADERS", 5, stream, block(*answer)), "whole")[-1], Response
    )


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\x16\x03\x01"]
)
def test_other_protocols_end_the_connection_at_the_first_wrong_byte(data):
    connection = ServerConnection()
    events = feed(connection, data, "bytes")
    assert isinstance(events[-1], ConnectionEnded)
    assert "expected the HTTP/2 connection preface" in str(events[-1].error)


@pytest.mark.parametrize(
    "error",
    [
        RemoteProtocolError("expected x", ErrorCode.STREAM_CLOSED),
        HPACKError("expected x"),
        LimitExceeded("expected x", ErrorCode.ENHANCE_YOUR_CALM, "idle_frames", 3),
        HeaderListTooLarge(5),
        LocalProtocolError("expected x"),
        ExchangeEnded("ended", 8, by_peer=True, processed=Processed.NO),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickle_and_copy(error):
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"stream_window": 1}, ValueError),
        ({"frame_size": 1 << 24}, ValueError),
        ({"settings": "1"}, TypeError),
    ],
)
def test_limits_out_of_range_raise_type_or_value_error(arguments, error):
    with pytest.raises(error):
        Limits(**arguments)


def test_request_of_text_raises_type_error_that_quotes_its_fields():
    with pytest.raises(TypeError, match=r"expected bytes in all fields, got .*'GET'"):
        ClientConnection().send(Request("GET", "/"))


def test_messages_with_fields_that_are_not_allowed_raise_and_send_nothing():
    pair = Pair()
    stream = pair.client.send(CALL)
    pair.run()
    wrong = (
        Response(stream, 200, ((b"A", b"b"),)),
        Response(stream, 42),
        Response(stream, 200, ((b":path", b"/"),)),
    )
    for message in wrong:
        with pytest.raises(LocalProtocolError):
            pair.server.send(message)
    pair.server.send(Response(stream, 200))
    pair.server.data_to_send()
    with pytest.raises(LocalProtocolError, match="without pseudo-header fields"):
        pair.server.send(Trailers(stream, ((b":status", b"200"),)))
    assert pair.server.data_to_send() == b""


@pytest.mark.parametrize("size", [4096, 0, 8192])
def test_table_size_other_than_the_default_is_announced(size):
    connection = ClientConnection(Limits(header_table=size))
    (first, *_) = read(connection.data_to_send())
    entries = [first.payload[at : at + 6] for at in range(0, len(first.payload), 6)]
    announced = [entry for entry in entries if entry[:2] == b"\0\1"]
    assert announced == ([] if size == 4096 else [b"\0\1" + size.to_bytes(4, "big")])


@pytest.mark.parametrize("connection", [ClientConnection, ServerConnection])
@pytest.mark.parametrize("limits", [5, {}, "x", False])
def test_limits_of_wrong_type_raise_type_error(connection, limits):
    with pytest.raises(TypeError, match=f"^expected Limits as limits, got {limits!r}$"):
        connection(limits)


def test_accept_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as accept, got 5"):
        ServerConnection(accept=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda connection: connection.ping("12345678"),
            "expected bytes in a ping, got '12345678'",
        ),
        (lambda connection: connection.ping(None), "expected bytes in a ping, got None"),
        (lambda connection: connection.go_away(None), "expected an ErrorCode, got None"),
        (lambda connection: connection.go_away(debug="x"), "expected bytes as debug, got 'x'"),
    ],
)
def test_argument_of_wrong_type_raises_type_error(call, message):
    with pytest.raises(TypeError, match=message):
        call(ClientConnection())


@pytest.mark.parametrize("content", ["text", [b"x"], 5, None], ids=repr)
def test_content_that_is_not_bytes_like_raises_type_error_and_sends_nothing(content):
    pair = Pair()
    stream = pair.client.send(CALL)
    with pytest.raises(TypeError, match=f"expected bytes as content, got {type(content).__name__}"):
        pair.client.send(Data(stream, content))
    with pytest.raises(TypeError):
        pair.client.start(pair.client.prepare(CALL), content=content, is_end=True)
    pair.client.send(Data(stream, b"x", end=True))
    pair.run()
    assert pair.server_events[1:] == [Data(stream, b"x", end=True)]


def test_bytes_like_content_is_counted_in_bytes_and_copied():
    pair = Pair()
    stream = pair.client.send(CALL)
    changing = bytearray(b"abcd")
    pair.client.send(Data(stream, changing))
    changing[:] = b"zzzz"
    pair.client.send(Data(stream, memoryview(b"abcdefgh").cast("I"), end=True))
    pair.run()
    assert b"".join(event.data for event in pair.server_events[1:]) == b"abcdabcdefgh"
