"""When the queue of workloads calls for one."""

import pytest
from kakuri_agent._work_queue import STORE_RETRY_SECONDS, WorkQueue
from kakuri_registry import StoreFull

from .loop_clock import LoopClock


class HeldJournal:
    """Saves when the test says so."""

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
    queue = WorkQueue(HeldJournal(), lambda workload_id: queue.reconciled.append(workload_id))
    queue.reconciled = []
    yield queue
    queue.close()


async def test_queue_calls_once_for_a_workload_that_is_added_twice(queue, settle):
    for workload_id in ("a", "b", "a"):
        queue.add(workload_id)
    await settle()
    assert queue.reconciled == ["a", "b"]


async def test_queue_asks_the_journal_once_however_often_a_workload_waits_for_the_disk(
    queue, settle
):
    for workload_id in ("a", "b", "a"):
        queue.add_once_saved(workload_id)
    assert [workload_id for workload_id, _ in queue._writer.held] == ["a", "b"]
    await settle()
    assert queue.reconciled == []
    queue._writer.answer()
    await settle()
    assert queue.reconciled == ["a", "b"]
    queue.add_once_saved("a")
    assert [workload_id for workload_id, _ in queue._writer.held] == ["a"]


async def test_queue_waits_after_the_disk_refused_and_asks_nothing_meanwhile(queue, clock, settle):
    queue.add_once_saved("a")
    queue._writer.answer(StoreFull("full"))
    queue.add_once_saved("a")
    await settle()
    assert (queue.reconciled, queue._writer.held) == ([], [])
    (timer,) = clock.timers
    assert timer.delay == STORE_RETRY_SECONDS == 1.0
    timer.run()
    await settle()
    assert queue.reconciled == ["a"]
    queue.add_once_saved("a")
    assert len(queue._writer.held) == 1


async def test_queue_forgets_a_workload_that_waits_for_nothing(queue, clock, settle):
    queue.add_once_saved("saved")
    queue.back_off("over", 3.0)
    queue.back_off("ended", 3.0)
    queue.back_off("both", 3.0)
    queue.add_once_saved("both")
    queue._writer.answer()
    assert clock.due() == [3.0, 3.0, 3.0]
    for workload_id in ("over", "ended", "both", "unknown"):
        queue.cancel_back_off(workload_id)
    await settle()
    assert queue._waits == {}


async def test_end_of_a_back_off_is_not_the_end_of_the_wait_for_the_disk(queue, clock, settle):
    queue.back_off("a", 3.0)
    queue.add_once_saved("a")
    assert queue.is_backing_off("a")
    queue.cancel_back_off("a")
    assert (queue.is_backing_off("a"), queue.has_backed_off("a")) == (False, False)
    assert clock.due() == []
    queue._writer.answer()
    await settle()
    assert queue.reconciled == ["a"]


async def test_back_off_that_is_over_counts_until_the_next_one(queue, clock, settle):
    queue.back_off("a", -1.0)
    assert (queue.is_backing_off("a"), queue.has_backed_off("a")) == (True, False)
    assert clock.due() == [0]
    assert (queue.is_backing_off("a"), queue.has_backed_off("a")) == (False, True)
    queue.back_off("a", 2.0)
    assert (queue.is_backing_off("a"), queue.has_backed_off("a")) == (True, False)
    await settle()
    assert queue.reconciled == ["a"]


async def test_closed_queue_calls_for_nothing(queue, clock, settle):
    queue.add("a")
    queue.back_off("b", 1.0)
    queue.add_once_saved("c")
    queue._writer.answer(StoreFull("full"))
    queue.close()
    await settle()
    assert queue.reconciled == []
    assert all(timer.is_over for timer in clock.timers)
