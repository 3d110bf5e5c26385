"""Calls that end, in whatever way, leave nothing in memory."""

import asyncio
import gc
import time
import tracemalloc

import kakuri_protobuf as kp
import pytest
import pytest_asyncio
from kakuri_grpc import Channel, Limits, StatusError
from kakuri_grpc._unary import UnaryCall
from kakuri_http2 import Exchange
from kakuri_http2 import Limits as HTTP2Limits
from kakuri_http2._stream import Stream

from .echo_service import DOWN, UNARY, EchoRequest, EchoResponse, our_server
from .scripted_peer import Network, turns

MIB = 1 << 20
KEPT_STREAMS = 256
"""What a connection remembers of streams that have ended, for frames that still come."""


@pytest.fixture
def network(monkeypatch):
    return Network(monkeypatch)


@pytest_asyncio.fixture
async def channel(network):
    network.settings = {"s3": 2000}
    async with Channel("unix:/played") as opened:
        warm = asyncio.ensure_future(opened.call(UNARY, EchoRequest(), timeout=60))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        peer.send(peer.window(0, 1 << 30))
        peer.respond(1)
        await warm
        peer.received.clear()
        yield opened


def living(*classes):
    """Return how many objects of some classes there are."""
    gc.collect()
    return sum(isinstance(one, classes) for one in gc.get_objects())


class Accounts:
    """Counts what may be left, before and after."""

    def __init__(self, channel):
        self.driver = channel._connections.current
        self.before = self.count()

    def count(self):
        return {
            "tasks": len(asyncio.all_tasks()),
            "futures": living(asyncio.Future),
            "calls": living(UnaryCall, Exchange),
            "timers": len([one for one in self.driver.loop._scheduled if not one.cancelled()]),
            "streams": self.driver.connection.open_streams,
            "deadlines": len(self.driver.deadlines),
        }

    async def check(self):
        await asyncio.sleep(0)  # the future that woke this task is released
        after = self.count()
        timers = after.pop("timers") - self.before.pop("timers")
        assert timers <= 1  # the one for all deadlines
        assert after == self.before
        core = self.driver.connection
        assert core._receive_window + core._credit == core.limits.connection_window
        assert not core._streams
        assert not core._ready
        assert not core._blocked
        assert not core.has_output
        assert living(Stream) <= KEPT_STREAMS + 1


async def test_1000_cancelled_calls_leave_nothing(channel, network):
    peer, accounts = network.peers[0], Accounts(channel)
    calls = [
        asyncio.ensure_future(channel.call(UNARY, EchoRequest(payload=bytes(100)), timeout=60))
        for _ in range(1000)
    ]
    await turns(lambda: len(peer.streams) == 1000)
    for index, stream in enumerate(range(3, 2003, 2)):
        if index % 3 == 1:
            peer.send(peer.head(stream), peer.message(stream, bytes(100)))
        if index % 3 == 2:
            peer.send(peer.head(stream), peer.data(stream, b"\0\0\0"))
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert all(call.cancelled() for call in calls)
    calls.clear()
    del call
    for stream in range(3, 2003, 2):  # these were under way
        peer.send(peer.message(stream, bytes(50)))
    peer.received.clear()
    await accounts.check()


async def test_20000_responses_that_no_caller_reads_do_not_use_up_the_window(channel, network):
    peer, accounts = network.peers[0], Accounts(channel)
    response = bytes(2000)
    request = EchoRequest()
    for number in range(20_000):
        async with await channel.stream(DOWN, request, timeout=60):
            stream = 2 * number + 3
            peer.send(peer.head(stream), peer.message(stream, response))
            if number % 2:
                peer.send(peer.trailers(stream))
        peer.received.clear()
    assert (
        number * len(response)
        > 2 * channel._connections.current.connection.limits.connection_window
    )
    await accounts.check()


@pytest.mark.parametrize("together", [1, 100])
async def test_calls_that_succeed_or_fail_leave_nothing(channel, network, together):
    peer, accounts = network.peers[0], Accounts(channel)
    stream = 1
    for turn in range(5_000 // together):
        calls = [
            asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=60))
            for _ in range(together)
        ]
        await turns(lambda: len(peer.streams) >= together)
        for _ in range(together):
            stream += 2
            if turn % 2:
                peer.respond(stream)
            else:
                peer.send(peer.trailers(stream, ((b":status", b"200"), (b"grpc-status", b"5"))))
        results = await asyncio.gather(*calls, return_exceptions=True)
        wanted = EchoResponse if turn % 2 else StatusError
        assert all(isinstance(one, wanted) for one in results)
        peer.received.clear()
    calls.clear()
    results.clear()
    await accounts.check()


async def test_connections_that_come_and_go_leave_nothing(tmp_path):
    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/s")
        for turn in range(30):
            async with Channel(f"unix:{tmp_path}/s") as channel:
                await channel.call(UNARY, EchoRequest(text="x"), timeout=10)
            if turn == 4:
                await asyncio.sleep(0)
                before = len(asyncio.all_tasks()), living(asyncio.Future, asyncio.BaseTransport)
        await turns(lambda: not server._connections)
        assert (len(asyncio.all_tasks()), living(asyncio.Future, asyncio.BaseTransport)) <= before


def wide_limits(size):
    http2 = HTTP2Limits(stream_window=64 * MIB, connection_window=128 * MIB)
    return Limits(received=size, http2=http2)


async def large_response(network, size):
    """Return the peak of memory and the time of a call whose response has some bytes."""
    async with Channel("unix:/played", limits=wide_limits(2 * size)) as channel:
        call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=60))
        peer = await network.peer(len(network.peers))
        await turns(lambda: peer.streams)
        content = kp.encode(EchoResponse(payload=bytes(size)))
        content = b"\0" + len(content).to_bytes(4, "big") + content
        pieces = [
            peer.data(1, content[start : start + 16_384])
            for start in range(0, len(content), 16_384)
        ]
        pieces = [b"".join(pieces[start : start + 4]) for start in range(0, len(pieces), 4)]
        del content
        peer.send(peer.head(1))
        tracemalloc.start()
        began = time.process_time()
        for piece in pieces:
            peer.send(piece)
        peer.send(peer.trailers(1))
        response = await call
        taken = time.process_time() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(response.payload) == size
        return peak, taken


async def test_response_of_16_mib_takes_at_most_three_times_its_size(network):
    peak, _ = await large_response(network, 16 * MIB)
    assert peak <= 3 * 16 * MIB


async def test_request_of_16_mib_takes_at_most_three_times_its_size(network):
    size = 16 * MIB
    network.settings = {"s4": 64 * MIB}
    async with Channel("unix:/played", limits=wide_limits(size)) as channel:
        warm = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=60))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        peer.respond(1)
        await warm
        peer.send(peer.window(0, 64 * MIB))
        request = EchoRequest(payload=bytes(size))
        sent = []
        peer.write = lambda data: sent.append(len(data))
        tracemalloc.start()
        call = asyncio.ensure_future(channel.call(UNARY, request, timeout=60))
        await turns(lambda: sum(sent) > size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 3 * size
        peer.respond(3)
        await call
