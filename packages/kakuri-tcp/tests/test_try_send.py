"""Request lines that are sent without a coroutine, and what their receivers get."""

import asyncio

import pytest
from kakuri_tcp import (
    ConnectFailed,
    Endpoint,
    LineClient,
    LineClientLimits,
    RequestLost,
    RequestTimeout,
    listen_lines,
)
from kakuri_tcp._line_client_connection import LineClientConnection
from kakuri_tcp.testing import MemoryTransport, run_pending

ANY_PORT = Endpoint.parse("127.0.0.1:0")


class Receiver:
    """Keeps what it receives, and the tasks that ran at that moment."""

    def __init__(self):
        self.received = []
        self.is_done = False

    def done(self):
        return self.is_done

    def receive(self, line):
        self.received.append((line, asyncio.current_task()))

    def fail(self, error):
        self.received.append((type(error), asyncio.current_task()))


async def test_line_is_not_sent_before_there_is_a_connection():
    receiver = Receiver()
    async with (
        await listen_lines(ANY_PORT, lambda line: line) as server,
        LineClient(server.endpoint) as client,
    ):
        assert not client.try_send(b"a", receiver)
        assert client.in_flight == 0
        await client.request(b"b")
        assert client.try_send(b"c", receiver)
        assert client.in_flight == 1
        await client.request(b"d")
    assert receiver.received == [(b"c", None)]


async def test_line_is_not_sent_while_as_many_are_in_flight_as_may_be():
    limits = LineClientLimits(requests_in_flight=2)
    receiver = Receiver()
    async with (
        await listen_lines(ANY_PORT, lambda line: line) as server,
        LineClient(server.endpoint, limits=limits) as client,
    ):
        await client.request(b"a")
        assert [client.try_send(b"b", receiver) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("line", "error"), [("a", TypeError), (b"a\n", ValueError), (b"a\r", ValueError)]
)
async def test_line_that_cannot_be_a_request_raises_type_or_value_error(line, error):
    async with LineClient(ANY_PORT) as client:
        with pytest.raises(error):
            client.try_send(line, Receiver())


async def test_receiver_of_a_sent_request_is_notified_of_its_loss():
    link = LineClientConnection("peer", LineClientLimits(), lambda link: None)
    MemoryTransport(link)
    sent, unsent = Receiver(), Receiver()
    link.send(b"a", sent, 1e9, 1.0)
    await run_pending()
    link.send(b"b", unsent, 1e9, 1.0)
    link.abort()
    await run_pending()
    assert [sent.received, unsent.received] == [[(RequestLost, None)], [(ConnectFailed, None)]]


async def test_receiver_may_send_again_when_its_request_times_out():
    link = LineClientConnection("peer", LineClientLimits(), lambda link: None)
    MemoryTransport(link)

    class Again(Receiver):
        def fail(self, error):
            super().fail(error)
            self.is_done = True
            link.send(b"b", Receiver(), 1e9, 1.0)

    late, second = Again(), Again()
    for receiver in (late, second):
        link.send(b"a", receiver, link.loop.time() - 1, 1.0)
    link._timer.cancel()
    link._tick()
    assert [kind for each in (late, second) for kind, _ in each.received] == [RequestTimeout] * 2
    assert len(link.pending) == 4
    link.abort()
    await run_pending()


async def test_reply_to_a_receiver_that_is_done_is_dropped():
    receiver, other = Receiver(), Receiver()
    async with (
        await listen_lines(ANY_PORT, lambda line: line) as server,
        LineClient(server.endpoint) as client,
    ):
        await client.request(b"a")
        client.try_send(b"b", receiver)
        client.try_send(b"c", other)
        receiver.is_done = True
        await client.request(b"d")
    assert (receiver.received, [line for line, _ in other.received]) == ([], [b"c"])


def link_with_replies(number, replies):
    """Return a connection with requests, whose transport has received replies in one read."""
    link = LineClientConnection("peer", LineClientLimits(), lambda link: None)
    MemoryTransport(link)
    received = []

    class Counting(Receiver):
        def receive(self, line):
            received.append(int(line))

        def fail(self, error):
            received.append(type(error))

    for count in range(number):
        link.send(b"%d" % count, Counting(), 1e9, 1.0)
    link._flush()
    link.data_received(b"".join(b"%d\n" % count for count in range(replies)))
    return link, received


async def test_replies_that_arrive_together_are_handed_over_in_several_turns():
    link, received = link_with_replies(500, 500)
    turns = [len(received)]
    link.data_received(b"")  # what an event loop has read before the pause
    for _ in range(2):
        await asyncio.sleep(0)
        turns.append(len(received))
    assert turns == [200, 400, 500]
    assert received == list(range(500))
    link.abort()
    await run_pending()


async def test_replies_that_wait_for_their_turn_are_handed_over_when_the_peer_ends():
    link, received = link_with_replies(500, 500)
    link.receive_eof()
    assert received == list(range(500))
    await run_pending()
    assert link.fault is None


async def test_replies_that_wait_for_their_turn_are_handed_over_when_the_connection_is_lost():
    link, received = link_with_replies(500, 450)
    link.abort()
    await run_pending()
    assert received == [*range(450), *([RequestLost] * 50)]


async def test_line_without_a_request_that_waits_for_its_turn_ends_the_connection():
    link, received = link_with_replies(300, 301)
    await run_pending()
    assert received == list(range(300))
    assert str(link.fault).endswith("the peer sent a line without a request: '300'")


async def test_line_without_a_request_is_quoted_with_escapes_up_to_200_bytes():
    link = LineClientConnection("peer", LineClientLimits(), lambda link: None)
    MemoryTransport(link)
    link.data_received(b"\x1b[2J\xff" + b"x" * 196 + b"\n")
    await run_pending()
    quoted = r"'\x1b[2J\xff" + "x" * 195 + "'"
    assert str(link.fault).endswith(f"the peer sent a line without a request: {quoted}")
