"""What a client counts of its requests."""

import asyncio

import pytest
from kakuri_rpc import (
    AgentClient,
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    Changes,
    ErrorCode,
    ErrorReply,
    Log,
    Node,
    State,
    Status,
    UnexpectedReply,
    serve,
)
from kakuri_tcp import Endpoint, listen_lines

ANY_PORT = Endpoint.parse("127.0.0.1:0")
NODE = Node("1", "x", simulated=False, workloads=0)


def counted(client):
    """Return the number of each request and outcome."""
    durations, _, _ = client.metrics.families()
    return {each.labels: sum(each.buckets) for each in durations.samples}


def in_flight(client):
    _, gauge, _ = client.metrics.families()
    return gauge.values


def retries(client):
    _, _, family = client.metrics.families()
    return {each.labels: each.value for each in family.samples}


@pytest.mark.parametrize(
    ("reply", "error", "outcome"),
    [
        (Status("a", State.RUNNING), None, "ok"),
        (ErrorReply(ErrorCode.NOT_FOUND, "no"), AgentError, "not_found"),
        (NODE, UnexpectedReply, "unexpected_reply"),
    ],
)
async def test_request_counts_by_its_name_and_outcome(reply, error, outcome):
    async with await serve(ANY_PORT, lambda _: reply) as agent, AgentClient(agent.endpoint) as client:  # fmt: skip
        if error is None:
            await client.get_status("a")
        else:
            with pytest.raises(error):
                await client.get_status("a")
        assert counted(client) == {("GetStatus", outcome): 1}
        assert in_flight(client) == [0]


async def test_request_without_an_agent_counts_as_unreachable():
    async with await serve(ANY_PORT, lambda _: NODE) as agent:
        nowhere = agent.endpoint
    async with AgentClient(nowhere) as client:
        with pytest.raises(AgentUnreachable):
            await client.describe_node()
        assert counted(client) == {("DescribeNode", "unreachable"): 1}


async def test_request_in_flight_counts_until_it_is_cancelled_or_late():
    hangs = asyncio.Event()
    async with await serve(ANY_PORT, lambda _: hangs.wait()) as agent, AgentClient(agent.endpoint) as client:  # fmt: skip
        asking = client.describe_node()
        await asyncio.sleep(0)
        assert in_flight(client) == [1]
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (counted(client), in_flight(client)) == ({("DescribeNode", "cancelled"): 1}, [0])
    async with await serve(ANY_PORT, lambda _: hangs.wait()) as agent, AgentClient(agent.endpoint, timeout=0.01) as client:  # fmt: skip
        with pytest.raises(AgentTimeout):
            await client.describe_node()
        assert counted(client) == {("DescribeNode", "timeout"): 1}


async def test_request_that_is_sent_again_counts_as_a_retry():
    class Fails(Exception):
        pass

    def fail(_line):
        raise Fails

    async with await listen_lines(ANY_PORT, fail) as agent, AgentClient(agent.endpoint) as client:
        with pytest.raises(AgentUnreachable):
            await client.describe_node()
        assert retries(client) == {("DescribeNode",): 1}
        assert counted(client) == {("DescribeNode", "unreachable"): 1}
        with pytest.raises(AgentUnreachable):
            await client.restart_workload("a")
        assert retries(client) == {("DescribeNode",): 1}  # a restart is not sent again


async def test_logs_and_watches_count_with_their_client():
    def answer(request):
        return Changes([], 1) if type(request).__name__ == "WatchChanges" else Log(b"", "0", True)

    async with await serve(ANY_PORT, answer) as agent, AgentClient(agent.endpoint) as client:
        async with client.open_log("a") as log:
            assert client.open_logs == 1
            await log.read()
        async with client.open_watch() as watch:
            await watch.read()
        assert counted(client) == {("ReadLog", "ok"): 1, ("WatchChanges", "ok"): 1}
        assert client.open_logs == 0
