"""A registry of up to a million workloads: memory, time of each call, start-up, group commit.

Each row is a process of its own, with the garbage collector set as the daemons set it. Ids come in
random order. --write puts the tables into docs/benchmarks.md.
"""

import argparse
import asyncio
import gc
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kakuri_registry import Change, MemoryStore, SQLiteStore, StoreWriter, WorkloadRegistry
from kakuri_workload import Run, Workload, WorkloadState

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
SAMPLE = 20_000
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def workload(number: int, prefix: str = "wl") -> Workload:
    return Workload(
        f"{prefix}-{number:08d}", "nginx:latest", "edera-zone", 512, 500,
        labels={"team": f"team-{number % 100}"},
    )  # fmt: skip


def each(call, items) -> float:
    """Return the CPU microseconds that a call takes, the median of ten parts."""
    part = max(1, len(items) // 10)
    times = []
    for start in range(0, len(items), part):
        began = time.process_time()
        for item in items[start : start + part]:
            call(item)
        times.append((time.process_time() - began) / len(items[start : start + part]))
    times.sort()
    return times[len(times) // 2] * 1e6


def size(count: int) -> None:
    chance = random.Random(1)
    numbers = list(range(count))
    chance.shuffle(numbers)
    before = resident()
    registry = WorkloadRegistry(max_workloads=2_000_000)
    for number in numbers:
        registry.register(workload(number), now=1.7e9 + number)
    registry.page(limit=1)
    pending = (resident() - before) / count
    for number in numbers:
        registry.update(f"wl-{number:08d}", Run(RUNNING), now=1.8e9 + number)
    registry.page(state=RUNNING, limit=1)
    running = (resident() - before) / count
    ids = [f"wl-{number:08d}" for number in chance.choices(numbers, k=SAMPLE)]
    get = each(registry.get, ids)
    update = each(lambda name: registry.update(name, Run(RUNNING), now=1.9e9), ids)
    new = [workload(number, chance.choice("abxyz")) for number in range(SAMPLE)]
    register = each(lambda new: registry.register(new, now=1.9e9), new)
    end = each(lambda new: registry.update(new.id, Run(FAILED), now=1.9e9), new)
    rare = chance.choices(new, k=20)
    registry.page(limit=1)
    registry.page(limit=1, state=FAILED)
    for team in range(100):
        registry.page(limit=1, label=("team", f"team-{team}"))
    pages = [
        each(lambda name: registry.page(after=name, limit=100), ids[:100]),
        each(lambda new: registry.page(state=FAILED, after=new.id, limit=100), rare),
        each(lambda n: registry.page(label=("team", f"team-{n}"), limit=100), range(100)),
    ]
    remove = each(lambda new: registry.remove(new.id), new)
    print(
        f"| {count:,} | {pending:,.0f} | {running:,.0f} | {get:.2f} | {register:.1f} | {update:.1f} "
        f"| {end:.1f} | {remove:.1f} | {' | '.join(f'{page:,.0f}' for page in pages)} |"
    )


def load(count: int) -> None:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        path = Path(directory) / "kakuri.db"
        store = SQLiteStore(path)
        registry, changes = WorkloadRegistry(max_workloads=2_000_000), {}
        registry.subscribe(lambda change: changes.__setitem__(change.workload_id, change))
        numbers = list(range(count))
        random.Random(1).shuffle(numbers)
        for number in numbers:
            registry.register(workload(number), now=1.7e9 + number)
            registry.update(f"wl-{number:08d}", Run(RUNNING), now=1.8e9 + number)
        rows: list[Change] = list(changes.values())
        began = time.perf_counter()
        for start in range(0, count, 10_000):
            store.write(rows[start : start + 10_000])
        write = time.perf_counter() - began
        store.close()
        megabytes = path.stat().st_size / 1e6
        del registry, changes, rows
        gc.collect()
        began, worked = time.perf_counter(), time.process_time()
        store = SQLiteStore(path)
        registry = WorkloadRegistry.load(store.load())
        whole, work = time.perf_counter() - began, time.process_time() - worked
        # One change in a database of this size: random places in it are written.
        changes = []
        registry.subscribe(changes.append)
        for number in random.Random(2).choices(numbers, k=500):
            registry.update(f"wl-{number:08d}", Run(RUNNING, reason="Again"), now=1.9e9)
        times = []
        for change in changes:
            began = time.perf_counter()
            store.write([change])
            times.append(time.perf_counter() - began)
        one = sorted(times)[len(times) // 2] * 1e3
        store.close()
    print(
        f"| {count:,} | {megabytes:,.1f} | {megabytes * 1e6 / count:,.0f} | {write:.2f} "
        f"| {whole:.2f} | {work:.2f} | {one:.2f} |"
    )


async def commit(kind: str, waiting: int) -> tuple[float, ...]:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        store = MemoryStore() if kind == "memory" else SQLiteStore(Path(directory) / "kakuri.db")
        registry = WorkloadRegistry.load(store.load())
        writes = 0
        write = store.write

        def counted(changes) -> None:
            nonlocal writes
            writes += 1
            write(changes)

        store.write = counted
        times: list[float] = []
        async with StoreWriter(registry, store) as writer:
            end = time.perf_counter() + 1

            async def client(number: int) -> None:
                count = 0
                while (began := time.perf_counter()) < end:
                    new = workload(count * 1000 + number)
                    count += 1
                    registry.register(new, now=1.0)
                    await writer.saved(new.id)
                    times.append(time.perf_counter() - began)
                    await asyncio.sleep(0)

            await asyncio.gather(*[client(number) for number in range(waiting)])
        store.close()
    times.sort()
    p50, p99 = times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3
    return len(times), p50, p99, len(times) / writes


def best_commit(kind: str, waiting: int) -> None:
    rounds = [asyncio.run(commit(kind, waiting)) for _ in range(3)]
    rate, p50, p99, batch = max(rounds)
    print(f"| {kind} | {waiting} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {batch:,.1f} |")


TABLES = {
    "size": (
        "## A registry of n workloads: bytes for each, and CPU microseconds for a call",
        (
            "Each workload has one label. Memory is the growth of the process, with history and indexes, "
            "when all workloads are pending and when all are running. A page has 100 workloads. The steps "
            "of a call grow with the logarithm of n at most; the rest of the growth is due to CPU caches."
        ),
        (
            "| n | pending, bytes | running, bytes | get | register | update, same state "
            "| update, other state | remove | page | page of a rare state | page of a label |"
        ),
        [(count,) for count in (1_000, 10_000, 100_000, 1_000_000)],
    ),
    "load": (
        "## A database of n workloads",
        "Written 10,000 at a time; opened and loaded into a registry; then single changes, one after another.",
        ("| n | MB | bytes for each | write all, s | start, s | start, CPU s | one change, ms |"),
        [(count,) for count in (1_000, 10_000, 100_000, 1_000_000)],
    ),
    "commit": (
        "## Group commit",
        "Each of the tasks registers a workload and waits until it is on disk, again and again; the best second of three.",
        "| store | tasks | registrations/s | p50, ms | p99, ms | workloads in a write |",
        [(kind, tasks) for kind in ("memory", "sqlite") for tasks in (1, 8, 32, 256)],
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=TABLES, nargs="*", default=list(TABLES))
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--row", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        kind, *arguments = options.row
        if kind == "commit":
            best_commit(arguments[0], int(arguments[1]))
        else:
            {"size": size, "load": load}[kind](int(arguments[0]))
        return
    lines = [
        "# Benchmarks of kakuri-registry\n",
        (
            f"Python {platform.python_version()}, {platform.machine()}, SQLite "
            f"{sqlite3.sqlite_version}, two shared cores. "
            "Written by `python benchmarks/bench_registry.py --write`."
        ),
    ]
    print("\n".join(lines))
    for name in options.table:
        title, text, head, rows = TABLES[name]
        table = [f"\n{title}\n", f"{text}\n", head, "| ---: " * (head.count("|") - 1) + "|"]
        print("\n".join(table))
        for row in rows:
            if name != "commit" and row[0] > options.largest:
                continue
            command = [sys.executable, __file__, "--row", name, *map(str, row)]
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            table.append(run.stdout.rstrip())
            print(table[-1], flush=True)
        lines += table
    if options.write:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
