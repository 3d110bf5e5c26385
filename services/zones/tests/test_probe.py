import asyncio

import pytest
from kakuri_zones import _probe
from kakuri_zones._health import Health
from kakuri_zones._probe import Probe

OK = Health("ok")
GONE = Health("unavailable", "connection refused")


class Runtime:
    """Answers on request of the test."""

    def __init__(self):
        self.asked = 0
        self.answers = asyncio.Queue()

    async def ask(self):
        self.asked += 1
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def runtime():
    return Runtime()


@pytest.fixture
async def probe(runtime):
    probe = Probe(runtime.ask, prompt=0)
    yield probe
    await probe.close()


async def test_first_probe_waits_for_the_runtime(probe, runtime):
    waiting = asyncio.create_task(probe.health())
    await asyncio.sleep(0)
    assert not waiting.done()
    runtime.answers.put_nowait(OK)
    assert await waiting == OK


async def test_probe_returns_the_last_answer_while_the_runtime_is_slow(probe, runtime):
    runtime.answers.put_nowait(OK)
    await probe.health()
    assert [await probe.health() for _ in range(3)] == [OK] * 3
    assert runtime.asked == 2  # the three share one check
    runtime.answers.put_nowait(GONE)
    waiting = asyncio.create_task(probe.health())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await waiting
    assert await probe.health() == GONE


async def test_probe_waits_once_the_last_answer_is_old(probe, runtime, monkeypatch):
    runtime.answers.put_nowait(OK)
    await probe.health()
    monkeypatch.setattr(_probe, "RECENT_SECONDS", -1.0)
    waiting = asyncio.create_task(probe.health())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    runtime.answers.put_nowait(GONE)
    assert await waiting == GONE


async def test_prompt_answer_of_the_runtime_is_returned_itself(runtime):
    probe = Probe(runtime.ask, prompt=30)
    for answer in (OK, GONE, OK):
        runtime.answers.put_nowait(answer)
        assert await probe.health() == answer


async def test_cancelled_probe_does_not_cancel_the_check_of_others(probe, runtime):
    first, second = (asyncio.create_task(probe.health()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    runtime.answers.put_nowait(OK)
    assert await second == OK
    assert runtime.asked == 1


async def test_failed_check_is_raised_and_the_next_probe_checks_again(probe, runtime):
    runtime.answers.put_nowait(ValueError("a fault"))
    with pytest.raises(ValueError, match="a fault"):
        await probe.health()
    runtime.answers.put_nowait(OK)
    assert await probe.health() == OK


async def test_eager_check_that_ends_immediately_is_not_reused(probe, runtime, start_tasks_eagerly):
    start_tasks_eagerly()
    for answer in OK, GONE:
        runtime.answers.put_nowait(answer)
        assert await probe.health() == answer
