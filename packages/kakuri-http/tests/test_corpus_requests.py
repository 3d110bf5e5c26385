"""Each request of the corpus, cut in several ways, through the server's core."""

import pytest
from kakuri_http import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    RemoteProtocolError,
    Request,
    Response,
    ServerConnection,
)

from .cases import WAYS, load, raw

CASES = load("requests.json")
# Cases where this package does not do what `hardened` recommends, with the reason.
ACCEPTED = {
    "t-semicolon-params": "';' is a pchar (RFC 3986 3.3); a router finds nothing there",
    "m-unknown-token": "a method that no route has is the router's 501",
    "m-trace-with-secret": "as above: the router answers 501",
}


def serve(pieces, *, eof):
    """Respond to every request at once; return the requests with their bodies, and the error."""
    core = ServerConnection()
    seen = []
    body = b""
    request = None
    for piece in [*pieces, None]:
        if piece is None:
            if not eof:
                break
            core.receive_eof()
        else:
            core.receive_data(piece)
        while True:
            try:
                event = core.next_event()
            except RemoteProtocolError as error:
                return seen, error, core
            if isinstance(event, Request):
                request, body = event, b""
            elif isinstance(event, Data):
                body += event.data
            elif isinstance(event, EndOfMessage):
                seen.append((request.method, request.target, body))
                core.send(Response(200))
            elif event is NEED_DATA or isinstance(event, ConnectionClosed):
                break
            else:
                assert event is not PAUSED, "answered at once, so nothing can wait"
    return seen, None, core


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_corpus_request_is_accepted_or_rejected_as_expected(case):
    for way in WAYS:
        check(case, way)


def check(case, way):
    data = raw(case, "request")
    seen, error, core = serve(WAYS[way](data), eof=case.get("eof_after", False))
    assert len(seen) <= case["max_requests"]
    expected = case["hardened"] if case["expect"] == "either" else case["expect"]
    if case["name"] in ACCEPTED:
        expected = "accept"
    listed = [
        (r["method"], r["target"], r.get("body_latin1", "").encode("latin-1"))
        for r in case.get("requests", [])
    ]
    if expected == "accept":
        if listed:
            assert seen == listed
        assert seen
    else:
        assert error is not None or not seen
        if case["expect"] == "reject":
            assert not seen
        if error is not None and case.get("status_if_rejected"):
            assert error.status in case["status_if_rejected"]
    if case.get("must_close") and expected == "reject":
        assert not core.keep_alive


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_rejected_request_followed_by_another_is_rejected(case):
    follower = b"GET /follower HTTP/1.1\r\nHost: a\r\n\r\n"
    alone, error, _ = serve([raw(case, "request")], eof=False)
    seen, error_then, _ = serve([raw(case, "request") + follower], eof=False)
    if error is not None:
        assert error_then is not None
        assert seen == alone
