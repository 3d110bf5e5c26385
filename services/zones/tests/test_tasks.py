import asyncio
from functools import partial

import pytest
from kakuri_daemon import cancel_all
from kakuri_zones._tasks import TURN_ITEMS, gather_bounded, in_turns


async def fail():
    raise ZeroDivisionError


async def test_gather_bounded_keeps_the_order_and_the_limit():
    at_once, most = 0, 0

    async def call(number):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return number

    assert await gather_bounded([partial(call, each) for each in range(9)], limit=4) == list(
        range(9)
    )
    assert most == 4


async def test_gather_bounded_raises_the_exception_of_a_call():
    with pytest.raises(ZeroDivisionError):
        await gather_bounded([fail], limit=1)


async def test_loop_does_other_work_while_many_items_are_visited():
    turns = 0

    async def other_work():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other_work())
    items = range(3 * TURN_ITEMS)
    assert [each async for each in in_turns(items)] == list(items)
    assert turns >= 2
    await cancel_all([task])
