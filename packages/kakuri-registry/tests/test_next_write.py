"""When the next write begins: at the end of the turn, or after a delay for more callers."""

import asyncio

import pytest
from kakuri_registry import WorkloadRegistry, _next_write
from kakuri_registry._backlog import Backlog
from kakuri_registry._next_write import NextWrite
from kakuri_workload.testing import workload


class Writes:
    """A backlog whose writes end at once, and the numbers of changes in them."""

    def __init__(self):
        self.sizes = []
        self.backlog = Backlog()
        self.next = NextWrite(self.backlog, self.begin)
        self.registry = WorkloadRegistry()
        self.registry.subscribe(self.backlog.add)

    def register(self, number):
        for _ in range(number):
            name = f"w-{self.registry.version}"
            self.registry.register(workload(name), now=0.0)
            self.backlog.add_callback(name, lambda _error: None)
            self.next.schedule()

    def begin(self):
        self.sizes.append(len(self.backlog.take(only_registrations=False)))
        self.backlog.end_write()


@pytest.fixture
async def writes(monkeypatch):
    # So long that a test that waited for it would fail.
    monkeypatch.setattr(_next_write, "GATHER_SECONDS", 3600)
    writes = Writes()
    yield writes
    writes.next.cancel()


async def turn():
    await asyncio.sleep(0)


async def test_changes_of_a_turn_are_written_at_its_end(writes):
    writes.register(1)
    writes.register(2)
    assert writes.sizes == []
    await turn()
    assert writes.sizes == [3]


async def test_write_with_fewer_than_half_of_the_callers_before_waits_for_more(writes):
    writes.register(8)
    await turn()
    writes.register(3)
    await turn()
    assert writes.sizes == [8]
    writes.register(1)
    await turn()
    assert writes.sizes == [8, 4]


async def test_write_with_half_of_the_callers_before_does_not_wait(writes):
    for number in (9, 5, 3, 2, 1, 1):
        writes.register(number)
        await turn()
    assert writes.sizes == [9, 5, 3, 2, 1, 1]


async def test_usual_number_of_callers_is_halved_by_each_smaller_write(writes):
    writes.register(16)
    await turn()
    for waits in (True, True, False):  # 3 is less than half of 16 and of 8, but not of 4
        writes.register(3)
        assert writes.backlog.expects_more() is waits
        writes.backlog.is_batch_due = True
        writes.next.schedule()
        await turn()
    assert writes.sizes == [16, 3, 3, 3]


async def test_write_that_waits_for_more_begins_after_the_delay(writes, monkeypatch):
    monkeypatch.setattr(_next_write, "GATHER_SECONDS", 0)
    writes.register(8)
    await turn()
    writes.register(1)
    while len(writes.sizes) < 2:
        await turn()
    assert writes.sizes == [8, 1]


async def test_batch_that_is_due_ends_the_delay_of_a_write(writes):
    writes.register(8)
    await turn()
    writes.register(1)
    await turn()
    writes.backlog.is_batch_due = True
    writes.next.schedule()
    await turn()
    assert writes.sizes == [8, 1]


async def test_schedule_that_is_cancelled_or_made_during_a_write_begins_no_write(writes):
    writes.register(1)
    writes.next.cancel()
    await turn()
    assert writes.sizes == []
    writes.backlog.take(only_registrations=False)
    writes.register(1)
    await turn()
    assert writes.sizes == []
    writes.backlog.end_write()
    writes.next.schedule()
    await turn()
    assert writes.sizes == [1]


async def test_backlog_without_callers_expects_no_more(writes):
    assert not writes.backlog.expects_more()
    writes.register(8)
    await turn()
    assert not writes.backlog.expects_more()
