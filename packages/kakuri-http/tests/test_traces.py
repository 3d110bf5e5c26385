"""The trace of a request: the field of its response, and the member of problem details."""

import json
import logging
from contextvars import ContextVar

import pytest
from kakuri_http import Headers, LocalProtocolError, Request, Response, Router, problem
from kakuri_http.core import ServerConnection
from kakuri_http.server._problems import MEDIA_TYPE, traced

from .wire import wired

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"

trace = ContextVar("trace", default="none")


def set_trace(request):
    request.traceparent = TRACEPARENT
    trace.set(TRACE_ID)


def traced_router():
    async def pieces():
        yield b"one"

    def fail(_request):
        raise RuntimeError("the handler failed")

    router = Router()
    router.check(set_trace)
    router.check(lambda request: problem(421) if "x-refused" in request.headers else None)
    router.add("GET", "/", lambda _request: Response(200, b"hello"))
    router.add("GET", "/fields", lambda _request: Response(200, b"a", headers={"X-A": "b"}))
    router.add("GET", "/empty", lambda _request: Response(204))
    router.add("GET", "/stream", lambda _request: Response(200, pieces()))
    router.add("GET", "/problem", lambda _request: problem(409, code="conflict"))
    router.add("GET", "/failed", fail)
    router.add("POST", "/", lambda _request: Response(200), body_limit=10)
    return router


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", "", 200),
        ("HEAD", "/", "", 200),
        ("GET", "/fields", "", 200),
        ("GET", "/empty", "", 204),
        ("GET", "/stream", "", 200),
        ("OPTIONS", "/", "", 204),
        ("GET", "/problem", "", 409),
        ("GET", "/failed", "", 500),
        ("GET", "/unknown", "", 404),
        ("PUT", "/", "", 405),
        ("BREW", "/", "", 501),
        ("GET", "/", "X-Refused: 1\r\n", 421),
        ("POST", "/", "Content-Length: 11\r\n", 413),
    ],
)
@pytest.mark.parametrize("connection", ["", "Connection: close\r\n"])
async def test_response_of_every_kind_has_the_trace_of_its_request(
    method, path, headers, status, connection
):
    async with wired(traced_router()) as wire:
        wire.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{headers}{connection}\r\n".encode())
        got, fields, body = await wire.read_response(method)
    assert got == status
    assert fields["traceparent"] == TRACEPARENT
    if fields.get("content-type") == MEDIA_TYPE:
        assert json.loads(body)["trace"] == TRACE_ID


async def test_response_has_no_trace_if_no_check_sets_one():
    async with wired() as wire:
        wire.send(b"GET /unknown HTTP/1.1\r\nHost: a\r\n\r\n")
        status, fields, body = await wire.read_response()
    assert (status, "traceparent" in fields, "trace" in json.loads(body)) == (404, False, False)


async def test_traceback_of_a_handler_is_logged_in_the_context_of_its_request(caplog):
    class Traces(logging.Filter):
        found = ()

        def filter(self, _record):
            self.found = (*self.found, trace.get())
            return True

    traces = Traces()
    logging.getLogger("kakuri_http").addFilter(traces)
    try:
        async with wired(traced_router()) as wire:
            wire.send(b"GET /failed HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.read_response()
    finally:
        logging.getLogger("kakuri_http").removeFilter(traces)
    assert traces.found == (TRACE_ID,)
    assert "the handler failed" in caplog.text


@pytest.mark.parametrize(
    "value",
    ["", "00-a-b-00", f"{TRACEPARENT}\r\nX: y", f"{TRACEPARENT[:-1]}\n", f"{TRACEPARENT[:-1]}é"],
)
@pytest.mark.parametrize("status", [200, 204])
def test_malformed_traceparent_raises_local_protocol_error_and_nothing_is_sent(value, status):
    core = ServerConnection()
    core.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    request = core.next_event()
    assert isinstance(request, Request)
    request.traceparent = value
    with pytest.raises(LocalProtocolError, match="expected a traceparent of version 00, got"):
        core.send(Response(status))
    request.traceparent = None
    assert core.send(Response(status)).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"status":404}', b'{"status":404,"trace":"%b"}'),
        (b'{ "status": 404 }\n', b'{ "status": 404 ,"trace":"%b"}'),
        (b"{}", b'{"trace":"%b"}'),
    ],
)
def test_problem_details_get_the_trace_as_their_last_member(body, expected):
    response = Response(404, body, headers={"Retry-After": "1"}, content_type=MEDIA_TYPE)
    changed = traced(response, TRACEPARENT)
    assert changed.body == expected % TRACE_ID.encode()
    assert (changed.status, changed.headers) == (404, Headers({"Retry-After": "1"}))
    assert response.body == body


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"a":1}', "application/json"),
        (b"", MEDIA_TYPE),
        (b"[]", MEDIA_TYPE),
        (b'{"a":"}"} and more', MEDIA_TYPE),
        ([b'{"a":1}'], MEDIA_TYPE),
    ],
)
def test_content_other_than_problem_details_is_unchanged(body, content_type):
    response = Response(404, body, content_type=content_type)
    assert traced(response, TRACEPARENT) is response
