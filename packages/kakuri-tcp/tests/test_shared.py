"""Budgets for the bytes of all connections, and shedding: a clock of the test's, no sockets."""

import asyncio
import inspect
import threading

import pytest
from kakuri_tcp import (
    Connection,
    Endpoint,
    LineClient,
    LineClientLimits,
    LineServerLimits,
    Overloaded,
    ServerLimits,
    listen,
)
from kakuri_tcp._budgets import SharedBudget
from kakuri_tcp._shared import SharedResources
from kakuri_tcp.testing import MemoryTransport, run_pending, until

KIB = 1024
LIMITS = ServerLimits(unfinished_input=1024 * KIB, unsent_output=1024 * KIB, write_buffer=10)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Gatherer(Connection):
    """Keeps what it gets until a line feed ends it; each run of it costs a tenth of a second."""

    def __init__(self):
        super().__init__()
        self.gathered = bytearray()

    def data_received(self, data):
        self.gathered += data
        self.process()

    def unprocessed(self):
        return len(self.gathered)

    def work(self):
        if self.gathered.endswith(b"\n"):
            self.gathered.clear()
            self.turns.clock.now += 0.1
        self.account()

    def connection_ended(self, connection, fault):
        pass


@pytest.fixture
def shared():
    shared = SharedResources(LIMITS)
    shared.turns.clock = Clock()
    shared.turns.restart()
    return shared


@pytest.fixture
def make(shared):
    """Make connections that share; each comes with its peer's transport."""

    def make(number):
        made = []
        for _ in range(number):
            connection = Gatherer()
            connection.attach(connection, "peer", LIMITS, shared)
            made.append((connection, MemoryTransport(connection)))
        return made

    return make


async def test_unfinished_input_of_all_connections_is_bounded(shared, make):
    peers = make(100)
    for _ in range(40):
        for _, transport in peers:
            transport.feed(b"x" * 10 * KIB)
        shared.turns.clock.now += 0.1
        held = sum(len(c.gathered) for c, _ in peers if not c.is_closing)
        assert held == shared.input.total <= LIMITS.unfinished_input * 5 // 4
    aborted = [c for c, _ in peers if c.is_closing]
    assert len(aborted) == shared.aborted > 0
    assert {(type(c.fault), c.fault.limit) for c in aborted} == {(Overloaded, "unfinished_input")}


async def test_large_connection_is_paused_above_the_budget_until_there_is_room(shared, make):
    (large, large_peer), (_, small_peer), *others = make(12)
    for _, transport in others:
        transport.feed(b"x" * 100 * KIB)
    large_peer.feed(b"x" * 30 * KIB)
    small_peer.feed(b"x" * KIB)
    assert not large_peer.is_reading()
    assert small_peer.is_reading()
    large_peer.feed(b"y\n")
    assert len(large.gathered) == 30 * KIB
    for _, transport in others[:5]:
        transport.lose(None)
    await run_pending()
    assert large_peer.is_reading()
    assert not large.gathered
    assert not large.is_closing


async def test_connection_with_enough_input_for_its_next_turn_is_not_read_until_then(shared):
    """Each turn processes 40 KiB of what the peer sends; 64 KiB are enough for the next one."""

    class Eater(Gatherer):
        def work(self):
            del self.gathered[: 40 * KIB]
            self.turns.clock.now += 0.1
            if self.gathered:
                self.process_later()
            self.account()

    eater = Eater()
    eater.attach(eater, "peer", LIMITS, shared)
    transport = MemoryTransport(eater)
    was_reading = []
    transport.feed(b"x" * 100 * KIB)
    transport.feed(b"x" * 100 * KIB)
    assert not transport.is_reading()
    while eater.gathered:
        await asyncio.sleep(0)
        was_reading.append((len(eater.gathered) // KIB, transport.is_reading()))
    assert list(dict.fromkeys(was_reading)) == [
        (160, False), (120, False), (80, False), (40, True), (0, True)
    ]  # fmt: skip


async def test_sweep_aborts_connections_that_hold_the_most_for_the_longest(shared, make):
    old, young = make(6), make(6)
    for _, transport in old:
        transport.feed(b"x" * 100 * KIB)
    shared.sweep()
    assert not any(connection.is_closing for connection, _ in old)
    shared.turns.clock.now += 10
    for _, transport in young:
        transport.feed(b"x" * 100 * KIB)
    shared.turns.clock.now += 1
    shared.sweep()
    assert sum(connection.is_closing for connection, _ in old) == 5
    assert not any(connection.is_closing for connection, _ in young)
    assert shared.input.has_room


async def test_each_byte_that_is_not_processed_counts_in_the_budget(shared, make):
    ((connection, transport),) = make(1)
    for total in (1, 2, 3):
        transport.feed(b"x")
        assert shared.input.total == total
    connection.gathered.clear()
    connection.account()
    assert shared.input.total == 0


async def test_closed_connection_releases_its_part_of_the_budget(shared, make):
    ((_, transport),) = make(1)
    transport.feed(b"x" * 100)
    assert shared.input.total == 100
    transport.lose(None)
    await run_pending()
    assert shared.input.total == 0
    assert repr(shared.input) == "<SharedBudget 0 of 1048576 bytes>"


async def test_unsent_output_of_all_connections_is_bounded(shared, make):
    peers = make(20)
    for connection, _ in peers:
        connection.write(b"x" * 100 * KIB)
        shared.turns.clock.now += 1
    held = sum(c.unsent for c, _ in peers if not c.is_closing)
    assert held == shared.output.total <= LIMITS.unsent_output
    closed = [connection.is_closing for connection, _ in peers]
    assert closed == sorted(closed, reverse=True)  # those that held it for longest
    assert {c.fault.limit for c, _ in peers if c.is_closing} == {"unsent_output"}


async def test_peer_that_reads_releases_its_part_of_the_output_budget(shared, make):
    ((connection, transport),) = make(1)
    connection.write(b"x" * 100 * KIB)
    assert shared.output.total == 100 * KIB
    transport.take()
    assert shared.output.total == 0


async def test_shed_aborts_the_half_with_the_most_work_pending(shared, make):
    (_, first), *others = make(7)
    first.feed(b"\n")  # and all others have to wait
    for index, (_, transport) in enumerate(others):
        transport.feed(b"x" * 20 * KIB * index + b"\n")
    shared.shed()
    assert [c.is_closing for c, _ in others] == [False, False, False, True, True, True]
    assert {c.fault.limit for c, _ in others if c.is_closing} == {"shed"}
    await run_pending()
    assert not any(c.gathered for c, _ in others[:3])


async def test_shed_from_another_thread_aborts_connections():
    limits = ServerLimits(unfinished_input=1024 * KIB)
    async with await listen(Endpoint.parse("127.0.0.1:0"), Gatherer, limits=limits) as server:
        server._shared.turns.clock = clock = Clock()
        server._shared.turns.restart()
        made = [await asyncio.open_connection("127.0.0.1", server.endpoint.port) for _ in range(2)]
        await until(lambda: all(c._transport for c in server._table.connections))
        first, second = server._table.connections
        clock.now += 1
        first.data_received(b"\n")
        second.data_received(b"\n")  # waits: the first has used up the turn
        thread = threading.Thread(target=server.shed)
        thread.start()
        thread.join()
        await until(lambda: server.counters.overloaded == 1)
        assert second.is_closing
        for _, writer in made:
            writer.close()


def test_overloaded_names_the_limit():
    error = Overloaded("unsent_output")
    assert error.limit == "unsent_output"
    assert str(error) == "closed to make room for other connections (limit: unsent_output)"


def test_take_worst_removes_connections_with_the_most_byte_seconds_until_a_quarter_is_free():
    clock = Clock()
    budget = SharedBudget(100, clock)
    for name, size in (("old and small", 5), ("old and large", 50)):
        budget.set(name, size)
    clock.now += 10
    for name, size in (("young and large", 60), ("young and small", 1)):
        budget.set(name, size)
    clock.now += 1
    for _ in range(2):
        budget.set("old and large", 51)  # its age does not change
    assert budget.is_exceeded
    assert budget.take_worst() == ["old and large"]
    assert budget.total == 66
    budget.set("young and large", 90)
    budget.set("young and large", 80)  # progress resets its age
    assert budget.take_worst() == ["old and small", "young and small", "young and large"]
    assert budget.total == 0


@pytest.mark.parametrize("direction", ["input", "output"])
async def test_shared_budget_is_exceeded_only_above_its_limit(shared, make, direction):
    (first, first_peer), (second, second_peer), (third, _), (last, _) = make(4)
    budget = getattr(shared, direction)
    sizes = {first: 512 * KIB, second: 511 * KIB, third: KIB}
    for connection, size in sizes.items():
        if direction == "input":
            connection.gathered += b"x" * size
            connection.account()
        else:
            connection.write(b"x" * size)
        shared.turns.clock.now += 1
    assert budget.total == budget.limit == 1024 * KIB
    assert not budget.is_exceeded
    assert not any(connection.is_closing for connection in sizes)
    assert first_peer.is_reading()
    if direction == "input":
        second.gathered += b"x"
        second.account()
        assert not second_peer.is_reading()
        assert shared.aborted == 0
    else:
        last.write(b"x" * KIB)
        assert [connection.is_closing for connection in sizes] == [True, False, False]
        assert budget.total == 513 * KIB


async def test_closed_connection_releases_its_part_of_the_output(shared, make):
    ((connection, transport), *_) = make(2)
    connection.write(b"x" * 100 * KIB)
    transport.lose(None)
    await run_pending()
    assert shared.output.total == 0


def test_defaults_match_the_documentation():
    server, lines, client = ServerLimits(), LineServerLimits(), LineClientLimits()
    assert (server.connections, server.connections_per_peer) == (16_384, 8_192)
    assert (server.reserved_connections, server.backlog) == (64, 1_024)
    assert (server.idle_timeout, server.write_timeout, server.linger_timeout) == (300.0, 30.0, 2.0)
    assert (server.handshake_timeout, server.linger_bytes) == (10.0, 67_108_864)
    assert (server.write_buffer, server.unfinished_input) == (65_536, 67_108_864)
    assert (server.unsent_output, server.turn_time, server.slice_time) == (268_435_456, 0.02, 0.005)
    assert (lines.line, lines.line_timeout) == (1_048_576, 30.0)
    assert (lines.requests_in_flight, lines.requests_in_flight_of_all) == (1_024, 16_384)
    assert (client.line, client.requests_in_flight, client.unsent) == (1_048_576, 10_000, 1_048_576)
    assert (client.connect_timeout, client.first_backoff, client.backoff) == (0.75, 0.02, 0.25)
    assert (client.idle_timeout, client.stall_timeout) == (120.0, 5.0)
    assert inspect.signature(LineClient.request).parameters["timeout"].default == 5.0


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (ServerLimits, "idle_timeout"), (ServerLimits, "write_timeout"),
        (LineServerLimits, "idle_timeout"), (LineServerLimits, "write_timeout"),
        (LineServerLimits, "line_timeout"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("shortest", "interval"), [(0.08, 0.01), (0.01, 0.01), (0.16, 0.02), (4, 0.5), (8, 1), (80, 1)]
)
def test_sweep_interval_is_an_eighth_of_the_shortest_timeout(limits, name, shortest, interval):
    names = ["idle_timeout", "write_timeout"] + ["line_timeout"] * (limits is LineServerLimits)
    made = limits(**dict.fromkeys(names, 100.0) | {name: shortest})
    assert made.sweep_interval == pytest.approx(interval)


async def test_connection_that_ends_while_queued_frees_its_budget_and_takes_no_turn(shared, make):
    (first, _), (second, peer) = make(2)
    peer.feed(b"x")
    first.turns.clock.now += 100
    first.data_received(b"y\n")  # uses up the turn
    peer.feed(b"z\n")
    assert second in shared.turns
    before = shared.turns.clock.now
    second.connection_lost(None)
    assert second not in shared.turns
    assert shared.input.total == 0
    await run_pending()
    assert shared.turns.clock.now == before


async def test_paused_connection_is_read_again_once_a_quarter_of_the_budget_is_free(shared, make):
    (large, large_peer), (other, _) = make(2)
    other.gathered += bytes(900 * KIB)
    other.account()
    large_peer.feed(bytes(125 * KIB))
    assert not large_peer.is_reading()
    for size, reads in ((800, False), (644, False), (643, True)):  # with the 125 of the other one
        del other.gathered[size * KIB :]
        other.account()
        assert large_peer.is_reading() is reads
    assert shared.input.total == 768 * KIB
    assert not large.is_closing


@pytest.mark.parametrize(("more", "is_closed"), [(0, False), (1, True)])
async def test_connections_are_closed_above_five_quarters_of_the_budget(
    shared, make, more, is_closed
):
    (first, _), (second, second_peer) = make(2)
    first.gathered += bytes(1024 * KIB)
    first.account()
    shared.turns.clock.now += 1
    second.gathered += bytes(256 * KIB + more)
    second.account()
    assert first.is_closing is is_closed
    assert shared.aborted == is_closed
    assert not second.is_closing
    assert second_peer.is_reading() is is_closed  # there is room for it again
    assert shared._paused == (set() if is_closed else {second})


@pytest.mark.parametrize("limit", ["shed", "input", "output"])
async def test_connection_that_is_closed_to_make_room_takes_no_turn(shared, make, limit):
    (busy, _), (first, first_peer), (second, second_peer) = make(3)
    shared.turns.clock.now += 100
    busy.data_received(b"x\n")  # uses up the turn
    for peer in (first_peer, second_peer):
        peer.feed(b"x" * 400 * KIB if limit == "input" else b"x")
        shared.turns.clock.now += 1
    assert {first, second} <= set(shared.turns.waiting)
    if limit == "shed":
        shared.shed()
    elif limit == "input":
        second.gathered += bytes(650 * KIB)
        second.account()
    else:
        for connection in (first, second):
            connection.write(bytes(600 * KIB))
            shared.turns.clock.now += 1
    closed = {connection for connection in (first, second) if connection.is_closing}
    assert len(closed) == shared.aborted == 1
    assert set(shared.turns.waiting) == {first, second} - closed
    await run_pending()
