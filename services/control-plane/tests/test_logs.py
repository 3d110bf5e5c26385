"""Logs through the API, from an agent that gives them as each test wants."""

import asyncio
import hashlib
import json
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count, cycle
from types import SimpleNamespace
from unittest.mock import ANY

import kakuri_http
import pytest
from kakuri_control_plane import _logs, control_plane_service
from kakuri_control_plane._log_queries import LogQuery
from kakuri_control_plane._logs import FAR_FROM_END, SHORT_PIECE, Logs, _is_temporary
from kakuri_control_plane._users import user_of
from kakuri_http import Client, Headers, HTTPError, Limits, ResponseAborted
from kakuri_json import decode, encode
from kakuri_rpc import (
    MAX_LOG_DATA,
    MAX_OPEN_LOGS,
    AgentClient,
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ErrorCode,
    ErrorReply,
    Log,
    ReadLog,
    Request,
    State,
    Status,
    UnexpectedReply,
    serve,
)
from kakuri_tcp import Endpoint, listen_lines
from kakuri_workload import LogSelection, LogStream
from structlog.testing import capture_logs

from .fake_agent import CheckedClient

ANY_PORT = Endpoint.parse("127.0.0.1:0")
BIG = 100 * 1024 * 1024
REMOVED = ErrorReply(ErrorCode.NOT_FOUND, "it was removed")


@asynccontextmanager
async def control_plane(agent, timeout=5.0):
    async with (
        control_plane_service(ANY_PORT, agent.endpoint, timeout) as endpoint,
        CheckedClient(endpoint) as client,
    ):
        yield client, endpoint


@asynccontextmanager
async def api(answer, timeout=5.0):
    """Start a control plane whose agent replies with what `answer` gives for a request."""
    async with (
        await serve(ANY_PORT, answer) as agent,
        control_plane(agent, timeout) as (client, endpoint),
    ):
        yield client, endpoint


class Agent:
    """An agent that notices when the connection of a log is closed."""

    def __init__(self, answer):
        self.answer = answer
        self.closed = asyncio.Semaphore(0)
        self.tasks = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve_one, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        self.endpoint = Endpoint.parse(f"{host}:{port}")
        return self

    async def __aexit__(self, *error):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve_one(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        try:
            while line := await reader.readline():
                reply = self.answer(decode(line, type=Request))
                if reply is not None:
                    writer.write(encode(reply) + b"\n")
        finally:
            writer.close()
            self.closed.release()


def ask(endpoint):
    """Follow a log over a plain socket."""
    peer = socket.create_connection((endpoint.host, endpoint.port))
    peer.sendall(b"GET /workloads/wl-1/log?follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return peer


def leave(peer):
    """Close with a reset: anything else could be half a close, which costs some seconds."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def pieces(*data, then_ended=False):
    """Answer readings with these pieces in turn, then with nothing."""

    def answer(request):
        index = int(request.after or 0)
        ended = then_ended and index >= len(data) - 1
        return Log(data[index] if index < len(data) else b"", str(index + 1), ended)

    return answer


async def test_log_has_the_bytes_that_were_written():
    asked = []

    def answer(request):
        asked.append(replace(request, trace=None))
        return pieces(b"one\n\xff\0", b"two")(request)

    async with api(answer) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log?tail=7")
    assert (response.status, response.body) == (200, b"one\n\xff\0two")
    assert response.headers.get("content-type") == "text/plain; charset=utf-8"
    assert response.headers.get("x-content-type-options") == "nosniff"
    assert asked == [
        ReadLog("wl-1", 7, bounded=True),
        ReadLog("wl-1", None, "1", bounded=True),
        ReadLog("wl-1", None, "2", bounded=True),
    ]


@pytest.mark.parametrize("query", ["", "?follow", "?follow=true&tail=0"])
async def test_followed_log_ends_with_the_workload(query):
    async with api(pieces(b"one\n", b"two\n", then_ended=True)) as (client, _):
        response = await client.request("GET", f"/workloads/wl-1/log{query}")
        assert (response.status, response.body) == (200, b"one\ntwo\n")


async def test_log_without_output_is_empty():
    async with api(pieces()) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log?follow=false")
        assert (response.status, response.body) == (200, b"")


async def test_followed_log_sends_output_when_it_is_written():
    written = asyncio.Queue()

    async def wait(request):
        data, ended = await written.get()
        return Log(data, request.after + "x" if data else request.after, ended)

    def answer(request):
        return wait(request) if request.wait_seconds else Log(b"", "x", ended=False)

    async with (
        api(answer) as (client, _),
        client.stream("GET", "/workloads/wl-1/log?follow") as response,
    ):
        received = aiter(response)
        for data in (b"one\n", b"two\n"):
            written.put_nowait((b"", False))
            written.put_nowait((data, False))
            assert await anext(received) == data
        written.put_nowait((b"three\n", True))
        assert [piece async for piece in received] == [b"three\n"]


async def test_log_that_grows_as_fast_as_it_is_read_ends():
    sizes = count(1)
    async with api(lambda _: Log(b"x", str(next(sizes)), ended=False)) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log")
        assert response.body == b"x" * 256


async def test_log_of_short_pieces_is_read_to_its_end():
    line = b"%80d\n" % 0
    piece = line * (MAX_LOG_DATA // len(line))
    assert len(piece) < MAX_LOG_DATA
    async with (
        api(pieces(*[piece] * 300)) as (_, endpoint),
        Client(endpoint, limits=Limits(body=300 * MAX_LOG_DATA)) as client,
    ):
        response = await client.request("GET", "/workloads/wl-1/log")
        assert len(response.body) == 300 * len(piece)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (lambda _: ErrorReply(ErrorCode.NOT_FOUND, "no workload"), 404, "not_found"),
        (lambda _: ErrorReply(ErrorCode.RUNTIME, "it failed"), 500, "runtime"),
        (lambda _: ErrorReply(ErrorCode.RUNTIME_UNAVAILABLE, "away"), 503, "runtime_unavailable"),
        (lambda _: Status("wl-1", State.RUNNING), 500, "unexpected_reply"),
        (lambda _: Log(bytes(MAX_LOG_DATA + 1), "x", ended=False), 500, "unexpected_reply"),
        (lambda _: Log(b"", "x" * 129, ended=False), 500, "unexpected_reply"),
    ],
)
@pytest.mark.parametrize("query", ["", "?follow"])
async def test_error_before_the_first_piece_is_a_problem(answer, status, code, query):
    async with api(answer) as (client, _):
        response = await client.request("GET", f"/workloads/wl-1/log{query}")
        assert (response.status, json.loads(response.body)["code"]) == (status, code)
        assert response.headers.get("content-type") == "application/problem+json"


@pytest.mark.parametrize("query", ["", "?follow"])
async def test_agent_that_does_not_send_the_first_piece_in_time_is_a_problem(query):
    async with api(lambda _: asyncio.Event().wait(), timeout=1.0) as (client, _):
        response = await client.request("GET", f"/workloads/wl-1/log{query}")
        assert (response.status, json.loads(response.body)["code"]) == (504, "agent_timeout")


@pytest.mark.parametrize(
    "query",
    ["tail=-1", "tail=x", "tail=1000001", "tail=1&tail=2", "follow=maybe", "colour=red"],
)
async def test_invalid_query_of_a_log_is_400(query):
    async with api(pieces()) as (client, _):
        response = await client.request("GET", f"/workloads/wl-1/log?{query}")
        assert (response.status, json.loads(response.body)["code"]) == (400, "bad_request")


async def test_head_of_a_later_attempt_is_404():
    selected = ReadLog("wl-1", 0, records=LogSelection(attempt=2))

    def answer(request):
        assert replace(request, trace=None) == selected
        return ErrorReply(ErrorCode.NOT_FOUND, "no attempt 2")

    async with Agent(answer) as agent, control_plane(agent) as (client, _):
        assert (await client.request("HEAD", "/workloads/wl-1/log?attempt=2")).status == 404


async def test_head_of_a_log_leaves_no_log_open():
    asked = []

    def answer(request):
        asked.append(replace(request, trace=None))
        return Log(b"", "x", ended=False)

    async with Agent(answer) as agent, control_plane(agent) as (client, _):
        response = await client.request("HEAD", "/workloads/wl-1/log?follow")
        assert (response.status, response.body) == (200, b"")
        assert response.headers.get("content-type") == "text/plain; charset=utf-8"
        await agent.closed.acquire()
    assert asked == [ReadLog("wl-1", 0)]


@pytest.mark.parametrize(
    "last",
    [
        ErrorReply(ErrorCode.INTERNAL, "a fault"),
        Log(bytes(MAX_LOG_DATA + 1), "x", ended=False),
        Status("wl-1", State.RUNNING),
    ],
    ids=["error", "over the limit", "no log"],
)
@pytest.mark.parametrize("query", ["", "?follow"])
async def test_error_after_the_first_piece_aborts_the_response(last, query, caplog):
    def answer(request):
        return last if request.after else Log(b"one", "x", ended=False)

    with capture_logs() as lines:
        async with (
            api(answer) as (client, _),
            client.stream("GET", f"/workloads/wl-1/log{query}") as response,
        ):
            with pytest.raises(HTTPError):
                await response.read()
    assert [line for line in lines if line["log_level"] != "info"] == [
        {"event": "log cut off", "log_level": "warning", "id": "wl-1", "error": ANY}
    ]
    assert caplog.text == ""  # no traceback: it is a fault of the agent


async def test_log_of_a_workload_that_is_removed_while_it_is_read_aborts_the_response():
    def answer(request):
        return REMOVED if request.after else Log(b"one", "x", ended=False)

    async with (
        api(answer) as (client, _),
        client.stream("GET", "/workloads/wl-1/log") as response,
    ):
        with pytest.raises(HTTPError):
            await response.read()


@pytest.mark.parametrize(
    ("first", "trailers"),
    [
        (Log(b"one", "x", ended=False), {}),
        (Log(b"one", "x", ended=False, examined=FAR_FROM_END), {"Kakuri-Log-Gap": "true"}),
        (Log(bytes(SHORT_PIECE), "x", ended=False), {"Kakuri-Log-Gap": "true"}),
    ],
    ids=["all was read", "more may have been selected", "more may have been there"],
)
async def test_followed_log_of_a_workload_that_is_removed_ends(first, trailers):
    async with api(lambda request: REMOVED if request.after else first) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log?follow")
    assert response.body == first.data
    assert dict(response.trailers) == trailers


async def test_log_while_the_runtime_is_unavailable_is_503_with_retry_after():
    away = ErrorReply(ErrorCode.RUNTIME_UNAVAILABLE, "the sidecar can't be reached")
    async with api(lambda _: away) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log")
    assert response.headers.get("retry-after") == "1"


@pytest.mark.parametrize("query", ["", "?follow"])
async def test_log_with_a_gap_has_a_trailer_that_reports_it(query):
    def answer(request):
        if request.after:
            return Log(b"three", "3", ended=True)
        return Log(b"one", "1", ended=False, gap=True)

    async with api(answer) as (client, _):
        response = await client.request("GET", f"/workloads/wl-1/log{query}")
    assert response.body == b"onethree"
    assert response.headers.get("trailer") == "Kakuri-Log-Gap"
    assert dict(response.trailers) == {"Kakuri-Log-Gap": "true"}


async def test_log_without_a_gap_has_no_trailer():
    async with api(pieces(b"one", b"two", then_ended=True)) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log")
    assert not response.trailers


@pytest.mark.parametrize("code", [ErrorCode.RUNTIME, ErrorCode.RUNTIME_UNAVAILABLE])
async def test_followed_log_continues_once_the_runtime_answers_again(code):
    asked = []

    def answer(request):
        asked.append(request.after)
        if asked.count("1") == 1 and request.after == "1":
            return ErrorReply(code, "no log from the sidecar")
        return pieces(b"one", b"two", then_ended=True)(request)

    async with api(answer) as (client, _):
        response = await client.request("GET", "/workloads/wl-1/log?follow")
    assert response.body == b"onetwo"
    assert asked == [None, "1", "1"]


async def test_followed_log_continues_once_the_agent_answers_again():
    agent = await serve(ANY_PORT, pieces(b"one"))
    async with (
        control_plane(agent) as (client, _),
        client.stream("GET", "/workloads/wl-1/log?follow") as response,
    ):
        received = aiter(response)
        assert await anext(received) == b"one"
        await agent.close()
        async with await serve(agent.endpoint, pieces(b"one", b"two", then_ended=True)):
            assert [piece async for piece in received] == [b"two"]


async def test_followed_log_of_an_agent_that_stays_unreachable_is_aborted(monkeypatch):
    monkeypatch.setattr(_logs, "RETURN_SECONDS", 0.1)
    agent = await serve(ANY_PORT, pieces(b"one"))
    async with (
        control_plane(agent) as (client, _),
        client.stream("GET", "/workloads/wl-1/log?follow") as response,
    ):
        received = aiter(response)
        assert await anext(received) == b"one"
        await agent.close()
        with pytest.raises(HTTPError):
            await anext(received)


class QuietLog:
    """A log that had no output for the longest wait when its agent was restarted."""

    has_yielded = False
    now = 0.0

    def __init__(self):
        self.replies = [AgentUnreachable("restarted"), Log(b"two", "2", ended=True)]

    async def read(self, *, wait_seconds):
        self.now += wait_seconds
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


async def test_followed_log_that_was_quiet_until_the_agent_was_restarted_continues(monkeypatch):
    log = QuietLog()
    monkeypatch.setattr(_logs, "time", SimpleNamespace(monotonic=lambda: log.now))
    monkeypatch.setattr(_logs, "PAUSE_SECONDS", 0.0)
    assert (await Logs(None)._read_next(log)).data == b"two"


async def test_agent_gets_no_request_after_the_client_disconnected():
    waits = asyncio.Event()

    def answer(request):
        if request.wait_seconds:
            waits.set()
            return None
        return Log(b"", "x", ended=False)

    async with Agent(answer) as agent, control_plane(agent) as (_, endpoint):
        peer = ask(endpoint)
        await waits.wait()
        leave(peer)
        await agent.closed.acquire()


async def test_client_that_disconnects_before_the_response_leaves_no_log_open():
    waits = asyncio.Event()

    def answer(request):
        waits.set()

    async with Agent(answer) as agent, control_plane(agent) as (_, endpoint):
        peer = ask(endpoint)
        await waits.wait()
        leave(peer)
        await agent.closed.acquire()


def waiting_agent():
    """Return an agent that never answers those who wait, and what counts them."""
    waiting = asyncio.Semaphore(0)

    def answer(request):
        if request.wait_seconds:
            waiting.release()
            return None
        return Log(b"", "x", ended=request.bounded)

    return Agent(answer), waiting


async def test_waiting_followers_do_not_use_slots_of_readers_that_do_not_follow():
    agent, waiting = waiting_agent()
    async with agent, control_plane(agent) as (client, endpoint):
        peers = []
        for _ in range(MAX_OPEN_LOGS):
            peers.append(ask(endpoint))
            await waiting.acquire()
        assert (await client.request("GET", "/workloads/wl-1/log")).status == 200
        assert (await client.request("HEAD", "/workloads/wl-1/log")).status == 200
        for peer in peers:
            leave(peer)


async def test_follower_that_is_closed_before_its_first_piece_gets_503_and_may_come_again():
    asked = asyncio.Semaphore(0)

    def answer(_request):
        asked.release()

    async with Agent(answer) as agent, control_plane(agent) as (_, endpoint):
        peers = []
        for _ in range(MAX_OPEN_LOGS + 1):
            peers.append(ask(endpoint))
            await asked.acquire()
        loop = asyncio.get_running_loop()
        received = await loop.run_in_executor(None, peers[0].recv, 4096)
        assert received.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in received
        assert b'"code":"too_many_logs"' in received
        for peer in peers:
            leave(peer)


async def test_follower_without_data_for_the_longest_time_is_closed_for_a_new_one():
    agent, waiting = waiting_agent()
    async with agent, control_plane(agent) as (_, endpoint):
        peers = []
        for _ in range(MAX_OPEN_LOGS + 1):
            peers.append(ask(endpoint))
            await waiting.acquire()
        await agent.closed.acquire()
        loop = asyncio.get_running_loop()
        first = peers.pop(0)
        received = b""
        with suppress(ConnectionResetError):
            while piece := await loop.run_in_executor(None, first.recv, 4096):
                received += piece
        assert received.startswith(b"HTTP/1.1 200 ")
        assert not received.endswith(b"0\r\n\r\n")  # a client sees that it is not complete
        first.close()
        for peer in peers:
            leave(peer)


@pytest.mark.parametrize(
    ("peer", "uid", "user"),
    [
        ("127.0.0.1:5000", None, "loopback"),
        ("127.8.0.9:5000", None, "loopback"),
        ("[::1]:5000", None, "loopback"),
        ("127.0.0.1:5000", 1000, "uid=1000"),
        ("[::1]:5000", 0, "uid=0"),
        ("10.0.0.7:5000", None, "10.0.0.7"),
        ("[fd00::7]:5000", None, "fd00::7"),
        ("unix:pid=7,uid=1000", 1000, "uid=1000"),
    ],
)
def test_user_is_a_uid_or_an_address(peer, uid, user):
    request = kakuri_http.Request("GET", "/workloads/wl-1/log", Headers())
    request.peer, request.uid = peer, uid
    assert user_of(request) == user


async def test_stopping_service_does_not_wait_for_followers(caplog):
    waits = asyncio.Event()

    async def wait():
        waits.set()
        await asyncio.Event().wait()

    def answer(request):
        return wait() if request.wait_seconds else Log(b"one", "x", ended=False)

    async with (
        await serve(ANY_PORT, answer) as agent,
        Client() as client,
        asyncio.timeout(8) as limit,  # shorter than what a request in flight is given
    ):
        async with control_plane_service(ANY_PORT, agent.endpoint, 5.0) as endpoint:
            opened = client.stream("GET", f"http://{endpoint}/workloads/wl-1/log?follow")
            response = await opened.__aenter__()
            await waits.wait()
        with pytest.raises(HTTPError):
            await response.read()
        await opened.__aexit__(None, None, None)
    assert not limit.expired()
    assert [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")] == []


async def test_log_that_is_opened_while_the_service_stops_is_closed_at_once():
    """The service is stopped between the request and the first piece."""
    first, answers = asyncio.Event(), asyncio.Event()

    async def wait():
        first.set()
        await answers.wait()
        return Log(b"one", "x", ended=False)

    async with await serve(ANY_PORT, lambda _request: wait()) as agent:
        client = AgentClient(agent.endpoint)
        logs = Logs(client)
        opening = asyncio.create_task(logs.open("wl-1", LogQuery(follow=True)))
        await first.wait()
        await logs.end_followed()
        answers.set()
        _, pieces_of = await opening
        (log,) = logs._followed
        assert log not in client._followed.taken()
        assert await anext(pieces_of) == b"one"
        with pytest.raises(ResponseAborted, match="the control plane stops"):
            await anext(pieces_of)
        await client.close()


async def test_slow_reader_of_a_large_log_takes_little_memory():
    """It reads nothing until no more is asked for; all it gets then is what was written."""
    block = bytes(range(256)) * (MAX_LOG_DATA // 256)
    asked = asyncio.Event()
    given = 0

    def log_line(line):
        nonlocal given
        given += MAX_LOG_DATA
        asked.set()
        return next(firsts) if given < BIG else last

    firsts = cycle([encode(Log(block, cursor, ended=False)) for cursor in ("x", "y")])
    last = encode(Log(block, "x", ended=True))
    async with (
        await listen_lines(ANY_PORT, log_line) as agent,
        control_plane(agent) as (_, endpoint),
    ):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        peer.connect((endpoint.host, endpoint.port))
        reader, writer = await asyncio.open_connection(sock=peer, limit=4096)
        writer.write(b"GET /workloads/wl-1/log?follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            while True:
                asked.clear()
                await asyncio.wait_for(asked.wait(), 0.25)
        except TimeoutError:
            pass
        assert given < 16 * 1024 * 1024  # what the system holds for a connection
        await reader.readuntil(b"\r\n\r\n")
        digest = hashlib.sha256()
        received = 0
        while size := int(await reader.readline(), 16):
            digest.update(await reader.readexactly(size))
            await reader.readexactly(2)
            received += size
            assert given - received < 16 * 1024 * 1024
        writer.close()
        await writer.wait_closed()
    assert received == BIG
    assert digest.digest() == hashlib.sha256(block * (BIG // MAX_LOG_DATA)).digest()


@pytest.mark.parametrize(
    ("error", "is_temporary"),
    [
        (AgentUnreachable("away"), True),
        (AgentTimeout("slow"), False),
        (UnexpectedReply("odd"), False),
        *((AgentError(ErrorReply(code, "x")), code in (ErrorCode.RUNTIME, ErrorCode.RUNTIME_UNAVAILABLE))
          for code in ErrorCode),
    ],
    ids=repr,
)  # fmt: skip
def test_followed_log_waits_only_for_an_unreachable_agent_or_unavailable_runtime(
    error, is_temporary
):
    assert _is_temporary(error) == is_temporary


AT = "2026-11-26T14:07:25.000000001Z"


def as_records(*contents, stream="stdout"):
    return b"".join(f"{AT} {stream} F 0 ".encode() + content + b"\n" for content in contents)


async def test_selected_records_are_requested_and_sent_in_the_requested_form():
    asked = []

    def answer(request):
        asked.append(replace(request, trace=None))
        return pieces(as_records(b"one"), as_records(b"two"), then_ended=True)(request)

    async with api(answer) as (client, _):
        target = "/workloads/wl-1/log"
        plain = await client.request("GET", f"{target}?stream=stderr&tail=3")
        timed = await client.request("GET", f"{target}?timestamps&follow&attempt=2")
        lines = await client.request("GET", f"{target}?format=ndjson&since={AT}")
    assert (plain.body, timed.body) == (b"one\ntwo\n", f"{AT} one\n{AT} two\n".encode())
    assert [json.loads(line)["line"] for line in lines.body.splitlines()] == ["one", "two"]
    assert plain.headers.get("content-type") == "text/plain; charset=utf-8"
    assert lines.headers.get("content-type") == "application/x-ndjson"
    assert lines.headers.get("x-content-type-options") == "nosniff"
    assert asked[::2] == [
        ReadLog("wl-1", 3, bounded=True, records=LogSelection(LogStream.STDERR)),
        ReadLog("wl-1", records=LogSelection(attempt=2)),
        ReadLog("wl-1", bounded=True, records=LogSelection(since=AT)),
    ]


@pytest.mark.parametrize("query", ["", "&follow"])
async def test_pieces_without_selected_records_are_skipped_up_to_the_end(query):
    def answer(request):
        index = int(request.after or 0)
        data = as_records(b"found") if index == 400 else b""
        return Log(data, str(index + 1), ended=index == 401, examined=524_288)

    async with api(answer) as (client, _):
        response = await client.request("GET", f"/workloads/wl-1/log?stream=stdout{query}")
        assert response.body == b"found\n"


@pytest.mark.parametrize(
    ("data", "examined", "has_pause"),
    [
        (b"", 0, True),
        (b"", 300, True),
        (b"", 65_535, True),
        (b"", 65_536, False),  # far from the end of the log
        (b"", 524_288, False),
        (b"x", 0, False),
        (b"x", 300, False),
    ],
)
async def test_follower_pauses_after_a_piece_without_data_near_the_end_of_a_log(
    monkeypatch, data, examined, has_pause
):
    waits = []
    now = 1000.0

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(_logs.asyncio, "sleep", sleep)
    monkeypatch.setattr(_logs.time, "monotonic", lambda: now)

    class FakeLog:
        workload_id, has_yielded, has_ended = "wl-1", False, False

        def __init__(self):
            self.answers = iter([(b"first", 0), (data, examined), (b"last", 0)])

        async def __aenter__(self):
            return self

        async def __aexit__(self, *error):
            pass

        async def read(self, **_):
            content, size = next(self.answers)
            self.has_ended = content == b"last"
            return Log(content, "1", self.has_ended, examined=size)

    log = FakeLog()
    found = [piece async for piece in Logs(None)._follow(log, await log.read())]
    assert found == [b"first", *[data] * bool(data), b"last"]
    # A quarter of a second since the request that returned the piece.
    assert waits == [0.25] * has_pause


async def test_log_with_malformed_records_is_cut_off():
    async with api(pieces(b"\x1b[2J\n", then_ended=True)) as (client, _):
        with pytest.raises(HTTPError):
            await client.request("GET", "/workloads/wl-1/log?timestamps")


@pytest.mark.parametrize(
    "query", ["stream=stdin", "since=yesterday", "attempt=-1", "attempt=x", "format=xml"]
)
async def test_invalid_selection_of_a_log_is_400(query):
    async with api(pieces()) as (client, _):
        for method in ("GET", "HEAD"):
            response = await client.request(method, f"/workloads/wl-1/log?{query}")
            assert response.status == 400


async def test_log_of_a_removed_workload_is_requested():
    asked = []

    def answer(request):
        asked.append(replace(request, trace=None))
        return Log(b"last words", "x", ended=True)

    async with api(answer) as (client, _):
        target = "/workloads/wl-1/log?removed"
        response = await client.request("GET", f"{target}&tail=1")
        await client.request("HEAD", target)
    assert (response.status, response.body) == (200, b"last words")
    assert asked == [
        ReadLog("wl-1", 1, bounded=True, removed=True),
        ReadLog("wl-1", 0, removed=True),
    ]
