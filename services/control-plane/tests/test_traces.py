"""The trace of a request, on its way to the agent and back in events, problems and log lines."""

import pytest
from kakuri_rpc import ErrorCode, ErrorReply, Log, State, Status

from .fake_agent import WORKLOAD, api

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
