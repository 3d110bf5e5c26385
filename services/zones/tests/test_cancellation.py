import asyncio

import pytest
from kakuri_tcp.testing import run_pending
from kakuri_zones._cancellation import Cancellation
from kakuri_zones._errors import StartCancelled


async def hanging_call():
    await asyncio.Event().wait()


async def call_answered_by(future):
    return await future


async def test_guard_without_cancel_returns_the_result_of_the_call():
    assert await Cancellation("no", timeout=1).guard(asyncio.sleep(0, "done")) == "done"


async def test_guard_raises_the_error_of_the_call():
    async def fails():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await Cancellation("no", timeout=1).guard(fails())


async def test_guard_after_cancel_raises_without_beginning_the_call():
    cancellation = Cancellation("zone 'a' was stopped", timeout=1)
    cancellation.cancel()
    with pytest.raises(StartCancelled, match="zone 'a' was stopped"):
        await cancellation.guard(hanging_call())


async def test_call_that_succeeds_after_cancel_returns_its_result_and_the_next_one_raises():
    cancellation = Cancellation("no", timeout=1000)
    answer = asyncio.get_running_loop().create_future()
    guarded = asyncio.create_task(cancellation.guard(call_answered_by(answer)))
    await run_pending()
    cancellation.cancel()
    await run_pending()
    assert not guarded.done()
    answer.set_result("created")
    assert await guarded == "created"
    with pytest.raises(StartCancelled):
        await cancellation.guard(hanging_call())


async def test_call_that_fails_after_cancel_raises_start_cancelled():
    cancellation = Cancellation("no", timeout=1000)
    answer = asyncio.get_running_loop().create_future()
    guarded = asyncio.create_task(cancellation.guard(call_answered_by(answer)))
    await run_pending()
    cancellation.cancel()
    answer.set_exception(ValueError("x"))
    with pytest.raises(StartCancelled):
        await guarded


async def test_call_in_progress_is_abandoned_after_the_timeout():
    cancellation = Cancellation("no", timeout=0.01)
    guarded = asyncio.create_task(cancellation.guard(hanging_call()))
    await run_pending()
    cancellation.cancel()
    with pytest.raises(StartCancelled):
        await guarded


async def test_call_guarded_with_at_once_is_abandoned_without_the_timeout():
    cancellation = Cancellation("no", timeout=1000)
    guarded = asyncio.create_task(cancellation.guard(hanging_call(), at_once=True))
    await run_pending()
    cancellation.cancel()
    with pytest.raises(StartCancelled):
        await guarded


async def test_cancelled_guard_cancels_its_call():
    guarded = asyncio.create_task(Cancellation("no", timeout=1).guard(hanging_call()))
    await run_pending()
    guarded.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarded
