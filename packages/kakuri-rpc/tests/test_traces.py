"""Traces of requests: which messages have one, and agents of the previous release, which reject it."""

import json
from collections.abc import Callable

import pytest
from kakuri_json import JSONError, decode, encode
from kakuri_rpc import (
    FEATURES,
    AgentClient,
    AgentError,
    Changes,
    DescribeNode,
    ErrorCode,
    ErrorReply,
    Log,
    Node,
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


REFUSAL = ErrorReply(ErrorCode.BAD_REQUEST, "not a valid request")
NODE = Node("0.9", "cri", simulated=False, workloads=1)


class EarlierAgent:
    """An agent of the previous release: it rejects traces, and its node has no features."""

    def __init__(self, description: Node | ErrorReply = NODE) -> None:
        self.lines: list[dict[str, object]] = []
        self._description = description

    def answer(self, line: bytes) -> bytes:
        document = json.loads(line)
        if document["type"] == "DescribeNode":
            return encode(self._description)
        self.lines.append(document)
        if "trace" in document:
            return encode(REFUSAL)
        return encode(reply_to(decode(line, type=Request)))

    def is_traced(self) -> list[bool]:
        return ["trace" in line for line in self.lines]


def refusing(asked: list[Request], node: Node) -> Callable[[Request], Node | ErrorReply]:
    """Return a handler that refuses every request but the one for the node."""

    def answer(request: Request) -> Node | ErrorReply:
        asked.append(request)
        return node if isinstance(request, DescribeNode) else REFUSAL

    return answer


async def test_every_request_that_changes_something_or_reads_a_log_has_its_trace():
    asked = []

    def answer(request):
        asked.append(request)
        return reply_to(request)

    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as client:
        await send_all(client)
    assert [request.trace for request in asked] == [TRACE] * 6


@pytest.mark.parametrize("description", [NODE, REFUSAL], ids=["node", "no description"])
async def test_agent_of_the_previous_release_gets_every_request_without_its_trace(
    monkeypatch, description
):
    now = 1000.0
    monkeypatch.setattr(_traces.time, "monotonic", lambda: now)
    agent = EarlierAgent(description)
    async with (
        await listen_lines(ANY_PORT, agent.answer) as server,
        AgentClient(server.endpoint) as client,
    ):
        await send_all(client)
        assert agent.is_traced() == [True] + [False] * 6
        now += _traces.UNSUPPORTED_SECONDS
        await client.stop_workload("a", trace=TRACE)
        await client.stop_workload("a", trace=TRACE)
        assert agent.is_traced()[7:] == [True, False, False]


async def test_refusal_of_an_agent_that_supports_traces_is_raised_and_traces_are_sent_on():
    asked: list[Request] = []
    answer = refusing(asked, Node("1", "cri", simulated=False, workloads=1, features=[*FEATURES]))
    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as client:
        for _ in range(2):
            with pytest.raises(AgentError, match="not a valid request"):
                await client.start_workload(WORKLOAD, trace=TRACE)
    assert asked == [StartWorkload(WORKLOAD, trace=TRACE), DescribeNode()] * 2


async def test_request_that_is_refused_without_its_trace_too_raises_the_refusal():
    asked: list[Request] = []
    answer = refusing(asked, NODE)
    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as client:
        with pytest.raises(AgentError, match="not a valid request"):
            await client.stop_workload("a", trace=TRACE)
    assert asked == [StopWorkload("a", trace=TRACE), DescribeNode(), StopWorkload("a")]


async def test_refused_request_without_a_trace_is_raised_without_asking_for_features():
    asked: list[Request] = []
    async with (
        await serve(ANY_PORT, refusing(asked, NODE)) as server,
        AgentClient(server.endpoint) as client,
    ):
        with pytest.raises(AgentError, match="not a valid request"):
            await client.stop_workload("a")
    assert asked == [StopWorkload("a")]


@pytest.mark.parametrize(
    "refusal",
    [ErrorReply(ErrorCode.CONFLICT, "other"), ErrorReply(ErrorCode.BAD_REQUEST, "other", id="a")],
    ids=["another code", "decoded"],
)
async def test_refusal_for_another_reason_is_raised_without_asking_for_features(refusal):
    asked: list[Request] = []

    def answer(request: Request) -> ErrorReply:
        asked.append(request)
        return refusal

    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as client:
        with pytest.raises(AgentError, match="other"):
            await client.stop_workload("a", trace=TRACE)
    assert asked == [StopWorkload("a", trace=TRACE)]


@pytest.mark.parametrize("trace", ["", TRACE[:-1], TRACE.upper(), "0" * 32, f"{TRACE}\n"])
def test_malformed_trace_raises_json_error(trace):
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
    traces.set_unsupported()
    now += seconds
    assert traces.prepared(request) == (request if is_sent else StopWorkload("a"))
