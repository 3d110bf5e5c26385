"""What all connections of a server share: room, memory and time."""

import asyncio
import socket
import time

import pytest
from kakuri_grpc import Channel, Limits, Processed, Server, Unavailable
from kakuri_grpc._framing import frame_message
from kakuri_grpc._turn import Turn
from kakuri_http2 import ClientConnection, ClientDriver, Data, ExchangeEnded, Request
from kakuri_http2 import Limits as HTTP2Limits
from kakuri_http2 import _frames as frames
from kakuri_tcp import Overloaded, ServerLimits
from kakuri_tcp._turns import Turns
from kakuri_tcp.testing import until

from .echo_service import BOTH, UNARY, UP, EchoRequest, EchoResponse, our_server

MIB = 1 << 20
MEBIBYTE = frame_message(b"\x10\x80\x80\x40")
"""A request with a response of that size."""


async def started(tmp_path, **limits):
    server = our_server(limits=Limits(server=ServerLimits(**limits)))
    server.where = await server.listen(f"unix:{tmp_path}/s")
    return server


def counters(server):
    return server._servers[0].counters


async def raw_client(server, **limits):
    _, client = await asyncio.get_running_loop().create_unix_connection(
        lambda: ClientDriver(HTTP2Limits(**limits)), server.where.path
    )
    return client


def head(method):
    fields = ((b"content-type", b"application/grpc"),)
    return Request(b"POST", method.path.encode(), b"x", fields, b"http")


async def send_parts(client):
    """Send the first third of five requests of 3 MiB, and wait for a response."""
    calls = [await client.open(head(UP)) for _ in range(5)]
    part = frame_message(bytes(3 * MIB))[:MIB]
    await asyncio.gather(*(call.send(part) for call in calls))
    await calls[0].response()


async def request_responses(client):
    """Request five responses of 1 MiB, and read nothing of them but their heads."""
    for _ in range(5):
        call = await client.open(head(UNARY))
        await call.send(MEBIBYTE, end=True)
        await call.response()


async def responses(server):
    """Return whether another client is served."""
    async with Channel(server.where) as channel:
        response = await channel.call(UNARY, EchoRequest(text="1"), timeout=10, wait_for_ready=True)
        return response == EchoResponse(text="1")


async def test_connection_with_a_call_is_kept_and_one_beyond_the_limit_closed(tmp_path):
    async with (
        await started(tmp_path, connections=1, write_timeout=0.08) as server,  # frequent sweeps
        Channel(server.where) as channel,
    ):
        async with await channel.stream(BOTH, timeout=10) as call:
            await call.send(EchoRequest(text="1"))
            assert await call.receive() == EchoResponse(text="1")
            reader, writer = await asyncio.open_unix_connection(server.where.path)
            assert await reader.read() == b""
            writer.close()
            await call.send(EchoRequest(text="2"))
            assert await call.receive() == EchoResponse(text="2")
        await until(lambda: not server._running)
        assert counters(server).refused == 1
        assert await responses(server)  # the idle connection makes room for this one
        assert counters(server).evicted


class UnreadTransport(asyncio.Transport):
    """A transport whose peer reads nothing."""

    def __init__(self):
        super().__init__()
        self.unsent = 0
        self.is_closed = False
        self.aborted = asyncio.Event()

    def write(self, data):
        self.unsent += len(data)

    def get_write_buffer_size(self):
        return self.unsent

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def set_protocol(self, protocol):
        pass

    def can_write_eof(self):
        return True

    def write_eof(self):
        pass

    def resume_reading(self):
        pass

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    def abort(self):
        self.aborted.set()


async def test_evicted_connection_is_aborted_if_its_client_does_not_read_the_goaway():
    connection, transport = Server()._new_connection(), UnreadTransport()
    connection.limits = ServerLimits(write_timeout=0.01)
    connection.connection_made(transport)
    connection.close_with(Overloaded("connections"))
    await asyncio.wait_for(transport.aborted.wait(), 10)
    connection.connection_lost(None)


async def test_idle_connection_is_closed_so_that_the_next_call_opens_another(tmp_path):
    async with (
        await started(tmp_path, idle_timeout=0.02) as server,
        Channel(server.where) as channel,
    ):
        async with await channel.stream(BOTH, timeout=10) as call:
            await call.send(EchoRequest(text="1"))
            assert await call.receive() == EchoResponse(text="1")
            await asyncio.sleep(0.1)
            await call.send(EchoRequest(text="2"), end=True)  # a connection with a call is not idle
            assert await call.receive() == EchoResponse(text="2")
        for count in (1, 2):
            await until(lambda: counters(server).idle_timeouts == count)  # noqa: B023
            await channel.call(UNARY, EchoRequest(), timeout=10)


async def test_parts_of_requests_of_all_connections_are_bounded(tmp_path):
    async with await started(tmp_path, unfinished_input=2 * MIB) as server:
        client = await raw_client(server)
        with pytest.raises(ExchangeEnded):
            await send_parts(client)
        await until(lambda: not server._running)
        assert counters(server).overloaded == 1
        assert await responses(server)
        await until(lambda: not server._connections)
        assert not server._servers[0]._shared.input.total


async def test_large_request_is_counted_until_it_is_decoded(tmp_path):
    async with await started(tmp_path) as server, Channel(server.where) as channel:
        budget = server._servers[0]._shared.input
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        server._resources.executor.submit(
            lambda: asyncio.run_coroutine_threadsafe(stop.wait(), loop).result()
        )
        call = asyncio.ensure_future(
            channel.call(UNARY, EchoRequest(payload=bytes(MIB)), timeout=10)
        )
        await until(lambda: budget.total > MIB)
        stop.set()
        assert len((await call).payload) == MIB
        assert not budget.total


async def test_request_that_its_handler_does_not_read_is_counted_until_the_call_ends(tmp_path):
    is_over = asyncio.Event()

    async def ignore(requests, call):
        await is_over.wait()
        return EchoResponse()

    async with Server() as server:
        server.add(UP, ignore)
        server.where = await server.listen(f"unix:{tmp_path}/s")
        budget = server._servers[0]._shared.input
        client = await raw_client(server)
        call = await client.open(head(UP))
        call.send_now(bytes(MIB))
        await until(lambda: budget.total == MIB)
        is_over.set()
        await until(lambda: not budget.total)
        client.close()


async def test_unprocessed_input_is_not_counted_after_the_end_of_the_stream(tmp_path):
    async with await started(tmp_path) as server:
        client = await raw_client(server)
        await until(lambda: server._connections)
        (connection,) = server._connections
        await until(lambda: connection.driver.connection._has_preface)
        connection.turns = Turns(turn_time=1e-9, slice_time=1e-9)
        for _ in range(2):  # the second time, it waits for its turn and stops reading
            connection.data_received(frames.frame(frames.PING, 1, 0, bytes(8)) * 4000)
        budget = server._servers[0]._shared.input
        assert budget.total > MIB >> 4
        connection.receive_eof()
        assert not budget.total
        client.close()


async def test_responses_that_wait_for_windows_of_all_connections_are_bounded(tmp_path):
    async with await started(tmp_path, unsent_output=2 * MIB) as server:
        client = await raw_client(server, stream_window=65_535)
        with pytest.raises(ExchangeEnded):
            await request_responses(client)
        assert counters(server).overloaded == 1
        assert await responses(server)


async def test_client_that_reads_nothing_is_aborted(tmp_path):
    async with await started(tmp_path, write_timeout=0.05) as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, server.where.path)
            connection = ClientConnection(HTTP2Limits(connection_window=64 * MIB))
            for _ in range(4):
                stream = connection.send(head(UNARY))
                connection.send(Data(stream, MEBIBYTE, end=True))
            await loop.sock_sendall(client, connection.data_to_send())
            await until(lambda: counters(server).write_timeouts == 1)
        await until(lambda: not server._connections)


@pytest.mark.parametrize("text", ["a", "a" * 100_000])
async def test_calls_complete_while_connections_wait_for_their_turn(tmp_path, text):
    async with (
        await started(tmp_path, turn_time=1e-9, slice_time=1e-9) as server,
        Channel(server.where) as one,
        Channel(server.where) as two,
    ):
        calls = [
            channel.call(UNARY, EchoRequest(text=text), timeout=10) for channel in (one, two) * 10
        ]
        assert await asyncio.gather(*calls) == [EchoResponse(text=text)] * 20
        async with await one.stream(UP, timeout=10) as call:
            for _ in range(100):
                await call.send(EchoRequest(text="a"))
            await call.end()
            assert await call.sole_response() == EchoResponse(text="a," * 99 + "a")


async def test_input_of_many_heads_is_processed_in_several_turns():
    connection = Server()._new_connection()
    connection.turns = Turns(turn_time=1e-9, slice_time=1e-9)
    connection.connection_made(UnreadTransport())
    client = ClientConnection()
    fields = tuple((b"x-%d" % number, b"x" * 400) for number in range(16))
    for _ in range(9):
        client.send(Request(b"POST", UP.path.encode(), b"x", fields, end=True))
    data = client.data_to_send()
    connection.data_received(data)
    left = [connection.unprocessed()]
    for _ in range(20):
        await asyncio.sleep(0)
        if connection.unprocessed() < left[-1]:
            left.append(connection.unprocessed())
    assert left == [len(data) - (1 << 14), len(data) - (2 << 14), len(data) - (3 << 14), 0]
    assert connection.driver.accepted == 9
    connection.connection_lost(None)


async def test_closing_server_ends_each_connection_with_its_last_call(tmp_path):
    async with (
        await started(tmp_path) as server,
        Channel(server.where) as idle,
        Channel(server.where) as busy,
    ):
        await idle.call(UNARY, EchoRequest(), timeout=10)
        async with await busy.stream(BOTH, timeout=10) as call:
            await call.send(EchoRequest(text="1"))
            assert await call.receive() == EchoResponse(text="1")
            closing = asyncio.ensure_future(server.close(grace=10))
            await until(lambda: len(server._connections) == 1)
            with pytest.raises(Unavailable):
                await idle.call(UNARY, EchoRequest(), timeout=10)
            await call.send(EchoRequest(text="2"), end=True)
            assert await call.receive() == EchoResponse(text="2")
            assert await call.receive() is None
        await closing


@pytest.mark.parametrize(("seconds", "turns"), [(1e-9, [1, 1, 1, 1]), (60.0, [4])])
async def test_calls_of_one_turn_end_with_its_time_and_others_continue_in_the_next(seconds, turns):
    turn, passed, counts = Turn(seconds), [], []

    async def call(number):
        await turn.wait()
        passed.append(number)

    calls = asyncio.gather(*map(call, range(4)))
    while not calls.done():
        await asyncio.sleep(0)
        if len(passed) > sum(counts):
            counts.append(len(passed) - sum(counts))
    assert passed == [0, 1, 2, 3]
    assert counts == turns


@pytest.mark.parametrize("end", [None, 5.0])
async def test_call_waits_for_the_next_turn_once_the_time_of_this_one_is_over(end, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    turn = Turn(60.0)
    if end is not None:
        turn.end = end
    began = asyncio.Event()
    asyncio.get_running_loop().call_soon(began.set)
    await turn.wait()
    assert began.is_set()
    assert turn.end == 65.0


async def test_handlers_of_an_aborted_connection_are_cancelled_at_once(tmp_path):
    produced = []

    async def produce(request, call):
        produced.append(call)
        return EchoResponse(payload=bytes(MIB))

    limits = Limits(server=ServerLimits(unsent_output=2 * MIB))
    async with Server(limits=limits) as server:
        server.add(UNARY, produce)
        server.where = await server.listen(f"unix:{tmp_path}/s")
        client = await raw_client(server, stream_window=65_535)
        calls = [await client.open(head(UNARY)) for _ in range(20)]
        await asyncio.gather(*(call.send(frame_message(b""), end=True) for call in calls))
        with pytest.raises(ExchangeEnded):
            await calls[-1].response()
        assert len(produced) <= 3
        await until(lambda: not server._running)


async def test_pause_of_writing_does_not_change_how_long_a_connection_holds_responses(tmp_path):
    async with await started(tmp_path) as server:
        await request_responses(await raw_client(server, stream_window=65_535))
        (connection,) = server._servers[0]._table.connections
        shared = server._servers[0]._shared
        connection.account_output()
        held = shared.output._held[connection]
        shared.turns.clock = lambda: held[1] + 1
        connection.pause_writing()
        connection.resume_writing()
        assert shared.output._held[connection] == held


async def test_calls_of_all_connections_are_bounded_and_each_has_a_few(tmp_path):
    async with our_server(limits=Limits(calls=6)) as server:
        server.where = await server.listen(f"unix:{tmp_path}/s")
        one, two = [await raw_client(server) for _ in range(2)]
        for number in range(1, 7):
            await one.open(head(UP))
            await until(lambda: len(server._running) == number)  # noqa: B023
        for number in range(7, 11):
            await two.open(head(UP))
            await until(lambda: len(server._running) == number)  # noqa: B023
        for client in (one, two):
            with pytest.raises(ExchangeEnded) as caught:
                await (await client.open(head(UP))).response()
            assert caught.value.processed is Processed.NO
        one.close()
        await until(lambda: len(server._running) == 4)
        for _ in range(2):
            await two.open(head(UP))
        await until(lambda: len(server._running) == 6)
        two.close()
