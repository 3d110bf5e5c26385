"""Large messages are encoded and decoded in a thread."""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from kakuri_protobuf import AsyncCodec, DecodeError, EncodeError, Int32, LimitError, Limits, encode

MANY, LARGE = AsyncCodec.MANY_ELEMENTS, AsyncCodec.LARGE_MESSAGE

decoded_by = []


@dataclass(frozen=True)
class Item:
    numbers: Annotated[tuple[Int32, ...], 1] = ()
    text: Annotated[str, 2] = ""
    nested: Annotated[tuple["Item", ...], 3] = ()
    entries: Annotated[Mapping[str, str], 4] = field(default_factory=dict)

    def __post_init__(self):
        decoded_by.append(threading.current_thread())


@pytest.fixture
def busy():
    """Return an executor of one thread that is busy, and the event that ends this."""
    event, executor = threading.Event(), ThreadPoolExecutor(1)
    executor.submit(event.wait, 10)
    yield executor, event
    event.set()
    executor.shutdown()


@pytest.mark.parametrize(
    "make",
    [
        lambda number: Item(numbers=(1,) * number),
        lambda number: Item(nested=(Item(),) * number),
        lambda number: Item(entries={str(key): "" for key in range(number)}),
        lambda number: Item(nested=(Item(numbers=(1,) * (number - 2)), Item())),
        lambda number: Item(nested=(Item(nested=(Item(), Item())),) * (number // 3), numbers=(1,)),
    ],
    ids=["scalars", "messages", "entries", "in one message", "in many messages"],
)
def test_message_of_many_elements_is_not_encoded_now(make):
    codec = AsyncCodec()
    assert codec.encode_now(make(MANY)) == encode(make(MANY))
    assert codec.encode_now(make(MANY + 1 + 2)) is None


def test_message_of_exactly_one_element_too_many_is_not_encoded_now():
    assert AsyncCodec().encode_now(Item(numbers=(1,) * (MANY + 1))) is None


def test_long_string_is_encoded_now():
    message = Item(text="a" * 1_000_000)
    assert AsyncCodec().encode_now(message) == encode(message)


@pytest.mark.parametrize(("message", "error"), [(Item(text=5), EncodeError), (5, TypeError)])
def test_message_that_cannot_be_encoded_raises_at_once(message, error):
    with pytest.raises(error):
        AsyncCodec().encode_now(message)


def test_large_message_is_not_decoded_now():
    codec = AsyncCodec()
    head = len(encode(Item(text="a" * LARGE))) - LARGE
    message = Item(text="a" * (LARGE - head))
    assert codec.decode_now(encode(message), Item) == message
    assert codec.decode_now(encode(message) + bytes(1), Item) is None


async def test_messages_are_encoded_and_decoded_in_the_thread():
    codec = AsyncCodec()
    message = Item(numbers=(1, 2))
    assert await codec.encode(message) == encode(message)
    decoded_by.clear()
    assert await codec.decode(encode(message), Item) == message
    assert threading.current_thread() not in decoded_by
    with pytest.raises(DecodeError):
        await codec.decode(b"\xff", Item)


async def test_limits_apply_to_both_ways_to_decode():
    codec = AsyncCodec(limits=Limits(elements=2))
    data = encode(Item(nested=(Item(),) * 3))
    with pytest.raises(LimitError):
        codec.decode_now(data, Item)
    with pytest.raises(LimitError):
        await codec.decode(data, Item)
    with pytest.raises(TypeError, match="expected Limits as limits, got 5"):
        AsyncCodec(limits=5)


async def test_codecs_with_one_executor_take_turns(busy):
    executor, event = busy
    first, second = AsyncCodec(executor), AsyncCodec(executor)
    ended = []

    async def decode(codec, name):
        await codec.decode(b"", Item)
        ended.append(name)

    tasks = [asyncio.create_task(decode(first, f"first {number}")) for number in range(3)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(decode(second, "second")))
    await asyncio.sleep(0)
    event.set()
    await asyncio.gather(*tasks)
    assert ended.index("second") <= 1
    assert [name for name in ended if name != "second"] == ["first 0", "first 1", "first 2"]


async def test_deadline_ends_the_wait_for_the_thread(busy):
    executor, event = busy
    codec = AsyncCodec(executor)
    deadline = asyncio.get_running_loop().time() + 0.02
    waiting = asyncio.create_task(codec.encode(Item()))
    with pytest.raises(TimeoutError):
        await codec.decode(b"", Item, deadline=deadline)
    with pytest.raises(TimeoutError):
        await codec.encode(Item(), deadline=deadline)
    event.set()
    assert await waiting == b""


async def test_message_of_a_cancelled_caller_is_not_decoded(busy):
    executor, event = busy
    decoded_by.clear()
    task = asyncio.create_task(AsyncCodec(executor).decode(b"", Item))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    event.set()
    await asyncio.wrap_future(executor.submit(int))
    assert not decoded_by
