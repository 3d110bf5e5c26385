"""How much a line client's connection takes before further requests wait."""

import pytest
from kakuri_tcp import ConnectFailed, LineClientLimits, RequestLost
from kakuri_tcp._line_client_connection import LineClientConnection
from kakuri_tcp.testing import MemoryTransport, run_pending


@pytest.fixture
async def link():
    link = LineClientConnection("peer", LineClientLimits(unsent=10), lambda link: None)
    yield link
    link.abort()
    await run_pending()


async def test_connection_is_writable_up_to_its_limit_in_every_turn(link):
    transport = MemoryTransport(link)
    for _ in range(3):
        futures = [link.send(b"123456", 1e9, 1.0), link.send(b"789", 1e9, 1.0)]
        assert link.is_writable
        futures.append(link.send(b"0", 1e9, 1.0))
        assert not link.is_writable
        await run_pending()
        assert transport.take() == b"123456\n789\n0\n"
        assert link.is_writable
        for future in futures:
            future.cancel()


async def test_connection_that_sends_continuously_keeps_the_timer_of_its_deadlines(link):
    MemoryTransport(link)
    first = link.send(b"1", 1e9, 1.0)
    timer = link._timer
    second = link.send(b"2", 1e9, 1.0)
    assert link._timer is timer
    assert not timer.cancelled()
    for future in (first, second):
        future.cancel()


async def test_connection_checks_deadlines_fifty_times_a_second(link):
    MemoryTransport(link)
    future = link.send(b"1", 1e9, 1.0)
    assert link._timer.when() - link._loop.time() <= 0.03
    link._timer.cancel()
    link._tick()
    assert link._timer.when() - link._loop.time() <= 0.03
    future.cancel()


@pytest.mark.parametrize("others", [0, 1])
async def test_connection_whose_oldest_request_was_cancelled_waits_for_its_reply(link, others):
    MemoryTransport(link)
    link.send(b"1", 1e9, 1.0).cancel()
    sent = [link.send(b"2", 1e9, 1.0) for _ in range(others)]
    for _ in range(3):
        link._timer.cancel()
        link._tick()
    assert not link.is_closing
    for other in sent:
        other.cancel()


async def test_requests_of_a_lost_connection_raise_request_lost_or_connect_failed(link):
    transport = MemoryTransport(link)
    sent = [link.send(b"1", 1e9, 1.0), link.send(b"2", 1e9, 1.0)]
    await run_pending()
    unsent = [link.send(b"3", 1e9, 1.0), link.send(b"4", 1e9, 1.0)]
    assert transport.take() == b"1\n2\n"
    link.connection_lost(None)
    assert [type(future.exception()) for future in sent] == [RequestLost] * 2
    assert [type(future.exception()) for future in unsent] == [ConnectFailed] * 2
