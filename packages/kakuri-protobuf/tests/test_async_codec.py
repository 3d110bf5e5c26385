"""Large messages are encoded and decoded in a thread."""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from kakuri_protobuf import AsyncCodec, DecodeError, EncodeError, Int32, LimitError, Limits, encode

MANY, LARGE = 1000, 65_536  # of AsyncCodec

decoded_by = []


@dataclass(frozen=True)
class Item:
    numbers: Annotated[tuple[Int32, ...], 1] = ()
    text: Annotated[str, 2] = ""
    nested: Annotated[tuple["Item", ...], 3] = ()
    entries: Annotated[Mapping[str, str], 4] = field(default_factory=dict)

    def __post_init__(self):
        decoded_by.append(threading.current_thread())


LARGE_ITEM = Item(text="a" * (LARGE - 3))
LARGE_DATA = encode(LARGE_ITEM)
MANY_ITEM = Item(numbers=(1,) * (MANY + 1))
PAST = 0.0  # a deadline


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
async def test_message_of_many_elements_waits_for_the_thread(busy, make):
    executor, _ = busy
    codec = AsyncCodec(executor)
    assert await codec.encode(make(MANY)) == encode(make(MANY))
    with pytest.raises(TimeoutError):
        await codec.encode(make(MANY + 1 + 2), deadline=PAST)


async def test_message_of_exactly_one_element_too_many_waits_for_the_thread(busy):
    executor, _ = busy
    with pytest.raises(TimeoutError):
        await AsyncCodec(executor).encode(Item(numbers=(1,) * (MANY + 1)), deadline=PAST)


async def test_long_string_is_encoded_at_once(busy):
    executor, _ = busy
    message = Item(text="a" * 1_000_000)
    assert await AsyncCodec(executor).encode(message) == encode(message)


@pytest.mark.parametrize(("message", "error"), [(Item(text=5), EncodeError), (5, TypeError)])
async def test_message_that_cannot_be_encoded_raises_at_once(busy, message, error):
    executor, _ = busy
    with pytest.raises(error):
        await AsyncCodec(executor).encode(message, deadline=PAST)


async def test_message_waits_for_the_thread_if_it_is_larger_than_the_limit(busy):
    executor, _ = busy
    codec = AsyncCodec(executor)
    assert len(LARGE_DATA) == LARGE + 1
    small = encode(Item(text=LARGE_ITEM.text[1:]))
    assert await codec.decode(small, Item, deadline=PAST) == Item(text=LARGE_ITEM.text[1:])
    with pytest.raises(TimeoutError):
        await codec.decode(LARGE_DATA, Item, deadline=PAST)


async def test_large_messages_are_encoded_and_decoded_in_the_thread():
    codec = AsyncCodec()
    assert await codec.encode(MANY_ITEM) == encode(MANY_ITEM)
    decoded_by.clear()
    assert await codec.decode(LARGE_DATA, Item) == LARGE_ITEM
    assert threading.current_thread() not in decoded_by
    with pytest.raises(DecodeError):
        await codec.decode(b"\xff" * len(LARGE_DATA), Item)


@pytest.mark.parametrize("elements", [3, LARGE])
async def test_limits_apply_to_both_ways_to_decode(elements):
    codec = AsyncCodec(limits=Limits(elements=2))
    with pytest.raises(LimitError):
        await codec.decode(encode(Item(nested=(Item(),) * elements)), Item)


def test_limits_of_another_type_raise_type_error():
    with pytest.raises(TypeError, match="expected Limits as limits, got 5"):
        AsyncCodec(limits=5)


async def test_codecs_with_one_executor_take_turns(busy):
    executor, event = busy
    first, second = AsyncCodec(executor), AsyncCodec(executor)
    ended = []

    async def decode(codec, name):
        await codec.decode(LARGE_DATA, Item)
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
    waiting = asyncio.create_task(codec.encode(MANY_ITEM))
    with pytest.raises(TimeoutError):
        await codec.decode(LARGE_DATA, Item, deadline=deadline)
    with pytest.raises(TimeoutError):
        await codec.encode(MANY_ITEM, deadline=deadline)
    event.set()
    assert await waiting == encode(MANY_ITEM)


async def test_message_whose_deadline_is_now_is_not_given_to_the_thread(monkeypatch):
    decoded_by.clear()
    with ThreadPoolExecutor(1) as executor:
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: PAST)
        with pytest.raises(TimeoutError):
            await AsyncCodec(executor).decode(LARGE_DATA, Item, deadline=PAST)
    assert not decoded_by


async def test_message_of_a_cancelled_caller_is_not_decoded(busy):
    executor, event = busy
    decoded_by.clear()
    task = asyncio.create_task(AsyncCodec(executor).decode(LARGE_DATA, Item))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    event.set()
    await asyncio.wrap_future(executor.submit(int))
    assert not decoded_by


async def test_close_ends_the_thread_of_the_codec_and_the_next_large_message_starts_another():
    codec = AsyncCodec()
    for _ in range(2):
        decoded_by.clear()
        executor = codec._executor  # it would also end its thread when it is freed
        await codec.decode(LARGE_DATA, Item)
        (thread,) = decoded_by
        codec.close()
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()
        assert executor is not codec._executor


async def test_codec_has_one_thread_and_close_does_not_wait_for_it():
    codec, event = AsyncCodec(), threading.Event()
    begun = codec._executor.submit(event.wait, 1)
    with pytest.raises(TimeoutError):
        await codec.decode(LARGE_DATA, Item, deadline=asyncio.get_running_loop().time() + 0.01)
    codec.close()
    assert not begun.done()
    event.set()


async def test_close_does_not_end_an_executor_that_the_codec_was_given(busy):
    executor, event = busy
    AsyncCodec(executor).close()
    event.set()
    assert await asyncio.wrap_future(executor.submit(int)) == 0


def test_codec_can_be_used_in_one_event_loop_after_another():
    codec = AsyncCodec()

    async def decode_two():
        return await asyncio.gather(*(codec.decode(LARGE_DATA, Item) for _ in range(2)))

    for _ in range(2):
        assert asyncio.run(decode_two()) == [LARGE_ITEM] * 2
    codec.close()
