"""The event loop's time is shared: a clock that only work moves, and no sockets."""

import asyncio
from asyncio import Future
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_tcp import Endpoint, LineServerLimits, listen_lines
from kakuri_tcp._line_server_connection import LineServerConnection
from kakuri_tcp._turns import Turns
from kakuri_tcp.testing import MemoryTransport, run_pending, until

LOCAL = Endpoint.parse("127.0.0.1:0")


class Clock:
    """Seconds that pass only while something works."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Job:
    """A connection with requests waiting, each of which costs its seconds."""

    def __init__(self, turns, costs, size=0, log=None):
        self.turns = turns
        self.costs = list(costs)
        self.size = size
        self.log = [] if log is None else log
        self.is_paused = False

    def work(self):
        self.turns.slice_left()
        while self.costs:
            self.turns.clock.now += self.costs.pop(0)
            self.log.append(self)
            if self.costs and self.turns.slice_left() <= 0:
                self.turns.process_later(self)
                return

    def take_turn(self):
        self.is_paused = False
        self.work()

    def wait_turn(self):
        self.is_paused = True

    def account(self):
        return self.size


@pytest.fixture
def turns():
    return Turns(turn_time=0.02, slice_time=0.005, clock=Clock())


async def test_process_without_contention_works_at_once(turns):
    jobs = [Job(turns, [0.001]) for _ in range(15)]
    for job in jobs:
        turns.process(job)
    assert not any(job.costs for job in jobs)
    assert turns.waiting == []


async def test_runs_again_is_false_for_a_connection_that_is_queued_outside_its_turn(turns):
    seen = [turns.runs_again]
    job = Job(turns, [0.006, 0.006])
    turns.process(job)  # uses up its slice, and asks for a turn
    seen.append(turns.runs_again)
    await until(lambda: not job.costs)
    seen.append(turns.runs_again)
    assert seen == [False, False, False]


async def test_process_after_the_turn_time_is_used_up_waits_for_a_turn(turns):
    jobs = [Job(turns, [0.012]) for _ in range(4)]
    for job in jobs:
        turns.process(job)
    assert [bool(job.costs) for job in jobs] == [False, False, True, True]
    assert set(turns.waiting) == set(jobs[2:])
    await run_pending()
    assert not any(job.costs for job in jobs)
    assert repr(turns) == "<Turns idle>"


async def test_work_beyond_a_slice_continues_after_other_connections(turns):
    log = []
    first = Job(turns, [0.002] * 6, log=log)
    second = Job(turns, [0.002] * 3, log=log)
    for job in (first, second):
        turns.process(job)
    await run_pending()
    assert log == [first] * 3 + [second] * 3 + [first] * 3


async def test_one_turn_of_the_loop_takes_no_longer_than_the_turn_time_and_a_slice(turns):
    jobs = [Job(turns, [0.001] * 20) for _ in range(30)]
    for job in jobs:
        turns.process(job)
    while any(job.costs for job in jobs):
        before = turns.clock()
        await asyncio.sleep(0)
        assert turns.clock() - before <= 0.026
    await run_pending()


@pytest.mark.parametrize("size", [0, 262_144])
async def test_cheap_request_passes_expensive_ones_after_at_most_one_of_them(turns, size):
    """Any number of connections may have large requests that arrive at the same moment."""
    log = []
    for _ in range(90):
        turns.process(Job(turns, [0.05] * 5, size=size, log=log))
    for _ in range(5):
        await asyncio.sleep(0)
    asked = len(log)
    cheap = Job(turns, [0.0001], log=log)
    turns.process(cheap)
    await run_pending()
    assert log.index(cheap) - asked <= 1


async def test_connection_with_frequent_cheap_requests_stays_ahead_of_floods(turns):
    """In the end, an ordinary client has used more time than a flood used of one slice."""
    log = []
    for _ in range(250):
        turns.process(Job(turns, [0.001] * 1000, log=log))
    ordinary = Job(turns, [], log=log)
    for _ in range(200):
        ordinary.costs = [0.0004]
        asked = turns.clock()
        turns.process(ordinary)
        while ordinary.costs:  # noqa: ASYNC110 - turns of the loop are what is counted
            await asyncio.sleep(0)
        assert turns.clock() - asked <= 0.06
        for _ in range(4):
            await asyncio.sleep(0)
    turns.close()


async def test_connection_that_used_least_time_is_served_first(turns):
    """A connection with many cheap requests is served like one with a single request."""
    log = []
    hogs = [Job(turns, [0.004] * 50, log=log) for _ in range(20)]
    for job in hogs:
        turns.process(job)
    for _ in range(40):
        await asyncio.sleep(0)
    polite = Job(turns, [], log=log)
    for _ in range(10):
        polite.costs.append(0.0002)
        asked = len(log)
        turns.process(polite)
        for _ in range(4):
            await asyncio.sleep(0)
        assert log[asked:].index(polite) <= 4  # two slices of two requests


async def test_expensive_request_is_answered_during_endless_cheap_ones(turns):
    for _ in range(2):
        turns.process(Job(turns, [0.02]))
    expensive = Job(turns, [0.05], size=262_144)
    turns.process(expensive)
    for _ in range(100):
        if not expensive.costs:
            break
        for _ in range(30):
            turns.process(Job(turns, [0.001]))
        await asyncio.sleep(0)
    assert not expensive.costs


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.lists(st.floats(0, 0.1), min_size=1, max_size=8), st.integers(0, 300_000)),
        min_size=1,
        max_size=20,
    )
)
async def test_every_connection_is_served_eventually_and_in_its_own_order(given_jobs):
    turns = Turns(turn_time=0.02, slice_time=0.005, clock=Clock())
    log = []
    jobs = [Job(turns, costs, size, log) for costs, size in given_jobs]
    for job in jobs:
        turns.process(job)
    for _ in range(2000):
        if repr(turns) == "<Turns idle>":
            break
        await asyncio.sleep(0)
    assert sorted(map(id, log)) == sorted(
        id(job) for job, (costs, _) in zip(jobs, given_jobs, strict=True) for _ in costs
    )
    assert repr(turns) == "<Turns idle>"


@pytest.mark.parametrize(("size", "count"), [(0, 201), (9_000, 21), (19_000, 11)])
async def test_expected_tasks_use_up_a_turn_by_their_number_and_size(size, count):
    turns = Turns(turn_time=0.02005, slice_time=0.005, clock=Clock())
    started = []

    class Starter(Job):
        def work(self):
            started.append(self)
            turns.expect(size)

    for _ in range(4 * count):
        turns.process(Starter(turns, []))
    assert len(started) == count
    while turns.waiting:
        before = len(started)
        await asyncio.sleep(0)
        assert len(started) - before <= count
    assert len(started) == 4 * count
    await run_pending()


async def test_every_fourth_turn_begins_with_the_connection_that_waited_longest(turns):
    turns.process(Job(turns, [0.03]))
    oldest = Job(turns, [0.001], size=10_000_000)
    turns.process(oldest)
    while oldest.costs:
        for _ in range(30):  # more than a turn takes, and each has used less
            turns.process(Job(turns, [0.001]))
        await asyncio.sleep(0)
    assert turns._turns == 4
    await run_pending()


async def test_turns_after_a_pause_begin_with_new_budgets(turns):
    for _ in range(2):
        log = []
        first = Job(turns, [0.006] * 6, log=log)
        large = Job(turns, [0.001], size=36_384, log=log)  # expected to take 0.002 s more
        turns.process(first)  # uses up a slice of 0.005 s
        turns.process(large)
        await run_pending()
        assert log == [first, large, *[first] * 5]


@pytest.mark.parametrize(
    ("size", "cost", "slice_time", "count"),
    [(4096, 0.25, 0.5, 3), (1, 0.25, 0.5, 3), (1, 0.125, 0.625, 6)],
)  # the first line begins the slice
async def test_line_server_ends_its_turn_once_the_slice_is_used_up(size, cost, slice_time, count):
    clock = Clock()
    answered = []

    def handler(line):
        clock.now += cost
        answered.append(line)
        return b""

    limits = LineServerLimits(line=5000)
    connection = LineServerConnection(handler, None, Future.result, None, bytes, None, limits)
    connection.limits = replace(limits, slice_time=slice_time)
    connection.turns = Turns(turn_time=100.0, slice_time=slice_time, clock=clock)
    transport = MemoryTransport(connection)
    transport.feed((b"x" * size + b"\n") * 9)
    assert len(answered) == count
    await run_pending()
    assert len(answered) == 9
    transport.lose(None)
    await run_pending()


async def test_more_data_while_waiting_pauses_reading_until_the_turn(turns):
    turns.process(Job(turns, [0.03]))
    job = Job(turns, [0.001])
    turns.process(job)
    assert not job.is_paused
    turns.process(job)
    assert job.is_paused
    await run_pending()
    assert not job.is_paused
    assert not job.costs


async def test_discarded_connection_takes_no_turn(turns):
    turns.process(Job(turns, [0.03]))
    job, other = Job(turns, [0.001]), Job(turns, [0.001])
    turns.process(job)
    turns.process(other)
    turns.discard(job)
    await run_pending()
    assert job.costs
    assert not other.costs


async def test_work_that_raises_does_not_stop_the_others(turns):
    class Broken(Job):
        def work(self):
            raise ZeroDivisionError

    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    turns.process(Job(turns, [0.03]))
    turns.process(Broken(turns, [0.001]))
    job = Job(turns, [0.001])
    turns.process(job)
    await run_pending()
    assert not job.costs
    assert [type(error["exception"]) for error in errors] == [ZeroDivisionError]


async def test_closed_turns_run_nothing(turns):
    turns.process(Job(turns, [0.03]))
    job = Job(turns, [0.001])
    turns.process(job)
    turns.close()
    await run_pending()
    assert job.costs


async def flood(server, number, lines):
    """Open connections and send lines on each, without reading the replies."""
    peers = []
    for _ in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
        writer.write(lines)
        peers.append((reader, writer))
    return peers


async def test_line_server_answers_a_cheap_line_while_expensive_ones_wait():
    clock = Clock()
    answered = []

    def handler(line):
        clock.now += 0.3 if line == b"expensive" else 0.0
        answered.append(line)
        return line

    async with await listen_lines(LOCAL, handler) as server:
        server._shared.turns.clock = clock
        server._shared.turns.restart()
        hogs = await flood(server, 50, b"expensive\n" * 20)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
        await until(lambda: b"expensive" in answered)
        asked = len(answered)
        writer.write(b"cheap\n")
        assert await reader.readline() == b"cheap\n"
        assert answered.index(b"cheap") - asked < 10
        for other, hog in hogs:
            assert await other.readexactly(20 * 10) == b"expensive\n" * 20
            hog.close()
        writer.close()


async def test_large_lines_after_many_cheap_ones_end_their_slice():
    clock, turns = Clock(), []

    def handler(line):
        if len(line) > 4096:
            clock.now += 0.006  # more than a slice
            turns.append(server._shared.turns._turns)
        return line[:5]

    async with await listen_lines(LOCAL, handler) as server:
        server._shared.turns.clock = clock
        server._shared.turns.restart()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
        writer.write(b"cheap\n" * 100)
        await reader.readexactly(600)
        writer.write((b"large" * 1000 + b"\n") * 4)
        assert await reader.readexactly(24) == b"large\n" * 4
        assert turns.count(turns[0]) <= 2  # the first begins the slice, the second exceeds it
        writer.close()


async def test_shed_without_waiting_connections_does_nothing():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        (reader, writer), *_ = await flood(server, 1, b"a\n")
        assert await reader.readline() == b"A\n"
        server.shed()
        writer.write(b"b\n")
        assert await reader.readline() == b"B\n"
        assert server.counters.overloaded == 0
        writer.close()


def test_shed_after_the_loop_is_closed_raises_runtime_error():
    async def open_and_close():
        async with await listen_lines(LOCAL, bytes.upper, limits=LineServerLimits()) as server:
            return server

    server = asyncio.run(open_and_close())
    with pytest.raises(RuntimeError):
        server.shed()


@pytest.mark.parametrize("used", [10, 200])
async def test_new_flood_shares_the_time_with_one_that_has_used_much(turns, used):
    log = []
    old = Job(turns, [0.005] * 1000, log=log)
    turns.process(old)
    while len(log) < used:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    new = Job(turns, [0.005] * 1000, log=log)
    log.clear()
    turns.process(new)
    while len(log) < 40:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    turns.close()
    assert 15 <= log.count(new) <= 25


async def test_only_bytes_beyond_an_ordinary_request_delay_a_connection(turns):
    turns.process(Job(turns, [0.03]))
    sizes = [16_384, 0, 16_385, 1000, 16_384]
    jobs = [Job(turns, [0.001], size=size) for size in sizes]
    for job in jobs:
        turns.process(job)
    assert [sizes[jobs.index(job)] for job in turns.waiting] == [16_384, 1000, 0, 16_384, 16_385]
    await run_pending()


async def test_process_without_contention_gives_each_connection_a_whole_slice(turns):
    turns.process(Job(turns, [0.001]))
    turns.clock.now += 0.01
    job = Job(turns, [0.002, 0.002])
    turns.process(job)
    assert not job.costs


async def test_connections_share_the_time_and_not_the_number_of_their_turns(turns):
    log = []
    brief = Job(turns, [0.005] * 400, log=log)
    slow = Job(turns, [0.02] * 100, log=log)
    for job in (slow, brief):
        turns.process(job)
    while len(log) < 100:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    turns.close()
    assert 3.5 <= log.count(brief) / log.count(slow) <= 4.5


async def test_expected_time_of_tasks_counts_as_used_by_the_connection_that_started_them(turns):
    log = []

    class Starter(Job):
        def work(self):
            super().work()
            turns.expect(150_000)  # 0.0151 s more

    starter = Starter(turns, [0.005] * 400, log=log)
    other = Job(turns, [0.005] * 400, log=log)
    for job in (starter, other):
        turns.process(job)
    while len(log) < 100:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    turns.close()
    assert 3.5 <= log.count(other) / log.count(starter) <= 4.5


async def test_nothing_is_kept_of_connections_once_the_queue_is_empty(turns):
    turns.process(Job(turns, [0.03]))
    jobs = [Job(turns, [0.03] * 3, size=100_000 * number) for number in range(5)]
    for job in jobs:
        turns.process(job)
    turns.discard(jobs.pop())
    await until(lambda: repr(turns) == "<Turns idle>")
    assert not turns._heap
    assert not turns._used


async def test_used_time_of_a_connection_that_ended_is_forgotten_at_once(turns):
    log = []
    hog, job = Job(turns, [0.006] * 20, log=log), Job(turns, [0.006] * 20, log=log)
    turns.process(hog)
    while log.count(hog) < 10:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    turns.process(job)
    assert hog in turns._used
    turns.discard(hog)
    assert hog not in turns._used
    await run_pending()


async def test_turn_ends_exactly_at_its_time():
    turns = Turns(turn_time=1.0, slice_time=0.25, clock=Clock())
    log = []
    jobs = [Job(turns, [0.25] * 8, log=log) for _ in range(4)]
    turns.process(jobs[0])
    for job in jobs[1:]:
        turns.process(job)
    counts = []
    while turns.waiting:
        before = len(log)
        await asyncio.sleep(0)
        counts.append(len(log) - before)
    assert max(counts) == 4
    assert len(log) == 32
    await run_pending()
