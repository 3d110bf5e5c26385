"""Traces of requests: which messages have one, and agents of the previous release, which reject it."""

import json

import pytest
from kakuri_json import JSONError, decode, encode
from kakuri_rpc import (
    AgentClient,
    AgentError,
    Changes,
    ErrorCode,
    ErrorReply,
    Log,
    ReadLog,
    Request,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    WatchChanges,
    _traces,
    serve,
)
from kakuri_tcp import Endpoint, listen_lines
from kakuri_workload import Event, EventType, Workload

ANY_PORT = Endpoint.parse("127.0.0.1:0")
WORKLOAD = Workload("a", "nginx", "edera-zone", 512, 500)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def send_all(client: AgentClient) -> None:
    """Send each request that may have a trace."""
    await client.start_workload(WORKLOAD, trace=TRACE)
    await client.stop_workload("a", trace=TRACE)
    await client.restart_workload("a", trace=TRACE)
    await client.rerun_workload("a", trace=TRACE)
    await client.remove_workload("a", trace=TRACE)
    async with client.open_log("a", trace=TRACE) as log:
        await log.read()


def reply_to(request: object) -> Status | Log:
    is_log = isinstance(request, ReadLog)
    return Log(b"", "end", ended=True) if is_log else Status("a", State.RUNNING)


class EarlierAgent:
    """An agent of the previous release, which knows no traces: it rejects unknown fields."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def answer(self, line: bytes) -> bytes:
        document = json.loads(line)
        self.lines.append(document)
        if "trace" in document:
            message = "$.trace: expected one of 'id', 'grace_seconds', got 'trace'"
            return encode(ErrorReply(ErrorCode.BAD_REQUEST, message))
        return encode(reply_to(decode(line, type=Request)))


async def test_every_request_that_changes_something_or_reads_a_log_has_its_trace():
    asked = []

    def answer(request):
        asked.append(request)
        return reply_to(request)

    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as client:
        await send_all(client)
    assert [request.trace for request in asked] == [TRACE] * 6


async def test_agent_of_the_previous_release_gets_every_request_without_its_trace(monkeypatch):
    agent = EarlierAgent()
    async with (
        await listen_lines(ANY_PORT, agent.answer) as server,
        AgentClient(server.endpoint) as client,
    ):
        await send_all(client)
        assert ["trace" in line for line in agent.lines] == [True] + [False] * 6
        monkeypatch.setattr(_traces, "REFUSED_SECONDS", 0.0)
        client._traces._refused_until = 0.0  # the minute is over
        await client.stop_workload("a", trace=TRACE)
        await client.stop_workload("a", trace=TRACE)
        assert ["trace" in line for line in agent.lines[7:]] == [True, False] * 2


async def test_other_refusal_of_an_agent_is_raised_and_changes_nothing():
    asked = []

    def answer(request):
        asked.append(request)
        return ErrorReply(ErrorCode.BAD_REQUEST, "expected runtime class x", id="a")

    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as client:
        for _ in range(2):
            with pytest.raises(AgentError):
                await client.start_workload(WORKLOAD, trace=TRACE)
    assert asked == [StartWorkload(WORKLOAD, trace=TRACE)] * 2


async def test_refusal_of_a_request_without_a_trace_is_raised():
    reply = encode(ErrorReply(ErrorCode.BAD_REQUEST, "$.trace: expected nothing"))
    async with (
        await listen_lines(ANY_PORT, lambda _line: reply) as server,
        AgentClient(server.endpoint) as client,
    ):
        with pytest.raises(AgentError):
            await client.stop_workload("a")
        with pytest.raises(AgentError):
            await client.stop_workload("a", trace=TRACE)


@pytest.mark.parametrize("trace", ["", TRACE[:-1], TRACE.upper(), "0" * 32, f"{TRACE}\n"])
def test_trace_of_another_form_is_refused(trace):
    with pytest.raises(JSONError, match="expected a trace id"):
        decode(encode(StopWorkload("a", trace=trace)), type=Request)


def test_event_and_changes_have_trace_and_store_id_when_they_are_set():
    event = Event(4, 1.5, EventType.WORKLOAD, "a", State.RUNNING, trace=TRACE)
    changes = Changes([event], 4, "0" * 32)
    line = encode(changes)
    assert line == (
        b'{"type":"Changes","events":[{"index":4,"at":1.5,"type":"workload","id":"a",'
        b'"state":"Running","trace":"%b"}],"next":4,"store_id":"%b"}'
    ) % (TRACE.encode(), b"0" * 32)
    assert decode(line, type=Changes) == changes
    assert encode(WatchChanges(4)) == b'{"type":"WatchChanges","after":4}'


@pytest.mark.parametrize(("seconds", "is_sent"), [(0.0, False), (59.9, False), (60.0, True)])
def test_trace_is_sent_again_a_minute_after_a_refusal(monkeypatch, seconds, is_sent):
    now = 1000.0
    monkeypatch.setattr(_traces.time, "monotonic", lambda: now)
    traces = _traces.AgentTraces()
    request = StopWorkload("a", trace="0" * 31 + "1")
    assert traces.prepared(request) is request
    fault = "$.trace: expected one of id, grace_seconds, got 'trace'"
    bare = traces.refused(request, AgentError(ErrorReply(ErrorCode.BAD_REQUEST, fault)))
    assert bare == StopWorkload("a")
    now += seconds
    assert traces.prepared(request) == (request if is_sent else bare)
