import asyncio

from kakuri_daemon import cancel_all, retrieve_exception


async def fail():
    raise ZeroDivisionError


async def test_retrieved_exception_is_not_logged_by_the_loop():
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
