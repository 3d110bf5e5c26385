"""An HTTP server shares its time and its memory among all connections."""

import asyncio
import contextlib
import sys

import pytest
from kakuri_http import Limits, Response, Router, serve
from kakuri_tcp.testing import until

SIZE = 65_536


class Clock:
    """A clock that runs only while a handler works."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Site:
    """A route whose requests are expensive, one whose are cheap, and a list of those served."""

    def __init__(self, kind="inline"):
        self.clock = Clock()
        self.answered = []
        self.router = Router()
        expensive = {"inline": self.expensive, "task": self.expensive_task}[kind]
        self.router.add("POST", "/expensive", expensive)
        self.router.add("GET", "/cheap", self.cheap)

    def expensive(self, request):
        self.clock.now += 0.3
        self.answered.append("expensive")
        return Response(200, b"%d" % len(request.body))

    async def expensive_task(self, request):
        return self.expensive(request)

    def cheap(self, request):
        self.answered.append("cheap")
        return Response(200, b"cheap")

    @contextlib.asynccontextmanager
    async def serve(self, **limits):
        async with await serve("127.0.0.1:0", self.router, limits=Limits(**limits)) as server:
            server._shared.turns.clock = self.clock
            server._shared.turns.restart()
            yield server


async def connect(server):
    return await asyncio.open_connection("127.0.0.1", server.endpoint.port)


def post(size=SIZE):
    return b"POST /expensive HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


GET = b"GET /cheap HTTP/1.1\r\nHost: x\r\n\r\n"


async def read_response(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head[:12], await reader.readexactly(length)


@pytest.mark.parametrize("kind", ["inline", "task"])
async def test_cheap_request_is_served_while_many_expensive_ones_wait(kind):
    """All the large requests are complete in the same moment."""
    site = Site(kind)
    async with site.serve() as server:
        hogs = [await connect(server) for _ in range(40)]
        for _, writer in hogs:
            writer.write(post()[:-1])
        await until(lambda: server._shared.input.total == 40 * (SIZE - 1))
        cheap, cheap_writer = await connect(server)
        await until(lambda: server.connections == 41)
        for _, writer in hogs:
            writer.write(b"x")
        cheap_writer.write(GET)
        assert await read_response(cheap) == (b"HTTP/1.1 200", b"cheap")
        assert len(site.answered) <= 10
        for reader, writer in hogs:
            assert await read_response(reader) == (b"HTTP/1.1 200", b"%d" % SIZE)
            writer.close()
        cheap_writer.close()
    assert server._shared.input.total == 0


async def test_pipelined_requests_yield_to_other_connections_after_a_slice():
    site = Site()
    async with site.serve() as server:
        hog, hog_writer = await connect(server)
        cheap, cheap_writer = await connect(server)
        await until(lambda: server.connections == 2)
        hog_writer.write(post(1) * 20)
        cheap_writer.write(GET)
        assert await read_response(cheap) == (b"HTTP/1.1 200", b"cheap")
        assert len(site.answered) <= 10
        for _ in range(20):
            assert await read_response(hog) == (b"HTTP/1.1 200", b"1")
        for writer in (hog_writer, cheap_writer):
            writer.close()


CHUNKED = b"POST /expensive HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_content_in_many_small_chunks_yields_after_a_slice():
    site = Site()

    def clock():
        site.clock.now += 0.001
        return site.clock.now

    async with site.serve() as server:
        server._shared.turns.clock = clock
        hog, hog_writer = await connect(server)
        cheap, cheap_writer = await connect(server)
        await until(lambda: server.connections == 2)
        hog_writer.write(CHUNKED + b"400\r\n%b\r\n" % (b"x" * 1024) * 200 + b"0\r\n\r\n")
        cheap_writer.write(GET)
        assert await read_response(cheap) == (b"HTTP/1.1 200", b"cheap")
        assert await read_response(hog) == (b"HTTP/1.1 200", b"204800")
        assert site.answered == ["cheap", "expensive"]
        for writer in (hog_writer, cheap_writer):
            writer.close()


async def test_content_in_many_small_chunks_uses_no_more_memory_than_is_counted():
    site = Site()
    async with site.serve() as server:
        reader, writer = await connect(server)
        writer.write(CHUNKED + b"2\r\nxx\r\n" * 20_000)
        await until(lambda: server._shared.input.total == 40_000)
        (connection,) = server._table.connections
        assert sys.getsizeof(connection._exchange.content) < 2 * 40_000
        writer.write(b"0\r\n\r\n")
        assert await read_response(reader) == (b"HTTP/1.1 200", b"40000")
        writer.close()


async def test_drain_serves_requests_that_wait_for_their_turn():
    site = Site()
    async with site.serve() as server:
        peers = [await connect(server) for _ in range(10)]
        await until(lambda: all(c._transport for c in server._table.connections))
        for _, writer in peers:
            writer.write(post(1))
        await until(lambda: site.answered)
        draining = asyncio.create_task(server.drain(10))
        answers = [await reader.read() for reader, _ in peers]
        # Connections from which the server had not read are closed without a response.
        assert answers.count(b"") == 10 - len(site.answered)
        assert all(a.startswith(b"HTTP/1.1 200") for a in answers if a)
        for _, writer in peers:
            writer.close()
        assert await draining == 0


async def test_request_that_waits_for_its_turn_is_served_after_the_peer_half_closes():
    site = Site()
    async with site.serve() as server:
        hogs = [await connect(server) for _ in range(5)]
        reader, writer = await connect(server)
        await until(lambda: server.connections == 6)
        for _, hog in hogs:
            hog.write(post(1))
        writer.write(post(1))
        writer.write_eof()
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        for _, each in [*hogs, (reader, writer)]:
            each.close()


async def test_unfinished_content_of_all_connections_is_bounded():
    site = Site()
    async with site.serve(unfinished_input=4 * SIZE) as server:
        hogs = [await connect(server) for _ in range(40)]
        for _, writer in hogs:
            writer.write(post()[:-1])
        await until(lambda: server._shared.aborted >= 36)
        answers = set()
        for reader, _ in hogs:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    answers.add((await read_response(reader))[0])
        assert answers == {b"HTTP/1.1 503"}
        assert server._shared.input.total <= 5 * SIZE
        reader, writer = await connect(server)
        writer.write(post())
        assert await read_response(reader) == (b"HTTP/1.1 200", b"%d" % SIZE)
        for _, each in [*hogs, (reader, writer)]:
            each.close()
    assert server.counters.overloaded >= 35


async def test_unfinished_heads_count_against_the_memory_limit():
    site = Site()
    async with site.serve() as server:
        reader, writer = await connect(server)
        head = b"GET /cheap HTTP/1.1\r\nHost: x\r\n" + b"X-A: %s\r\n" % (b"a" * 4000) * 5
        writer.write(head)
        await until(lambda: server._shared.input.total >= len(head) - 2 * 7)
        writer.write(b"\r\n")
        assert await read_response(reader) == (b"HTTP/1.1 200", b"cheap")
        assert server._shared.input.total == 0
        writer.close()


async def test_unread_streamed_content_counts_against_the_memory_limit():
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return Response(200, b"%d" % sum([len(piece) async for piece in request.stream()]))

    router = Router()
    router.add("POST", "/expensive", slow, streaming=True)
    async with await serve("127.0.0.1:0", router) as server:
        reader, writer = await connect(server)
        writer.write(post()[:-1])
        await until(lambda: server._shared.input.total == SIZE - 1)
        gate.set()
        writer.write(b"x")
        assert await read_response(reader) == (b"HTTP/1.1 200", b"%d" % SIZE)
        assert server._shared.input.total == 0
        writer.close()


async def test_full_server_closes_an_idle_connection_and_none_with_a_running_handler():
    gate = asyncio.Event()

    async def wait(request):
        await gate.wait()
        return Response(200, b"waited")

    router = Router()
    router.add("GET", "/wait", wait)
    router.add("GET", "/cheap", lambda request: Response(200, b"cheap"))
    limits = Limits(connections_per_peer=3)
    async with await serve("127.0.0.1:0", router, limits=limits) as server:
        waiting, waiting_writer = await connect(server)
        waiting_writer.write(GET.replace(b"cheap", b"wait"))
        await until(lambda: any(c.is_busy for c in server._table.connections))
        idle = [await connect(server) for _ in range(2)]
        for reader, writer in idle:
            writer.write(GET)
            assert await read_response(reader) == (b"HTTP/1.1 200", b"cheap")
        late, late_writer = await connect(server)
        late_writer.write(GET)
        assert await read_response(late) == (b"HTTP/1.1 200", b"cheap")
        assert await idle[0][0].read() == b""
        assert server.counters.evicted == 1
        gate.set()
        assert await read_response(waiting) == (b"HTTP/1.1 200", b"waited")
        for _, writer in [*idle, (waiting, waiting_writer), (late, late_writer)]:
            writer.close()
