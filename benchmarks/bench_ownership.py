"""What it costs to copy, to refer, and to look for cycles.

Usage: bench_ownership.py [NUMBER], the workloads that the cycle collector has to check.
"""

import copy
import dataclasses
import gc
import os
import sys
import time
import timeit
from collections.abc import Callable

from kakuri_registry import WorkloadEntry, WorkloadRegistry
from kakuri_workload import Run, Workload, WorkloadState
from rich.console import Console
from rich.table import Table

ROUNDS = 7
THRESHOLDS = {
    "Python's own": (700, 10, 10),
    "the daemons', what the start made frozen": (50_000, 20, 20),
}


def nanoseconds(call: Callable[[], object]) -> float:
    """Return what one call takes, in the fastest of some rounds."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    return min(timer.repeat(ROUNDS, max(number // 4, 1))) / max(number // 4, 1) * 1e9


def workload(number: int) -> Workload:
    return Workload(f"wl-{number}", "nginx:latest", "edera-zone", 512, 500)


def snapshots() -> Table:
    registry = WorkloadRegistry()
    entry = registry.register(workload(1), now=0.0)
    fields = [getattr(entry, field.name) for field in dataclasses.fields(entry)]
    table = Table(title="a workload's snapshot")
    table.add_column("what")
    table.add_column("µs", justify="right")

    def change() -> object:
        return registry.update("wl-1", Run(WorkloadState.PENDING), now=1.0)

    for words, call in (
        ("looking it up: a reference", lambda: registry.get("wl-1")),
        ("a deep copy", lambda: copy.deepcopy(entry)),
        ("a change, with indexes and feed", change),
        ("of it the new snapshot, by its constructor", lambda: WorkloadEntry(*fields)),
        ("the same by dataclasses.replace", lambda: dataclasses.replace(entry, version=2)),
    ):
        table.add_row(words, f"{nanoseconds(call) / 1000:.2f}")
    return table


def slices() -> Table:
    table = Table(title="a slice of a read of 256 KiB, nanoseconds")
    for column in ("bytes of it", "bytes", "memoryview"):
        table.add_column(column, justify="right")
    read = bytes(256 << 10)
    view = memoryview(read)
    for size in (35, 1 << 10, 64 << 10):
        table.add_row(
            f"{size:,}",
            f"{nanoseconds(lambda size=size: read[100 : 100 + size]):,.0f}",
            f"{nanoseconds(lambda size=size: view[100 : 100 + size]):,.0f}",
        )
    return table


def collector(number: int) -> Table:
    table = Table(title=f"the collector of cycles, while {number:,} workloads are registered")
    for column in ("thresholds", "looks", "full ones", "longest pause, ms"):
        table.add_column(column, justify="left" if column == "thresholds" else "right")
    for words, thresholds in THRESHOLDS.items():
        reading, writing = os.pipe()
        if os.fork() == 0:  # the memory goes with the process
            os.write(writing, " ".join(collector_pauses(number, thresholds)).encode())
            os._exit(0)
        os.wait()
        table.add_row(words, *os.read(reading, 1000).decode().split())
        os.close(reading)
        os.close(writing)
    return table


def collector_pauses(number: int, thresholds: tuple[int, int, int]) -> tuple[str, str, str]:
    pauses: list[tuple[int, float]] = []
    begun = 0.0

    def note(phase: str, facts: dict[str, int]) -> None:
        nonlocal begun
        if phase == "start":
            begun = time.perf_counter()
        else:
            pauses.append((facts["generation"], time.perf_counter() - begun))

    gc.collect()
    if thresholds != THRESHOLDS["Python's own"]:
        gc.freeze()
    gc.set_threshold(*thresholds)
    gc.callbacks.append(note)
    registry = WorkloadRegistry()
    for each in range(number):
        registry.register(workload(each), now=float(each))
    full = sum(generation == 2 for generation, _ in pauses)
    longest = max((seconds for _, seconds in pauses), default=0.0)
    return f"{len(pauses):,}", str(full), f"{longest * 1000:.0f}"


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    console = Console(width=100)
    for table in (snapshots(), slices(), collector(number)):
        console.print(table)


if __name__ == "__main__":
    main()
