"""Pings on silent connections, with times that the tests move into the past."""

import asyncio

import pytest
import pytest_asyncio
from kakuri_grpc import (
    Backoff,
    Channel,
    ChannelState,
    DeadlineExceeded,
    Keepalive,
    Processed,
    Unavailable,
)
from kakuri_http2 import _frames as frames

from .echo_service import DOWN, UNARY, EchoRequest, EchoResponse, our_server
from .scripted_peer import Network, turns

KEEPALIVE = Keepalive(interval=30.0, timeout=10.0)


@pytest_asyncio.fixture
async def called(monkeypatch):
    """Yield a server's side of a connection over TCP, and a call that is open on it."""
    network = Network(monkeypatch)
    async with Channel("127.0.0.1:1", keepalive=KEEPALIVE) as channel:
        call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=None))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        yield peer, call
        call.cancel()


def silent(peer, seconds):
    """Fire the timer as if nothing had arrived for some seconds."""
    peer.driver.last_received = peer.driver.loop.time() - seconds
    peer.driver._check_silence()
    peer.driver.flush()


def pings(peer):
    return len(peer.of_kind(frames.PING))


async def test_silence_with_a_call_open_causes_one_ping(called):
    peer, _ = called
    silent(peer, 31)
    assert pings(peer) == 1


async def test_ping_is_delayed_until_the_connection_has_been_silent_long_enough(called):
    peer, _ = called
    silent(peer, 20)
    assert pings(peer) == 0
    assert peer.driver._keepalive.when() - peer.driver.loop.time() == pytest.approx(10, abs=1)


async def test_connection_without_calls_is_not_pinged(called):
    peer, call = called
    peer.respond(1)
    assert await call == EchoResponse()
    silent(peer, 3600)
    assert pings(peer) == 0


async def test_any_frame_after_a_ping_keeps_the_connection(called):
    peer, call = called
    silent(peer, 31)
    peer.send(frames.frame(frames.PING, frames.ACK, 0, peer.of_kind(frames.PING)[0].payload))
    peer.driver._check_silence()
    assert not peer.is_closed
    peer.respond(1)
    assert await call == EchoResponse()


@pytest.mark.parametrize("later", [0, 1])
async def test_frame_received_with_or_after_a_ping_keeps_the_connection(called, later):
    peer, _ = called
    silent(peer, 31)
    peer.driver.last_received = peer.driver._pinged_at + later
    peer.driver._check_silence()
    assert not peer.is_closed


async def test_ping_without_acknowledgement_ends_the_connection_and_its_calls(called):
    peer, call = called
    silent(peer, 31)
    peer.driver._check_silence()  # its timeout has passed
    with pytest.raises(Unavailable, match="acknowledged within 10 s") as caught:
        await call
    assert caught.value.processed is Processed.UNKNOWN
    assert peer.is_closed
    assert peer.of_kind(frames.GOAWAY)


async def test_connection_that_ended_has_no_timer(called):
    peer, call = called
    timer = peer.driver._keepalive
    peer.lose()
    with pytest.raises(Unavailable):
        await call
    assert timer.cancelled()


async def test_unix_sockets_are_not_pinged_while_calls_have_time(monkeypatch):
    network = Network(monkeypatch)
    async with Channel("unix:/played", keepalive=KEEPALIVE) as channel:
        call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=None))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        assert peer.driver._keepalive is None
        silent(peer, 3600)
        assert pings(peer) == 0
        call.cancel()


# A call that ran out of time while nothing came from the server.


class Silent:
    """A channel on a Unix socket whose peer the test plays, and its calls."""

    def __init__(self, channel, network):
        self.channel = channel
        self.network = network

    def start(self, timeout=600.0):
        return asyncio.ensure_future(self.channel.call(UNARY, EchoRequest(), timeout=timeout))

    async def peer(self, number=0):
        peer = await self.network.peer(number)
        await turns(lambda: peer.streams)
        return peer

    async def late(self, peer, stream):
        """Start a call, and end it at its deadline."""
        call = self.start()
        await turns(lambda: stream in peer.streams)
        (timed,) = [one for one in peer.driver.deadlines._calls if one.stream == stream]
        peer.driver.deadlines.discard(timed)
        timed.expire()
        with pytest.raises(DeadlineExceeded):
            await call
        peer.driver.flush()

    def acknowledge(self, peer):
        peer.send(frames.frame(frames.PING, frames.ACK, 0, peer.of_kind(frames.PING)[-1].payload))


@pytest_asyncio.fixture
async def silent_server(monkeypatch):
    """Yield a channel with one call that stays open, as that of a slow handler does."""
    network = Network(monkeypatch)
    async with Channel("unix:/played", keepalive=KEEPALIVE) as channel:
        server = Silent(channel, network)
        server.slow = server.start(timeout=None)
        yield server
        server.slow.cancel()


async def test_late_call_pings_a_silent_server_and_the_next_call_waits_for_its_acknowledgement(
    silent_server,
):
    peer = await silent_server.peer()
    await silent_server.late(peer, 3)
    assert pings(peer) == 1
    following = silent_server.start()
    for _ in range(5):
        await asyncio.sleep(0)
    assert peer.streams == [1, 3]
    silent_server.acknowledge(peer)
    await turns(lambda: peer.streams == [1, 3, 5])
    peer.respond(5)
    peer.respond(1)
    assert [await following, await silent_server.slow] == [EchoResponse(), EchoResponse()]
    peer.driver._check_silence()  # its timer, later
    assert not peer.is_closed
    assert len(silent_server.network.peers) == 1


async def test_next_call_is_sent_on_a_new_connection_when_the_ping_is_not_acknowledged(
    silent_server,
):
    peer = await silent_server.peer()
    await silent_server.late(peer, 3)
    following = silent_server.start()
    await turns(lambda: silent_server.channel._waiting)
    assert peer.driver._keepalive.when() - peer.driver.loop.time() == pytest.approx(10, abs=1)
    peer.driver._check_silence()  # its timeout has passed
    with pytest.raises(Unavailable, match="acknowledged within 10 s") as caught:
        await silent_server.slow
    assert caught.value.processed is Processed.UNKNOWN
    other = await silent_server.peer(1)
    other.respond(1)
    assert await following == EchoResponse()
    assert peer.streams == [1, 3]


async def test_late_call_does_not_ping_a_server_that_has_sent_data_since(silent_server):
    peer = await silent_server.peer()
    call = silent_server.start()
    await turns(lambda: peer.streams == [1, 3])
    peer.settings()
    (timed,) = peer.driver.deadlines._calls
    timed.expire()
    with pytest.raises(DeadlineExceeded):
        await call
    assert pings(peer) == 0
    assert peer.driver.has_room


async def test_late_call_pings_a_server_that_fell_silent_long_before_the_deadline(silent_server):
    peer = await silent_server.peer()
    silent_server.start()
    await turns(lambda: peer.streams == [1, 3])
    (timed,) = peer.driver.deadlines._calls
    timed.deadline -= 100.0  # it began 100 s ago
    peer.driver.last_received = peer.driver.loop.time() - 11.0
    timed.expire()
    peer.driver.flush()
    assert pings(peer) == 1


@pytest.mark.parametrize(("seconds", "expected"), [(9.5, 0), (10.0, 1)])
async def test_late_call_pings_a_server_that_was_silent_for_the_timeout(
    silent_server, monkeypatch, seconds, expected
):
    peer = await silent_server.peer()
    driver = peer.driver
    now = float(int(driver.loop.time()) + 1)
    driver.last_received = now - seconds
    with monkeypatch.context() as patch:
        patch.setattr(driver.loop, "time", lambda: now)
        driver.call_expired(now - 100.0)
    driver.flush()
    assert pings(peer) == expected


@pytest.mark.parametrize("since_call", [0.0, 1.0])
async def test_late_call_pings_a_server_that_sent_nothing_since_the_call(
    silent_server, monkeypatch, since_call
):
    peer = await silent_server.peer()
    driver = peer.driver
    now = float(int(driver.loop.time()) + 1)
    driver.last_received = now - 5.0
    with monkeypatch.context() as patch:
        patch.setattr(driver.loop, "time", lambda: now)
        driver.call_expired(driver.last_received - since_call)
    driver.flush()
    assert pings(peer) == (since_call == 0.0)


async def test_late_stream_pings_a_silent_server(silent_server):
    peer = await silent_server.peer()
    async with await silent_server.channel.stream(DOWN, EchoRequest(), timeout=600.0) as stream:
        stream.expire()
        with pytest.raises(DeadlineExceeded):
            await stream.receive()
    peer.driver.flush()
    assert pings(peer) == 1


async def test_late_calls_ping_once_in_five_minutes_unless_the_server_sends_something(
    silent_server,
):
    peer = await silent_server.peer()
    for stream in (3, 5, 7):
        await silent_server.late(peer, stream)
        if stream == 3:
            silent_server.acknowledge(peer)
    assert pings(peer) == 1
    peer.settings()
    await silent_server.late(peer, 9)
    assert pings(peer) == 2
    silent_server.acknowledge(peer)
    peer.driver._pinged_at -= 300.0
    await silent_server.late(peer, 11)
    assert pings(peer) == 3


async def test_late_call_waits_for_a_keepalive_ping_in_progress_and_sends_no_other(called):
    peer, call = called
    silent(peer, 31)
    peer.driver.call_expired(peer.driver.loop.time() - 31)
    peer.driver.flush()
    assert pings(peer) == 1
    assert not peer.driver.has_room
    peer.respond(1)
    assert await call == EchoResponse()
    peer.driver._check_silence()  # something came, though not the acknowledgement of the ping
    assert peer.driver.has_room


async def test_call_that_waits_for_the_acknowledgement_of_a_ping_keeps_its_own_deadline(
    silent_server,
):
    peer = await silent_server.peer()
    await silent_server.late(peer, 3)
    with pytest.raises(DeadlineExceeded):
        await silent_server.start(timeout=0.01)
    assert peer.streams == [1, 3]


async def test_channel_closed_during_a_ping_fails_the_calls_that_wait_for_it(silent_server):
    peer = await silent_server.peer()
    await silent_server.late(peer, 3)
    following = silent_server.start()
    await turns(lambda: silent_server.channel._waiting)
    await silent_server.channel.close()
    with pytest.raises(Unavailable) as caught:
        await following
    assert caught.value.processed is Processed.NO


async def test_call_after_a_frozen_server_was_replaced_reaches_the_new_one(tmp_path):
    was_called = asyncio.Event()

    async def freeze(reader, writer):
        writer.write(frames.settings_frame({}) + frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        await reader.readexactly(len(frames.PREFACE))
        kind = None
        while kind != frames.HEADERS:
            head = await reader.readexactly(9)
            kind = head[3]
            await reader.readexactly(int.from_bytes(head[:3], "big"))
        was_called.set()
        await reader.read()
        writer.close()

    frozen = await asyncio.start_unix_server(freeze, tmp_path / "s")
    async with (
        our_server() as server,
        Channel(f"unix:{tmp_path}/s", keepalive=Keepalive(timeout=0.05)) as channel,
    ):
        late = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=600))
        await was_called.wait()
        (timed,) = channel._connections.current.deadlines._calls
        timed.expire()
        with pytest.raises(DeadlineExceeded):
            await late
        frozen.close()
        await server.listen(f"unix:{tmp_path}/s")
        response = await channel.call(UNARY, EchoRequest(text="again"), timeout=30)
    assert response.text == "again"


# The states of a channel, and calls while it waits to connect again.


async def test_channel_is_connecting_until_the_settings_of_the_server_come(monkeypatch):
    network = Network(monkeypatch)
    network.opening = b""
    async with Channel("unix:/played") as channel:
        assert channel.state is ChannelState.IDLE
        call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=None))
        peer = await network.peer()
        assert channel.state is ChannelState.CONNECTING
        peer.settings()
        await turns(lambda: peer.streams)
        assert channel.state is ChannelState.READY
        peer.respond(1)
        assert await call == EchoResponse()
    assert channel.state is ChannelState.SHUTDOWN


async def test_call_before_the_next_attempt_to_connect_fails_at_once(monkeypatch):
    network = Network(monkeypatch)
    network.refuses = 1
    async with Channel("unix:/played", backoff=Backoff(first=600.0, longest=600.0)) as channel:
        for _ in range(3):
            call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=None))
            await turns(call.done)
            with pytest.raises(Unavailable, match="connection refused") as caught:
                await call
            assert caught.value.processed is Processed.NO
            assert channel.state is ChannelState.TRANSIENT_FAILURE
    assert network.peers == []


async def test_call_without_a_delay_between_attempts_fails_with_the_first_attempt(monkeypatch):
    network = Network(monkeypatch)
    network.refuses = 1
    async with Channel("unix:/played", backoff=Backoff(first=0.0)) as channel:
        call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=None))
        await turns(call.done)
        with pytest.raises(Unavailable, match="connection refused"):
            await call
    assert network.peers == []
