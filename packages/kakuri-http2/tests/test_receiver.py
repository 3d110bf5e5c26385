"""Streams that report to an object of the program, and requests that are prepared once."""

import asyncio

import pytest
from kakuri_http2 import (
    ClientConnection,
    ClientDriver,
    Data,
    LocalProtocolError,
    Processed,
    Request,
    Response,
    ServerConnection,
    Trailers,
)

CALL = Request(b"POST", b"/x/Y", b"localhost", ((b"content-type", b"application/grpc"),))


class Recorder:
    """A receiver that records its calls."""

    def __init__(self, *, takes=True):
        self.reports = []
        self.takes = takes

    def receive_head(self, status, fields, *, is_end):
        self.reports.append(("head", status, is_end))

    def receive_content(self, data, *, is_end):
        self.reports.append(("content", data, is_end))
        return self.takes

    def receive_trailers(self, fields):
        self.reports.append(("trailers", fields))

    def receive_reset(self, reset):
        self.reports.append(("reset", reset.code, reset.processed))

    def drained(self):
        self.reports.append(("drained",))


@pytest.fixture
def pair():
    client, server = ClientConnection(), ServerConnection()
    exchange(client, server)
    while client.next_event() or server.next_event():
        pass
    return client, server


def exchange(client, server):
    """Pass bytes between both sides until neither has more."""
    while client.has_output or server.has_output:
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())


def test_response_goes_to_the_receiver_of_its_stream_and_not_into_events(pair):
    client, server = pair
    recorder = Recorder()
    stream = client.start(client.prepare(CALL), recorder, content=b"question", is_end=True)
    exchange(client, server)
    server.send(Response(stream, 200))
    server.send(Data(stream, b"answer"))
    server.send(Trailers(stream, ((b"grpc-status", b"0"),)))
    exchange(client, server)
    assert recorder.reports == [
        ("head", 200, False),
        ("content", b"answer", False),
        ("trailers", ((b"grpc-status", b"0"),)),
    ]
    assert not client.has_events
    assert client.open_streams == 0


def test_credit_of_content_that_a_receiver_takes_is_returned_without_consumed(pair):
    client, server = pair
    prepared = client.prepare(CALL)
    for takes, unread in ((True, 0), (False, 1000)):
        stream = client.start(prepared, Recorder(takes=takes), is_end=True)
        exchange(client, server)
        server.send(Response(stream, 200))
        server.send(Data(stream, bytes(1000)))
        exchange(client, server)
        assert client._streams[stream].unread == unread


def test_receiver_is_notified_how_its_stream_ended_early(pair):
    client, _ = pair
    recorder = Recorder()
    client.start(client.prepare(CALL), recorder, is_end=True)
    client.data_to_send()
    client.receive_eof()
    assert recorder.reports == [("reset", 0, Processed.UNKNOWN)]


def test_receiver_is_released_when_its_stream_ends(pair):
    client, server = pair
    recorder = Recorder()
    stream = client.start(client.prepare(CALL), recorder, is_end=True)
    exchange(client, server)
    server.reset(stream)
    exchange(client, server)
    assert client._ended[stream].receiver is not recorder


def test_receiver_is_notified_when_queued_content_was_sent(pair):
    client, server = pair
    recorder = Recorder()
    content = bytes(server.limits.stream_window + 1)
    stream = client.start(client.prepare(CALL), recorder, content=content, is_end=True)
    exchange(client, server)
    assert recorder.reports == []
    server.consumed(stream, server.limits.stream_window)
    exchange(client, server)
    assert recorder.reports == [("drained",)]


def test_prepared_request_is_sent_with_further_fields(pair):
    client, server = pair
    prepared = client.prepare(CALL)
    for seconds in (b"5S", b"6S", b"5S"):
        client.start(prepared, fields=((b"grpc-timeout", seconds),), is_end=True)
        server.receive_data(client.data_to_send())
        request = server.next_event()
        assert request.fields == (*CALL.fields, (b"grpc-timeout", seconds))
        assert request.path == CALL.path
    assert all(name != b"grpc-timeout" for name, _ in client._encoder.table.entries)


def test_repeated_prepared_request_is_encoded_once(pair):
    client, _ = pair
    prepared = client.prepare(CALL)
    for _ in range(2):  # the first puts its fields into the table
        client.start(prepared, is_end=True)
    block = client._encoder.encode(prepared.fields)
    assert client._encoder.encode(prepared.fields) is block


@pytest.mark.parametrize(
    "fields", [((b"X", b"1"),), ((b"connection", b"close"),), ((b"a", b"\r\n"),)]
)
def test_further_fields_of_a_prepared_request_are_checked(pair, fields):
    client, _ = pair
    with pytest.raises(LocalProtocolError):
        client.start(client.prepare(CALL), fields=fields, is_end=True)
    assert client.open_streams == 0


def test_server_reports_each_request_to_the_receiver_that_accept_returns():
    recorder, requests = Recorder(), []

    def accept(request):
        requests.append(request)
        return recorder

    client, server = ClientConnection(), ServerConnection(accept=accept)
    exchange(client, server)
    stream = client.send(CALL)
    client.send(Data(stream, b"question"))
    client.send(Trailers(stream, ((b"a", b"1"),)))
    exchange(client, server)
    assert [request.path for request in requests] == [CALL.path]
    assert recorder.reports == [
        ("content", b"question", False),
        ("trailers", ((b"a", b"1"),)),
    ]


# How many writes calls take, over a transport that counts them.


class Transport:
    """Counts writes, and passes what is written to a server core."""

    def __init__(self):
        self.writes = 0
        self.server = ServerConnection()

    def write(self, data):
        self.writes += 1
        self.server.receive_data(data)
        while self.server.next_event():
            pass

    def close(self):
        pass

    def is_closing(self):
        return False


async def started():
    """Return a driver that the server's settings have reached."""
    driver = ClientDriver()
    transport = Transport()
    driver.connection_made(transport)
    driver.data_received(transport.server.data_to_send())
    await asyncio.sleep(0)
    transport.writes = 0
    return driver, transport


async def test_driver_writes_a_single_request_immediately():
    driver, transport = await started()
    driver.start(driver.connection.prepare(CALL), Recorder())
    assert transport.writes == 1
    driver.connection_lost(None)


async def test_driver_writes_requests_that_follow_one_read_together():
    driver, transport = await started()
    prepared = driver.connection.prepare(CALL)
    for number in (2, 3, 4):
        for _ in range(number):
            driver.start(prepared, Recorder())
        await asyncio.sleep(0)
        transport.writes = 0
        for stream in list(driver.connection._streams):
            transport.server.send(Response(stream, 200, end=True))
        driver.data_received(transport.server.data_to_send())
        for _ in range(number):
            driver.start(prepared, Recorder())
        await asyncio.sleep(0)
        assert transport.writes == 1
    driver.connection_lost(None)
