"""The line client over a network with faults."""

import asyncio
import time

import pytest
from kakuri_tcp import (
    ConnectFailed,
    Connection,
    Endpoint,
    LineClient,
    LineClientLimits,
    RequestLost,
    RequestTimeout,
    listen,
    listen_lines,
)
from kakuri_tcp.testing import FaultProxy, Faults, until

LOCAL = Endpoint.parse("127.0.0.1:0")


@pytest.fixture
async def handled():
    """The lines that the server's handler was given."""
    return []


@pytest.fixture
async def proxy(handled):
    def handler(line):
        handled.append(line)
        return line.upper()

    async with await listen_lines(LOCAL, handler) as server, FaultProxy(server.endpoint) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy):
    async with LineClient(proxy.endpoint) as client:
        yield client


@pytest.mark.parametrize(
    "faults", [Faults(size=1), Faults(size=3, latency=0.005), Faults(bandwidth=200_000)]
)
async def test_slow_network_changes_no_reply(proxy, client, faults):
    proxy.faults = faults
    lines = [b"line %d" % number for number in range(50)]
    replies = await asyncio.gather(*[client.request(line, timeout=10) for line in lines])
    assert replies == [line.upper() for line in lines]


async def test_reset_raises_request_lost_and_nothing_is_repeated(proxy, client, handled):
    assert await client.request(b"a", timeout=5) == b"A"
    proxy.faults = Faults(latency=0.2)
    lost = asyncio.create_task(client.request(b"lost", timeout=5))
    await until(lambda: client.in_flight == 1)
    proxy.reset()
    with pytest.raises(
        RequestLost, match=f"connection to {proxy.endpoint} ended before the reply: .*reset"
    ):
        await lost
    proxy.faults = Faults()
    assert await client.request(b"b", timeout=5) == b"B"
    assert handled == [b"a", b"b"]


async def test_end_of_the_peers_stream_raises_request_lost(proxy, client):
    assert await client.request(b"a", timeout=5) == b"A"
    proxy.faults = Faults(latency=0.2)
    lost = asyncio.create_task(client.request(b"lost", timeout=5))
    await until(lambda: client.in_flight == 1)
    proxy.half_close()
    with pytest.raises(RequestLost, match="the peer closed the connection"):
        await lost
    proxy.faults = Faults()
    assert await client.request(b"b", timeout=5) == b"B"


async def test_client_reconnects_after_the_peer_closed_between_requests(proxy, client):
    for line in (b"a", b"b"):
        assert await client.request(line, timeout=5) == line.upper()
        proxy.half_close()
        await until(lambda: not client.is_connected)


@pytest.mark.parametrize(
    ("given", "shown"), [(5, "5 s"), (4.99964, "5 s"), (0.05, "0.05 s"), (0.0002, "0.0002 s")]
)
def test_request_timeout_shows_rounded_seconds(given, shown):
    error = RequestTimeout("tcp://127.0.0.1:1", given)
    assert str(error) == f"no reply from tcp://127.0.0.1:1 within {shown}"
    assert error.timeout == given


async def test_black_hole_ends_by_timeout_and_closes_the_connection(proxy, client):
    assert await client.request(b"a", timeout=5) == b"A"
    proxy.faults = Faults(black_hole=True)
    began = time.monotonic()
    requests = [asyncio.create_task(client.request(b"x", timeout=0.05)) for _ in range(10)]
    for request in requests:
        with pytest.raises(RequestTimeout, match=r"within 0\.05 s"):
            await request
    assert 0.05 <= time.monotonic() - began < 30
    await until(lambda: client.in_flight == 0 and not client.is_connected)
    proxy.faults = Faults()
    assert await client.request(b"b", timeout=5) == b"B"


async def test_request_that_stalls_the_others_closes_the_connection(proxy):
    limits = LineClientLimits(stall_timeout=0.05)
    async with LineClient(proxy.endpoint, limits=limits) as client:
        assert await client.request(b"a", timeout=5) == b"A"
        proxy.faults = Faults(black_hole=True)
        first = asyncio.create_task(client.request(b"first", timeout=0.02))
        second = asyncio.create_task(client.request(b"second", timeout=5))  # sent in the same turn
        with pytest.raises(RequestTimeout):
            await first
        with pytest.raises(RequestLost, match="no reply came within"):
            await second


async def test_cancelled_request_keeps_its_position(proxy, client, handled):
    assert await client.request(b"a", timeout=5) == b"A"
    proxy.faults = Faults(latency=0.02)
    given_up = asyncio.create_task(client.request(b"given up", timeout=5))
    await until(lambda: client.in_flight == 1)
    kept = asyncio.create_task(client.request(b"kept", timeout=5))
    given_up.cancel()
    assert await kept == b"KEPT"
    assert handled == [b"a", b"given up", b"kept"]


async def test_cancelled_requests_do_not_close_the_connection(client, proxy):
    assert await client.request(b"a", timeout=5) == b"A"
    proxy.faults = Faults(latency=0.05)
    given_up = asyncio.create_task(client.request(b"given up", timeout=5))
    await until(lambda: client.in_flight == 1)
    given_up.cancel()
    await until(lambda: client.in_flight == 0)
    assert client.is_connected


async def test_attempts_to_connect_to_a_peer_that_is_down_are_spaced():
    attempts = []

    class Slammed(Connection):
        def opened(self):
            attempts.append(time.monotonic())
            self.abort()

    async with await listen(LOCAL, Slammed) as server, LineClient(server.endpoint) as client:
        while len(attempts) < 5:
            with pytest.raises((ConnectFailed, RequestLost)):
                await client.request(b"a", timeout=5)
        assert attempts[-1] - attempts[0] >= 0.1


async def test_concurrent_requests_share_one_attempt_to_connect():
    accepted = []
    async with await listen_lines(LOCAL, bytes.upper) as server:
        gone = server.endpoint
    async with LineClient(gone) as client:
        results = await asyncio.gather(
            *[client.request(b"a", timeout=5) for _ in range(500)], return_exceptions=True
        )
        assert {type(result) for result in results} == {ConnectFailed}
        async with await listen_lines(gone, lambda line: accepted.append(line) or line) as server:
            await asyncio.gather(*[client.request(b"a", timeout=5) for _ in range(500)])
            assert server.counters.accepted == 1
            assert len(accepted) == 500


async def test_connection_without_requests_is_closed_after_idle_timeout():
    limits = LineClientLimits(idle_timeout=0.02)
    async with (
        await listen_lines(LOCAL, bytes.upper) as server,
        LineClient(server.endpoint, limits=limits) as client,
    ):
        assert await client.request(b"a", timeout=5) == b"A"
        await until(lambda: not client.is_connected and not server.connections)
        assert await client.request(b"b", timeout=5) == b"B"


class Liar(Connection):
    """A server with a given answer, which closes after an incomplete line."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def data_received(self, data):
        self.write(self.answer)
        if b"\n" not in self.answer:
            self.close()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"x" * 200, "expected a line of at most 100 bytes"),
        (b"half", "the peer closed the connection"),
    ],
)
async def test_reply_that_is_not_a_line_raises_request_lost(answer, why):
    limits = LineClientLimits(line=100)
    async with (
        await listen(LOCAL, lambda: Liar(answer)) as server,
        LineClient(server.endpoint, limits=limits) as client,
    ):
        with pytest.raises(RequestLost, match=why):
            await client.request(b"a", timeout=5)


async def test_line_without_a_request_closes_the_connection():
    async with (
        await listen(LOCAL, lambda: Liar(b"A\nB\n")) as server,
        LineClient(server.endpoint) as client,
    ):
        assert await client.request(b"a", timeout=5) == b"A"
        await until(lambda: not client.is_connected)


class Deaf(Connection):
    """A server that reads nothing until the test lets it, then answers every line."""

    def opened(self):
        self.pause_reading()

    def data_received(self, data):
        self.write(b"y\n" * data.count(b"\n"))


class Stuck:
    """Return whether the number of requests in flight was the same in the last 30 calls."""

    def __init__(self, client):
        self.client = client
        self.seen = []

    def __call__(self):
        self.seen.append(self.client._waiting)
        latest = self.seen[-30:]
        is_same = len(latest) == 30 and len(set(latest)) == 1
        return self.client.is_connected and latest[-1] > 0 and is_same


async def test_requests_wait_while_the_peer_does_not_read():
    limits = LineClientLimits(unsent=100_000)
    deaf = []

    def factory():
        deaf.append(Deaf())
        return deaf[0]

    async with (
        await listen(LOCAL, factory) as server,
        LineClient(server.endpoint, limits=limits) as client,
    ):
        line = b"x" * 500_000
        requests = [asyncio.create_task(client.request(line, timeout=10)) for _ in range(50)]
        await until(Stuck(client))
        with pytest.raises(ConnectFailed, match=r"could not be sent within 0\.05 s"):
            await client.request(b"z", timeout=0.05)
        deaf[0].resume_reading()
        assert await asyncio.gather(*requests) == [b"y"] * 50
