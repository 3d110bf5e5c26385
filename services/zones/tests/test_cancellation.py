import asyncio

import pytest
from kakuri_tcp.testing import run_pending
from kakuri_zones._cancellation import Cancellation
from kakuri_zones._errors import StartCancelled


async def never():
    await asyncio.Event().wait()


async def wait_for(answer):
    return await answer


async def test_guard_without_cancel_returns_the_result_of_the_call():
    assert await Cancellation("no", 1).guard(asyncio.sleep(0, "done")) == "done"


async def test_guard_raises_the_error_of_the_call():
    async def fails():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await Cancellation("no", 1).guard(fails())


async def test_guard_after_cancel_does_not_begin_the_call():
    cancellation = Cancellation("zone 'a' was stopped", 1)
    cancellation.cancel()
    with pytest.raises(StartCancelled, match="zone 'a' was stopped"):
        await cancellation.guard(never())


async def test_call_that_succeeds_after_cancel_returns_its_result_and_the_next_is_not_begun():
    cancellation = Cancellation("no", 1000)
    answer = asyncio.get_running_loop().create_future()
    guarded = asyncio.create_task(cancellation.guard(wait_for(answer)))
    await run_pending()
    cancellation.cancel()
    await run_pending()
    assert not guarded.done()
    answer.set_result("created")
    assert await guarded == "created"
    with pytest.raises(StartCancelled):
        await cancellation.guard(never())


async def test_call_that_fails_after_cancel_is_reported_as_cancelled():
    cancellation = Cancellation("no", 1000)
    answer = asyncio.get_running_loop().create_future()
    guarded = asyncio.create_task(cancellation.guard(wait_for(answer)))
    await run_pending()
    cancellation.cancel()
    answer.set_exception(ValueError("x"))
    with pytest.raises(StartCancelled):
        await guarded


@pytest.mark.parametrize("options", [{}, {"at_once": True}])
async def test_call_in_progress_is_abandoned_after_the_timeout(options):
    cancellation = Cancellation("no", 1000 if options else 0.01)
    guarded = asyncio.create_task(cancellation.guard(never(), **options))
    await run_pending()
    cancellation.cancel()
    with pytest.raises(StartCancelled):
        await guarded


async def test_cancelled_guard_cancels_its_call():
    guarded = asyncio.create_task(Cancellation("no", 1).guard(never()))
    await run_pending()
    guarded.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarded
