"""The responses of one turn of the event loop are sent together at its end."""

import asyncio

import pytest
from kakuri_http import Response, Router, serve
from kakuri_http.server._outbox import _MAX_WAITING, Outbox
from kakuri_tcp.testing import until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Sender:
    def __init__(self, sent, name):
        self.sent, self.name = sent, name

    def flush(self):
        if isinstance(self.name, Exception):
            raise self.name
        self.sent.append(self.name)


async def test_responses_of_a_turn_are_sent_at_its_end_in_their_order():
    outbox, sent = Outbox(), []
    for name in "abc":
        outbox.add(Sender(sent, name))
    assert sent == []
    await asyncio.sleep(0)
    assert sent == ["a", "b", "c"]
    outbox.add(Sender(sent, "d"))
    await asyncio.sleep(0)
    assert sent[3:] == ["d"]


async def test_many_responses_do_not_wait_for_the_end_of_the_turn():
    outbox, sent = Outbox(), []
    for number in range(_MAX_WAITING + 1):
        outbox.add(Sender(sent, number))
    assert sent == [*range(_MAX_WAITING)]
    await asyncio.sleep(0)
    assert sent[_MAX_WAITING:] == [_MAX_WAITING]


async def test_sender_that_raises_is_reported_and_the_others_send():
    outbox, sent, reported = Outbox(), [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    error = KeyError("a")
    for name in ("first", error, "last"):
        outbox.add(Sender(sent, name))
    await until(lambda: len(sent) == 2)
    assert (sent, reported) == (["first", "last"], [error])


class Site:
    """A server whose handler returns a future that the test completes."""

    def __init__(self):
        self.replies = []
        self.router = Router()
        self.router.add("GET", "/", self.handle)

    def handle(self, _request):
        reply = asyncio.get_running_loop().create_future()
        self.replies.append(reply)
        return reply


@pytest.mark.parametrize("ending", ["drain", "sweep", "eof", "nothing"])
async def test_response_that_is_ready_is_sent_even_if_its_connection_closes_in_the_same_turn(
    ending,
):
    site = Site()
    async with await serve("127.0.0.1:0", site.router) as server:
        peers = [await asyncio.open_connection(*address_of(server)) for _ in range(3)]
        for _, writer in peers:
            writer.write(GET)
        await until(lambda: len(site.replies) == 3)
        connections = list(server._table.connections)
        for connection, reply in zip(connections, site.replies, strict=True):
            reply.set_result(Response(200, b"content"))
            # As asyncio would do in the next turn; nothing else runs in between.
            reply.remove_done_callback(connection._handler_done)
            connection._handler_done(reply)
            assert connection._out
        draining = asyncio.create_task(server.drain(5)) if ending == "drain" else None
        if ending == "eof":
            for connection in connections:
                connection.turns._is_contended = True  # so that it has to wait for its turn
                connection.receive_eof()
                assert connection._out == []
        if ending == "sweep":
            for connection in connections:
                connection.idle()
        for reader, writer in peers:
            assert (await reader.readuntil(b"content")).startswith(b"HTTP/1.1 200")
            if ending != "nothing":
                assert await reader.read() == b""
            writer.close()
        if draining is not None:
            await draining


async def test_response_is_written_once_if_its_connection_is_aborted_during_the_write():
    site = Site()
    async with await serve("127.0.0.1:0", site.router) as server:
        reader, writer = await asyncio.open_connection(*address_of(server))
        writer.write(GET)
        await until(lambda: site.replies)
        (connection,) = server._table.connections
        written, write = [], connection.write

        def write_and_abort(data):  # as a server that is short of memory does
            written.append(data)
            write(data)
            if len(written) == 1:
                connection.abort()

        connection.write = write_and_abort
        site.replies[0].set_result(Response(200, b"content"))
        assert (await reader.readuntil(b"content")).startswith(b"HTTP/1.1 200")
        assert len(written) == 1
        writer.close()


def address_of(server):
    return server.endpoint.host, server.endpoint.port
