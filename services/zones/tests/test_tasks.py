import asyncio
from functools import partial

import pytest
from kakuri_zones._tasks import (
    TURN_ITEMS,
    cancel_all,
    gather_bounded,
    in_turns,
    retrieve_exception,
)


async def fail():
    raise ZeroDivisionError


async def test_consumed_exception_is_not_logged_by_the_loop():
    contexts = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    for callbacks in ([retrieve_exception], []):
        task = asyncio.create_task(fail())
        for each in callbacks:
            task.add_done_callback(each)
        await asyncio.wait({task})
        del task  # asyncio reports an exception that nothing retrieved when its task is freed
    assert len(contexts) == 1


async def test_retrieve_exception_accepts_a_cancelled_task():
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await asyncio.wait({task})
    retrieve_exception(task)


async def test_cancel_all_waits_until_every_task_has_ended():
    ended = []

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    tasks = {asyncio.create_task(work()) for _ in range(3)}
    tasks.add(asyncio.create_task(fail()))
    await asyncio.sleep(0)
    await cancel_all(tasks)
    assert all(task.done() for task in tasks)
    assert len(ended) == 3


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
