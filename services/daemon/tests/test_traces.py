"""The trace of a request: accepted or begun, sent with the response, and in each log line."""

import asyncio
import contextvars
import json
import logging
import os
import re

import pytest
import structlog
from kakuri_daemon import configure_logs, current_trace, current_traceparent, set_trace
from kakuri_daemon._trace import accept_traceparent
from kakuri_daemon.api import APIRouter, HostGuard, access_log, json_response
from kakuri_http import Client, Headers, serve

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
GIVEN = f"00-{TRACE_ID}-{PARENT_ID}-01"
FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])")


def parts_of(given):
    trace, traceparent = accept_traceparent(given)
    match = FORM.fullmatch(traceparent)
    assert match is not None
    assert match[1] == trace
    return match.groups()


@pytest.fixture
def log_lines(capfd):
    before = logging.getLogger().handlers[:], logging.getLogger().level
    stream = configure_logs("json")

    def read():
        stream.close(10)
        return [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    yield read
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = before


# Accepting a traceparent


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (GIVEN, "01"),
        (f"00-{TRACE_ID}-{PARENT_ID}-00", "00"),
        (f"00-{TRACE_ID}-{PARENT_ID}-03", "01"),
        (f"00-{TRACE_ID}-{PARENT_ID}-fe", "00"),
        (f"01-{TRACE_ID}-{PARENT_ID}-01", "01"),
        (f"cc-{TRACE_ID}-{PARENT_ID}-01-what the future will be like", "01"),
    ],
)
def test_valid_traceparent_keeps_its_trace_id_and_its_flag_and_gets_a_new_parent(given, flags):
    trace, parent, got = parts_of(given)
    assert (trace, got) == (TRACE_ID, flags)
    assert parent != PARENT_ID


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "00",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-1",
        f"00-{TRACE_ID}-{PARENT_ID}-01-more",
        f"01-{TRACE_ID}-{PARENT_ID}-01more",
        f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01",
        f"00-{TRACE_ID[:-1]}٣-{PARENT_ID}-01",
        f"{GIVEN}, {GIVEN}",
        f"{GIVEN} ",
    ],
)
def test_invalid_traceparent_is_ignored_and_a_trace_begins(given):
    trace, _, flags = parts_of(given)
    assert trace != TRACE_ID
    assert flags == "00"


def test_new_traces_never_repeat():
    made = [parts_of(None)[:2] for _ in range(1000)]
    assert len({trace for trace, _ in made}) == len({parent for _, parent in made}) == 1000


def test_forked_process_makes_other_ids_than_its_parent():
    accept_traceparent(None)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, accept_traceparent(None)[1].encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        of_child = pipe.read()
    assert FORM.fullmatch(of_child)
    assert of_child not in {accept_traceparent(None)[1] for _ in range(1000)}


def test_current_traceparent_has_the_trace_of_the_context():
    context = contextvars.Context()
    assert context.run(current_traceparent) is None
    context.run(set_trace, TRACE_ID)
    match = FORM.fullmatch(context.run(current_traceparent))
    assert match is not None
    assert match[1] == TRACE_ID


# Log lines


def test_log_line_has_the_trace_of_its_context_from_both_libraries(log_lines):
    def log():
        structlog.get_logger().info("workload accepted", id="wl-1")
        structlog.get_logger().warning("zone not started", detail="it's gone")
        logging.getLogger("kakuri_http").error("request failed")

    contextvars.Context().run(log)
    context = contextvars.Context()
    context.run(set_trace, TRACE_ID)
    context.run(log)
    lines = log_lines()
    assert [line.get("trace") for line in lines] == [None] * 3 + [TRACE_ID] * 3


def test_field_trace_of_an_event_is_not_replaced(log_lines):
    context = contextvars.Context()
    context.run(set_trace, TRACE_ID)
    context.run(structlog.get_logger().info, "looked up", trace="another")
    assert log_lines()[0]["trace"] == "another"


# Requests


async def answers(log_lines, *requests):
    """Serve a router; return the responses to some requests, and the log lines."""

    async def get(_request):
        await asyncio.sleep(0)
        structlog.get_logger().info("in the handler")
        return json_response({"trace": current_trace()})

    router = APIRouter(ids={"item": "[a-z]+"})
    router.check(HostGuard())
    router.add("GET", "/items/:id<item>", get)
    async with (
        await serve("127.0.0.1:0", router, access_log=access_log()) as server,
        Client(server.endpoint) as client,
    ):
        responses = [
            await client.request("GET", path, headers=Headers(fields)) for path, fields in requests
        ]
    return responses, log_lines()


async def test_request_is_answered_and_logged_with_its_trace(log_lines):
    (response,), lines = await answers(log_lines, ("/items/a", [("Traceparent", GIVEN)]))
    assert json.loads(response.body) == {"trace": TRACE_ID}
    match = FORM.fullmatch(response.headers["traceparent"])
    assert match is not None
    assert (match[1], match[2] == PARENT_ID) == (TRACE_ID, False)
    assert [(line["event"], line["trace"]) for line in lines] == [
        ("in the handler", TRACE_ID),
        ("request", TRACE_ID),
    ]


async def test_each_request_without_a_trace_gets_one_of_its_own(log_lines):
    responses, lines = await answers(log_lines, ("/items/a", []), ("/items/a", []))
    traces = [FORM.fullmatch(each.headers["traceparent"])[1] for each in responses]
    assert traces[0] != traces[1]
    logged = [line["trace"] for line in lines if line["event"] == "request"]
    assert logged == traces


@pytest.mark.parametrize(
    ("path", "status"), [("/unknown", 404), ("/items/A", 404), ("/items/a?b=c", 400)]
)
async def test_problem_has_the_trace_that_its_log_line_has(log_lines, path, status):
    (response,), lines = await answers(log_lines, (path, []))
    trace = json.loads(response.body)["trace"]
    assert response.status == status
    assert response.headers["traceparent"].split("-")[1] == trace
    assert [line["trace"] for line in lines] == [trace]


async def test_host_that_is_refused_has_the_trace_too(log_lines):
    router = APIRouter()
    router.check(HostGuard())
    async with await serve("127.0.0.1:0", router, access_log=access_log()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
        writer.write(
            f"GET / HTTP/1.1\r\nHost: evil.example\r\nTraceparent: {GIVEN}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 421 ")
    assert json.loads(body)["trace"] == TRACE_ID
    assert [line["trace"] for line in log_lines()] == [TRACE_ID]
