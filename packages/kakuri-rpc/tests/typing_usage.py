"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

from typing import assert_type

from kakuri_rpc import (
    AgentClient,
    AgentError,
    AgentLog,
    ErrorCode,
    ErrorReply,
    GetStatus,
    History,
    LateReply,
    Log,
    Metrics,
    Node,
    Reply,
    Request,
    State,
    Status,
    WorkloadList,
    serve,
)
from kakuri_tcp import Endpoint, Server
from kakuri_workload import Workload
from kakuri_workload.metrics import MetricFamily


def answer(request: Request) -> Reply:
    if isinstance(request, GetStatus):
        return Status(request.id, State.RUNNING)
    return ErrorReply(ErrorCode.BAD_REQUEST, "not supported")


async def answer_later(request: Request) -> LateReply:
    return lambda: answer(request)


async def a_client_returns_the_reply_of_each_request(workload: Workload) -> None:
    async with AgentClient("unix:/run/kakuri/agent.sock", timeout=1) as client:
        assert_type(client, AgentClient)
        assert_type(await client.start_workload(workload), Status)
        assert_type(await client.get_history("web"), History)
        assert_type(await client.list_workloads(state=State.RUNNING, limit=1), WorkloadList)
        assert_type(await client.describe_node(), Node)
        assert_type(await client.read_metrics(), Metrics)
        assert_type(list(client.metrics.families()), list[MetricFamily])
        async with client.open_log("web", follow=True) as log:
            assert_type(log, AgentLog)
            assert_type(await log.read(wait_seconds=1), Log)


async def a_handler_returns_replies_or_awaitables() -> None:
    assert_type(await serve("127.0.0.1:0", answer), Server)
    async with await serve(Endpoint.tcp("::1", 0), answer_later) as server:
        assert_type(server.endpoint, Endpoint)


def an_error_has_its_code(error: AgentError) -> None:
    assert_type(error.code, ErrorCode)
    assert_type(error.workload_id, str | None)
