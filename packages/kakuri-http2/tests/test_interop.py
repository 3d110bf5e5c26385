"""Our client against another implementation's server, and the other way round, without sockets."""

import random

import h2.config
import h2.connection
import h2.events
import pytest
from kakuri_http2 import ClientConnection, Data, Request, Response, ServerConnection, Trailers


def events_of(connection):
    events = []
    while (event := connection.next_event()) is not None:
        events.append(event)
    return events


def other(*, is_client):
    config = h2.config.H2Configuration(client_side=is_client, header_encoding=None)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    return connection


@pytest.mark.parametrize("seed", range(10))
def test_our_client_and_another_server_exchange_content(seed):
    chance = random.Random(seed)
    ours, theirs = ClientConnection(), other(is_client=False)
    for _ in range(30):
        content = chance.randbytes(chance.choice([0, 10, 20_000, 70_000]))
        stream = ours.send(Request(b"POST", b"/x", b"localhost", ((b"x-a", b"%d" % seed),)))
        ours.send(Data(stream, content, end=True))
        received, answered = b"", False
        while not answered:
            for event in theirs.receive_data(ours.data_to_send()):
                if isinstance(event, h2.events.DataReceived):
                    received += event.data
                    theirs.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, h2.events.StreamEnded):
                    theirs.send_headers(stream, [(b":status", b"200"), (b"x-b", b"c")])
                    theirs.send_data(stream, b"answer")
                    theirs.send_headers(stream, [(b"x-end", b"1")], end_stream=True)
                    answered = True
            ours.receive_data(theirs.data_to_send())
        assert received == content
        heads = [one for one in events_of(ours) if isinstance(one, (Response, Data, Trailers))]
        assert heads == [
            Response(stream, 200, ((b"x-b", b"c"),)),
            Data(stream, b"answer"),
            Trailers(stream, ((b"x-end", b"1"),)),
        ]
    assert ours.open_streams == 0


@pytest.mark.parametrize("seed", range(10))
def test_another_client_and_our_server_exchange_content(seed):
    chance = random.Random(seed)
    ours, theirs = ServerConnection(), other(is_client=True)
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"h")]
    for number in range(30):
        stream = 2 * number + 1
        content = chance.randbytes(chance.choice([1, 10, 16_000]))
        theirs.send_headers(stream, head)
        theirs.send_data(stream, content, end_stream=True)
        ours.receive_data(theirs.data_to_send())
        arrived = [one for one in events_of(ours) if isinstance(one, (Request, Data))]
        assert b"".join(one.data for one in arrived if isinstance(one, Data)) == content
        ours.consumed(stream, len(content))
        ours.send(Response(stream, 200, ((b"x-b", b"c"),)))
        ours.send(Data(stream, bytes(20_000), end=True))
        received = 0
        for _ in range(5):
            for event in theirs.receive_data(ours.data_to_send()):
                if isinstance(event, h2.events.DataReceived):
                    received += len(event.data)
                    theirs.acknowledge_received_data(event.flow_controlled_length, stream)
            ours.receive_data(theirs.data_to_send())
        assert received == 20_000
    assert ours.open_streams == 0
