"""Tests of when the queue reconciles a workload."""

import asyncio

import pytest
from kakuri_agent import _work_queue
from kakuri_agent._volatile import VolatileStates
from kakuri_agent._work_queue import STORE_RETRY_SECONDS, WorkQueue
from kakuri_registry import StoreFull

from .loop_clock import LoopClock


class HeldWriter:
    """A writer whose saves end when a test calls `answer`."""

    def __init__(self):
        self.held = []

    def when_saved(self, workload_id, callback):
        self.held.append((workload_id, callback))

    def answer(self, error=None):
        held, self.held = self.held, []
        for _, callback in held:
            callback(error)


@pytest.fixture
async def clock(monkeypatch):
    return LoopClock(monkeypatch)


@pytest.fixture
async def queue(clock):
    queue = WorkQueue(
        HeldWriter(), VolatileStates(), lambda workload_id: queue.reconciled.append(workload_id)
    )
    queue.reconciled = []
    yield queue
    queue.close()


def back_off_of(queue, workload_id):
    """Return whether a workload's back-off is running, and whether the latest one is over."""
    state = queue._volatile.get(workload_id)
    return state.back_off is not None, state.has_backed_off


async def test_workload_added_twice_is_reconciled_once(queue, until_idle):
    for workload_id in ("a", "b", "a"):
        queue.add(workload_id)
    await until_idle()
    assert queue.reconciled == ["a", "b"]


async def test_workload_whose_reconciliation_raises_does_not_stop_the_queue(clock, until_idle):
    reported, reconciled = [], []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: reported.append(type(context["exception"]))
    )

    def reconcile(workload_id):
        if workload_id == "b":
            raise LookupError
        reconciled.append(workload_id)

    queue = WorkQueue(HeldWriter(), VolatileStates(), reconcile)
    for workload_id in ("a", "b", "c", "d"):
        queue.add(workload_id)
    await until_idle()
    assert (reconciled, reported) == (["a", "c", "d"], [LookupError])
    queue.close()


async def test_workload_added_once_saved_twice_awaits_one_save(queue, until_idle):
    for workload_id in ("a", "b", "a"):
        queue.add_once_saved(workload_id)
    assert [workload_id for workload_id, _ in queue._writer.held] == ["a", "b"]
    await until_idle()
    assert queue.reconciled == []
    queue._writer.answer()
    await until_idle()
    assert queue.reconciled == ["a", "b"]
    queue.add_once_saved("a")
    assert [workload_id for workload_id, _ in queue._writer.held] == ["a"]


async def test_workload_whose_save_failed_is_reconciled_after_the_retry_delay(
    queue, clock, until_idle
):
    queue.add_once_saved("a")
    queue._writer.answer(StoreFull("full"))
    queue.add_once_saved("a")
    await until_idle()
    assert (queue.reconciled, queue._writer.held) == ([], [])
    (timer,) = clock.timers
    assert timer.delay == STORE_RETRY_SECONDS == 1.0
    timer.run()
    await until_idle()
    assert queue.reconciled == ["a"]
    queue.add_once_saved("a")
    assert len(queue._writer.held) == 1


async def test_workload_that_awaits_nothing_has_no_volatile_state(queue, clock, until_idle):
    queue.add_once_saved("saved")
    queue.add_after("over", 3.0)
    queue.add_after("ended", 3.0)
    queue.add_after("both", 3.0)
    queue.add_once_saved("both")
    queue._writer.answer()
    assert clock.run_back_offs() == [3.0, 3.0, 3.0]
    for workload_id in ("over", "ended", "both", "unknown"):
        queue._volatile.end_run(workload_id)
    await until_idle()
    assert len(queue._volatile) == 0


async def test_cancelled_back_off_does_not_cancel_the_wait_for_the_disk(queue, clock, until_idle):
    queue.add_after("a", 3.0)
    queue.add_once_saved("a")
    assert back_off_of(queue, "a") == (True, False)
    queue._volatile.end_run("a")
    assert back_off_of(queue, "a") == (False, False)
    assert clock.run_back_offs() == []
    queue._writer.answer()
    await until_idle()
    assert queue.reconciled == ["a"]


async def test_back_off_counts_as_over_until_the_next_one_begins(queue, clock, until_idle):
    queue.add_after("a", -1.0)
    assert back_off_of(queue, "a") == (True, False)
    assert clock.run_back_offs() == [0]
    assert back_off_of(queue, "a") == (False, True)
    queue.add_after("a", 2.0)
    assert back_off_of(queue, "a") == (True, False)
    await until_idle()
    assert queue.reconciled == ["a"]


async def test_closed_queue_reconciles_nothing(queue, clock, until_idle):
    queue.add("a")
    queue.add_after("b", 1.0)
    queue.add_once_saved("c")
    queue._writer.answer(StoreFull("full"))
    queue.close()
    await until_idle()
    assert queue.reconciled == []
    assert all(timer.is_over for timer in clock.timers)


async def test_workload_saved_after_the_queue_was_closed_is_not_reconciled(queue, until_idle):
    queue.add_once_saved("a")
    queue.close()
    queue._writer.answer()
    await until_idle()
    assert queue.reconciled == []


async def test_queue_counts_the_time_of_each_turn_in_its_bucket_and_those_that_wait(
    queue, monkeypatch, until_idle
):
    bounds = (
        1e-4,
        2.5e-4,
        5e-4,
        1e-3,
        2.5e-3,
        5e-3,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
        2.5,
        5,
        10,
    )
    durations = [*bounds, 15.0]
    each = iter(durations)
    read = 0

    def perf_counter():
        nonlocal read
        read += 1
        return next(each) if read % 2 == 0 else 0.0  # at the end, and at the beginning

    monkeypatch.setattr(_work_queue, "perf_counter", perf_counter)
    for _ in durations:
        queue.add("a")
        queue.add("b")
        _, backlog = queue.families()
        assert backlog.values == [2.0]
        await until_idle()
    histogram, backlog = queue.families()
    assert histogram.bounds == bounds
    assert histogram.buckets == [(1,) * len(durations)]
    assert histogram.values == [pytest.approx(sum(durations))]
    assert backlog.values == [0.0]
