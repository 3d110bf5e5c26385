"""Every frame in every state of a stream: what RFC 9113 says, and never anything else."""

from itertools import product

import pytest
from kakuri_http2 import ClientConnection, Data, Request, Response, ServerConnection
from kakuri_http2._frames import PREFACE
from kakuri_http2._states import RECEIVE, Fault, Input, StreamState

from .wire import FLAGS, TYPES, block, feed, frame, read, settings

HEAD = {
    "server": block((":method", "POST"), (":scheme", "http"), (":path", "/")),
    "client": block((":status", "200")),
}
TRAILERS = block(("a", "b"))
END, ENDS_HEADERS = FLAGS["END_STREAM"], FLAGS["END_HEADERS"]

PAYLOADS = {
    "DATA": b"x",
    "RST_STREAM": bytes(4),
    "WINDOW_UPDATE": (1).to_bytes(4, "big"),
    "PRIORITY": bytes((0, 0, 0, 0, 1)),
    "SETTINGS": b"",
    "PUSH_PROMISE": (2).to_bytes(4, "big") + TRAILERS,
    "PING": bytes(8),
    "GOAWAY": bytes(8),
    "CONTINUATION": TRAILERS,
}


CLOSED, NUMBER = 1, 3
"""A stream that both sides have ended, and the one that is in the state in question."""
IDENTIFIERS = (0, CLOSED, 2, NUMBER, 5, 101)
"""The connection, and streams that are closed, even, in the state, next, and far ahead."""
FLAG_SETS = [*map(sum, product((0, 1), (0, 4), (0, 8), (0, 0x20))), 0xFF]


def server_in(state: StreamState) -> ServerConnection:
    """Return a server whose stream NUMBER is in a state."""
    connection = ServerConnection()
    connection.receive_data(PREFACE + settings())
    connection.receive_data(frame("HEADERS", ENDS_HEADERS | END, CLOSED, HEAD["server"]))
    connection.send(Response(CLOSED, 200, end=True))
    flags = ENDS_HEADERS
    if state in (StreamState.HALF_CLOSED_REMOTE, StreamState.CLOSED):
        flags |= END
    if state is not StreamState.IDLE:
        connection.receive_data(frame("HEADERS", flags, NUMBER, HEAD["server"]))
    if state in (StreamState.HALF_CLOSED_LOCAL, StreamState.CLOSED):
        connection.send(Response(NUMBER, 200, end=True))
    if state is StreamState.RESET_LOCAL:
        connection.reset(NUMBER)
    if state is StreamState.RESET_REMOTE:
        connection.receive_data(frame("RST_STREAM", 0, NUMBER, bytes(4)))
    connection.data_to_send()
    return connection


def client_in(state: StreamState) -> ClientConnection:
    """Return a client whose stream NUMBER is in a state."""
    connection = ClientConnection()
    connection.receive_data(settings())
    connection.send(Request(b"GET", b"/", end=True))
    connection.receive_data(frame("HEADERS", ENDS_HEADERS | END, CLOSED, HEAD["client"]))
    if state is not StreamState.IDLE:
        ends = state in (StreamState.HALF_CLOSED_LOCAL, StreamState.CLOSED)
        connection.send(Request(b"POST", b"/", end=ends))
        flags = ENDS_HEADERS
        if state in (StreamState.HALF_CLOSED_REMOTE, StreamState.CLOSED):
            flags |= END
        connection.receive_data(frame("HEADERS", flags, NUMBER, HEAD["client"]))
    if state is StreamState.RESET_LOCAL:
        connection.reset(NUMBER)
    if state is StreamState.RESET_REMOTE:
        connection.receive_data(frame("RST_STREAM", 0, NUMBER, bytes(4)))
    connection.data_to_send()
    return connection


IN_STATE = {"server": server_in, "client": client_in}


def answered(connection) -> tuple[Fault | None, int]:
    """Return how a connection answered: with RST_STREAM, with GOAWAY, or not with an error."""
    for one in read(connection.data_to_send()):
        if one.kind == TYPES["GOAWAY"]:
            return Fault.CONNECTION, int.from_bytes(one.payload[4:8], "big")
        if one.kind == TYPES["RST_STREAM"]:
            return Fault.STREAM, int.from_bytes(one.payload, "big")
    return None, 0


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("what", [Input.HEADERS, Input.DATA, Input.RST_STREAM, Input.WINDOW_UPDATE])
@pytest.mark.parametrize("state", StreamState)
def test_frame_in_each_state_is_answered_as_the_table_says(state, what, role):
    connection = IN_STATE[role](state)
    payload = TRAILERS if state is not StreamState.IDLE else HEAD[role]
    flags = ENDS_HEADERS | END if what is Input.HEADERS else 0
    if what is not Input.HEADERS:
        payload = PAYLOADS[what.value]
    connection.receive_data(frame(what.value, flags, NUMBER, payload))
    outcome = RECEIVE[state][what]
    fault, code = answered(connection)
    if role == "client" and state is StreamState.IDLE:
        assert (fault, code) == (Fault.CONNECTION, 1)  # only a client opens streams
    elif isinstance(outcome, tuple) and outcome[0] is not Fault.IGNORED:
        assert (fault, code) == outcome
    else:
        assert fault is None


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("kind", [*TYPES, 10, 200])
def test_any_frame_in_any_state_is_accepted_or_answered_with_an_error(kind, role):
    payload = PAYLOADS.get(str(kind), HEAD[role])
    for state, flags, number in product(StreamState, FLAG_SETS, IDENTIFIERS):
        connection = IN_STATE[role](state)
        feed(connection, frame(kind, flags, number, payload), "whole")
        feed(connection, frame("PING", 0, 0, bytes(8)), "whole")
        answers = list(read(connection.data_to_send()))
        if connection.is_over:
            assert any(one.kind == TYPES["GOAWAY"] for one in answers)
        else:
            is_open_block = kind == "HEADERS" and not flags & ENDS_HEADERS and number
            assert any(one.kind == TYPES["PING"] for one in answers) or is_open_block


@pytest.mark.parametrize("kind", [*TYPES, 10])
def test_payload_of_any_length_is_accepted_or_answered_with_an_error(kind):
    for length, flags, number in product(range(16), (0, 8, 0x20, 0x28), (0, NUMBER)):
        connection = server_in(StreamState.OPEN)
        feed(connection, frame(kind, flags, number, bytes(length)), "whole")
        if connection.is_over:
            assert any(one.kind == TYPES["GOAWAY"] for one in read(connection.data_to_send()))


def test_state_table_has_an_outcome_for_each_frame():
    for state in StreamState:
        for what in (Input.HEADERS, Input.DATA, Input.RST_STREAM, Input.WINDOW_UPDATE):
            assert what in RECEIVE[state]


def test_data_after_the_peers_end_is_credited_to_the_connection():
    connection = server_in(StreamState.IDLE)
    for number in range(3, 23, 2):
        connection.receive_data(frame("HEADERS", ENDS_HEADERS, number, HEAD["server"]))
        connection.reset(number)
        for _ in range(256):
            connection.receive_data(frame("DATA", 0, number, bytes(16_384)))
            connection.data_to_send()
    assert not connection.is_over


def test_late_data_for_a_reset_stream_is_not_an_event():
    connection = client_in(StreamState.RESET_LOCAL)
    events = feed(connection, frame("DATA", 0, NUMBER, b"late"), "whole")
    assert not [one for one in events if isinstance(one, Data)]


FAULTY_PRIORITY = frame("PRIORITY", 0, NUMBER, bytes(4))


def test_frames_after_a_fault_on_a_stream_that_was_skipped_are_ignored():
    connection = server_in(StreamState.IDLE)
    connection.receive_data(frame("HEADERS", ENDS_HEADERS, 5, HEAD["server"]))  # closes 3 as well
    connection.receive_data(FAULTY_PRIORITY)
    assert answered(connection) == (Fault.STREAM, 6)
    connection.receive_data(frame("DATA", 0, NUMBER, b"under way"))
    connection.receive_data(frame("HEADERS", ENDS_HEADERS | END, NUMBER, TRAILERS))
    assert answered(connection) == (None, 0)


def test_fault_on_a_stream_that_the_peer_has_reset_leaves_its_state():
    connection = server_in(StreamState.RESET_REMOTE)
    connection.receive_data(FAULTY_PRIORITY)
    assert answered(connection) == (Fault.STREAM, 6)
    connection.receive_data(frame("DATA", 0, NUMBER, b"x"))
    assert answered(connection) == (Fault.STREAM, 5)


def test_fault_on_a_stream_that_both_sides_have_ended_leaves_its_state():
    connection = server_in(StreamState.CLOSED)
    connection.receive_data(FAULTY_PRIORITY)
    assert answered(connection) == (Fault.STREAM, 6)
    connection.receive_data(frame("DATA", 0, NUMBER, b"x"))
    assert answered(connection) == (Fault.CONNECTION, 5)


@pytest.mark.parametrize(("streams", "is_remembered"), [(256, True), (257, False)])
def test_server_remembers_the_last_256_streams_that_it_has_reset(streams, is_remembered):
    connection = server_in(StreamState.IDLE)
    numbers = range(NUMBER, NUMBER + 2 * streams, 2)
    for number in numbers:
        connection.receive_data(frame("HEADERS", ENDS_HEADERS, number, HEAD["server"]))
        connection.reset(number)
        connection.data_to_send()
    connection.receive_data(frame("DATA", 0, numbers[0], b"late"))
    assert connection.is_over is not is_remembered


def test_reset_of_a_broken_stream_has_the_reason_as_its_message():
    connection = server_in(StreamState.OPEN)
    (reset,) = feed(connection, FAULTY_PRIORITY, "whole")[-1:]
    assert (reset.message, reset.code) == ("expected five bytes in PRIORITY", 6)
    assert not reset.by_peer
