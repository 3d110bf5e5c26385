"""What each method of the client sends by default, and how long it waits for the reply."""

import pytest
from kakuri_rpc import (
    AgentClient,
    Changes,
    DescribeNode,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Log,
    Node,
    ReadLog,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    WatchChanges,
    WorkloadList,
    _client,
    _log,
    _watch,
)
from kakuri_workload.testing import workload

STATUS = Status("a", State.RUNNING)
LOG = Log(b"", "1", ended=False)
CHANGES = Changes([], 7)


@pytest.fixture
async def client():
    async with AgentClient("127.0.0.1:1", timeout=3.0) as client:
        yield client


@pytest.fixture
def sent(monkeypatch):
    """Answer each request at once, and return the requests with the seconds for their replies."""
    seen = []

    async def call(lines, request, reply_type, timeout, metrics, *_, **__):
        seen.append((request, timeout))
        if reply_type is WorkloadList:
            return WorkloadList([])
        return {Status: STATUS, Log: LOG, Changes: CHANGES, History: History("a", [])}.get(
            reply_type, Node("1", "cri", simulated=False, workloads=0)
        )

    for module in (_client, _log, _watch):
        monkeypatch.setattr(module, "Call", call)
    return seen


async def test_method_without_options_sends_a_request_with_the_defaults(client, sent):
    spec = workload("a")
    assert await client.start_workload(spec) == STATUS
    assert await client.get_status("a") == STATUS
    assert await client.stop_workload("a") == STATUS
    assert await client.remove_workload("a") == STATUS
    assert await client.restart_workload("a") == STATUS
    assert await client.rerun_workload("a") == STATUS
    assert await client.list_workloads() == WorkloadList([])
    assert await client.get_history("a") == History("a", [])
    assert (await client.describe_node()).version == "1"
    assert [request for request, _ in sent] == [
        StartWorkload(spec), GetStatus("a"), StopWorkload("a", 10), RemoveWorkload("a", 10),
        RestartWorkload("a", 10), RerunWorkload("a"), ListWorkloads(), GetHistory("a"),
        DescribeNode(),
    ]  # fmt: skip
    assert {timeout for _, timeout in sent} == {3.0}


async def test_timeout_of_a_log_read_includes_the_wait_of_the_agent(client, sent):
    assert await client.read_log("a") == LOG
    assert await client.read_log("a", removed=True, tail=5, wait_seconds=2.0) == LOG
    async with client.open_log("a") as log:
        await log.read()
        assert not log.has_ended
        await log.read(wait_seconds=30.0)
    async with client.open_log("a", tail=4, bounded=True, removed=True) as log:
        await log.read()
    assert sent == [
        (ReadLog("a"), 3.0),
        (ReadLog("a", 5, wait_seconds=2.0, removed=True), 5.0),
        (ReadLog("a"), 3.0),
        (ReadLog("a", after="1", wait_seconds=30.0), 33.0),
        (ReadLog("a", 4, bounded=True, removed=True), 3.0),
    ]


async def test_timeout_of_a_read_of_events_includes_the_wait_of_the_agent(client, sent):
    async with client.open_watch() as watch:
        assert await watch.read() == CHANGES
        assert await watch.read(7, wait_seconds=30.0, limit=5) == CHANGES
    assert sent == [(WatchChanges(), 3.0), (WatchChanges(7, 30.0, 5), 33.0)]


@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        (None, TypeError, "expected seconds as timeout, got None"),
        ("5", TypeError, "expected seconds as timeout, got '5'"),
        (0, ValueError, "expected seconds above 0 as timeout, got 0"),
        (float("nan"), ValueError, "expected seconds as timeout, got NaN"),
        (10**400, ValueError, "expected seconds as timeout, got an integer too large for a float"),
    ],
)
def test_timeout_of_a_client_that_is_not_seconds_raises_type_or_value_error(
    timeout, error, message
):
    with pytest.raises(error, match=message):
        AgentClient("127.0.0.1:1", timeout=timeout)


@pytest.mark.parametrize(
    ("seconds", "error", "got"),
    [
        ("5", TypeError, "'5'"),
        (10**400, ValueError, "an integer too large for a float"),
        (float("nan"), ValueError, "NaN"),
    ],
)
async def test_seconds_to_wait_that_are_not_seconds_raise_type_or_value_error(seconds, error, got):
    message = f"^expected seconds as wait_seconds, got {got}$"
    async with AgentClient("127.0.0.1:1") as agent, agent.open_watch() as watch:
        with pytest.raises(error, match=message):
            await agent.read_log("web", wait_seconds=seconds)
        with pytest.raises(error, match=message):
            await watch.read(1, wait_seconds=seconds)
