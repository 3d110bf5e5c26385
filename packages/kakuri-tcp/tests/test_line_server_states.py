"""Every input at every state of a line server's connection: replies in order, or a clean end."""

import asyncio
from asyncio import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_tcp import IdleTimeout, LargeReply, LineServerLimits, Overloaded
from kakuri_tcp._line_server_connection import LineServerConnection
from kakuri_tcp._shared import SharedResources
from kakuri_tcp._turns import Turns
from kakuri_tcp.testing import MemoryTransport, run_pending

LIMITS = LineServerLimits(
    line=5, requests_in_flight=3, write_buffer=8, idle_timeout=3, line_timeout=2, write_timeout=2
)

PIECES = [b"i1\n", b"w2\n", b"w3\ni4\n", b"i", b"\n", b"\r\n", b"w"]
ORDINARY = st.one_of(
    st.tuples(st.just("feed"), st.sampled_from(PIECES)),
    st.tuples(st.just("feed"), st.sampled_from(PIECES)),
    st.tuples(st.just("answer"), st.just(None)),
    st.tuples(st.just("take"), st.integers(1, 20)),
    st.tuples(st.just("sweep"), st.integers(0, 1)),
)
ENDINGS = st.sampled_from(
    [
        ("feed", b"x5\n"),
        ("feed", b"long!!"),
        *((verb, None) for verb in ("fail", "eof", "drain", "break")),
    ]
)


class Peer:
    """A peer and a handler driven by the test, which record what they did."""

    def __init__(self, shared=None):
        self.requests = []
        self.waiting = []
        self.now = 0.0
        self.received = b""
        self.connection = LineServerConnection(
            self.handle, lambda error: b"fault", Future.result, None, bytes, None, LIMITS
        )
        self.connection.attach(self, "peer", LIMITS, shared)
        self.ended = 0
        self.transport = MemoryTransport(self.connection)

    def connection_ended(self, connection, fault):
        self.ended += 1

    def handle(self, line):
        """Answer at once (i), fail (x), or later (w, and anything else)."""
        self.requests.append(line)
        if line.startswith(b"i"):
            return b"<" + line + b">"
        if line.startswith(b"x"):
            raise ZeroDivisionError
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((future, line))
        return future

    def act(self, action, argument):
        match action:
            case "feed":
                self.transport.feed(argument)
            case "eof":
                self.transport.feed_eof()
            case "take":
                self.received += self.transport.take(argument)
            case "sweep":
                self.now += argument
                self.connection.sweep(self.now)
            case "drain":
                self.connection.drain()
            case "break":
                self.transport.lose(ConnectionResetError())
            case "answer" if self.waiting:
                future, line = self.waiting.pop()
                if not future.done():
                    future.set_result(b"<" + line + b">")
            case "fail" if self.waiting:
                future, _ = self.waiting.pop(0)
                if not future.done():
                    future.set_exception(ZeroDivisionError())


@given(st.lists(ORDINARY, max_size=20), ENDINGS, st.lists(ORDINARY, max_size=8))
async def test_replies_are_in_order_for_every_sequence_of_events(before, ending, after):
    peer = Peer()
    for action in [*before, ending, *after]:
        peer.act(*action)
        await run_pending()
        # What the peer can make us hold is bounded, at any time.
        assert len(peer.connection._waiting) <= LIMITS.requests_in_flight
        assert peer.transport.get_write_buffer_size() <= 2 * LIMITS.write_buffer + 3 * len(
            b"<12345>\n"
        )
    peer.received += peer.transport.take()
    replies = peer.received.split(b"\n")[:-1]
    expected = [b"<" + request + b">" for request in peer.requests]
    if b"fault" in replies:
        assert replies.index(b"fault") == len(replies) - 1
        replies.pop()
    assert replies == expected[: len(replies)]
    peer.connection.abort()
    await run_pending()
    assert peer.ended == 1
    assert all(future.done() for future, _ in peer.waiting)


@pytest.mark.parametrize("fails", [True, False])
async def test_reply_that_fails_after_its_connection_ended_is_logged(caplog, fails):
    async def handler():
        try:
            await asyncio.Event().wait()
        finally:
            if fails:
                raise ZeroDivisionError

    connection = LineServerConnection(
        lambda line: handler(), None, Future.result, None, bytes, None, LIMITS
    )
    connection.limits = LIMITS
    transport = MemoryTransport(connection)
    transport.feed(b"w1\n")
    await run_pending()
    transport.lose(None)
    await run_pending()
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * fails


async def test_fault_that_ended_a_connection_stays_when_its_input_is_discarded():
    connection = LineServerConnection(
        lambda line: line, None, Future.result, None, bytes, None, LIMITS
    )
    connection.limits = LIMITS
    transport = MemoryTransport(connection)
    first, second = Overloaded("unfinished_input"), Overloaded("unsent_output")
    connection.discard_input(first)
    connection.discard_input(second)
    assert connection.fault is first
    transport.lose(None)
    await run_pending()


async def test_lines_that_waited_for_the_peer_to_read_are_answered_once_it_does():
    peer = Peer()
    peer.act("feed", b"i%d\n" * 9 % tuple(range(9)))
    assert len(peer.requests) < 9
    for _ in range(9):
        await run_pending()
        peer.act("take", 100)
    assert peer.received == b"".join(b"<i%d>\n" % number for number in range(9))
    peer.connection.abort()
    await run_pending()


@pytest.mark.parametrize(("seconds", "is_late"), [(1.99, False), (2.0, True)])
async def test_incomplete_line_closes_the_connection_at_line_timeout(seconds, is_late):
    peer = Peer()
    peer.act("sweep", 100)
    peer.act("feed", b"i")
    peer.act("sweep", 0)  # the line has begun
    peer.act("sweep", seconds)
    assert isinstance(peer.connection.fault, IdleTimeout) is is_late


async def test_discarded_input_cancels_the_waiting_requests_and_closes_the_connection():
    peer = Peer()
    peer.act("feed", b"w1\nw2\nw3")
    peer.connection.discard_input(Overloaded("unfinished_input"))
    await run_pending()
    assert peer.connection.is_closing
    assert peer.connection.unprocessed() == 0
    assert [future.cancelled() for future, _ in peer.waiting] == [True, True]
    peer.act("feed", b"\ni4\n")
    await run_pending()
    assert peer.requests == [b"w1", b"w2"]
    peer.connection.abort()
    await run_pending()
    assert isinstance(peer.connection.fault, Overloaded)


async def test_connection_is_busy_while_it_owes_a_reply_or_waits_for_its_turn():
    peer = Peer()
    connection = peer.connection
    assert not connection.is_busy
    peer.act("feed", b"w1\n")
    assert connection.is_busy
    peer.act("answer", None)
    await run_pending()
    assert connection.is_busy  # the reply was not received
    peer.act("take", 100)
    assert not connection.is_busy
    connection.turns = Turns(turn_time=0.02, slice_time=0.005)
    connection.process_later()
    assert connection.is_busy
    await run_pending()
    assert not connection.is_busy
    connection.abort()
    await run_pending()


async def test_unanswered_input_counts_in_the_shared_budget_until_it_is_answered():
    shared = SharedResources(LIMITS)
    peer = Peer(shared)
    held = []
    for action in (
        ("feed", b"i1\n"),
        ("feed", b"wa"),
        ("feed", b"it"),  # a part of a line
        ("feed", b"\n"),
        ("feed", b"w\nw\ni1\ni2\n"),  # lines that wait for a reply, because three are in flight
        ("answer", None),
        ("answer", None),
        ("answer", None),
        ("feed", b"i6\n" * 9),  # lines that wait until the peer reads
        ("take", 100),
        ("take", 100),
        ("take", 100),
        ("take", 100),
        ("feed", b"wait"),
        ("break", None),
    ):
        peer.act(*action)
        await run_pending()
        assert shared.input.total == peer.connection.unprocessed() * (action[0] != "break")
        held.append(shared.input.total)
    assert held[:5] == [0, 2, 4, 0, 6]
    assert held[8] > 0
    assert held[12:] == [0, 4, 0]


async def test_reply_that_is_ready_when_the_handler_returns_is_sent_at_once():
    def handle(line):
        future = asyncio.get_running_loop().create_future()
        future.set_result(b"<" + line + b">")
        return future

    connection = LineServerConnection(handle, None, Future.result, None, bytes, None, LIMITS)
    connection.limits = LIMITS
    transport = MemoryTransport(connection)
    transport.feed(b"a\nb\n")
    assert transport.take() == b"<a>\n<b>\n"
    connection.abort()
    await run_pending()


@pytest.mark.parametrize(("is_task", "counted"), [(False, 0), (True, 2e-4)])
async def test_turn_is_charged_for_tasks_but_not_for_futures(is_task, counted):
    futures = []

    async def wait():
        return b""

    def handle(line):
        futures.append(asyncio.get_running_loop().create_future())
        return wait() if is_task else futures[-1]

    connection = LineServerConnection(handle, None, Future.result, None, bytes, None, LIMITS)
    connection.limits = LIMITS
    connection.turns = Turns(turn_time=0.02, slice_time=0.005, clock=lambda: 0.0)
    transport = MemoryTransport(connection)
    transport.feed(b"a\nb\n")
    assert len(futures) == 2
    assert connection.turns._expected == pytest.approx(counted, rel=0.1)
    connection.abort()
    await run_pending()


def attached(handle, limits=LIMITS):
    shared = SharedResources(limits)
    connection = LineServerConnection(handle, None, Future.result, None, bytes, None, limits)
    connection.attach(Peer(), "peer", limits, shared)
    return connection, MemoryTransport(connection), shared


async def test_discarded_replies_no_longer_count_in_the_shared_budget():
    peer = Peer(shared := SharedResources(LIMITS))
    peer.act("feed", b"w1\ni2\n")
    assert shared.output.total == len(b"<i2>")
    peer.connection.discard_input(Overloaded("unfinished_input"))
    assert shared.output.total == 0
    peer.act("break", None)
    await run_pending()


async def test_lingering_connection_whose_peer_reads_no_longer_counts_in_the_shared_budget():
    peer = Peer(shared := SharedResources(LIMITS))
    peer.connection.write(b"x" * 100)
    assert shared.output.total == 100
    peer.connection.close_lingering()
    peer.act("take", 100)
    await run_pending()
    assert peer.ended == 0
    assert shared.output.total == 0
    peer.act("break", None)
    await run_pending()


async def test_pause_of_writing_does_not_change_how_long_a_connection_holds_replies():
    peer = Peer(shared := SharedResources(LIMITS))
    shared.turns.clock = lambda: now
    now = 1.0
    peer.act("feed", b"w1\ni2\n")
    now = 2.0
    peer.connection.write(b"x" * 100)  # pauses
    assert shared.output._held[peer.connection] == (len(b"<i2>") + 100, 1.0)
    now = 3.0
    peer.act("take", 100)  # resumes
    assert shared.output._held[peer.connection][0] == len(b"<i2>")
    peer.act("break", None)
    await run_pending()
    assert shared.output.total == 0


async def test_large_replies_count_in_the_shared_budget_once_they_exist():
    made = []

    def handle(line):
        made.append(asyncio.get_running_loop().create_future())
        return LargeReply(made[-1], 3)

    connection, transport, shared = attached(handle)
    transport.feed(b"a\nb\nc\n")
    await run_pending()
    assert (len(made), shared.output.total) == (3, 0)
    made[1].set_result(b"b")  # the first reply holds it back
    await run_pending()
    assert shared.output.total == 3
    made[0].set_result(b"a")
    await run_pending()
    assert transport.take() == b"a\nb\n"
    assert (shared.output.total, connection._pending_bytes) == (0, 3)
    transport.feed(b"d\n")
    connection.abort()
    await run_pending()
    assert (shared.output.total, connection._pending_bytes) == (0, 0)
    assert made[2].cancelled()
