"""Both ends over real sockets, and each end against a peer that misbehaves."""

import asyncio

import pytest
from kakuri_json import encode
from kakuri_rpc import (
    AgentClient,
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    DescribeNode,
    Desired,
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Node,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    UnexpectedReply,
    WorkloadList,
    _server,
    serve,
)
from kakuri_tcp import (
    ConnectFailed,
    Endpoint,
    LineClient,
    LocalAccess,
    UnrequestedLine,
    listen_lines,
)
from kakuri_workload import Transition, Workload

ANY_PORT = Endpoint.parse("127.0.0.1:0")
WORKLOAD = Workload("wl-1", "nginx:latest", "edera-zone", 512, 500)


async def test_client_method_sends_its_request_and_returns_the_reply(clients):
    node = Node("1", "x", simulated=False, workloads=0)
    replies = [
        (StartWorkload(WORKLOAD), Status("wl-1", State.PENDING)),
        (GetStatus("wl-1"), Status("wl-1", State.RUNNING)),
        (StopWorkload("wl-1", 5), Status("wl-1", State.SUCCEEDED)),
        (RemoveWorkload("wl-1"), Status("wl-1", State.FAILED, "Error", "m", 1)),
        (ListWorkloads(State.RUNNING, "a", 3), WorkloadList([Status("b", State.RUNNING)], "b")),
        (ListWorkloads(label="a=b"), WorkloadList([])),
        (GetHistory("wl-1"), History("wl-1", [Transition(1.0, State.PENDING)])),
        (DescribeNode(), node),
        (StartWorkload(WORKLOAD, dry_run=True), Status("wl-1", State.PENDING, existing=True)),
        (GetStatus("wl-1", with_version=True), Status("wl-1", State.RUNNING, version=7)),
        (GetStatus("wl-1", detail=True), Status("wl-1", State.RUNNING, workload=WORKLOAD)),
        (GetStatus("wl-1", removed=True), Status("wl-1", State.FAILED, removed_at=1.5)),
        (GetHistory("wl-1", removed=True), History("wl-1", [])),
        (RerunWorkload("wl-1", 7), Status("wl-1", State.PENDING, attempt=1)),
        (
            RestartWorkload("wl-1", 5, 7, with_version=True),
            Status("wl-1", State.RUNNING, desired=Desired.RESTARTED, version=8),
        ),
        (RemoveWorkload("wl-1", 0, 8), Status("wl-1", State.RUNNING, desired=Desired.REMOVED)),
        (ListWorkloads(detail=True, removed=True), WorkloadList([])),
    ]

    def answer(request):
        (reply,) = [reply for known, reply in replies if known == request]
        return reply

    async with await serve(ANY_PORT, answer) as server:
        client = clients(server.endpoint)
        assert await client.start_workload(WORKLOAD) == Status("wl-1", State.PENDING)
        assert await client.get_status("wl-1") == Status("wl-1", State.RUNNING)
        assert await client.stop_workload("wl-1", grace_seconds=5) == Status(
            "wl-1", State.SUCCEEDED
        )
        assert (await client.remove_workload("wl-1")).exit_code == 1
        page = await client.list_workloads(state=State.RUNNING, after="a", limit=3)
        assert (page.next, len(page.workloads)) == ("b", 1)
        assert (await client.list_workloads(label="a=b")).workloads == []
        assert (await client.get_history("wl-1")).transitions == [Transition(1.0, State.PENDING)]
        assert await client.describe_node() == node
        assert (await client.start_workload(WORKLOAD, dry_run=True)).existing
        assert (await client.get_status("wl-1", with_version=True)).version == 7
        assert (await client.get_status("wl-1", detail=True)).workload == WORKLOAD
        assert (await client.get_status("wl-1", removed=True)).removed_at == 1.5
        assert (await client.get_history("wl-1", removed=True)).transitions == []
        assert (await client.rerun_workload("wl-1", expected_version=7)).attempt == 1
        restarting = await client.restart_workload(
            "wl-1", grace_seconds=5, expected_version=7, with_version=True
        )
        assert (restarting.desired, restarting.version) == (Desired.RESTARTED, 8)
        removing = await client.remove_workload("wl-1", grace_seconds=0, expected_version=8)
        assert removing.desired is Desired.REMOVED
        assert (await client.list_workloads(detail=True, removed=True)).workloads == []


async def test_concurrent_requests_get_their_own_replies(clients):
    async with await serve(ANY_PORT, lambda request: Status(request.id, State.RUNNING)) as server:
        client = clients(server.endpoint)
        names = [f"wl-{number}" for number in range(500)]
        statuses = await asyncio.gather(*map(client.get_status, names))
        assert [status.id for status in statuses] == names


async def test_error_reply_is_raised_with_its_code(clients):
    error = ErrorReply(ErrorCode.CONFLICT, "it is taken", id="wl-1")
    async with await serve(ANY_PORT, lambda _: error) as server:
        with pytest.raises(AgentError, match="it is taken") as caught:
            await clients(server.endpoint).start_workload(WORKLOAD)
        assert (caught.value.code, caught.value.workload_id) == (ErrorCode.CONFLICT, "wl-1")


async def test_handler_that_raises_is_an_internal_error_and_the_connection_continues(
    clients, caplog
):
    async with await serve(ANY_PORT, {}.__getitem__) as server:
        client = clients(server.endpoint)
        for _ in range(2):
            with pytest.raises(AgentError, match="the agent failed") as caught:
                await client.get_status("wl-1")
            assert caught.value.code is ErrorCode.INTERNAL
    assert "KeyError" in caplog.text


async def test_request_to_a_closed_port_raises_agent_unreachable(clients):
    with pytest.raises(AgentUnreachable, match=r"127\.0\.0\.1:1\b"):
        await clients(Endpoint.parse("127.0.0.1:1")).get_status("wl-1")


async def test_request_without_a_reply_raises_agent_timeout(clients):
    async with await listen_lines(ANY_PORT, lambda _: asyncio.Event().wait()) as server:
        with pytest.raises(AgentTimeout):
            await clients(server.endpoint, timeout=0.5).get_status("wl-1")


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"{}",
        b'{"type":"Node","version":"1","runtime":"x","simulated":true,"workloads":0}',
    ],
)
async def test_line_that_is_not_a_reply_to_the_request_raises_unexpected_reply(clients, line):
    async with await listen_lines(ANY_PORT, lambda _: line) as server:
        with pytest.raises(UnexpectedReply):
            await clients(server.endpoint).get_status("wl-1")


@pytest.mark.parametrize("request_", [GetStatus("wl-1"), StartWorkload(WORKLOAD)])
@pytest.mark.parametrize(("broken", "expected"), [(1, None), (2, AgentUnreachable)])
async def test_request_whose_connection_breaks_is_repeated_once(
    clients, request_, broken, expected
):
    asked = []

    async def serve_one(reader, writer):
        asked.append(await reader.readline())
        if len(asked) > broken:
            writer.write(b'{"type":"Status","id":"wl-1","state":"Running"}\n')
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        client = clients(Endpoint.parse(f"{host}:{port}"))
        is_start = isinstance(request_, StartWorkload)
        call = client.start_workload(WORKLOAD) if is_start else client.get_status("wl-1")
        if expected is None:
            assert (await call).state is State.RUNNING
        else:
            with pytest.raises(expected):
                await call
    assert asked == [encode(request_) + b"\n"] * 2


@pytest.mark.parametrize("method", ["rerun_workload", "restart_workload"])
async def test_request_for_another_run_whose_connection_breaks_is_not_repeated(clients, method):
    asked = []

    async def serve_one(reader, writer):
        asked.append(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        client = clients(Endpoint.parse(f"{host}:{port}"))
        with pytest.raises(AgentUnreachable):
            await getattr(client, method)("wl-1")
    assert len(asked) == 1


async def test_repr_of_a_client_shows_its_connection(clients):
    client = clients(Endpoint.parse("127.0.0.1:1"))
    assert repr(client).startswith("<AgentClient over <LineClient 127.0.0.1:1")


async def test_client_as_context_manager_is_closed_at_its_end():
    async with await serve(ANY_PORT, lambda request: Status("wl-1", State.RUNNING)) as server:
        async with AgentClient(str(server.endpoint)) as client:
            assert (await client.get_status("wl-1")).state is State.RUNNING
            log = client.open_log("wl-1")
        with pytest.raises(ClientClosed, match="closed"):
            await client.get_status("wl-1")
        with pytest.raises(ClientClosed, match="closed"):
            await log.read()


async def test_request_in_flight_when_the_client_is_closed_raises_client_closed():
    began = asyncio.Event()

    async def wait(request):
        began.set()
        await asyncio.Event().wait()

    async with await serve("127.0.0.1:0", wait) as server, AgentClient(server.endpoint) as client:
        request = client.get_status("wl-1")
        await began.wait()
        await client.close()
        with pytest.raises(ClientClosed):
            await request


async def test_each_error_that_is_sent_is_reported_with_its_code():
    codes = []

    async def later():
        return ErrorReply(ErrorCode.CONFLICT, "taken")

    def answer(request):
        match request:
            case GetStatus():
                return ErrorReply(ErrorCode.NOT_FOUND, "no")
            case StopWorkload():
                return later()
            case DescribeNode():
                raise RuntimeError
            case _:
                return WorkloadList([])

    lines = (
        b'{"type":"ListWorkloads"}',
        b'{"type":"GetStatus","id":"a"}',
        b'{"type":"StopWorkload","id":"a"}',
        b'{"type":"DescribeNode"}',
        b'{"type":"GetStatus","id":"A"}',
        b"no JSON",
    )
    async with await serve(ANY_PORT, answer, on_error=codes.append) as agent:
        reader, writer = await asyncio.open_connection(agent.endpoint.host, agent.endpoint.port)
        writer.write(b"\n".join((*lines, b"")))
        await reader.read()
        writer.close()
    assert sorted(code.value for code in codes) == [
        "bad_request", "bad_request", "conflict", "internal", "not_found"
    ]  # fmt: skip


async def test_status_that_cannot_be_encoded_is_an_internal_error_among_other_replies(
    clients, caplog
):
    codes = []

    def answer(request):
        return Status(request.id, State.RUNNING, "\ud800" if request.id == "bad" else None)

    async with await serve(ANY_PORT, answer, on_error=codes.append) as server:
        client = clients(server.endpoint)
        first, failed, last = await asyncio.gather(
            *(client.get_status(each) for each in ("a", "bad", "b")), return_exceptions=True
        )
    assert (first.id, last.id) == ("a", "b")
    assert failed.code is ErrorCode.INTERNAL
    assert codes == [ErrorCode.INTERNAL]
    assert "could not be answered" in caplog.text


@pytest.mark.parametrize(
    ("message", "order"),
    [(None, "handle handle encode encode"), ("m" * 1024, "handle encode handle encode")],
)
async def test_status_with_a_message_counts_its_bytes_before_the_next_request(
    message, order, clients, monkeypatch
):
    steps = []

    def answer(request):
        steps.append("handle")
        return Status(request.id, State.FAILED, message=message)

    def record(reply):
        steps.append("encode")
        return encode(reply)

    monkeypatch.setattr(_server, "encode", record)
    async with await serve(ANY_PORT, answer) as server:
        client = clients(server.endpoint)
        await client.get_status("a")  # the first line of a connection is parsed alone
        steps.clear()
        await asyncio.gather(client.get_status("b"), client.get_status("c"))
    assert " ".join(steps) == order


async def test_handler_that_is_not_a_function_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as handler, got 5"):
        await serve("127.0.0.1:0", 5)


async def test_agent_that_refuses_the_clients_user_is_unreachable(monkeypatch):
    monkeypatch.setattr("kakuri_tcp._user_check.client_user", lambda accepted: 4711)
    handled, codes = [], []
    async with (
        await serve(
            ANY_PORT, handled.append, local_access=LocalAccess(uids=()), on_error=codes.append
        ) as server,
        AgentClient(server.endpoint) as client,
    ):
        for _ in range(2):
            with pytest.raises(AgentUnreachable) as refused:
                await client.get_status("wl-1")
            assert str(refused.value) == (
                "the agent refused the connection: user 4711 of this machine may not use this server"
            )
    assert (handled, set(codes)) == ([], {ErrorCode.FORBIDDEN})


REFUSAL = b'{"type":"Error","code":"forbidden","message":"user 7 may not\\u001b[31m"}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (REFUSAL, r"the agent refused the connection: user 7 may not\x1b[31m"),
        (b'{"type":"Error","code":"internal","message":"m"}', "a line without a request"),
        (b'{"type":"Status","id":"a","state":"Running"}', "a line without a request"),
        (b"220 smtp", "a line without a request: '220 smtp'"),
    ],
)
async def test_unrequested_line_is_reported_in_agent_unreachable(line, message, monkeypatch):
    async def ready(_client, deadline, timeout):
        raise ConnectFailed("peer", str(UnrequestedLine(line))) from UnrequestedLine(line)

    monkeypatch.setattr(LineClient, "_ready", ready)
    async with AgentClient("127.0.0.1:1") as client:
        with pytest.raises(AgentUnreachable) as refused:
            await client.get_status("wl-1")
    assert message in str(refused.value)
