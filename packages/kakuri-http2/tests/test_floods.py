"""Floods cost this side little memory and work: each ends with the name of a limit."""

import asyncio
import gc
import tracemalloc

import pytest
from kakuri_http2 import (
    ClientConnection,
    ClientDriver,
    Data,
    ErrorCode,
    LimitExceeded,
    Limits,
    Request,
    Response,
    ServerConnection,
    ServerDriver,
    StreamReset,
)

from .wire import PREFACE, TYPES, block, feed, frame, integer, read, settings

CALL = Request(b"POST", b"/x", b"localhost")
REQUEST = block((":method", "GET"), (":scheme", "http"), (":path", "/"))
RESPONSE = block((":status", "200"))
MIB = 1 << 20


def open_server(limits: Limits | None = None) -> ServerConnection:
    """Return a server on which the client has opened stream 1."""
    connection = ServerConnection(limits)
    connection.receive_data(PREFACE + settings() + frame("HEADERS", 4, 1, REQUEST))
    connection.data_to_send()
    return connection


def open_client(limits: Limits | None = None) -> ClientConnection:
    """Return a client with a request on stream 1 whose response has begun."""
    connection = ClientConnection(limits)
    connection.receive_data(settings())
    connection.send(CALL)
    connection.data_to_send()
    connection.receive_data(frame("HEADERS", 4, 1, RESPONSE))
    return connection


ROLES = {"server": open_server, "client": open_client}

INCREMENT = (1).to_bytes(4, "big")
BOTH = [
    ("unsent_control_frames", "PING", lambda n: frame("PING", 0, 0, bytes(8)), False),
    ("unsent_control_frames", "SETTINGS", lambda n: settings() + frame("DATA", 0, 1, b"x"), False),
    ("idle_frames", "PING", lambda n: frame("PING", 0, 0, bytes(8)), True),
    ("idle_frames", "PING-ACK", lambda n: frame("PING", 1, 0, bytes(8)), True),
    ("idle_frames", "PRIORITY", lambda n: frame("PRIORITY", 0, 5, bytes((0, 0, 0, 0, 1))), True),
    ("idle_frames", "unknown", lambda n: frame(77, 0, 1, b"x"), True),
    ("idle_frames", "WINDOW_UPDATE-stream", lambda n: frame("WINDOW_UPDATE", 0, 1, INCREMENT), True),
    ("idle_frames", "WINDOW_UPDATE", lambda n: frame("WINDOW_UPDATE", 0, 0, INCREMENT), True),
    ("idle_frames", "GOAWAY", lambda n: frame("GOAWAY", 0, 0, bytes((0, 0, 0, 9, 0, 0, 0, 0))), True),
    ("settings_frames", "SETTINGS", lambda n: settings(), True),
    ("settings", "SETTINGS-entries", lambda n: settings(**{f"s{key}": 1 for key in range(10, 43)}),
     True),
    ("empty_frames", "DATA", lambda n: frame("DATA", 0, 1), True),
    ("empty_frames", "DATA-padding", lambda n: frame("DATA", 8, 1, b"\3\0\0\0"), True),
    ("own_resets", "PRIORITY-length", lambda n: frame("PRIORITY", 0, 1, b"x"), True),
]  # fmt: skip
SERVER = [
    ("idle_frames", "WINDOW_UPDATE-reset", lambda n: (b"" if n else frame("HEADERS", 5, 3, REQUEST)
     + frame("RST_STREAM", 0, 3, bytes(4))) + frame("WINDOW_UPDATE", 0, 3, INCREMENT), True),
    ("peer_resets", "rapid reset", lambda n: frame("HEADERS", 5, 2 * n + 3, REQUEST)
     + frame("RST_STREAM", 0, 2 * n + 3, bytes(4)), True),
    ("own_resets", "malformed head", lambda n: frame("HEADERS", 5, 2 * n + 3, block(("A", "b"))),
     True),
    ("own_resets", "window of zero", lambda n: frame("HEADERS", 5, 2 * n + 3, REQUEST)
     + frame("WINDOW_UPDATE", 0, 2 * n + 3, bytes(4)), True),
    ("own_resets", "window overflow", lambda n: frame("HEADERS", 5, 2 * n + 3, REQUEST)
     + frame("WINDOW_UPDATE", 0, 2 * n + 3, b"\x7f\xff\xff\xff"), True),
    ("own_resets", "DATA after the end", lambda n: frame("HEADERS", 5, 2 * n + 3, REQUEST)
     + frame("DATA", 0, 2 * n + 3, b"x"), True),
    ("own_resets", "heads over the list limit", lambda n: frame("HEADERS", 5, 2 * n + 3,
     b"\x40\x01x" + integer(4000, 7) + bytes(4000).replace(b"\0", b"y") + b"\xbe" * 20), True),
    ("unsent_control_frames", "resets that are not read", lambda n: frame("HEADERS", 5, 2 * n + 3,
     block(("A", "b"))), False),
]  # fmt: skip
WEIGHTS = {"SETTINGS-entries": 33, "heads over the list limit": 20}
"""What one piece of a flood counts, if not one."""
CASES = [(role, *case) for role in ROLES for case in BOTH] + [("server", *case) for case in SERVER]


@pytest.mark.parametrize(
    ("role", "limit", "name", "piece", "is_read"), CASES, ids=[" ".join(c[:3]) for c in CASES]
)
def test_flood_ends_the_connection_with_the_name_of_its_limit(role, limit, name, piece, is_read):
    connection = ROLES[role]()
    maximum = getattr(connection.limits, limit)
    events = []
    accepted = 0
    for number in range(2 * maximum):
        events = feed(connection, piece(number), "whole")
        if is_read:
            connection.data_to_send()
        if connection.is_over:
            break
        accepted += 1
    assert accepted == maximum // WEIGHTS.get(name, 1)
    error = events[-1].error
    assert isinstance(error, LimitExceeded)
    assert (error.limit, error.maximum) == (limit, maximum)
    assert error.code is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    ("role", "limit", "name", "piece", "is_read"), CASES, ids=[" ".join(c[:3]) for c in CASES]
)
def test_flood_leaves_no_memory_allocated(role, limit, name, piece, is_read):
    connection = ROLES[role](Limits(**{limit: 1 << 20}))
    gc.disable()  # memory in cycles counts: a flood may be faster than the collector
    tracemalloc.start()
    try:
        for number in range(1500):
            feed(connection, piece(number), "whole")
            if is_read or number % 50 == 0:
                connection.data_to_send()
        assert tracemalloc.get_traced_memory()[0] < MIB
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [0, 1, 16_384])
def test_continuation_flood_is_cut_off(role, size):
    connection = ROLES[role]()
    number = 3 if role == "server" else 1
    connection.receive_data(frame("HEADERS", 0, number, REQUEST))
    events = []
    for _ in range(40):
        events = feed(connection, frame("CONTINUATION", 0, number, bytes(size)), "whole")
        if connection.is_over:
            break
    assert events[-1].error.limit == ("header_block" if size > 1 else "continuations")


@pytest.mark.parametrize("role", ROLES)
def test_hpack_bomb_ends_the_connection_without_being_expanded(role):
    connection = ROLES[role](Limits(header_block=1 << 20, frame_size=1 << 20))
    value = b"x" * 4063
    bomb = b"\x40\x01x" + integer(len(value), 7) + value + b"\xbe" * 10_000
    number = 3 if role == "server" else 1
    tracemalloc.start()
    try:
        events = feed(connection, frame("HEADERS", 5, number, bomb), "whole")
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
        gc.enable()
    error = events[-1].error
    assert (error.limit, error.code) == ("header_list", ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" + b"\x7f" + b"\xff" * 4 + b"\x0f" + b"x",  # a name of 4 GiB
        b"\x00\x01a" + b"\xff" + b"\x80" * 60_000,  # a length padded without end
        b"\x0f" + b"\x80" * 60_000,  # an index padded without end
    ],
    ids=["name of 4 GiB", "padded length", "padded index"],
)
@pytest.mark.parametrize("role", ROLES)
def test_wrong_lengths_in_a_header_block_are_a_compression_error(role, data):
    connection = ROLES[role](Limits(frame_size=1 << 20))
    events = feed(connection, frame("HEADERS", 5, 3 if role == "server" else 1, data), "whole")
    assert events[-1].error.code is ErrorCode.COMPRESSION_ERROR


def test_fields_beyond_the_list_limit_end_only_their_stream_up_to_twice_the_limit():
    connection = open_server(Limits(header_list=1000))
    head = 123  # bytes of REQUEST, as the limit counts them
    for stream, size in ((3, 1001), (5, 2000)):
        large = REQUEST + block(("x", "y" * (size - head - 33)))
        connection.receive_data(frame("HEADERS", 5, stream, large))
        sent_frames = read(connection.data_to_send())
        resets = [one for one in sent_frames if one.kind == TYPES["RST_STREAM"]]
        assert [one.stream for one in resets] == [stream]
    connection.receive_data(frame("HEADERS", 5, 7, REQUEST))
    assert not connection.is_over
    large = REQUEST + block(("x", "y" * (2001 - head - 33)))
    events = feed(connection, frame("HEADERS", 5, 9, large), "whole")
    assert events[-1].error.limit == "header_list"


def test_large_heads_are_not_cached():
    connection = open_server()
    tracemalloc.start()
    try:
        for number in range(3, 83, 2):
            fields = block(*[(f"x{number}-{index}", "") for index in range(400)])
            feed(connection, frame("HEADERS", 5, number, REQUEST + fields[:16_000]), "whole")
            connection.reset(number)
            connection.data_to_send()
        assert tracemalloc.get_traced_memory()[0] < MIB
    finally:
        tracemalloc.stop()
        gc.enable()


def test_interim_responses_without_end_are_cut_off():
    client = ClientConnection()
    client.receive_data(settings())
    stream = client.send(CALL)
    events = []
    for _ in range(11):
        events += feed(client, frame("HEADERS", 4, stream, block((":status", "103"))), "whole")
    assert isinstance(events[-1], StreamReset)
    assert "interim" in events[-1].message


@pytest.mark.parametrize("role", ROLES)
def test_content_beyond_the_window_of_a_stream_that_was_reset_ends_the_connection(role):
    connection = ROLES[role](Limits(stream_window=65_535))
    connection.reset(1)
    for _ in range(65_535):
        connection.receive_data(frame("DATA", 0, 1, b"x"))
    assert not connection.is_over
    events = feed(connection, frame("DATA", 0, 1, b"x"), "whole")
    assert events[-1].error.code is ErrorCode.FLOW_CONTROL_ERROR


# Legitimate traffic that resembles a flood.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "piece",
    [frame("PING", 0, 0, bytes(8)), frame("WINDOW_UPDATE", 0, 0, INCREMENT), settings()],
    ids=["PING", "WINDOW_UPDATE", "SETTINGS"],
)
def test_frames_spread_over_many_intervals_are_not_a_flood(role, piece):
    connection = ROLES[role]()
    for _ in range(3000):
        connection.receive_data(piece)
        connection.data_to_send()
        connection.start_interval()
    assert not connection.is_over


def test_resets_spread_over_many_intervals_are_not_a_flood():
    connection = open_server()
    for number in range(3, 3003, 2):
        connection.receive_data(frame("HEADERS", 5, number, REQUEST))
        connection.receive_data(frame("RST_STREAM", 0, number, bytes(4)))
        connection.data_to_send()
        if number % 199 == 0:
            connection.start_interval()
    assert not connection.is_over


def test_resets_among_streams_that_finish_are_not_a_flood():
    connection = open_server()
    for number in range(3, 2403, 4):
        connection.receive_data(frame("HEADERS", 5, number, REQUEST))
        connection.receive_data(frame("RST_STREAM", 0, number, bytes(4)))
        connection.receive_data(frame("HEADERS", 5, number + 2, REQUEST))
        connection.send(Response(number + 2, 200, end=True))
        connection.data_to_send()
    assert not connection.is_over


@pytest.mark.parametrize("role", ROLES)
def test_credit_for_each_piece_of_much_content_is_not_a_flood(role):
    connection = ROLES[role]()
    for piece in (
        settings(s4=16 * MIB),
        frame("WINDOW_UPDATE", 0, 0, (16 * MIB).to_bytes(4, "big")),
    ):
        connection.receive_data(piece)
    if role == "server":
        connection.send(Response(1, 200))
    connection.send(Data(1, bytes(16 * MIB - 1)))
    while connection.data_to_send():
        pass
    credit = (8192).to_bytes(4, "big")
    update = frame("WINDOW_UPDATE", 0, 1, credit) + frame("WINDOW_UPDATE", 0, 0, credit)
    connection.receive_data(update * 2048)
    assert not connection.is_over


# Peers that do not read.


def test_requests_whose_responses_are_not_read_are_refused_and_then_cut_off():
    connection = open_server(Limits(concurrent_streams=10))
    connection.receive_data(frame("RST_STREAM", 0, 1, bytes(4)))
    opened = 0
    for number in range(3, 1000, 2):
        for event in feed(connection, frame("HEADERS", 5, number, REQUEST), "whole"):
            if isinstance(event, Request) and event.stream > 1:
                opened += 1
                connection.send(Response(event.stream, 200, end=True))
        if connection.is_over:
            break
    assert opened == 10
    assert event.error.limit == "unsent_control_frames"


@pytest.mark.parametrize("role", [ServerConnection, ClientConnection])
def test_control_frames_before_the_first_write_count_like_later_ones(role):
    connection = role(Limits(unsent_control_frames=10))
    ping = frame("PING", 0, 0, bytes(8))
    if role is ServerConnection:
        connection.receive_data(PREFACE)
    connection.receive_data(settings() + ping * 9)  # and the acknowledgement of the settings
    assert not connection.is_over
    connection.data_to_send()
    connection.receive_data(ping * 10)
    assert not connection.is_over
    assert feed(connection, ping, "whole")[-1].error.limit == "unsent_control_frames"
    early = role(Limits(unsent_control_frames=10))
    if role is ServerConnection:
        early.receive_data(PREFACE)
    assert feed(early, settings() + ping * 10, "whole")[-1].error.limit == "unsent_control_frames"


def test_finished_streams_make_room_once_their_responses_have_left():
    connection = open_server(Limits(concurrent_streams=1))
    connection.send(Response(1, 200, end=True))
    connection.receive_data(frame("DATA", 1, 1))
    connection.data_to_send()
    events = feed(connection, frame("HEADERS", 5, 3, REQUEST), "whole")
    assert isinstance(events[-1], Request)


def test_window_that_opens_byte_by_byte_costs_the_same_for_each_byte():
    connection = open_server(Limits(concurrent_streams=1000))
    for number in range(3, 1003, 2):
        connection.receive_data(frame("HEADERS", 5, number, REQUEST))
        connection.send(Response(number, 200))
        connection.send(Data(number, bytes(10_000), end=True))
    while connection.data_to_send():
        pass
    touched = 0
    write = connection._write_piece

    def count(*arguments, **options):
        nonlocal touched
        touched += 1
        return write(*arguments, **options)

    connection._write_piece = count
    for _ in range(100):
        connection.receive_data(frame("WINDOW_UPDATE", 0, 0, INCREMENT))
        connection.data_to_send()
    assert touched <= 200


class Transport(asyncio.Transport):
    """A transport whose peer reads nothing."""

    def __init__(self) -> None:
        self.written = 0
        self.is_closed = False
        self.aborted = asyncio.Event()

    def write(self, data):
        self.written += len(data)

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def abort(self):
        self.aborted.set()


@pytest.mark.parametrize("is_fault", [True, False])
async def test_peer_that_does_not_read_cannot_keep_a_closed_connection(monkeypatch, is_fault):
    monkeypatch.setattr("kakuri_http2._driver.CLOSE_TIMEOUT", 0.0)
    driver, transport = ClientDriver(), Transport()
    driver.connection_made(transport)
    driver.pause_writing()
    if is_fault:
        driver.data_received(frame("PING"))
    else:
        driver.close()
    assert transport.is_closed
    await transport.aborted.wait()
    driver.connection_lost(None)


async def test_nothing_is_written_to_a_transport_that_is_closing():
    async def handler(exchange):
        await exchange.ended()

    driver, transport = ServerDriver(handler), Transport()
    driver.connection_made(transport)
    written = transport.written
    transport.close()
    driver.data_received(PREFACE + settings() + frame("PING", 0, 0, bytes(8)))
    driver.flush()
    assert transport.written == written
    driver.connection_lost(None)


async def test_content_in_tiny_pieces_takes_little_more_than_its_size():
    async def handler(exchange):
        await exchange.ended()

    driver = ServerDriver(handler)
    driver.connection_made(Transport())
    driver.data_received(PREFACE + settings() + frame("HEADERS", 4, 1, REQUEST))
    dribble = frame("DATA", 0, 1, b"ab") * 500
    tracemalloc.start()
    try:
        for _ in range(40):
            driver.data_received(dribble)
        assert tracemalloc.get_traced_memory()[0] < 120_000
    finally:
        tracemalloc.stop()
        gc.enable()
    driver.connection_lost(None)
    await asyncio.sleep(0)


async def test_peer_that_grants_no_window_pauses_each_handler_at_a_bound():
    async def handler(exchange):
        exchange.respond(200)
        while True:
            await exchange.send(bytes(8192))

    driver = ServerDriver(handler)
    driver.connection_made(Transport())
    heads = b"".join(frame("HEADERS", 5, number, REQUEST) for number in range(1, 200, 2))
    driver.data_received(PREFACE + settings(s4=0) + heads)
    for _ in range(50):
        await asyncio.sleep(0)
    queued = sum(stream.queued for stream in driver.connection._streams.values())
    assert queued <= 4 * MIB
    driver.connection_lost(None)
    await asyncio.sleep(0)


async def test_handlers_that_outlive_their_streams_are_bounded():
    running = 0

    async def handler(exchange):
        nonlocal running
        running += 1
        await asyncio.Event().wait()

    driver = ServerDriver(handler, Limits(concurrent_streams=10, peer_resets=10_000))
    driver.connection_made(Transport())
    driver.data_received(PREFACE + settings())
    for number in range(1, 2001, 2):
        head = frame("HEADERS", 5, number, REQUEST)
        driver.data_received(head + frame("RST_STREAM", 0, number, bytes(4)))
        await asyncio.sleep(0)
    assert running <= 20
    driver.connection_lost(None)
    await asyncio.sleep(0)


async def test_idle_connection_survives_pings_for_hours(monkeypatch):
    clock = 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock)
    driver = ClientDriver()
    driver.connection_made(Transport())
    driver.data_received(settings() + frame("SETTINGS", 1))
    for _ in range(3000):
        clock += 10.0
        driver.data_received(frame("PING", 0, 0, bytes(8)))
        driver.flush()
    assert not driver.connection.is_over
    driver.connection_lost(None)
    monkeypatch.undo()


@pytest.mark.parametrize(("count", "is_over"), [(1 + 10, False), (1 + 11, True)])
def test_acknowledgements_of_settings_that_were_not_sent_are_a_flood(count, is_over):
    connection = ClientConnection(Limits(idle_frames=10))
    connection.receive_data(settings())
    for _ in range(count):
        connection.receive_data(frame("SETTINGS", 1))
    assert connection.is_over is is_over


def test_content_beyond_the_window_of_the_connection_ends_it():
    connection = ServerConnection(Limits(connection_window=65_535))
    connection.receive_data(PREFACE + settings())
    request = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
    connection.receive_data(frame("HEADERS", 4, 1, request))
    for size in (16_384, 16_384, 16_384, 16_383):
        connection.receive_data(frame("DATA", 0, 1, bytes(size)))
    assert not connection.is_over
    connection.receive_data(frame("DATA", 0, 1, b"x"))
    assert connection.is_over
    (goaway,) = [one for one in read(connection.data_to_send()) if one.kind == TYPES["GOAWAY"]]
    assert int.from_bytes(goaway.payload[4:8], "big") == 3


def test_number_of_cached_heads_is_bounded():
    client, server = ClientConnection(), ServerConnection()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    for number in range(200):
        stream = client.send(Request(b"GET", b"/%d" % number, b"a", end=True))
        server.receive_data(client.data_to_send())
        server.send(Response(stream, 200, ((b"number", b"%d" % number),), end=True))
        client.receive_data(server.data_to_send())
    for connection in (client, server):
        assert 0 < len(connection._sent_heads) <= 64
        assert 0 < len(connection._received_heads) <= 64
