"""Pings on connections that have been silent, by moving back when the peer was last heard."""

import asyncio

import pytest
import pytest_asyncio
from kakuri_grpc import Channel, Keepalive, Processed, Unavailable
from kakuri_http2 import _frames as frames

from .echo_service import UNARY, Answer, Question
from .scripted_peer import Network, turns

KEEPALIVE = Keepalive(interval=30.0, timeout=10.0)


@pytest_asyncio.fixture
async def called(monkeypatch):
    """Yield a server's side of a connection over TCP, and a call that is open on it."""
    network = Network(monkeypatch)
    async with Channel("127.0.0.1:1", keepalive=KEEPALIVE) as channel:
        call = asyncio.ensure_future(channel.call(UNARY, Question(), timeout=None))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        yield peer, call
        call.cancel()


def silent(peer, seconds):
    """Fire the timer as if nothing had come for some seconds."""
    peer.driver.last_received = peer.driver.loop.time() - seconds
    peer.driver._check_silence()
    peer.driver.flush()


def pings(peer):
    return len(peer.of_kind(frames.PING))


async def test_silence_with_a_call_open_is_answered_with_one_ping(called):
    peer, _ = called
    silent(peer, 31)
    assert pings(peer) == 1


async def test_connection_that_was_heard_from_is_asked_when_its_silence_is_long_enough(called):
    peer, _ = called
    silent(peer, 20)
    assert pings(peer) == 0
    assert peer.driver._keepalive.when() - peer.driver.loop.time() == pytest.approx(10, abs=1)


async def test_connection_without_calls_is_not_pinged(called):
    peer, call = called
    peer.answer(1)
    assert await call == Answer()
    silent(peer, 3600)
    assert pings(peer) == 0


async def test_any_frame_after_a_ping_keeps_the_connection(called):
    peer, call = called
    silent(peer, 31)
    peer.send(frames.frame(frames.PING, frames.ACK, 0, peer.of_kind(frames.PING)[0].payload))
    peer.driver._check_silence()
    assert not peer.is_closed
    peer.answer(1)
    assert await call == Answer()


async def test_ping_without_an_answer_ends_the_connection_and_its_calls(called):
    peer, call = called
    silent(peer, 31)
    peer.driver._check_silence()  # its timeout has passed
    with pytest.raises(Unavailable, match="ping within 10 s") as caught:
        await call
    assert caught.value.processed is Processed.UNKNOWN
    assert peer.is_closed
    assert peer.of_kind(frames.GOAWAY)


async def test_unix_sockets_are_never_pinged(monkeypatch):
    network = Network(monkeypatch)
    async with Channel("unix:/played", keepalive=KEEPALIVE) as channel:
        call = asyncio.ensure_future(channel.call(UNARY, Question(), timeout=None))
        peer = await network.peer()
        await turns(lambda: peer.streams)
        assert peer.driver._keepalive is None
        silent(peer, 3600)
        assert pings(peer) == 0
        call.cancel()
