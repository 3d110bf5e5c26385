"""No message holds the event loop for long: many small ones, and large ones."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import Annotated

import pytest
from kakuri_grpc import (
    Channel,
    DeadlineExceeded,
    Limits,
    Method,
    ResourceExhausted,
    Server,
    StatusCode,
    StatusError,
)
from kakuri_grpc._messages import LARGE_MESSAGE
from kakuri_grpc._turn import Share
from kakuri_protobuf import Limits as ProtobufLimits
from kakuri_protobuf import encode
from kakuri_tcp.testing import until

MANY = LARGE_MESSAGE // 4

decoded_by, encoded_by = set(), set()


@dataclass(frozen=True)
class Item:
    text: Annotated[str, 1] = ""


@dataclass(frozen=True)
class Items:
    items: Annotated[tuple[Item, ...], 1] = ()

    def __post_init__(self):
        decoded_by.add(threading.current_thread())


UNARY = Method("/test.Items/Unary", Items, Items)
BOTH = Method("/test.Items/Both", Items, Items, client_streams=True, server_streams=True)
ENCODED_UNARY = Method(UNARY.path, bytes, bytes)
ENCODED_REQUEST = Method(UNARY.path, bytes, Items)
LARGE = Items((Item("a"),) * MANY)


async def unary(request, call):
    return request


async def both(requests, call):
    async for request in requests:
        yield request


@pytest.fixture
async def server(tmp_path):
    async with Server() as server:
        server.add(UNARY, unary)
        server.add(BOTH, both)
        server.where = await server.listen(f"unix:{tmp_path}/s")
        yield server


async def echo(channel, items):
    """Return how many threads decode a message on its way there and back, in calls of two kinds."""
    message = Items((Item("a"),) * items)
    decoded_by.clear()
    assert await channel.call(UNARY, message, timeout=10) == message
    async with await channel.stream(BOTH, timeout=10) as call:
        await call.send(message)
        assert await call.receive() == message
    return decoded_by


async def test_large_message_is_decoded_in_a_thread_of_each_side(server):
    async with Channel(server.where) as channel:
        loop = threading.current_thread()
        assert await echo(channel, 2) == {loop}
        threads = await echo(channel, MANY)
        assert len(threads - {loop}) == 2


class Watched(tuple):
    """A tuple that records which threads iterate over it."""

    __slots__ = ()

    def __iter__(self):
        encoded_by.add(threading.current_thread())
        return super().__iter__()


async def test_message_of_many_elements_is_encoded_in_a_thread_of_each_side(tmp_path):
    async def watched(request, call):
        return Items(Watched(request.items))

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, watched)
        await server.listen(f"unix:{tmp_path}/s")
        loop = threading.current_thread()
        for count, threads in ((2, 1), (MANY, 2)):
            encoded_by.clear()
            message = Items(Watched((Item("a"),) * count))
            assert await channel.call(UNARY, message, timeout=10) == Items((Item("a"),) * count)
            assert len(encoded_by) == threads
            assert (loop in encoded_by) == (threads == 1)


@contextlib.contextmanager
def busy(executor):
    """Keep the thread of an executor busy, until the event is set or the block ends."""
    is_free = threading.Event()
    executor.submit(is_free.wait, 10)
    try:
        yield is_free
    finally:
        is_free.set()


def executor_of(channel):
    return channel._codec._codec._executor


async def test_time_for_a_call_includes_encoding_a_large_request(server):
    async with Channel(server.where) as channel:
        with busy(executor_of(channel)):
            for start in (channel.call, channel.stream):
                with pytest.raises(DeadlineExceeded, match=r"longer than 0\.1 s"):
                    await start(UNARY, LARGE, timeout=0.1)


async def test_time_for_a_streaming_call_includes_encoding_and_decoding(server):
    loop = asyncio.get_running_loop()
    async with Channel(server.where) as channel:
        async with await channel.stream(BOTH, timeout=20) as call:
            call.deadline = loop.time() + 0.1
            with busy(executor_of(channel)), pytest.raises(DeadlineExceeded, match="than 20 s"):
                await call.send(LARGE)
        async with await channel.stream(BOTH, timeout=20) as call:
            await call.send(LARGE)
            call.deadline = loop.time() + 0.1
            with busy(executor_of(channel)):
                for _ in range(2):
                    with pytest.raises(DeadlineExceeded, match="longer than 20 s"):
                        await call.receive()


@pytest.mark.parametrize("method", [UNARY, BOTH])
async def test_server_gets_the_time_that_encoding_a_large_request_has_left(tmp_path, method):
    remaining = []

    async def unary(request, call):
        remaining.append(call.remaining)
        return request

    async def both(requests, call):
        remaining.append(call.remaining)
        async for request in requests:
            yield request

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, unary)
        server.add(BOTH, both)
        await server.listen(f"unix:{tmp_path}/s")
        await channel.call(UNARY, Items(), timeout=10)  # opens the connection
        with busy(executor_of(channel)) as is_free:
            asyncio.get_running_loop().call_later(0.2, is_free.set)
            if method is UNARY:
                await channel.call(UNARY, LARGE, timeout=10)
            else:
                async with await channel.stream(BOTH, LARGE, timeout=10) as call:
                    assert await call.receive() == LARGE
    assert remaining[1] < 9.9


@pytest.mark.parametrize("steps", range(5))
async def test_request_is_not_lost_if_the_wait_for_it_is_cancelled(tmp_path, steps):
    message, received = Items((Item("a"),)), []

    async def both(requests, call):
        await until(lambda: requests._exchange._pieces)
        task = asyncio.create_task(anext(requests))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        received.append(await anext(requests) if task.cancelled() else task.result())
        yield Items()

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(BOTH, both)
        await server.listen(f"unix:{tmp_path}/s")
        async with await channel.stream(BOTH, message, timeout=10) as call:
            assert await call.receive() == Items()
    assert received == [message]


async def test_large_request_is_not_lost_if_the_wait_for_it_is_cancelled(tmp_path):
    received = []

    async def both(requests, call):
        with busy(executor), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(requests)
        received.append(await anext(requests))
        yield Items()

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(BOTH, both)
        executor = server._resources.executor
        await server.listen(f"unix:{tmp_path}/s")
        async with await channel.stream(BOTH, LARGE, timeout=10) as call:
            assert await call.receive() == Items()
    assert received == [LARGE]


async def test_connections_of_a_server_take_turns_with_large_messages(server):
    ended, executor = [], server._resources.executor

    async def call(channel, name):
        await channel.call(UNARY, LARGE, timeout=10)
        ended.append(name)

    async with Channel(server.where) as one, Channel(server.where) as two:
        await call_small(one)
        await call_small(two)
        with busy(executor):
            calls = [asyncio.ensure_future(call(one, "one")) for _ in range(5)]
            await until(lambda: len(server._running) == 5)
            calls.append(asyncio.ensure_future(call(two, "two")))
            await until(lambda: executor._pool._work_queue.qsize() == 2)
        await asyncio.gather(*calls)
    assert ended.index("two") < 4


async def call_small(channel):
    await channel.call(UNARY, Items(), timeout=10)


async def test_response_over_the_servers_own_limit_is_resource_exhausted(tmp_path):
    async with Server(limits=Limits(sent=100)) as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, unary)
        await server.listen(f"unix:{tmp_path}/s")
        await channel.call(UNARY, Items((Item("a" * 94),)), timeout=10)
        with pytest.raises(ResourceExhausted, match="at most 100 bytes, got 101"):
            await channel.call(UNARY, Items((Item("a" * 97),)), timeout=10)


async def test_elements_of_a_received_message_are_limited(tmp_path):
    limits = Limits(protobuf=ProtobufLimits(elements=2))
    async with Server(limits=limits) as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, unary)
        await server.listen(f"unix:{tmp_path}/s")
        await channel.call(UNARY, Items((Item(),) * 2), timeout=10)
        with pytest.raises(StatusError, match="at most 2 elements"):
            await channel.call(UNARY, Items((Item(),) * 3), timeout=10)


async def test_received_message_has_at_most_200000_elements_by_default(server):
    async with Channel(server.where) as channel:
        with pytest.raises(StatusError, match="at most 200000 elements"):
            await channel.call(ENCODED_UNARY, b"\x0a\x00" * 200_001, timeout=10)


async def test_large_message_of_a_method_of_bytes_needs_no_thread(server):
    async with Channel(server.where) as channel:
        content = b"\x12\x04" + bytes(4)  # a field that the class does not have
        assert await channel.call(ENCODED_UNARY, content * MANY, timeout=10) == b""
        assert not executor_of(channel)._threads


async def test_handler_that_continues_after_its_server_was_closed_can_use_large_messages(
    tmp_path, caplog
):
    received = []

    async def both(requests, call):
        try:
            await anext(requests)  # the thread is busy until the call is cancelled
        except asyncio.CancelledError:
            received.append(await anext(requests))
            yield LARGE

    async with Channel(f"unix:{tmp_path}/s") as channel, Server() as server:
        server.add(BOTH, both)
        await server.listen(f"unix:{tmp_path}/s")
        executor = server._resources.executor
        with busy(executor):
            await channel.stream(BOTH, LARGE, timeout=10)
            await until(lambda: executor._pool._work_queue.qsize())
            await server.close()
        await until(lambda: not server._running)
    assert received == [LARGE]
    assert not caplog.records


async def test_large_message_that_is_not_valid_ends_its_call(server):
    async with Channel(server.where) as channel:
        with pytest.raises(StatusError, match="not a valid Items") as caught:
            await channel.call(ENCODED_UNARY, b"\x0a\xff" * MANY, timeout=10)
        assert caught.value.code is StatusCode.INTERNAL


async def test_time_for_a_call_includes_decoding_a_large_response(server):
    async with Channel(server.where) as channel:
        with busy(executor_of(channel)), pytest.raises(DeadlineExceeded, match=r"than 0\.3 s"):
            await channel.call(ENCODED_REQUEST, encode(LARGE), timeout=0.3)


async def test_large_request_of_a_cancelled_call_is_not_decoded(server):
    executor = server._resources.executor
    async with Channel(server.where) as channel:
        with busy(executor):
            call = asyncio.ensure_future(channel.call(UNARY, LARGE, timeout=10))
            await until(lambda: executor._pool._work_queue.qsize())
            decoded_by.clear()
            call.cancel()
            await until(lambda: not server._running)
        await asyncio.to_thread(executor.submit(int).result)
        assert not decoded_by


@pytest.mark.parametrize(
    ("size", "count"), [(0, 64), (8, 64), (545, 32), (1_000, 22), (16_000, 2), (1 << 20, 1)]
)
def test_call_lets_others_run_after_some_bytes_of_messages(size, count):
    share = Share()
    waits = [share.count(size) for _ in range(3 * count + 1)]
    assert [number for number, wait in enumerate(waits) if wait] == [count, 2 * count, 3 * count]


async def test_close_ends_the_threads_of_channel_and_server(tmp_path):
    server = Server()
    server.add(UNARY, unary)
    server.add(BOTH, both)
    for _ in range(2):  # a closed server can listen again
        where = await server.listen(f"unix:{tmp_path}/s")
        async with Channel(where) as channel:
            threads = [*await echo(channel, MANY)]
        await server.close()
        assert len(threads) == 2
        for thread in threads:
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
