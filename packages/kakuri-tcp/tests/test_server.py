import asyncio
import logging
import resource
import socket

import pytest
from kakuri_tcp import (
    Connection,
    Endpoint,
    LineClient,
    LineServerLimits,
    ListenFailed,
    Overloaded,
    ServerLimits,
    connect,
    listen,
    listen_lines,
)
from kakuri_tcp._connection_table import ConnectionTable
from kakuri_tcp.testing import run_pending, until

LOCAL = Endpoint.parse("127.0.0.1:0")


class Echo(Connection):
    """Sends back what it gets."""

    def data_received(self, data):
        self.made_progress = True
        self.write(data)


class Probe(Connection):
    """A peer that records what it receives."""

    def __init__(self):
        super().__init__()
        self.received = b""
        self.got = asyncio.Event()
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.received += data
        self.got.set()

    def closed(self, fault):
        self.ended.set_result(fault)


async def probe(server):
    return await connect(server.endpoint, Probe, timeout=5)


async def probes(server, number):
    return [await probe(server) for _ in range(number)]


async def is_served(peer):
    """Return whether an echo comes back before the connection ends."""
    peer.write(b"x")
    got = asyncio.ensure_future(peer.got.wait())
    await asyncio.wait([got, peer.ended], return_when=asyncio.FIRST_COMPLETED)
    got.cancel()
    return peer.received == b"x"


def write_buffer(server):
    """Return the number of unsent bytes of a server's only connection."""
    transports = [connection._transport for connection in server._table.connections]
    return sum(transport.get_write_buffer_size() for transport in transports if transport)


def close_all(peers):
    for peer in peers:
        peer.abort()


async def test_server_at_port_0_reports_its_real_port():
    async with await listen(LOCAL, Echo) as server:
        assert server.endpoint.port > 0
        assert repr(server) == f"<Server {server.endpoint} listening, 0 connections>"
        peer = await probe(server)
        assert await is_served(peer)
        assert server.connections == 1
    assert repr(server) == f"<Server {server.endpoint} closed, 0 connections>"
    await peer.ended
    await server.close()


async def test_server_of_a_name_listens_at_every_address_at_one_port():
    async with await listen(Endpoint.parse("localhost:0"), Echo) as server:
        families = {
            family for family, *_ in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)
        }
        served = 0
        for host in ("127.0.0.1", "::1"):
            try:
                peer = await connect(Endpoint.tcp(host, server.endpoint.port), Probe, timeout=5)
            except ConnectionError:
                continue
            served += await is_served(peer)
            peer.abort()
        assert 1 <= served <= len(families)


async def test_address_of_another_machine_raises_listen_failed():
    with pytest.raises(
        ListenFailed, match=r"can't listen on 192\.0\.2\.1:0: .*assign requested"
    ) as caught:
        await listen(Endpoint.parse("192.0.2.1:0"), Echo)
    assert caught.value.endpoint == "192.0.2.1:0"


async def test_name_without_an_address_raises_listen_failed(monkeypatch):
    def fail(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ListenFailed, match="Name or service not known"):
        await listen(Endpoint.parse("no-such-host:0"), Echo)


async def test_addresses_of_a_missing_family_are_skipped(monkeypatch):
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    async with await listen(Endpoint.parse("two-homes:0"), Echo) as server:
        assert len(server._sockets) == 1


async def test_port_in_use_raises_listen_failed():
    async with await listen(LOCAL, Echo) as server:
        with pytest.raises(ListenFailed, match="Address already in use"):
            await listen(server.endpoint, Echo)


class Busy(Echo):
    """An Echo with pending work for its peer."""

    @property
    def is_busy(self):
        return True


async def test_connection_over_the_limit_is_refused_while_all_others_are_busy():
    async with await listen(LOCAL, Busy, limits=ServerLimits(connections=2)) as server:
        peers = await probes(server, 3)
        assert [await is_served(peer) for peer in peers] == [True, True, False]
        assert server.counters.refused == 1
        peers[0].close()
        await peers[0].ended
        # The server learns of the end after the peer; until then the place is not free.
        await until(lambda: server.connections == 1)
        peers.append(await probe(server))
        assert await is_served(peers[-1])
        close_all(peers)


async def test_connection_over_the_limit_of_its_peer_is_refused_while_all_others_are_busy():
    limits = ServerLimits(connections_per_peer=1)
    async with await listen(LOCAL, Busy, limits=limits) as server:
        peers = await probes(server, 2)
        assert [await is_served(peer) for peer in peers] == [True, False]
        close_all(peers)


@pytest.mark.parametrize(
    "limits", [ServerLimits(connections=2), ServerLimits(connections_per_peer=2)]
)
async def test_connection_over_the_limit_replaces_the_longest_idle_one(limits):
    async with await listen(LOCAL, Echo, limits=limits) as server:
        peers = []
        for _ in range(4):
            peers.append(await probe(server))
            assert await is_served(peers[-1])
        await asyncio.gather(*(peer.ended for peer in peers[:2]))
        assert [peer.is_closing for peer in peers] == [True, True, False, False]
        assert (server.counters.evicted, server.counters.refused) == (2, 0)
        assert server.connections == 2
        close_all(peers)


async def test_simultaneous_connections_do_not_evict_each_other():
    limits = ServerLimits(connections=7)
    async with await listen(LOCAL, Echo, limits=limits) as server:
        idle = await probes(server, 7)
        await until(lambda: server.connections == 7)
        late = await asyncio.gather(*(probe(server) for _ in range(3)))
        assert [await is_served(peer) for peer in late] == [True] * 3
        await asyncio.gather(*(peer.ended for peer in idle[:3]))
        assert [peer.is_closing for peer in idle] == [True] * 3 + [False] * 4
        close_all([*idle, *late])


async def test_new_peer_gets_a_reserved_connection():
    table = ConnectionTable(ServerLimits(connections=16, reserved_connections=2))
    for _ in range(14):
        assert table.has_room("one")
        table.add(Echo(), "one")
    assert not table.has_room("one")
    assert table.has_room("two")
    table.add(Echo(), "two")
    assert not table.has_room("two")
    assert table.has_room("three")


async def test_longest_idle_is_of_the_peer_with_most_connections():
    table = ConnectionTable(ServerLimits(connections=8))
    connections = [Echo() for _ in range(8)]
    for number, connection in enumerate(connections):
        table.add(connection, "few" if number < 3 else "many")
    assert table.longest_idle("new") is connections[3]
    assert table.remove(connections[3])
    assert table.longest_idle("new") is connections[4]
    for connection in connections[4:]:
        table.remove(connection)
        assert not table.remove(connection)
    assert table.longest_idle("new") is connections[0]
    assert table.longest_idle("unknown") is connections[1]


@pytest.mark.parametrize("size", [1, 100])
async def test_connection_with_a_begun_request_is_closed_after_those_without(size):
    class Begun(Echo):
        def unprocessed(self):
            return size

    table = ConnectionTable(ServerLimits(connections=3))
    begun, first, second = Begun(), Echo(), Echo()
    for age, connection in enumerate((begun, first, second)):
        connection._is_new, connection._quiet_since = True, float(age)
        table.add(connection, "one")
    for expected in (first, second, begun):
        assert table.longest_idle("two") is expected
        table.remove(expected)


async def test_longest_idle_of_busy_peers_is_none_until_the_next_sweep():
    table = ConnectionTable(ServerLimits(connections=1))
    assert table.longest_idle("one") is None
    busy = Busy()
    table.add(busy, "one")
    assert table.longest_idle("two") is None
    idle = Echo()
    table.remove(busy)
    table.add(idle, "one")
    assert table.longest_idle("two") is None
    table.sweep()
    assert table.longest_idle("two") is idle


async def test_longest_idle_after_a_sweep_is_chosen_by_the_progress_since_the_last_one():
    table = ConnectionTable(ServerLimits(connections=3))
    connections = [Echo() for _ in range(3)]
    for age, connection in enumerate(connections):
        connection._is_new, connection._quiet_since = True, float(age)
        table.add(connection, "one")
    first, second, third = connections
    assert table.longest_idle("two") is first
    for connection in (first, second):
        connection._quiet_since += 10
    table.sweep()
    assert [table.longest_idle("two") for _ in range(3)] == [third, first, second]


async def test_connection_that_is_not_open_yet_can_be_evicted():
    async with await listen(LOCAL, Echo, limits=ServerLimits(connections=1)) as server:
        first, second = await asyncio.gather(probe(server), probe(server))
        assert await is_served(second)
        await first.ended
        assert server.counters.evicted == 1
        close_all([first, second])


@pytest.mark.parametrize("turns", [1, 2])  # one event loop opens it a turn earlier than the other
async def test_eviction_of_a_connection_that_has_just_opened_closes_it_with_overloaded(turns):
    opened, ended = [], []
    loop = asyncio.get_running_loop()

    class First(Echo):
        def __init__(self):
            super().__init__()
            if not loop_turns:
                take_turn()

        def opened(self):
            opened.append(self)

        def closed(self, fault):
            ended.append((self, fault))

    loop_turns = []

    def take_turn():
        """Connect another peer after some turns of the loop."""
        loop_turns.append(True)
        if len(loop_turns) <= turns:
            loop.call_soon(take_turn)
        else:
            late.connect(("127.0.0.1", server.endpoint.port))

    with socket.socket() as late:
        async with await listen(LOCAL, First, limits=ServerLimits(connections=1)) as server:
            first = await probe(server)
            await first.ended
            await until(lambda: server.counters.accepted == 2)
            assert server.counters.evicted == 1
    assert [each for each, _ in ended] == opened
    assert all(isinstance(fault, Overloaded) for _, fault in ended[:-1])


async def test_loopback_addresses_are_one_peer():
    limits = ServerLimits(connections_per_peer=1)
    async with await listen(LOCAL, Busy, limits=limits) as server:
        first = await probe(server)
        assert await is_served(first)
        with socket.socket() as other:
            other.settimeout(0)
            other.bind(("127.0.0.2", 0))
            loop = asyncio.get_running_loop()
            await loop.sock_connect(other, ("127.0.0.1", server.endpoint.port))
            assert await loop.sock_recv(other, 1) == b""
        assert server.counters.refused == 1
        first.close()


async def test_idle_peer_is_closed_and_counted():
    limits = ServerLimits(idle_timeout=0.05)
    async with await listen(LOCAL, Echo, limits=limits) as server:
        peer = await probe(server)
        await peer.ended
        await until(lambda: not server.connections)
        assert server.counters.idle_timeouts == 1


async def test_peer_that_never_reads_is_aborted_and_its_buffer_is_bounded():
    limits = LineServerLimits(write_timeout=0.2)
    async with await listen_lines(LOCAL, lambda line: line * 1000, limits=limits) as server:
        buffered = []
        with socket.socket() as deaf:
            deaf.settimeout(0)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", server.endpoint.port))
            sending = asyncio.ensure_future(loop.sock_sendall(deaf, b"0123456789\n" * 1_000_000))
            await until(
                lambda: bool(
                    buffered.append(write_buffer(server)) or server.counters.write_timeouts
                )
            )
            with pytest.raises(ConnectionError):
                await sending
        assert 65_536 < max(buffered) < 400_000


async def test_thousand_idle_connections_do_not_delay_others():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    try:
        async with await listen(LOCAL, Echo) as server:
            idle = await probes(server, 1000)
            late = await probe(server)
            assert await is_served(late)
            assert await is_served(idle[0])
            for peer in (*idle, late):
                peer.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_server_without_descriptors_serves_open_connections_and_accepts_again(
    caplog, monkeypatch
):
    """The process really runs out: the limit is lowered to what is open."""
    monkeypatch.setattr("kakuri_tcp._server._RETRY_ACCEPT", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with await listen(LOCAL, Echo) as server:
        old = await probe(server)
        assert await is_served(old)
        fresh = socket.socket()
        fresh.settimeout(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (fresh.fileno() + 1, hard))
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(fresh, ("127.0.0.1", server.endpoint.port))
            await until(lambda: server.counters.accept_failures >= 2)
            await until(lambda: "out of descriptors" in repr(server))  # between two attempts
            old.received = b""
            old.got.clear()
            assert await is_served(old)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await loop.sock_sendall(fresh, b"y")
        assert await loop.sock_recv(fresh, 1) == b"y"
        fresh.close()
        old.abort()
    records = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(records) == 1
    assert "Too many open files" in records[0].getMessage()


async def test_drain_completes_requests_in_progress():
    gate = asyncio.Event()
    arrived = asyncio.Event()

    async def handler(line):
        arrived.set()
        await gate.wait()
        return line.upper()

    server = await listen_lines(LOCAL, handler)
    async with LineClient(server.endpoint) as client:
        request = asyncio.create_task(client.request(b"a", timeout=5))
        await arrived.wait()
        draining = asyncio.create_task(server.drain(5))
        await run_pending()
        assert "draining" in repr(server)
        with pytest.raises(ConnectionError):
            await connect(server.endpoint, Probe, timeout=5)
        gate.set()
        assert await request == b"A"
        assert await draining == 0


async def test_connection_that_has_just_opened_is_drained():
    draining = []

    class Greeting(Connection):
        def opened(self):
            draining.append(asyncio.create_task(server.drain(5)))

        def drain(self):
            self.write(b"drained")
            self.close()

    server = await listen(LOCAL, Greeting)
    peer = await probe(server)
    assert await peer.ended is None
    assert await draining[0] == 0
    assert peer.received == b"drained"


async def test_drain_aborts_connections_after_the_deadline():
    arrived = asyncio.Event()

    async def handler(line):
        arrived.set()
        await asyncio.Event().wait()

    server = await listen_lines(LOCAL, handler)
    peer = await probe(server)
    peer.write(b"a\n")
    await arrived.wait()
    assert await server.drain(0.01) == 1
    await peer.ended
    assert server.connections == 0


async def test_factory_that_raises_leaves_no_connection(caplog):
    def fail():
        raise ZeroDivisionError

    async with await listen(LOCAL, fail) as server:
        errors = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: errors.append(context)
        )
        peer = await probe(server)
        await peer.ended
        assert server.connections == 0
        assert isinstance(errors[0]["exception"], ZeroDivisionError)


class PausedFromTheStart(Connection):
    def __init__(self):
        super().__init__()
        self.received = []

    def opened(self):
        self.pause_reading()

    def data_received(self, data):
        self.received.append(data)


async def test_reading_paused_in_opened_delivers_nothing_before_resume_reading():
    connections = []

    def factory():
        connections.append(PausedFromTheStart())
        return connections[-1]

    async with await listen(LOCAL, factory) as server:
        peer = await connect(server.endpoint, Connection, timeout=5)
        await until(lambda: connections and not connections[0].is_closing)
        await turn_often()
        peer.write(b"early")
        await turn_often()
        assert connections[0].received == []
        connections[0].resume_reading()
        await until(lambda: connections[0].received == [b"early"])
        peer.close()


async def turn_often():
    """Run many turns of the event loop, each of which checks the sockets."""
    for _ in range(50):
        await asyncio.sleep(0)
