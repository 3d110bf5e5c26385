"""Slow clients, and the deadlines of the server."""

import asyncio
import time

import pytest
from kakuri_http import Limits, serve

from .wire import connected, simple_router, wired

# The idle timeout is long: a busy machine may deliver the first byte after a short one.
SHORT = Limits(head_timeout=0.1, body_timeout=0.1, idle_timeout=10, body_rate=1_000_000)


@pytest.mark.parametrize(
    "part",
    [
        b"G",
        b"GET /things/a HTTP/1.1\r\n",
        b"GET /things/a HTTP/1.1\r\nHost: a\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
        b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
    ],
)
async def test_unfinished_request_gets_408_after_its_timeout(part):
    async with wired(limits=SHORT) as wire:
        wire.send(part)
        reply = await asyncio.wait_for(wire.read_all(), 8)
    assert reply.startswith(b"HTTP/1.1 404 " if b"nowhere" in part else b"HTTP/1.1 408 ")


async def test_trickled_request_gets_408_after_the_same_time():
    async with wired(limits=SHORT) as wire:
        loop = asyncio.get_running_loop()

        def trickle():
            wire.send(b"a")
            loop.call_later(0.01, trickle)

        wire.send(b"GET /")
        trickle()
        assert (await asyncio.wait_for(wire.read_all(), 8)).startswith(b"HTTP/1.1 408 ")


async def test_idle_connection_is_closed_without_a_response():
    async with wired(limits=Limits(idle_timeout=0.1)) as wire:
        wire.send(b"GET /things/a HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.read_response()
        assert await asyncio.wait_for(wire.read_all(), 8) == b""


async def test_slow_connections_do_not_delay_other_requests():
    limits = Limits(head_timeout=30.0)
    async with await serve("127.0.0.1:0", simple_router(), limits=limits) as server:
        slow = [
            await asyncio.open_connection("127.0.0.1", server.endpoint.port) for _ in range(500)
        ]
        for number, (_, writer) in enumerate(slow):
            writer.write(b"GET /things/%d HTTP/1.1\r\nHost: a\r\nX-" % number)
        async with connected(server) as wire:
            worst = 0.0  # seconds of this process, which do not depend on what else runs
            for _ in range(50):
                for _, writer in slow[::10]:
                    writer.write(b"x")
                began = time.process_time()
                wire.send(b"GET /things/a HTTP/1.1\r\nHost: a\r\n\r\n")
                async with asyncio.timeout(10):  # processor time does not include waiting
                    await wire.read_response()
                worst = max(worst, time.process_time() - began)
        assert server.connections >= 500
        for _, writer in slow:
            writer.close()
    assert worst < 0.5
