"""Each response of the corpus, cut in several ways, through the client's core."""

import pytest
from kakuri_http import (
    NEED_DATA,
    PAUSED,
    ClientConnection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Headers,
    InterimResponse,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    Response,
)

from .cases import WAYS, load, raw

CASES = load("responses.json")


def ask(case, pieces):
    core = ClientConnection()
    method = case["request_method"]
    request = Request(method, "/", Headers(), host="a")
    core.send(request)
    got = {"interim": [], "body": b"", "head": None, "ended": False}
    for piece in [*pieces, None]:
        if piece is None:
            if not case.get("eof_after"):
                break
            core.receive_eof()
        else:
            core.receive_data(piece)
        if got["ended"]:
            continue
        while True:
            event = core.next_event()
            if isinstance(event, InterimResponse):
                got["interim"].append(event.status)
            elif isinstance(event, Response):
                got["head"] = event
            elif isinstance(event, Data):
                got["body"] += event.data
            elif isinstance(event, EndOfMessage):
                got["ended"] = True
                break
            elif event in {NEED_DATA, PAUSED} or isinstance(event, ConnectionClosed):
                break
    return got, core


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_corpus_response_is_accepted_or_rejected_as_expected(case):
    for way in WAYS:
        check(case, way)


def check(case, way):
    pieces = WAYS[way](raw(case, "response"))
    if case["request_method"] == "CONNECT":
        with pytest.raises(LocalProtocolError):
            ask(case, pieces)
        return
    expected = case["hardened"] if case["expect"] == "either" else case["expect"]
    if expected == "reject":
        with pytest.raises(RemoteProtocolError):
            ask(case, pieces)
        return
    got, core = ask(case, pieces)
    assert got["ended"]
    response = case["response"]
    assert got["head"].status == response["status"]
    assert got["body"] == response["body_latin1"].encode("latin-1")
    if "interim" in response:
        assert got["interim"] == response["interim"]
    if "headers_latin1" in response:
        wanted = {name for name, _ in response["headers_latin1"]}
        assert [[n, v] for n, v in got["head"].headers if n in wanted] == response["headers_latin1"]
    if case.get("connection_reusable") is not None:
        assert core.is_reusable is case["connection_reusable"]
    if case.get("leftover_latin1"):
        assert core.trailing_data == case["leftover_latin1"].encode("latin-1")


REUSABLE = [case for case in CASES if case.get("connection_reusable") and not case.get("eof_after")]


def test_corpus_has_responses_that_leave_the_connection_reusable():
    assert len(REUSABLE) >= 10


@pytest.mark.parametrize("case", REUSABLE, ids=[case["name"] for case in REUSABLE])
def test_response_after_a_reusable_one_is_read(case):
    """The state that a response leaves in the core must not change how the next one is read."""
    for way in WAYS:
        _, core = ask(case, WAYS[way](raw(case, "response")))
        core.send(Request("GET", "/next", Headers(), host="a"))
        core.receive_data(b"HTTP/1.1 203 Sure\r\nContent-Length: 5\r\n\r\nagain")
        head, data, end = (core.next_event() for _ in range(3))
        assert (head.status, data.data) == (203, b"again")
        assert isinstance(end, EndOfMessage)
        assert core.is_reusable
