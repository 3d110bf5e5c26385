"""No message holds the event loop for long: many small ones, and large ones."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Annotated

import pytest
from kakuri_grpc import Channel, DeadlineExceeded, Method, Server, StatusCode, StatusError
from kakuri_grpc._framing import MessageReader, frame_message
from kakuri_grpc._messages import LARGE_MESSAGE
from kakuri_tcp.testing import until

MANY = LARGE_MESSAGE // 4

decoded_by = set()


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


async def test_large_message_of_a_method_of_bytes_needs_no_thread(server):
    async with Channel(server.where) as channel:
        content = b"\x12\x04" + bytes(4)  # a field that the class does not have
        assert await channel.call(ENCODED_UNARY, content * MANY, timeout=10) == b""
        assert not channel._large_messages._executor._threads


async def test_large_message_that_is_not_valid_ends_its_call(server):
    async with Channel(server.where) as channel:
        with pytest.raises(StatusError, match="not a valid Items") as caught:
            await channel.call(ENCODED_UNARY, b"\x0a\xff" * MANY, timeout=10)
        assert caught.value.code is StatusCode.INTERNAL


async def test_time_for_a_call_includes_decoding_a_large_answer(server):
    is_free = threading.Event()
    async with Channel(server.where) as channel:
        channel._large_messages._executor.submit(is_free.wait)
        with pytest.raises(DeadlineExceeded, match=r"longer than 0\.3 s"):
            await channel.call(UNARY, Items((Item("a"),) * MANY), timeout=0.3)
        is_free.set()


async def test_large_request_of_a_cancelled_call_is_not_decoded(server):
    is_free = threading.Event()
    executor = server._large_messages._executor
    executor.submit(is_free.wait)
    async with Channel(server.where) as channel:
        message = Items((Item("a"),) * MANY)
        call = asyncio.ensure_future(channel.call(UNARY, message, timeout=10))
        await until(lambda: executor._work_queue.qsize())
        decoded_by.clear()
        call.cancel()
        await until(lambda: not server._running)
        is_free.set()
        await asyncio.to_thread(executor.submit(int).result)
        assert not decoded_by


@pytest.mark.parametrize(("size", "count"), [(0, 64), (1_000, 22), (16_000, 2), (1 << 20, 1)])
async def test_reader_allows_other_tasks_a_turn_after_some_bytes_of_messages(size, count):
    reader = MessageReader(1 << 20)
    reader.feed(frame_message(bytes(size)) * 3 * count)
    turns = []
    other = asyncio.get_running_loop().call_soon
    for number in range(3 * count):
        other(turns.append, number)
        await reader.let_others_run()
        reader.next_message()
    assert turns == list(range(2 * count + 1))
