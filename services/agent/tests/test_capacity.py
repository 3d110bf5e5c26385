"""Tests of the capacity that a node reserves, and of the messages of refusals."""

import pytest
from kakuri_agent import Capacity
from kakuri_agent._capacity import (
    SPEC_BYTES,
    InsufficientCapacity,
    NeverFits,
    cpu_of_machine,
    memory_of_machine,
)
from kakuri_registry import spec_size
from kakuri_workload.testing import workload


def used(capacity):
    return capacity.memory_mb_used, capacity.cpu_millicores_used, capacity.spec_bytes_used


SIZE = spec_size(workload("a"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"memory_mb": 1023}, "at most 511 MB of memory, got 512: 512 of 1023 are reserved"),
        ({"cpu_millicores": 999}, "at most 499 millicores of CPU, got 500: 500 of 999 are reserved"),
        ({"spec_bytes": 2 * SIZE - 1},
         f"at most {SIZE - 1} bytes of specifications, got {SIZE}: {SIZE} of {2 * SIZE - 1} are"),
    ],
)  # fmt: skip
def test_reserve_accepts_the_last_unit_and_not_one_more(limits, message):
    ((name, total),) = limits.items()
    enough = Capacity(**{name: total + 1})
    enough.reserve(workload("a"))
    enough.reserve(workload("b"))
    assert used(enough) == (1024, 1000, 2 * SIZE)
    short = Capacity(**limits)
    short.reserve(workload("a"))
    with pytest.raises(InsufficientCapacity) as caught:
        short.reserve(workload("b"))
    assert type(caught.value) is InsufficientCapacity
    assert message in str(caught.value)
    assert used(short) == (512, 500, SIZE)
    short.release("a")
    short.reserve(workload("b"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"memory_mb": 511}, "at most 511 MB of memory, which is all that this node has, got 512"),
        ({"cpu_millicores": 499}, "at most 499 millicores of CPU, which is all that this node has"),
        ({"spec_bytes": 1}, "at most 1 bytes of specifications, which is all that this node has"),
    ],
)
def test_reserve_of_more_than_the_node_raises_never_fits(limits, message):
    capacity = Capacity(**limits)
    with pytest.raises(NeverFits, match=message):
        capacity.reserve(workload("a"))
    assert used(capacity) == (0, 0, 0)
    ((name, total),) = limits.items()
    if total > 1:
        Capacity(**{name: total + 1}).reserve(workload("a"))


@pytest.mark.parametrize(
    ("memory_mb", "reserved", "says_so"), [(299, 300, True), (300, 300, False), (301, 301, False)]
)
def test_reserve_of_a_small_workload_counts_the_floor_and_the_message_names_it(
    memory_mb, reserved, says_so
):
    capacity = Capacity(memory_mb=reserved, memory_floor_mb=300)
    capacity.reserve(workload("a", memory_mb=memory_mb))
    assert capacity.memory_mb_used == reserved
    with pytest.raises(InsufficientCapacity) as caught:
        capacity.reserve(workload("b", memory_mb=memory_mb))
    assert str(caught.value).endswith(", and no zone takes less than 300 MB") == says_so


def test_release_of_an_unreserved_workload_has_no_effect():
    capacity = Capacity(memory_mb=2048)
    capacity.reserve(workload("a"))
    capacity.reserve(workload("b", memory_mb=100))
    for _ in range(2):
        capacity.release("a")
        capacity.release("unknown")
        assert used(capacity)[:2] == (100, 500)


def test_reserve_of_the_same_workload_counts_once():
    capacity = Capacity()
    for memory_mb in (512, 300):
        capacity.reserve(workload("a", memory_mb=memory_mb))
        assert used(capacity)[:2] == (memory_mb, 500)


def test_reserve_accepted_beyond_the_capacity_is_counted():
    capacity = Capacity(memory_mb=600)
    capacity.reserve_accepted([workload("a"), workload("b")])
    assert used(capacity) == (1024, 1000, 2 * SIZE)
    with pytest.raises(InsufficientCapacity, match="at most 0 MB of memory, got 1: 1024 of 600"):
        capacity.reserve(workload("c", memory_mb=1))


def test_capacity_of_the_machine_is_read_from_the_system(monkeypatch, tmp_path):
    assert SPEC_BYTES == 268_435_456
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert cpu_of_machine() == 6000
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cpu_of_machine() == 1000
    meminfo = "MemFree:  1 kB\nMemTotal:       2097152 kB\n"
    monkeypatch.setattr("pathlib.Path.read_text", lambda _path: meminfo)
    assert memory_of_machine() == 2048
    monkeypatch.setattr("pathlib.Path.read_text", lambda _path: "")
    with pytest.raises(OSError, match="expected a line MemTotal"):
        memory_of_machine()


@pytest.mark.parametrize(
    "limits", [{"memory_mb": 512}, {"cpu_millicores": 500}, {"spec_bytes": SIZE}]
)
def test_workload_of_the_size_of_the_node_fits_once_the_others_have_ended(limits):
    capacity = Capacity(**limits)
    capacity.reserve(workload("a"))
    with pytest.raises(InsufficientCapacity, match="are reserved") as caught:
        capacity.reserve(workload("b"))
    assert type(caught.value) is InsufficientCapacity
    capacity.release("a")
    capacity.reserve(workload("b"))


def test_release_returns_exactly_what_was_reserved():
    capacity = Capacity(memory_floor_mb=300)
    small = workload("a", memory_mb=1, env={"KEY": "é" * 100}, command=("sleep", "1"))
    capacity.reserve(small)
    capacity.reserve_accepted([workload("b"), small])
    assert used(capacity) == (300 + 512, 1000, spec_size(small) + spec_size(workload("b")))
    for workload_id in ("a", "a", "b", "none"):
        capacity.release(workload_id)
    assert used(capacity) == (0, 0, 0)
