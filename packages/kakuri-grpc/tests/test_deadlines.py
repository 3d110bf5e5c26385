"""One timer for the deadlines of all calls, by a clock that the test moves."""

import asyncio

import pytest
from kakuri_grpc import Channel, DeadlineExceeded, Server
from kakuri_grpc._deadlines import Deadlines
from kakuri_http2 import _frames as frames

from .echo_service import BOTH, UNARY, EchoRequest, EchoResponse, our_server
from .scripted_peer import Network, turns


class Clock:
    """What Deadlines needs of an event loop."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        timer = Timer(self, when, callback)
        self.timers.append(timer)
        return timer

    def advance(self, when):
        while due := [timer for timer in self.timers if timer.when <= when]:
            timer = min(due, key=lambda one: one.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = when


class Timer:
    def __init__(self, clock, when, callback):
        self.clock, self.when, self.callback = clock, when, callback

    def cancel(self):
        if self in self.clock.timers:
            self.clock.timers.remove(self)


class Call:
    def __init__(self, clock, deadline):
        self.clock, self.deadline, self.expired_at = clock, deadline, None

    def expire(self):
        assert self.expired_at is None
        self.expired_at = self.clock.now


@pytest.fixture
def clock():
    return Clock()


def test_each_call_expires_once_at_its_deadline_in_any_order(clock):
    deadlines = Deadlines(clock)
    calls = [Call(clock, deadline) for deadline in (5.0, 1.0, 3.0, 3.0, 0.5)]
    for call in calls:
        deadlines.add(call)
    clock.advance(10.0)
    assert [call.expired_at for call in calls] == pytest.approx([5, 1, 3, 3, 0.5], abs=0.001)
    assert len(deadlines) == 0
    assert clock.timers == []


def test_many_calls_share_one_timer(clock):
    deadlines = Deadlines(clock)
    for number in range(1000):
        call = Call(clock, 5.0 + number / 1000)
        deadlines.add(call)
        assert len(clock.timers) == 1
        deadlines.discard(call)
    clock.advance(60.0)
    assert clock.timers == []


def test_short_calls_among_many_long_ones_cause_few_scans(clock):
    deadlines = Deadlines(clock)
    for _ in range(10_000):
        deadlines.add(Call(clock, 1000.0))
    scans = []
    fire = deadlines._fire
    deadlines._fire = lambda: (scans.append(clock.now), fire())
    short = []
    for number in range(1000):  # in a second
        short.append(Call(clock, clock.now + 0.001))
        deadlines.add(short[-1])
        clock.advance((number + 1) / 1000)
    assert 5 < len(scans) < 12
    clock.advance(1.2)
    assert all(call.expired_at - call.deadline < 0.11 for call in short)


def test_discarded_call_does_not_expire(clock):
    deadlines = Deadlines(clock)
    kept, ended = Call(clock, 2.0), Call(clock, 1.0)
    deadlines.add(kept)
    deadlines.add(ended)
    deadlines.discard(ended)
    clock.advance(3.0)
    assert ended.expired_at is None
    assert kept.expired_at == 2.0


def test_closing_stops_the_timer(clock):
    deadlines = Deadlines(clock)
    deadlines.add(Call(clock, 1.0))
    deadlines.close()
    assert clock.timers == []


async def test_deadline_on_the_event_loop_expires():
    loop = asyncio.get_running_loop()
    expired = loop.create_future()

    class OnLoop:
        deadline = loop.time() + 0.01

        def expire(self):
            expired.set_result(loop.time())

    deadlines = Deadlines(loop)
    deadlines.add(OnLoop())
    assert await expired >= OnLoop.deadline - 0.001


@pytest.mark.parametrize("streams", [False, True])
async def test_call_that_the_server_does_not_end_ends_at_its_deadline(monkeypatch, streams):
    network = Network(monkeypatch)
    async with Channel("unix:/played") as channel:
        if streams:
            call = asyncio.ensure_future(receive_from(channel, timeout=0.02))
        else:
            call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=0.02))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        with pytest.raises(DeadlineExceeded) as caught:
            await asyncio.wait_for(call, 30)
        assert "0.02 s" in str(caught.value)
        assert peer.of_kind(frames.RST_STREAM)
        assert not peer.driver.deadlines


async def receive_from(channel, timeout):
    async with await channel.stream(BOTH, timeout=timeout) as call:
        return await call.receive()


# How the field of a timeout is written.


async def test_repeated_timeout_is_part_of_the_prepared_head(tmp_path):
    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            for _ in range(3):  # the first connects, which takes some of its time
                assert await channel.call(UNARY, EchoRequest(text="x"), timeout=7.0)
            head, more = channel._connections.current._heads[UNARY.path, (), 7.0]
            assert b"grpc-timeout" in dict(head.fields)
            assert more == ()


async def test_number_of_cached_timeouts_is_bounded(tmp_path):
    timeouts = []

    async def handler(request, call):
        timeouts.append(call.remaining)
        return EchoResponse()

    async with Server() as server:
        server.add(UNARY, handler)
        await server.listen(f"unix:{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            for number in range(200):
                await channel.call(UNARY, EchoRequest(), timeout=100.0 + number)
            assert len(channel._connections.current._heads) <= 64
            assert len(channel._connections.current._seen) <= 64
    assert timeouts == pytest.approx([100.0 + number for number in range(200)], abs=5)


async def test_number_of_cached_heads_with_metadata_is_bounded(monkeypatch):
    network = Network(monkeypatch)
    async with Channel("unix:/played") as channel:
        for number in range(200):
            metadata = (("number", str(number)),)
            call = asyncio.ensure_future(
                channel.call(UNARY, EchoRequest(), timeout=None, metadata=metadata)
            )
            peer = await network.peer()
            await turns(lambda number=number: len(network.peers[0].streams) > number)
            peer.respond(2 * number + 1)
            assert await call == EchoResponse()
        assert len(peer.driver._heads) <= 64


async def test_handler_past_its_deadline_is_not_interrupted_while_it_cleans_up(tmp_path):
    is_cleaning, is_closed, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(request, call):
        try:
            await asyncio.Event().wait()
        finally:
            is_cleaning.set()
            await is_closed.wait()
            cleaned.set()

    async with Server() as server:
        server.add(UNARY, handler)
        endpoint = await server.listen(f"unix:{tmp_path}/s")
        async with Channel(endpoint) as channel:
            while not is_cleaning.is_set():  # a slow machine may not call the handler in time
                with pytest.raises(DeadlineExceeded):
                    await channel.call(UNARY, EchoRequest(), timeout=0.02)
        await asyncio.sleep(0.02)  # the server notices that the client has closed
        is_closed.set()
        await asyncio.wait_for(cleaned.wait(), 30)
