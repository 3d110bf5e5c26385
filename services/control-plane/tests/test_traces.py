"""The trace of a request, on its way to the agent and back in events, problems and log lines."""

import asyncio

import pytest
from kakuri_control_plane import _presence, control_plane_service
from kakuri_daemon import current_trace
from kakuri_json import encode
from kakuri_rpc import ErrorCode, ErrorReply, Log, State, Status
from kakuri_tcp import listen_lines

from .fake_agent import ANY_PORT, WORKLOAD, CheckedClient, api

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "/workloads", WORKLOAD),
        ("POST", "/workloads?dry_run", WORKLOAD),
        ("POST", "/workloads/wl-1/stop", None),
        ("POST", "/workloads/wl-1/start", None),
        ("POST", "/workloads/wl-1/restart", None),
        ("DELETE", "/workloads/wl-1", None),
    ],
)
async def test_request_that_changes_something_takes_its_trace_to_the_agent(method, path, document):
    async with api(Status("wl-1", State.RUNNING, version=1)) as call:
        _, _, headers = await call(method, path, document, traceparent=TRACEPARENT)
        await call(method, path, document)
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    assert call.traces[0] == TRACE
    assert call.traces[-1] not in (None, TRACE)


async def test_log_is_read_with_the_trace_of_its_request():
    async with api(Log(b"hello", "end", ended=True)) as call:
        response = await call.client.request(
            "GET",
            f"http://{call.endpoint}/workloads/wl-1/log",
            headers={"traceparent": TRACEPARENT},
        )
    assert (response.body, call.traces) == (b"hello", [TRACE])


async def test_error_of_the_agent_is_a_problem_with_the_trace_that_the_agent_got():
    refusal = ErrorReply(ErrorCode.CONFLICT, "exists with another specification", id="wl-1")
    async with api(refusal) as call:
        status, problem, headers = await call("POST", "/workloads", WORKLOAD)
    assert (status, [problem["trace"]]) == (409, call.traces)
    assert headers["traceparent"].split("-")[1] == problem["trace"]


async def test_request_that_only_reads_a_state_is_sent_without_a_trace():
    async with api(Status("wl-1", State.RUNNING)) as call:
        await call("GET", "/workloads/wl-1", traceparent=TRACEPARENT)
    assert call.traces == [None]


async def test_log_line_of_a_request_that_was_sent_again_has_its_trace(monkeypatch):
    class Fails(Exception):
        pass

    lines = []

    class Recorder:
        def warning(self, event, **_fields):
            lines.append((event, current_trace()))

    replies = [encode(Status("wl-1", State.RUNNING))]

    def answer_once(_line):
        if replies:
            return replies.pop()
        raise Fails

    monkeypatch.setattr(_presence, "log", Recorder())
    async with (
        await listen_lines(ANY_PORT, answer_once) as agent,
        control_plane_service(ANY_PORT, agent.endpoint) as endpoint,
        CheckedClient() as client,
    ):
        url = f"http://{endpoint}/workloads/wl-1"
        assert (await client.request("GET", url)).status == 200  # there is a connection
        response = await client.request("GET", url, headers={"traceparent": TRACEPARENT})
        assert response.status == 503
    assert lines == [("agent lost", TRACE)]


async def test_log_lines_about_the_agent_have_the_trace_of_the_request_that_noticed(monkeypatch):
    lines = []

    class Recorder:
        def warning(self, event, **_fields):
            lines.append((event, current_trace()))

        info = warning

    hanging = asyncio.Event()

    async def answer(_line):
        if len(lines) == 0 and is_connected:
            await hanging.wait()
        return encode(Status("wl-1", State.RUNNING))

    is_connected = False
    monkeypatch.setattr(_presence, "log", Recorder())
    async with (
        await listen_lines(ANY_PORT, answer) as agent,
        control_plane_service(ANY_PORT, agent.endpoint, 0.1) as endpoint,
        CheckedClient() as client,
    ):
        traces = [f"{number:032x}" for number in (1, 2, 3)]
        statuses = []
        for trace in traces:
            headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            url = f"http://{endpoint}/workloads/wl-1"
            statuses.append((await client.request("GET", url, headers=headers)).status)
            is_connected = True  # by the first request, whose context the connection has
        hanging.set()
    assert statuses == [200, 504, 200]
    assert lines == [("agent lost", traces[1]), ("agent answers again", traces[2])]
