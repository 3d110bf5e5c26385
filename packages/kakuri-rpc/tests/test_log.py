"""Reading logs from a fake agent, whose answers each test defines."""

import asyncio
import gc

import pytest
from kakuri_rpc import (
    MAX_LOG_DATA,
    MAX_OPEN_LOGS,
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    ErrorCode,
    ErrorReply,
    Log,
    ReadLog,
    State,
    Status,
    TooManyLogs,
    UnexpectedReply,
    serve,
)
from kakuri_tcp import Endpoint, listen_lines
from kakuri_tcp.testing import run_pending
from kakuri_workload import LogSelection, LogStream

ANY_PORT = Endpoint.parse("127.0.0.1:0")


async def test_log_read_again_continues_after_the_last_piece(clients):
    pieces = {
        None: Log(b"one\n", "1", ended=False),
        "1": Log(b"", "1b", ended=False),
        "1b": Log(b"\xff\0", "2", ended=True),
    }
    asked = []

    def answer(request):
        asked.append(request)
        return pieces[request.after]

    async with (
        await serve(ANY_PORT, answer) as server,
        clients(server.endpoint).open_log("wl-1", tail=3) as log,
    ):
        assert (await log.read()).data == b"one\n"
        assert (await log.read(wait_seconds=1.5)).data == b""
        assert not log.has_ended
        assert (await log.read()).data == b"\xff\0"
        assert log.has_ended
        assert repr(log).startswith("<AgentLog of 'wl-1' after '2' over <LineClient")
    assert asked == [
        ReadLog("wl-1", 3),
        ReadLog("wl-1", None, "1", 1.5),
        ReadLog("wl-1", None, "1b"),
    ]


async def test_log_of_records_asks_for_the_same_records_in_each_read(clients):
    asked = []

    def answer(request):
        asked.append(request)
        return Log(b"", "1", ended=len(asked) == 2, examined=9)

    errors = LogSelection(stream=LogStream.STDERR)
    async with (
        await serve(ANY_PORT, answer) as server,
        clients(server.endpoint).open_log("wl-1", tail=3, records=errors) as log,
    ):
        assert (await log.read()).examined == 9
        await log.read()
        assert log.has_ended
    assert asked == [
        ReadLog("wl-1", 3, records=errors),
        ReadLog("wl-1", None, "1", records=errors),
    ]


async def test_log_with_a_gap_keeps_has_gap_set(clients):
    pieces = {
        None: Log(b"one", "1", ended=False),
        "1": Log(b"three", "3", ended=False, gap=True),
        "3": Log(b"four", "4", ended=True),
    }
    async with (
        await serve(ANY_PORT, lambda request: pieces[request.after]) as server,
        clients(server.endpoint).open_log("wl-1") as log,
    ):
        seen = [(await log.read(), log.has_gap)[1] for _ in pieces]
    assert seen == [False, True, True]


async def test_read_log_returns_one_piece_after_the_cursor(clients):
    async with await serve(
        ANY_PORT, lambda request: Log(repr(request).encode(), "2", ended=False)
    ) as server:
        client = clients(server.endpoint)
        log = await client.read_log("wl-1", after="1", wait_seconds=1.5)
        assert log.data.decode() == repr(ReadLog("wl-1", None, "1", 1.5))
        assert "0 logs" in repr(client)


async def test_waiting_read_delays_no_request_and_ends_when_the_log_is_closed(clients):
    waits = asyncio.Event()

    async def wait():
        waits.set()
        await asyncio.Event().wait()

    def answer(request):
        return wait() if isinstance(request, ReadLog) else Status(request.id, State.RUNNING)

    async with await serve(ANY_PORT, answer) as server:
        client = clients(server.endpoint)
        log = client.open_log("wl-1")
        reading = asyncio.create_task(log.read(wait_seconds=30))
        await waits.wait()
        assert (await client.get_status("wl-1")).state is State.RUNNING
        await log.close()
        with pytest.raises(ClientClosed):
            await reading


async def test_closed_client_closes_its_logs(clients):
    waits = asyncio.Event()

    async def wait(request):
        waits.set()
        await asyncio.Event().wait()

    async with await serve(ANY_PORT, wait) as server:
        client = clients(server.endpoint)
        log = client.open_log("wl-1")
        reading = asyncio.create_task(log.read(wait_seconds=30))
        await waits.wait()
        await client.close()
        with pytest.raises(ClientClosed):
            await reading


async def test_read_without_a_reply_within_wait_and_timeout_raises_agent_timeout(clients):
    async with await listen_lines(ANY_PORT, lambda _: asyncio.Event().wait()) as server:
        client = clients(server.endpoint, timeout=0.05)
        with pytest.raises(AgentTimeout, match=r"within 0\.1 s"):
            await client.read_log("wl-1", wait_seconds=0.05)


async def test_error_reply_to_a_read_is_raised(clients):
    error = ErrorReply(ErrorCode.NOT_FOUND, "no workload", id="wl-1")
    async with await serve(ANY_PORT, lambda _: error) as server:
        with pytest.raises(AgentError, match="no workload"):
            await clients(server.endpoint).read_log("wl-1")


async def test_piece_over_the_limit_raises_unexpected_reply(clients):
    async with await serve(
        ANY_PORT, lambda _: Log(bytes(MAX_LOG_DATA + 1), "1", ended=False)
    ) as server:
        with pytest.raises(UnexpectedReply, match=r"\$\.data"):
            await clients(server.endpoint).read_log("wl-1")


async def test_line_over_the_limit_closes_the_connection(clients):
    line = b'{"type":"Log","data":"' + b"A" * 500_000
    async with await listen_lines(ANY_PORT, lambda _: line) as server:
        with pytest.raises(AgentUnreachable, match="131072"):
            await clients(server.endpoint).read_log("wl-1")


async def test_log_in_reply_to_another_request_is_quoted_in_part(clients):
    async with await serve(
        ANY_PORT, lambda _: Log(bytes(MAX_LOG_DATA), "1", ended=False)
    ) as server:
        with pytest.raises(UnexpectedReply, match="expected Status") as caught:
            await clients(server.endpoint).get_status("wl-1")
        assert len(str(caught.value)) < 1000


async def test_open_log_beyond_the_limit_raises_too_many_logs(clients):
    client = clients(Endpoint.parse("127.0.0.1:1"))
    logs = [client.open_log("wl-1") for _ in range(MAX_OPEN_LOGS)]
    with pytest.raises(TooManyLogs, match="64 logs are open already"):
        client.open_log("wl-1")
    await logs[0].close()
    logs[0] = client.open_log("wl-1")
    with pytest.raises(TooManyLogs):
        await client.read_log("wl-1")
    logs.pop()  # without a reference, it can be neither closed nor read
    gc.collect()
    client.open_log("wl-1")


async def test_followed_logs_have_separate_slots(clients):
    client = clients(Endpoint.parse("127.0.0.1:1"))
    followed = [client.open_log("wl-1", follow=True) for _ in range(MAX_OPEN_LOGS)]
    read = [client.open_log("wl-1") for _ in range(MAX_OPEN_LOGS)]
    assert not any(log.has_yielded for log in (*followed, *read))


async def test_log_of_the_reader_with_the_most_logs_is_closed_for_a_new_one(clients):
    client = clients(Endpoint.parse("127.0.0.1:1"))
    greedy = [
        client.open_log("wl-1", follow=True, reader="greedy") for _ in range(MAX_OPEN_LOGS - 1)
    ]
    modest = client.open_log("wl-1", follow=True, reader="modest")
    modest.quiet_since = greedy[5].quiet_since = 0.0
    logs = [client.open_log("wl-1", follow=True, reader=name) for name in ("third", "greedy")]
    assert [each.has_yielded for each in greedy].count(True) == 2
    assert greedy[5].has_yielded
    assert not modest.has_yielded
    assert not any(log.has_yielded for log in logs)
    with pytest.raises(TooManyLogs):
        await greedy[5].read()


async def test_log_that_is_not_followed_is_closed_only_for_another_reader(clients):
    client = clients(Endpoint.parse("127.0.0.1:1"))
    logs = [client.open_log("wl-1", reader="greedy") for _ in range(MAX_OPEN_LOGS)]
    with pytest.raises(TooManyLogs):
        client.open_log("wl-1", reader="greedy")
    client.open_log("wl-1", reader="other")
    assert [each.has_yielded for each in logs].count(True) == 1


@pytest.mark.parametrize("start", [lambda answer: answer, asyncio.ensure_future])
async def test_reads_of_logs_on_one_connection_run_two_at_a_time(start):
    most = running = 0

    async def answer():
        nonlocal most, running
        running += 1
        most = max(most, running)
        await run_pending()
        running -= 1
        return Log(b"", "1", ended=False)

    async with await serve(ANY_PORT, lambda _request: start(answer())) as server:
        reader, writer = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        writer.write(b'{"type":"ReadLog","id":"wl-1"}\n' * 20)
        for _ in range(20):
            assert (await reader.readline()).startswith(b'{"type":"Log"')
        writer.close()
        await writer.wait_closed()
    assert most == 2
