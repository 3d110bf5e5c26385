"""What a server does on the wire: the rules of RFC 9110 and RFC 9112 for responses."""

import asyncio
import logging
import re
import socket
import struct
from datetime import UTC, datetime

import pytest
from kakuri_http import ClientDisconnected, Limits, Response, Router, problem, serve

from .wire import connected, simple_router, wired

GET = b"GET /things/a HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_date_is_an_imf_fixdate_of_now():
    async with wired() as wire:
        wire.send(GET)
        _, fields, _ = await wire.read_response()
    assert re.fullmatch(
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
        fields["date"],
    )
    stated = datetime.strptime(fields["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - stated).total_seconds()) < 5


async def test_head_has_the_fields_of_get_and_no_content():
    async with wired() as wire:
        wire.send(GET + GET.replace(b"GET", b"HEAD") + GET)
        _, of_get, body = await wire.read_response()
        _, of_head, _ = await wire.read_response("HEAD")
        assert of_head == of_get
        assert (await wire.read_response())[2] == body == b"a"


@pytest.mark.parametrize("status", [204, 304])
async def test_response_without_content_has_neither_length_nor_coding(status):
    router = Router()
    router.add("GET", "/", lambda request: Response(status, b"dropped", content_type="text/plain"))
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(2):
            got, fields, _ = await wire.read_response()
            assert got == status
            assert not {"content-length", "transfer-encoding", "content-type"} & set(fields)


async def test_hundred_requests_are_served_on_one_connection():
    async with wired() as wire:
        for number in range(100):
            wire.send(b"GET /things/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            assert (await wire.read_response())[2] == b"%d" % number
        assert wire.server.counters.accepted == 1


async def test_pipelined_responses_keep_the_order_of_requests():
    router = simple_router()
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return Response(200, b"slow")

    def opens(request):
        return Response(200, b"quick")

    router.add("GET", "/slow", slow)
    router.add("GET", "/quick", opens)
    async with wired(router) as wire:
        one = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
        wire.send(b"".join(one % (b"slow" if i % 2 else b"quick") for i in range(20)))
        assert (await wire.read_response())[2] == b"quick"
        gate.set()
        got = [(await wire.read_response())[2] for _ in range(19)]
    assert got == [b"slow" if i % 2 else b"quick" for i in range(1, 20)]


async def test_response_to_connection_close_has_connection_close():
    async with wired() as wire:
        wire.send(GET.replace(b"Host: a", b"Host: a\r\nConnection: close") + GET)
        status, fields, _ = await wire.read_response()
        assert (status, fields["connection"]) == (200, "close")
        assert await wire.read_all() == b""


async def test_http_1_0_request_gets_a_1_1_response_and_close():
    async with wired() as wire:
        wire.send(b"GET /things/a HTTP/1.0\r\n\r\n")
        reply = await wire.read_all()
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in reply


async def test_http_1_0_keep_alive_is_confirmed():
    async with wired() as wire:
        wire.send(b"GET /things/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await wire.read_response())[1]["connection"] == "keep-alive"
        wire.send(GET)
        assert (await wire.read_response())[0] == 200


async def test_streamed_response_to_http_1_0_ends_with_the_connection():
    router = Router()
    router.add("GET", "/", lambda request: Response(200, [b"one", b"two"]))
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = (await wire.read_all()).partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"Transfer-Encoding" not in head


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b"GET /nowhere HTTP/1.1", 404, "not_found"),
        (b"PUT /things/a HTTP/1.1", 405, "method_not_allowed"),
        (b"FOO /things/a HTTP/1.1", 501, "not_implemented"),
        (b"TRACE /things/a HTTP/1.1", 501, "not_implemented"),
        (b"CONNECT a:22 HTTP/1.1", 501, "not_implemented"),
        (b"GET / HTTP/2.0", 505, "version_not_supported"),
        (b"GET / HTTP/1.1x", 400, "bad_request"),
        (b"GET /%2e%2e/x HTTP/1.1", 400, "bad_request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1", 414, "uri_too_long"),
    ],
)
async def test_rejected_request_gets_problem_details(line, status, code):
    async with wired() as wire:
        wire.send(line + b"\r\nHost: a\r\n\r\n")
        got, fields, body = await wire.read_response()
    assert got == status
    assert fields["content-type"] == "application/problem+json"
    assert b'"status":%d' % status in body
    assert b'"code":"%b"' % code.encode() in body
    assert (fields.get("allow") is not None) is (status == 405)


async def test_allow_lists_the_methods_of_the_resource():
    async with wired() as wire:
        wire.send(b"DELETE /things/a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.read_response())[1]["allow"] == "GET, HEAD, OPTIONS"
        wire.send(b"OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        status, fields, _ = await wire.read_response()
        assert (status, fields["allow"]) == (204, "OPTIONS, POST")
        wire.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.read_response())[0] == 204


async def test_content_of_a_rejected_request_is_not_parsed_as_a_request():
    hidden = b"GET /things/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    async with wired() as wire:
        wire.send(
            b"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(hidden)
            + hidden
            + GET
        )
        assert (await wire.read_response())[0] == 405
        assert (await wire.read_response())[2] == b"a"


async def test_100_continue_is_sent_before_content_and_not_before_a_rejection():
    async with wired() as wire:
        head = b"%b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        wire.send(head % b"POST /echo")
        assert await wire.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"hello")
        assert (await wire.read_response())[2] == b"hello"
        wire.send(head % b"POST /nowhere")
        status, fields, _ = await wire.read_response()
        assert (status, fields["connection"]) == (404, "close")


async def test_100_continue_is_not_sent_for_content_over_the_limit():
    async with wired() as wire:
        wire.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            b"Content-Length: 10000000000\r\n\r\n"
        )
        assert (await wire.read_response())[0] == 413


async def test_response_to_content_over_the_limit_arrives_before_its_end():
    async with wired() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
        wire.send(b"x" * 10_000_000)
        status, fields, _ = await wire.read_response()
        assert (status, fields["connection"]) == (413, "close")


async def test_chunked_content_over_the_limit_is_413():
    async with wired(limits=Limits(body=1000)) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send((b"100\r\n" + b"x" * 256 + b"\r\n") * 4)
        assert (await wire.read_response())[0] == 413


async def test_content_length_counts_bytes():
    router = Router()
    router.add("GET", "/", lambda request: Response(200, "zürich ☃".encode()))
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.read_response())[2].decode() == "zürich ☃"


async def test_handler_that_raises_is_a_500_without_traceback(caplog):
    router = Router()

    def fails(request):
        raise RuntimeError("the password is hunter2")

    async def fails_later(request):
        await asyncio.get_running_loop().run_in_executor(None, str)
        raise RuntimeError("the password is hunter2")

    router.add("GET", "/now", fails)
    router.add("GET", "/later", fails_later)
    router.add("GET", "/nothing", lambda request: None)
    async with wired(router) as wire:
        with caplog.at_level(logging.ERROR):
            for path in (b"now", b"later", b"nothing"):
                wire.send(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                status, _, body = await wire.read_response()
                assert status == 500
                assert b"hunter2" not in body
                assert b"Traceback" not in body
    assert [record.exc_info[0] for record in caplog.records] == [
        RuntimeError, RuntimeError, TypeError,
    ]  # fmt: skip


async def test_response_that_is_sent_twice_is_not_changed():
    router = Router()
    shared = Response(200, b"shared")
    router.add("GET", "/", lambda request: shared)
    async with await serve("127.0.0.1:0", router) as server:
        for _ in range(2):
            async with connected(server) as wire:
                wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert "connection" not in (await wire.read_response())[1]
                wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert (await wire.read_response())[1]["connection"] == "close"


async def test_check_runs_before_routes_and_content():
    router = simple_router()

    @router.check
    def only_ours(request):
        if request.host != "ours":
            return problem(403, code="foreign_host")
        return None

    async with wired(router) as wire:
        wire.send(
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /things/a HTTP/1.1\r\nHost: ours\r\n\r\n"
        )
        assert (await wire.read_response())[0] == 403
        assert (await wire.read_response())[0] == 200


async def test_access_log_gets_an_entry_for_each_exchange():
    entries = []
    async with wired(access_log=entries.append) as wire:
        wire.send(
            GET + b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + b"x\r\n\r\n"
        )
        await wire.read_all()
    assert [(e.method, e.target, e.pattern, e.status, e.complete) for e in entries] == [
        ("GET", "/things/a", "/things/:id", 200, True),
        ("POST", "/echo", "/echo", 200, True),
        ("", "", "", 400, True),
    ]
    assert entries[1].sent == 2
    assert all(e.peer.startswith("127.0.0.1") and e.seconds >= 0 for e in entries)


async def test_handler_is_cancelled_when_its_client_disconnects():
    router = Router()
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def waits(request):
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    router.add("GET", "/", waits)
    async with wired(router, limits=Limits(half_closed_timeout=0.1)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
        wire.writer.transport.abort()
        await asyncio.wait_for(cancelled.wait(), 8)


async def test_half_closed_client_gets_a_response_within_the_timeout():
    router = Router()
    cancelled = asyncio.Event()
    gate = asyncio.Event()

    async def waits(request):
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Response(200, b"still here")

    router.add("GET", "/", waits)
    async with await serve("127.0.0.1:0", router, limits=Limits(half_closed_timeout=0.1)) as server:
        async with connected(server) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wire.writer.write_eof()
            asyncio.get_running_loop().call_later(0.01, gate.set)
            assert (await wire.read_all()).endswith(b"still here")
        gate.clear()
        async with connected(server) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wire.writer.write_eof()
            await asyncio.wait_for(cancelled.wait(), 8)


async def test_reset_closes_that_connection_only():
    async with wired() as wire:
        with socket.create_connection(("127.0.0.1", wire.server.endpoint.port)) as other:
            other.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.send(GET)
        assert (await wire.read_response())[0] == 200


async def test_drain_completes_requests_in_progress():
    router = simple_router()
    gate, began = asyncio.Event(), asyncio.Event()

    async def waits(request):
        began.set()
        await gate.wait()
        return Response(200, b"done")

    router.add("GET", "/wait", waits)
    async with wired(router) as wire, connected(wire.server) as idle:
        idle.send(GET)
        await idle.read_response()
        wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
        draining = asyncio.ensure_future(wire.server.drain(5))
        assert await idle.read_all() == b""
        gate.set()
        status, fields, body = await wire.read_response()
        assert (status, fields["connection"], body) == (200, "close", b"done")
        assert await draining == 0


async def test_drain_does_not_wait_for_an_unfinished_head():
    async with wired() as wire:
        wire.send(GET + GET[:-2])
        await wire.read_response()
        assert await wire.server.drain(5) == 0
        assert await wire.read_all() == b""


async def test_drain_lets_an_early_response_arrive():
    async with wired() as wire:
        wire.send(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        assert (await wire.read_response())[0] == 404
        draining = asyncio.ensure_future(wire.server.drain(5))
        assert await wire.read_all() == b""
        wire.send(b"123456789")
        wire.writer.write_eof()
        assert await draining == 0


async def test_drain_aborts_at_its_deadline():
    router = Router()
    began = asyncio.Event()

    async def waits(request):
        began.set()
        await asyncio.Event().wait()

    router.add("GET", "/", waits)
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
        assert await wire.server.drain(0.01) == 1


async def test_content_is_streamed_to_a_handler():
    router = Router()
    pieces = asyncio.Queue()

    async def takes(request):
        async for piece in request.stream():
            pieces.put_nowait(piece)
        return Response(200, b"all")

    router.add("POST", "/", takes, streaming=True)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert await pieces.get() == b"one"
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert await pieces.get() == b"two"
        assert (await wire.read_response())[2] == b"all"
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.read_response())[2] == b"all"


async def test_content_that_a_handler_does_not_read_is_dropped():
    router = simple_router()

    async def ignores(request):
        return Response(200, b"ignored")

    router.add("POST", "/", ignores, streaming=True)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        assert (await wire.read_response())[2] == b"ignored"
        wire.send(b"def" + GET)
        assert (await wire.read_response())[2] == b"a"


async def test_streaming_handler_gets_client_disconnected():
    router = Router()
    learned = asyncio.Queue()

    async def takes(request):
        try:
            async for _ in request.stream():
                pass
        except ClientDisconnected as error:
            learned.put_nowait(error)
            raise

    router.add("POST", "/", takes, streaming=True)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        wire.writer.write_eof()
        assert isinstance(await asyncio.wait_for(learned.get(), 30), ClientDisconnected)


async def test_streamed_lines_are_sent_as_they_are_produced():
    router = Router()
    lines = asyncio.Queue()
    closed = asyncio.Event()

    async def watch():
        try:
            while True:
                yield await lines.get()
        finally:
            closed.set()

    router.add("GET", "/", lambda r: Response(200, watch(), content_type="application/x-ndjson"))
    async with wired(router, limits=Limits(half_closed_timeout=0.1)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await wire.read_head()
        assert b"Transfer-Encoding: chunked" in head
        for line in (b'{"n":1}\n', b'{"n":2}\n'):
            lines.put_nowait(line)
            assert await wire.reader.readuntil(b"\n\r\n") == b"8\r\n" + line + b"\r\n"
        wire.writer.transport.abort()
        await asyncio.wait_for(closed.wait(), 30)


async def test_slow_reader_pauses_the_producer():
    router = Router()
    produced = 0

    def endless():
        nonlocal produced
        while True:
            produced += 65536
            yield b"x" * 65536

    router.add("GET", "/", lambda request: Response(200, endless()))
    limits = Limits(write_timeout=0.2)
    entries = asyncio.Queue()
    async with wired(router, limits=limits, access_log=entries.put_nowait) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        entry = await asyncio.wait_for(entries.get(), 10)
    assert entry.complete is False
    assert produced < 30_000_000


async def test_response_whose_stream_raises_is_cut_off():
    router = Router()

    async def breaks():
        yield b"first"
        raise RuntimeError("broken")

    router.add("GET", "/", lambda request: Response(200, breaks()))
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await wire.reader.readuntil(b"0\r\n\r\n")


async def flood(wire):
    while True:
        await wire.writer.drain()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)


async def test_pipelining_client_that_does_not_read_is_bounded():
    router = Router()
    handled = 0

    def big(request):
        nonlocal handled
        handled += 1
        return Response(200, b"x" * 100_000)

    router.add("GET", "/", big)
    async with wired(router, limits=Limits(write_timeout=0.2)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100_000)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await flood(wire)
    assert handled < 1000


async def test_pipelining_client_that_is_faster_than_the_handler_is_bounded():
    """Small requests of a client that reads, handled one by one: the buffer stays small."""
    router = Router()
    waiting = []

    async def slow(request):
        (connection,) = wire.server._table.connections
        waiting.append(connection._core.buffered)
        turn = asyncio.Event()
        asyncio.get_running_loop().call_soon(turn.set)
        await turn.wait()
        return Response(200, b"x")

    router.add("GET", "/", slow)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with wired(router) as wire:
        wire.send(request * 100_000)
        for _ in range(1000):
            assert (await wire.read_response())[0] == 200
    assert len(waiting) >= 1000
    assert max(waiting) < 600_000


async def test_trailers_reach_the_handler():
    router = Router()
    router.add("POST", "/", lambda request: Response(200, request.trailers["x-sum"].encode()))
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"1\r\nx\r\n0\r\nX-Sum: 42\r\n\r\n")
        assert (await wire.read_response())[2] == b"42"


async def test_unread_content_without_end_closes_the_connection():
    router = Router()
    router.add("POST", "/", lambda request: Response(403), streaming=True, body_limit=1 << 40)
    for framing in (b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"):
        async with wired(router) as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
            assert (await wire.read_response())[0] == 403
            for _ in range(100):
                wire.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            assert await wire.read_all() == b""


@pytest.mark.parametrize(
    ("limits", "data", "status"),
    [
        ({"request_line": 20}, b"GET /things/abcdefghijk HTTP/1.1\r\n", 414),
        ({"request_line": 20}, b"G" * 22, 501),
        ({"field_line": 20}, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20, 431),
        ({"fields": 2}, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n", 431),
        ({"head": 40}, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20 + b"\r\n\r\n", 431),
        ({"body": 2}, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 413),
        ({"chunk_line": 9}, b"CHUNKED" + b"1;" + b"x" * 20, 400),
        ({"chunk_extensions": 9}, b"CHUNKED" + b"1;abc\r\nx\r\n" * 4, 400),
        ({"trailers": 2}, b"CHUNKED0\r\n" + b"X: y\r\n" * 3, 431),
        ({"empty_lines": 2}, b"\r\n" * 3, 400),
    ],
)
async def test_request_over_a_limit_gets_its_status(limits, data, status):
    chunked = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with wired(limits=Limits(**limits)) as wire:
        wire.send(data.replace(b"CHUNKED", chunked))
        got, fields, _ = await wire.read_response()
        assert (got, fields["connection"]) == (status, "close")


async def test_half_closed_client_gets_all_responses():
    router = simple_router()

    async def later(request):
        await asyncio.get_running_loop().run_in_executor(None, str)
        return Response(200, b"later")

    router.add("GET", "/later", later)
    async with wired(router) as wire:
        wire.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        wire.writer.write_eof()
        reply = await wire.read_all()
    assert reply.count(b"later") == 3
    assert reply.count(b"Connection: close") == 1


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (GET.replace(b"/things/a", b"/nowhere"), 404, "not_found"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n", 414, "uri_too_long"),
        (b"no HTTP\r\n\r\n", 400, "bad_request"),
        (GET, 200, ""),
    ],
)
async def test_access_entry_of_a_request_without_a_route_has_the_code_of_its_problem(
    data, status, code
):
    entries = []
    async with wired(access_log=entries.append) as wire:
        wire.send(data)
        await wire.read_response()
    assert [(entry.status, entry.code) for entry in entries] == [(status, code)]


async def test_access_entry_of_a_check_that_responds_has_the_code_of_its_problem():
    entries, router = [], simple_router()
    router.check(lambda request: problem(403, code="closed") if request.query else Response(204))
    async with wired(router, access_log=entries.append) as wire:
        wire.send(GET.replace(b" HTTP", b"?x HTTP"))
        await wire.read_response()
        wire.send(GET)
        await wire.read_response()
    assert [(entry.status, entry.code) for entry in entries] == [(403, "closed"), (204, "")]


async def test_access_log_that_raises_is_logged_and_connection_continues(caplog):
    def fails(entry):
        raise RuntimeError

    async with wired(access_log=fails) as wire:
        wire.send(GET)
        assert (await wire.read_response())[0] == 200
        wire.send(GET)
        assert (await wire.read_response())[0] == 200
    assert "the access log failed for AccessEntry(" in caplog.text


async def test_reader_of_a_stream_whose_response_was_sent_raises_client_disconnected():
    readers = []

    async def respond_without_reading(request):
        readers.append(asyncio.ensure_future(anext(request.stream())))
        await asyncio.sleep(0)  # the reader waits
        return Response(200)

    router = Router()
    router.add("POST", "/", respond_without_reading, streaming=True)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        assert (await wire.read_response())[0] == 200
        with pytest.raises(ClientDisconnected, match="dropped"):
            await readers[0]


async def test_streamed_response_with_a_length_is_not_chunked():
    router = Router()

    def known(request):
        response = Response(200, [b"one", b"two"])
        response.length = 6
        return response

    router.add("GET", "/", known)
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(2):
            assert (await wire.read_response())[2] == b"onetwo"


async def test_route_with_body_limit_0_rejects_any_content():
    router = Router()
    router.add("POST", "/", lambda request: Response(204), body_limit=0)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert (await wire.read_response())[0] == 204
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        assert (await wire.read_response())[0] == 413


@pytest.mark.parametrize("together", [True, False])
async def test_content_that_arrives_with_its_head_is_handled_as_later_content(together):
    router = simple_router()

    async def gathers(request):
        return Response(200, b"".join([piece async for piece in request.stream()]))

    router.add("POST", "/stream", gathers, streaming=True)
    router.add("POST", "/little", lambda request: Response(200, request.body), body_limit=4)
    async with wired(router, limits=Limits(body=8)) as wire:
        for path, content, expected in [
            (b"/echo", b"12345678", (200, b"12345678")),
            (b"/stream", b"12345678", (200, b"12345678")),
            (b"/stream", b"", (200, b"")),
            (b"/little", b"1234", (200, b"1234")),
            (b"/nowhere", b"1234", (404, None)),
            (b"/little", b"12345", (413, None)),
        ]:
            head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
            parts = [head % (path, len(content)), content]
            for part in [b"".join(parts)] if together else parts:
                wire.send(part)
                await asyncio.get_running_loop().run_in_executor(None, str)
            status, _, body = await wire.read_response()
            assert status == expected[0]
            assert expected[1] in (None, body)
