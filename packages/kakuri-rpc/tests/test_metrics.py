"""Pages of metrics, from agents that each test scripts."""

import asyncio
from dataclasses import replace

import pytest
from kakuri_json import decode, encode
from kakuri_rpc import (
    MAX_METRIC_SAMPLES,
    AgentClient,
    AgentError,
    DescribeNode,
    ErrorCode,
    ErrorReply,
    Metrics,
    Node,
    ReadMetrics,
    Reply,
    Request,
    UnexpectedReply,
    serve,
)
from kakuri_tcp import Endpoint
from kakuri_workload.metrics import MetricFamily, MetricSample, gauge

ANY_PORT = Endpoint.parse("127.0.0.1:0")
WORKLOADS = gauge("kakuri_workloads", "Workloads.", {("running", ""): 2}, ("state", "reason"))
STARTS = MetricFamily.of(
    "kakuri_start_duration_seconds", "histogram", "Starts.", (), [MetricSample((), 1.5, (1, 0))], (2.0,)
)  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (ReadMetrics(), '{"type":"ReadMetrics"}'),
        (ReadMetrics("3.1"), '{"type":"ReadMetrics","after":"3.1"}'),
    ],
)
def test_request_for_metrics_is_encoded_as_in_the_contract(request_, line):
    assert encode(request_).decode() == line
    assert decode(line.encode(), type=Request) == request_


def test_metrics_are_encoded_as_in_the_contract():
    line = (
        '{"type":"Metrics","families":[{"name":"kakuri_workloads","kind":"gauge","help":'
        '"Workloads.","labels":["state","reason"],"columns":[["running"],[""]],"values":[2]},'
        '{"name":"kakuri_start_duration_seconds","kind":"histogram","help":"Starts.","labels":[],'
        '"columns":[],"values":[1.5],"bounds":[2.0],"buckets":[[1,0]]}],"next":"3.1"}'
    )
    assert encode(Metrics([WORKLOADS, STARTS], "3.1")).decode() == line
    assert decode(line.encode(), type=Reply) == Metrics([WORKLOADS, STARTS], "3.1")


async def test_client_reads_the_pages_in_order():
    def answer(request):
        return {
            ReadMetrics(): Metrics([WORKLOADS], "1.1"),
            ReadMetrics("1.1"): Metrics([STARTS]),
        }[request]

    async with await serve(ANY_PORT, answer) as agent, AgentClient(agent.endpoint) as client:
        first = await client.read_metrics()
        assert first == Metrics([WORKLOADS], "1.1")
        assert await client.read_metrics(first.next) == Metrics([STARTS])


async def test_metrics_that_take_long_delay_no_other_request():
    node = Node("1", "x", simulated=False, workloads=0)
    may_answer = asyncio.Event()

    async def answer_later():
        await may_answer.wait()
        return Metrics([])

    async with (
        await serve(ANY_PORT, lambda each: node if each == DescribeNode() else answer_later()) as agent,
        AgentClient(agent.endpoint) as client,
    ):  # fmt: skip
        reading = client.read_metrics()
        assert await client.describe_node() == node
        may_answer.set()
        assert await reading == Metrics([])


async def test_cursor_that_is_no_longer_kept_raises_agent_error():
    reply = ErrorReply(ErrorCode.COMPACTED, "begin again")
    async with (
        await serve(ANY_PORT, lambda _: reply) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        with pytest.raises(AgentError) as e:
            await client.read_metrics("1.1")
    assert e.value.code is ErrorCode.COMPACTED


@pytest.mark.parametrize(
    ("metrics", "fault"),
    [
        (Metrics([replace(WORKLOADS, columns=())]), "expected 2 columns, got 0"),
        (Metrics([replace(STARTS, buckets=[])]), "expected buckets of 1 series, got 0"),
        (
            Metrics([gauge("a", "", {(str(n),): n for n in range(3000)}, ("b",))] * 2),
            f"expected at most {MAX_METRIC_SAMPLES} series, got 6000",
        ),
    ],
)
async def test_metrics_that_contradict_themselves_are_unexpected(metrics, fault):
    async with (
        await serve(ANY_PORT, lambda _: metrics) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        with pytest.raises(UnexpectedReply, match=fault):
            await client.read_metrics()


async def test_texts_of_metrics_are_made_printable():
    hostile = gauge("a", "\x1b[2J", {("x\u202e",): 1, ("plain",): 2}, ("b",))
    async with (
        await serve(ANY_PORT, lambda _: Metrics([hostile, WORKLOADS])) as agent,
        AgentClient(agent.endpoint) as client,
    ):
        cleaned, same = (await client.read_metrics()).families
    assert cleaned == gauge("a", "\\x1b[2J", {("x\\u202e",): 1, ("plain",): 2}, ("b",))
    assert same == WORKLOADS
