"""How much a line client's connection takes before further requests wait."""

import asyncio

import pytest
from kakuri_tcp import (
    ConnectFailed,
    LineClientLimits,
    RequestLost,
    RequestTimeout,
    UnrequestedLine,
)
from kakuri_tcp._line_client_connection import LineClientConnection, ReplyFuture
from kakuri_tcp.testing import MemoryTransport, run_pending


@pytest.fixture
async def link():
    link = LineClientConnection("peer", LineClientLimits(unsent=10), lambda link: None)
    yield link
    link.abort()
    await run_pending()


def send(link, line, deadline):
    """Send a request line, and return the future of its reply."""
    future = ReplyFuture()
    link.send(line, future, deadline, 1.0)
    return future


async def test_connection_is_writable_up_to_its_limit_in_every_turn(link):
    transport = MemoryTransport(link)
    for _ in range(3):
        futures = [send(link, b"123456", 1e9), send(link, b"789", 1e9)]
        assert link.is_writable()
        futures.append(send(link, b"0", 1e9))
        assert not link.is_writable()
        await run_pending()
        assert transport.take() == b"123456\n789\n0\n"
        assert link.is_writable()
        for future in futures:
            future.cancel()


async def test_connection_that_sends_continuously_keeps_the_timer_of_its_deadlines(link):
    MemoryTransport(link)
    first = send(link, b"1", 1e9)
    timer = link._timer
    second = send(link, b"2", 1e9)
    assert link._timer is timer
    assert not timer.cancelled()
    for future in (first, second):
        future.cancel()


async def test_connection_checks_deadlines_fifty_times_a_second(link):
    MemoryTransport(link)
    future = send(link, b"1", 1e9)
    assert link._timer.when() - link.loop.time() <= 0.03
    link._timer.cancel()
    link._tick()
    assert link._timer.when() - link.loop.time() <= 0.03
    future.cancel()


@pytest.mark.parametrize("others", [0, 1])
async def test_connection_whose_oldest_request_was_cancelled_waits_for_its_reply(link, others):
    MemoryTransport(link)
    send(link, b"1", 1e9).cancel()
    sent = [send(link, b"2", 1e9) for _ in range(others)]
    for _ in range(3):
        link._timer.cancel()
        link._tick()
    assert not link.is_closing
    for other in sent:
        other.cancel()


async def test_requests_of_a_lost_connection_raise_request_lost_or_connect_failed(link):
    transport = MemoryTransport(link)
    sent = [send(link, b"1", 1e9), send(link, b"2", 1e9)]
    await run_pending()
    unsent = [send(link, b"3", 1e9), send(link, b"4", 1e9)]
    assert transport.take() == b"1\n2\n"
    link.connection_lost(None)
    assert [type(future.exception()) for future in sent] == [RequestLost] * 2
    assert [type(future.exception()) for future in unsent] == [ConnectFailed] * 2
    assert not link.pending


async def test_unrequested_line_is_the_cause_of_the_error_of_each_request(link):
    MemoryTransport(link)
    future = send(link, b"1", 1e9)
    link.data_received(b"you may not\n")
    with pytest.raises(
        ConnectFailed, match="sent a line without a request: 'you may not'"
    ) as raised:
        await future
    assert isinstance(raised.value.__cause__, UnrequestedLine)
    assert raised.value.__cause__.line == b"you may not"


async def test_request_replaces_the_timer_of_the_idle_timeout_until_the_last_reply(link):
    transport = MemoryTransport(link)
    idle = link._timer
    assert idle.when() - link.loop.time() > 100
    future = send(link, b"1", 1e9)
    assert idle.cancelled()
    await run_pending()
    transport.feed(b"one\n")
    assert future.result() == b"one"
    link._timer.cancel()
    link._tick()
    assert link._timer.when() - link.loop.time() > 100
    send(link, b"2", 1e9).cancel()


async def test_request_that_waits_for_a_slow_peer_continues_once_it_reads(link):
    transport = MemoryTransport(link)
    future = send(link, b"x" * 100_000, 1e9)
    await run_pending()
    assert not link.is_writable()
    waiting = [asyncio.create_task(link.wait_writable()) for _ in range(2)]
    await run_pending()
    assert not any(task.done() for task in waiting)
    transport.take()
    await run_pending()
    assert all(task.done() for task in waiting)
    assert link.is_writable()
    future.cancel()


@pytest.mark.parametrize(("seconds", "is_lost"), [(4.99, False), (5.0, True)])
async def test_connection_without_a_reply_is_closed_at_its_stall_timeout(
    link, monkeypatch, seconds, is_lost
):
    """The oldest request has timed out, and another one waits."""
    now = 1000.0
    transport = MemoryTransport(link)
    monkeypatch.setattr(link, "loop", Clock(lambda: now))
    late, other = send(link, b"1", now), send(link, b"2", 1e9)
    link._tick()
    assert isinstance(late.exception(), RequestTimeout)
    now += seconds
    link._tick()
    assert link.is_closing is is_lost
    if not is_lost:
        link._flush()
        transport.feed(b"one\n")  # late, but still progress
        now += 4.99
        link._tick()
        assert not link.is_closing
    other.cancel()


class Clock:
    """The part of an event loop that a connection uses, with a time of the test's."""

    def __init__(self, time):
        self.time = time

    def __getattr__(self, name):
        return getattr(asyncio.get_running_loop(), name)
