import asyncio
import errno
import time

import pytest
from kakuri_tcp import Connection, ConnectionLost, Endpoint, connect, listen
from kakuri_tcp.testing import (
    End,
    Expect,
    FaultProxy,
    Faults,
    MemoryTransport,
    Send,
    pair,
    play,
    run_pending,
    until,
)
from kakuri_tcp.testing._proxy import _IN_TRANSIT

LOCAL = Endpoint.parse("127.0.0.1:0")


class Echo(Connection):
    """Sends back what it gets, and ends when its peer does."""

    def data_received(self, data):
        self.write(data)

    def receive_eof(self):
        self.close_lingering()


class Probe(Connection):
    """Records what it receives, piece by piece."""

    def __init__(self):
        super().__init__()
        self.pieces = []
        self.saw_eof = asyncio.Event()
        self.ended = asyncio.get_running_loop().create_future()

    @property
    def received(self):
        return b"".join(self.pieces)

    def data_received(self, data):
        self.pieces.append(data)

    def receive_eof(self):
        self.saw_eof.set()

    def closed(self, fault):
        self.ended.set_result(fault)


async def test_play_runs_a_script_against_a_protocol():
    steps = [Send(b"abc", size=1), Expect(b"abc"), Expect(b""), Send(b"d"), Expect(b"d"), End()]
    transport = await play(Echo(), steps)
    assert transport.is_closing()


async def test_play_with_other_output_fails_and_names_the_step():
    with pytest.raises(AssertionError, match="step 2: expected b'y', got b'x'"):
        await play(Echo(), [Send(b"x"), Expect(b"y")])


async def test_pair_connects_two_protocols():
    client = Probe()
    near, far = pair(client, Echo())
    client.write(b"hello")
    await run_pending()
    assert client.received == b"hello"
    client.close_lingering()
    await until(lambda: near.is_closing() and far.is_closing())
    assert await client.ended is None


async def test_pair_with_a_paused_reader_pauses_the_writer():
    client, server = Probe(), Probe()
    near, far = pair(client, server)
    server.pause_reading()
    client.write(b"x" * 70_000)
    await run_pending()
    assert client.is_writing_paused
    assert near.get_write_buffer_size() == 70_000
    server.resume_reading()
    await run_pending()
    assert not client.is_writing_paused
    assert server.received == b"x" * 70_000
    assert far.get_write_buffer_limits() == (16_384, 65_536)


async def test_memory_transport_keeps_data_while_reading_is_paused():
    client = Probe()
    transport = MemoryTransport(client)
    client.pause_reading()
    transport.feed(b"a")
    transport.feed_eof()
    assert client.pieces == []
    client.resume_reading()
    await run_pending()
    assert client.received == b"a"
    assert client.saw_eof.is_set()
    transport.write_eof()
    with pytest.raises(RuntimeError, match="was called after write_eof"):
        transport.write(b"late")


async def through(proxy):
    return await connect(proxy.endpoint, Probe, timeout=5)


async def test_proxy_without_faults_changes_nothing():
    async with await listen(LOCAL, Echo) as server, FaultProxy(server.endpoint) as proxy:
        client = await through(proxy)
        client.write(b"x" * 1_000_000)
        await until(lambda: len(client.received) == 1_000_000)
        assert proxy.connections == 1
        client.close_lingering()
        assert await client.ended is None
        await until(lambda: proxy.connections == 0 and server.connections == 0)


async def test_proxy_with_latency_delays_every_byte():
    async with (
        await listen(LOCAL, Echo) as server,
        FaultProxy(server.endpoint, Faults(latency=0.03)) as proxy,
    ):
        client = await through(proxy)
        began = time.monotonic()
        client.write(b"x")
        await until(lambda: client.received == b"x")
        assert time.monotonic() - began >= 0.06
        client.abort()


async def test_proxy_with_a_size_sends_pieces_in_order():
    async with (
        await listen(LOCAL, Echo) as server,
        FaultProxy(server.endpoint, Faults(size=1)) as proxy,
    ):
        client = await through(proxy)
        client.write(b"0123456789")
        await until(lambda: client.received == b"0123456789")
        assert len(client.pieces) > 1
        client.abort()


async def test_proxy_with_bandwidth_delays_bytes():
    async with (
        await listen(LOCAL, Echo) as server,
        FaultProxy(server.endpoint, Faults(bandwidth=1_000_000, size=10_000)) as proxy,
    ):
        client = await through(proxy)
        began = time.monotonic()
        client.write(b"x" * 50_000)
        await until(lambda: len(client.received) == 50_000)
        assert time.monotonic() - began >= 0.05
        client.abort()


async def test_slow_proxy_pauses_the_sender_and_buffers_a_bounded_number_of_bytes():
    held = []

    def has_arrived():
        held.extend(side._transit_size for side in proxy._sides)
        return sum(len(c.received) for c in server._table.connections) == 8_000_000

    async with (
        await listen(LOCAL, Probe) as server,
        FaultProxy(server.endpoint, Faults(bandwidth=100_000_000, size=65_536)) as proxy,
    ):
        client = await through(proxy)
        client.write(b"x" * 8_000_000)
        await until(has_arrived)
        client.abort()
    assert 0 < max(held) <= 2 * _IN_TRANSIT  # one read more than the proxy lets through


async def test_proxy_reset_breaks_both_sides():
    faults = []

    class Server(Probe):
        def closed(self, fault):
            faults.append(fault)

    async with await listen(LOCAL, Server) as server, FaultProxy(server.endpoint) as proxy:
        client = await through(proxy)
        client.write(b"x")
        await until(lambda: server.counters.accepted == 1 and proxy.connections == 1)
        proxy.reset()
        assert isinstance(await client.ended, ConnectionLost)
        await until(lambda: bool(faults))
        assert isinstance(faults[0], ConnectionLost)


async def test_proxy_half_close_ends_one_direction():
    async with await listen(LOCAL, Probe) as server, FaultProxy(server.endpoint) as proxy:
        client = await through(proxy)
        client.write(b"a")
        await until(lambda: any(c.received == b"a" for c in server._table.connections))
        proxy.half_close()
        await client.saw_eof.wait()
        client.write(b"b")
        await until(lambda: any(c.received == b"ab" for c in server._table.connections))
        client.close_lingering()
        await client.ended


class ResetByPeer:
    """The transport of a connection that the peer has reset, which asyncio has not noticed yet."""

    def __init__(self, transport):
        self._transport = transport

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def write_eof(self):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


async def test_proxy_closes_a_side_whose_peer_has_reset_the_connection():
    async with await listen(LOCAL, Echo) as server, FaultProxy(server.endpoint) as proxy:
        await connect(proxy.endpoint, Connection)
        await until(lambda: len(proxy._sides) == 2)
        for side in proxy._sides:
            side._transport = ResetByPeer(side._transport)
        proxy.half_close()
        await until(lambda: not proxy._sides)


async def test_proxy_black_hole_drops_bytes_and_keeps_the_connection():
    async with await listen(LOCAL, Echo) as server, FaultProxy(server.endpoint) as proxy:
        client = await through(proxy)
        proxy.faults = Faults(black_hole=True)
        client.write(b"lost")
        await run_pending()
        await until(lambda: proxy.connections == 1)
        proxy.faults = Faults()
        client.write(b"kept")
        await until(lambda: b"kept" in client.received)
        assert not client.is_closing
        client.abort()


async def test_proxy_of_a_closed_upstream_resets_its_clients():
    async with await listen(LOCAL, Echo) as server:
        gone = server.endpoint
    async with FaultProxy(gone) as proxy:
        client = await through(proxy)
        await client.ended
        await proxy.refuse()
        with pytest.raises(ConnectionError):
            await through(proxy)


async def test_until_raises_timeout_error():
    with pytest.raises(TimeoutError):
        await until(lambda: False, timeout=0.01)


async def test_proxy_reset_before_the_upstream_is_connected_breaks_both_sides():
    async with await listen(LOCAL, Echo) as server, FaultProxy(server.endpoint) as proxy:
        client = await connect(proxy.endpoint, Connection)
        await until(lambda: proxy.connections == 1)
        proxy.reset()
        await until(lambda: server.counters.accepted == 1 and server.connections == 0)
        assert proxy.connections == 0
        client.abort()


@pytest.mark.parametrize("turns", range(1, 7))
async def test_proxy_whose_close_is_cancelled_closes_its_connections(turns):
    errors = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    async with await listen(LOCAL, Echo) as server:
        proxy = await FaultProxy(server.endpoint).__aenter__()
        client = await connect(proxy.endpoint, Connection)
        await until(lambda: server.connections == 1)
        closing = asyncio.ensure_future(proxy.__aexit__())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await until(lambda: proxy.connections == 0)
        client.abort()
    assert errors == []
