"""Every input at every state is a legal state or a protocol error, never anything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_http import (
    CONNECTION_CLOSED,
    END_OF_MESSAGE,
    NEED_DATA,
    PAUSED,
    REQUEST_TABLE,
    RESPONSE_TABLE,
    ClientConnection,
    Data,
    EndOfMessage,
    Headers,
    InterimResponse,
    LocalProtocolError,
    ProtocolError,
    Request,
    Response,
    ServerConnection,
    State,
)

PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: a\r\n", b"\r\n", b"\r", b"\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", b"abc", b"0\r\n\r\n", b"3\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET ", b"\x00",
        b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"X: y\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n",
        b"HTTP/1.1 204 N\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n", None,
    ]
) | st.binary(max_size=8)  # fmt: skip
SENT = st.sampled_from(
    [
        lambda: Response(200, b"whole"), lambda: Response(204), lambda: Response(200, None),
        lambda: InterimResponse(100), lambda: Data(b"abc"), lambda: END_OF_MESSAGE,
        lambda: Request("GET", "/", Headers(), host="a"),
        lambda: Request("POST", "/", Headers(), host="a", length=None),
        lambda: Request("POST", "/", Headers(), host="a", length=3),
        lambda: EndOfMessage(Headers({"X": "y"})),
    ]
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.just("receive"), PIECES) | st.tuples(st.just("send"), SENT), max_size=20
)


@pytest.mark.parametrize("role", [ServerConnection, ClientConnection])
@given(steps=STEPS)
@settings(max_examples=150, deadline=None)
def test_core_with_inputs_in_any_order_raises_only_protocol_errors(role, steps):
    core = role()
    for what, thing in steps:
        try:
            if what == "send":
                is_ours = isinstance(thing(), (Response, InterimResponse))
                is_theirs = isinstance(thing(), Request)
                if role is ServerConnection and not is_theirs:
                    assert isinstance(core.send(thing()), bytes)
                if role is ClientConnection and not is_ours:
                    assert isinstance(core.send(thing()), bytes)
            elif thing is None:
                core.receive_eof()
            else:
                core.receive_data(thing)
            for _ in range(50):
                event = core.next_event()
                if event in (NEED_DATA, PAUSED, CONNECTION_CLOSED):
                    break
            else:
                pytest.fail("the events never end")
        except ProtocolError:
            pass
        assert core.request_state in REQUEST_TABLE
        assert core.response_state in RESPONSE_TABLE


def test_state_tables_have_an_entry_for_every_state():
    for table in (REQUEST_TABLE, RESPONSE_TABLE):
        assert set(table) == set(State)
        assert {state for moves in table.values() for state in moves.values()} <= set(table)
        assert all(set(table[state].values()) <= {state} for state in State if state.is_terminal), (
            "nothing leads out of a terminal state"
        )


def test_client_core_and_server_core_exchange_messages():
    client, server = ClientConnection(), ServerConnection()
    for number in range(3):
        body = b"x" * number
        server.receive_data(
            client.send(Request("POST", f"/{number}", Headers(), host="a", length=None))
        )
        assert server.next_event().target == f"/{number}"
        server.receive_data(
            client.send(Data(body)) + client.send(EndOfMessage(Headers({"T": "1"})))
        )
        if body:
            assert server.next_event() == Data(body)
        assert server.next_event() == EndOfMessage(Headers({"T": "1"}))
        assert server.next_event() is PAUSED
        client.receive_data(server.send(Response(200, body)))
        assert client.next_event().status == 200
        if body:
            assert client.next_event() == Data(body)
        assert client.next_event() is END_OF_MESSAGE
        assert client.next_event() is NEED_DATA
        assert client.is_reusable


def test_event_that_the_state_does_not_allow_raises_local_protocol_error():
    core = ServerConnection()
    with pytest.raises(LocalProtocolError):
        core.send(Data(b"x"))
    core.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    core.next_event()
    with pytest.raises(LocalProtocolError):
        core.send(InterimResponse(101))
    response = Response(200, None)
    response.length = 3
    core.send(response)
    with pytest.raises(LocalProtocolError):
        core.send(END_OF_MESSAGE)
    with pytest.raises(LocalProtocolError):
        core.send(Data(b"four"))
    with pytest.raises(LocalProtocolError):
        core.send(Response(200))
