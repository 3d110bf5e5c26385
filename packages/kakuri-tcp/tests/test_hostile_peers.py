"""Attacks of peers: endless lines, drip-fed lines, floods, connections that come and go."""

import asyncio
import resource
import socket
import time
import tracemalloc
from pathlib import Path

import pytest
from kakuri_tcp import Endpoint, LineClient, LineServerLimits, listen_lines
from kakuri_tcp.testing import until

LOCAL = Endpoint.parse("127.0.0.1:0")
MEBIBYTE = 1_048_576


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def raw_peers(server, number):
    loop = asyncio.get_running_loop()
    peers = []
    for _ in range(number):
        peer = socket.socket()
        peer.settimeout(0)
        await loop.sock_connect(peer, ("127.0.0.1", server.endpoint.port))
        peers.append(peer)
    return peers


async def test_endless_line_takes_no_more_memory_than_the_limit():
    async with await listen_lines(LOCAL, bytes.upper, on_fault=lambda error: b"fault") as server:
        (peer,) = await raw_peers(server, 1)
        loop = asyncio.get_running_loop()
        piece = b"x" * MEBIBYTE
        tracemalloc.start()
        try:
            # What comes after the limit is dropped, so that the last reply arrives.
            for _ in range(64):
                await loop.sock_sendall(peer, piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert await loop.sock_recv(peer, 100) == b"fault\n"
        peer.close()
    assert peak < 8 * MEBIBYTE


async def test_five_hundred_slow_peers_do_not_delay_a_normal_one():
    limits = LineServerLimits(line_timeout=0.4)
    async with await listen_lines(LOCAL, bytes.upper, limits=limits) as server:
        slow = await raw_peers(server, 500)
        for peer in slow:
            peer.send(b"never ends")
        await until(lambda: server.connections == 500)
        async with LineClient(server.endpoint) as client:
            for _ in range(20):
                began = time.process_time()  # not the time that other processes take
                assert await client.request(b"a", timeout=5) == b"A"
                assert time.process_time() - began < 2.0
            await until(lambda: server.connections == 1)
            assert await client.request(b"a", timeout=5) == b"A"
        assert server.counters.idle_timeouts == 500
        for peer in slow:
            peer.close()


async def test_flood_on_one_connection_does_not_starve_another():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        (flooder,) = await raw_peers(server, 1)
        loop = asyncio.get_running_loop()
        flood = loop.create_task(loop.sock_sendall(flooder, b"a\n" * 2_000_000))
        async with LineClient(server.endpoint) as client:
            for _ in range(20):
                began = time.process_time()  # not the time that other processes take
                assert await client.request(b"a", timeout=5) == b"A"
                assert time.process_time() - began < 2.0
        flooder.close()
        flood.cancel()
        await asyncio.wait([flood])


async def test_closed_connections_leave_no_objects():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        descriptors = 0
        for _ in range(10):
            # The loop opens some of its own with the first connections.
            descriptors = descriptors or (server.counters.accepted and open_descriptors())
            peers = await raw_peers(server, 50)
            for number, peer in enumerate(peers):
                peer.send(b"a\n" if number % 2 else b"half")
                peer.close()
            await until(lambda: server.connections == 0)
        assert server.counters.accepted == 500
        assert not server._table._per_peer
        assert not server._openings
        assert open_descriptors() == descriptors
