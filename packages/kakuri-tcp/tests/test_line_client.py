import asyncio
import socket

import pytest
from kakuri_tcp import (
    ClientClosed,
    ConnectFailed,
    Endpoint,
    LineClient,
    LineClientLimits,
    RequestLost,
    RequestTimeout,
    TooManyRequests,
    _line_client,
    listen_lines,
)
from kakuri_tcp._line_client_connection import ReplyFuture
from kakuri_tcp.testing import run_pending, until

LOCAL = Endpoint.parse("127.0.0.1:0")


async def test_concurrent_requests_share_one_connection():
    async with (
        await listen_lines(LOCAL, bytes.upper) as server,
        LineClient(server.endpoint) as client,
    ):
        lines = [b"line %d" % n for n in range(1000)]
        replies = await asyncio.gather(*[client.request(line, timeout=5) for line in lines])
        assert replies == [line.upper() for line in lines]
        assert server.counters.accepted == 1


async def test_client_of_a_peer_that_is_down_fails_fast_and_reconnects():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        endpoint = server.endpoint
    async with LineClient(endpoint) as client:
        for _ in range(3):
            with pytest.raises(
                ConnectFailed, match=r"can't connect to 127.0.0.1:\d+: connection refused"
            ):
                await client.request(b"a", timeout=5)
        async with await listen_lines(endpoint, bytes.upper):
            assert await client.request(b"a", timeout=5) == b"A"


async def test_broken_connection_raises_request_lost_for_sent_requests():
    arrived = asyncio.Event()

    async def handler(line):
        arrived.set()
        await asyncio.Event().wait()

    async with await listen_lines(LOCAL, handler) as server, LineClient(server.endpoint) as client:
        request = asyncio.create_task(client.request(b"a", timeout=5))
        await arrived.wait()
        await server.close()
        with pytest.raises(RequestLost):
            await request


async def test_late_reply_is_never_returned_for_another_request():
    gate = asyncio.Event()

    async def late(line):
        await gate.wait()
        return line.upper()

    async with await listen_lines(LOCAL, late) as server, LineClient(server.endpoint) as client:
        patient = asyncio.create_task(client.request(b"patient", timeout=5))
        with pytest.raises(RequestTimeout):
            await client.request(b"late", timeout=0.01)
        second = asyncio.create_task(client.request(b"second", timeout=5))
        gate.set()
        assert (await patient, await second) == (b"PATIENT", b"SECOND")


async def test_request_with_a_line_feed_raises_value_error():
    client = LineClient(Endpoint.tcp("127.0.0.1", 1), limits=LineClientLimits(line=3))
    for line in (b"a\n", b"a\r", b"\n"):
        with pytest.raises(ValueError, match="expected a line without its end"):
            await client.request(line, timeout=1)
    with pytest.raises(ValueError, match="expected at most 3 bytes"):
        await client.request(b"abcd", timeout=1)


async def test_requests_in_flight_are_bounded():
    arrived = asyncio.Semaphore(0)

    async def never(line):
        arrived.release()
        await asyncio.Event().wait()

    limits = LineClientLimits(requests_in_flight=2)
    async with (
        await listen_lines(LOCAL, never) as server,
        LineClient(server.endpoint, limits=limits) as client,
    ):
        waiting = [asyncio.create_task(client.request(b"a", timeout=5)) for _ in range(2)]
        for _ in waiting:
            await arrived.acquire()
        with pytest.raises(TooManyRequests):
            await client.request(b"b", timeout=5)
        await client.close()
        for task in waiting:
            with pytest.raises(RequestLost):
                await task
        with pytest.raises(ClientClosed):
            await client.request(b"c", timeout=5)


async def test_repr_of_a_client_shows_its_state():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        client = LineClient(server.endpoint)
        assert (
            repr(client) == f"<LineClient {server.endpoint} not connected, 0 failures, 0 in flight>"
        )
        await client.request(b"a", timeout=5)
        assert "connected" in repr(client)
        await client.close()
        assert "closed" in repr(client)


async def test_close_cancels_an_attempt_to_connect():
    with socket.socket() as listener:  # with a full queue, so that the attempt lasts
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.socket() as first, socket.socket() as second:
            for peer in (first, second):
                peer.settimeout(0)
                peer.connect_ex(listener.getsockname())
            client = LineClient(Endpoint.tcp(*listener.getsockname()))
            request = asyncio.create_task(client.request(b"a", timeout=5))
            await run_pending()
            await client.close()
            with pytest.raises(ClientClosed):
                await request


async def test_close_right_after_connecting_is_not_reported_as_an_end_by_the_peer(monkeypatch):
    async with await listen_lines(LOCAL, bytes.upper) as server:
        client = LineClient(server.endpoint)
        connected = client._connected

        async def connect_and_close():
            connection = await connected()
            await client.close()
            return connection

        monkeypatch.setattr(client, "_connected", connect_and_close)
        with pytest.raises(ClientClosed, match=r"the client of .* was closed"):
            await client.request(b"a", timeout=5)


async def test_close_fails_a_sent_request_as_lost_and_an_unsent_one_as_not_sent():
    received = asyncio.Event()

    async def never(_line):
        received.set()
        await asyncio.Event().wait()

    async with await listen_lines(LOCAL, never) as server, LineClient(server.endpoint) as client:
        sent = asyncio.create_task(client.request(b"a", timeout=5))
        await received.wait()
        unsent = ReplyFuture()
        assert client.try_send(b"b", unsent, timeout=5)  # it would be sent at the end of this turn
        await client.close()
        with pytest.raises(RequestLost, match="the client was closed"):
            await sent
        with pytest.raises(ClientClosed, match=r"the client of .* was closed"):
            await unsent


async def test_request_cancelled_while_connecting_leaves_the_attempt_to_the_others():
    with socket.socket() as listener:  # with a full queue, so that the attempt lasts
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.socket() as first, socket.socket() as second:
            for peer in (first, second):
                peer.settimeout(0)
                peer.connect_ex(listener.getsockname())
            client = LineClient(Endpoint.tcp(*listener.getsockname()))
            one, other = (asyncio.create_task(client.request(b"a", timeout=5)) for _ in range(2))
            await run_pending()
            one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one
            await run_pending()
            assert not other.done()
            await client.close()
            with pytest.raises(ClientClosed):
                await other


async def test_request_during_a_back_off_beyond_connect_timeout_fails_at_once():
    limits = LineClientLimits(first_backoff=60, backoff=60)
    async with await listen_lines(LOCAL, bytes.upper) as server:
        gone = server.endpoint
    async with LineClient(gone, limits=limits) as client:
        with pytest.raises(ConnectFailed, match=r"connection refused$"):
            await client.request(b"a", timeout=5)
        with pytest.raises(
            ConnectFailed, match=r"connection refused; next attempt in [3-6]\d\.\d s"
        ):
            await client.request(b"a", timeout=5)


async def test_client_is_closed_at_the_end_of_its_block():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        async with LineClient(server.endpoint) as client:
            assert await client.request(b"a") == b"A"
        with pytest.raises(ClientClosed):
            await client.request(b"a")


async def test_client_whose_connection_has_ended_has_no_failures():
    async with LineClient(LOCAL) as never:
        assert "not connected, 0 failures" in repr(never)
    async with await listen_lines(LOCAL, bytes.upper) as server:
        client = LineClient(server.endpoint)
        await client.request(b"a", timeout=5)
    await until(lambda: "not connected" in repr(client))
    assert "not connected, 0 failures" in repr(client)
    await client.close()


async def test_wait_after_failures_doubles_up_to_its_limit_and_half_of_it_is_random(monkeypatch):
    now, drawn, waits = 1000.0, [], []

    def uniform(low, high):
        drawn.append((low, high))
        return high

    next_turn = asyncio.sleep

    async def connect(*_, timeout, **__):
        waits.append(timeout)
        await next_turn(0)
        raise ConnectFailed("peer", "refused")

    async def sleep(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr("random.uniform", uniform)
    monkeypatch.setattr(_line_client, "connect", connect)
    monkeypatch.setattr(_line_client.time, "monotonic", lambda: now)
    monkeypatch.setattr(_line_client.asyncio, "sleep", sleep)
    client = LineClient("127.0.0.1:1")
    for _ in range(7):
        with pytest.raises(ConnectFailed, match="refused"):
            await client.request(b"a")
    assert set(drawn) == {(0.5, 1)}
    # Connecting may take what the wait before it leaves of 0.75 s.
    assert waits == pytest.approx([0.75, 0.73, 0.71, 0.67, 0.59, 0.5, 0.5])
    assert "7 failures" in repr(client)
    await client.close()
