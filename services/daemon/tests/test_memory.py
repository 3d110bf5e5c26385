"""The garbage collector runs by time and by growth of the process."""

import asyncio
import errno
import gc
import os
import weakref

import pytest
from kakuri_daemon import _memory
from kakuri_daemon._memory import (
    FREEZE_SECONDS,
    GROWING_OBJECTS,
    GROWTH_BYTES,
    NEW_OBJECTS,
    THAW_BYTES,
    TRIM_BYTES,
    TRIM_CHECKS,
    Collector,
)


class Payload:
    """A cycle that holds something."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def collections(monkeypatch):
    """What was asked of the garbage collector, in order; Python's own collections are off."""
    asked = []
    collect = gc.collect
    monkeypatch.setattr(
        gc, "collect", lambda generation=2: (asked.append(generation), collect())[1]
    )
    monkeypatch.setattr(gc, "freeze", lambda: asked.append("freeze"))
    monkeypatch.setattr(gc, "unfreeze", lambda: asked.append("unfreeze"))
    gc.disable()
    yield asked
    gc.enable()


class Process:
    """A process whose size and clock the test sets."""

    def __init__(self) -> None:
        self.size = 50 << 20
        self.seconds = 0.0  # that a full collection takes
        self._now = 0.0

    def memory(self) -> int:
        return self.size

    def clock(self) -> float:
        self._now += self.seconds
        return self._now

    def collector(self, trim=None) -> Collector:
        loop = asyncio.new_event_loop()
        loop.close()
        return Collector(loop, memory=self.memory, cpu_clock=self.clock, trim=trim)


class Loop:
    """An event loop whose clock the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call) -> None:
        self.calls.append((seconds, call))


def test_young_cycles_are_collected_at_every_check(collections):
    process = Process()
    collector = process.collector()
    lost = weakref.ref(Payload())
    assert lost() is not None
    collector.check()
    assert lost() is None
    assert collections == [1]


def test_everything_is_collected_when_the_process_has_grown(collections):
    process = Process()
    collector = process.collector()
    process.size += GROWTH_BYTES - 1
    collector.check()
    assert collections == [1]
    process.size += 1
    collector.check()
    assert collections == [1, 1, 2]
    collector.check()  # the growth is counted from there
    assert collections == [1, 1, 2, 1]


def test_growth_is_counted_from_the_smallest_size_since(collections):
    process = Process()
    collector = process.collector()
    process.size -= GROWTH_BYTES
    collector.check()
    process.size += GROWTH_BYTES
    collector.check()
    assert collections == [1, 1, 2]


def test_free_memory_is_returned_while_the_process_is_larger_than_at_its_start(monkeypatch):
    monkeypatch.setattr(gc, "collect", lambda generation=2: generation)
    process, trimmed = Process(), []
    small = process.size

    def trim():
        trimmed.append(process.size)
        process.size -= TRIM_BYTES // 2

    collector = process.collector(trim)
    for _ in range(2 * TRIM_CHECKS):
        collector.check()
    assert trimmed == []
    process.size += 2 * TRIM_BYTES
    for _ in range(TRIM_CHECKS):
        collector.check()
    assert trimmed == [small + 2 * TRIM_BYTES]  # and not at every check
    for _ in range(4 * TRIM_CHECKS):
        collector.check()
    assert len(trimmed) == 3
    assert process.size < small + TRIM_BYTES


def test_trim_works_with_the_c_library_of_this_machine():
    _memory._trim()


def test_trim_without_malloc_trim_does_nothing(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    _memory._trim()


def test_heap_that_takes_long_is_frozen_and_a_small_one_is_not(collections):
    process = Process()
    collector = process.collector()
    process.size += GROWTH_BYTES
    process.seconds = FREEZE_SECONDS
    collector.check()
    assert "freeze" not in collections
    process.size += GROWTH_BYTES
    process.seconds = FREEZE_SECONDS + 0.001
    collector.check()
    assert collections == [1, 2, 1, 2, "freeze"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ((GROWING_OBJECTS - 1, 0, 5), (False, [])),
        ((GROWING_OBJECTS, 0, 5), (True, [])),
        ((NEW_OBJECTS - 1, 0, 5), (True, [])),
        ((NEW_OBJECTS, 0, 5), (True, [2, "freeze"])),
        ((0, 1, 5), (True, [2, "freeze"])),  # Python has collected the young ones itself
    ],
)
def test_many_new_objects_are_collected_and_frozen_between_two_checks(
    collections, monkeypatch, count, expected
):
    monkeypatch.setattr(gc, "get_count", lambda: count)
    process = Process()
    process.seconds = FREEZE_SECONDS + 0.001
    is_growing, asked = expected
    assert process.collector().collect_new() is is_growing
    assert collections == asked


@pytest.mark.parametrize(("young", "seconds"), [(0, 1.0), (NEW_OBJECTS, 0.05)])
def test_new_objects_are_counted_more_often_while_there_are_many(
    collections, monkeypatch, young, seconds
):
    monkeypatch.setattr(gc, "get_count", lambda: (young, 0, 0))
    loop = Loop()
    process = Process()
    collector = Collector(loop, memory=process.memory, cpu_clock=process.clock)
    collector.start()
    assert loop.calls.pop()[0] == 1.0
    for _ in range(3):
        loop.now += 0.3
        collector._run()
        assert loop.calls.pop()[0] == seconds
    assert 1 not in collections
    loop.now += 0.3  # a second after the start
    collector._run()
    assert collections[-1] == 1


def test_frozen_objects_are_collected_when_a_large_process_has_doubled(collections):
    process = Process()
    collector = process.collector()
    process.size = THAW_BYTES - 1
    collector.check()
    assert "unfreeze" not in collections
    for size, thaws in ((THAW_BYTES + GROWTH_BYTES, 1), (2 * THAW_BYTES, 1), (3 * THAW_BYTES, 2)):
        process.size = size
        collector.check()
        assert collections.count("unfreeze") == thaws


def test_collector_checks_periodically_until_it_is_closed(monkeypatch):
    monkeypatch.setattr(_memory, "COLLECT_SECONDS", 0.0)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        enough = asyncio.Event()
        checks = 0

        def memory() -> int:
            nonlocal checks
            checks += 1
            if checks >= 3:
                enough.set()
            return 0

        collector = Collector(loop, memory=memory)
        collector.start()
        await enough.wait()
        collector.close()
        counted = checks
        for _ in range(5):
            await asyncio.sleep(0)
        assert checks == counted
        return checks

    assert asyncio.run(run()) >= 3


def test_check_without_a_descriptor_to_read_the_size_is_skipped(monkeypatch):
    sizes = iter([0])
    reported = []

    def memory() -> int:
        for size in sizes:
            return size
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reported.append(context))
        collector = Collector(loop, memory=memory)
        monkeypatch.setattr(_memory, "COLLECT_SECONDS", 0.0)
        collector.start()
        for _ in range(5):
            await asyncio.sleep(0)
        collector.close()

    asyncio.run(run())
    assert reported == []


def test_prepare_leaves_full_collections_to_the_collector():
    before = gc.get_threshold()
    try:
        _memory.prepare()
        assert gc.get_threshold() == (_memory.YOUNG_THRESHOLD, 20, _memory.NEVER)
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_resident_bytes_is_the_size_of_this_process():
    size = _memory.resident_bytes()
    assert 1 << 20 < size < 1 << 34
