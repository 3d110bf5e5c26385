"""What a million workloads take, and what makes it more or less.

Each row is a process of its own that builds the same workloads in one way; memory is what the
kernel counts as resident (/proc/self/statm), before against after, by the number of workloads.

Usage: bench_memory.py [NUMBER]
"""

import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kakuri_json import decode, loads
from kakuri_registry import Change, SQLiteStore, WorkloadRegistry
from kakuri_workload import Run, Workload, WorkloadState
from rich.console import Console
from rich.table import Table

PAGE_SIZE = os.sysconf("SC_PAGESIZE")
SAMPLE = 20_000
"""Calls timed of each kind."""


@dataclass(frozen=True)
class PlainWorkload:
    """The five fields as they would be without __slots__."""

    id: str
    image: str
    runtime_class: str
    memory_mb: int
    cpu_millicores: int


@dataclass(frozen=True, slots=True)
class SlottedWorkload:
    """The same with __slots__."""

    id: str
    image: str
    runtime_class: str
    memory_mb: int
    cpu_millicores: int


def documents(number: int) -> Iterator[bytes]:
    """Return what a client would send, each in bytes of its own."""
    for index in range(number):
        yield (
            b'{"id":"wl-%07d","image":"registry.example.com/team/service:1.%d",'
            b'"runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":500}'
            % (index, index % 10)
        )


def shared(workload: Workload, texts: dict[str, str]) -> Workload:
    """Return the workload with texts that many have in common kept once."""
    values = [getattr(workload, each.name) for each in fields(workload)]
    values[1] = texts.setdefault(workload.image, workload.image)
    values[2] = texts.setdefault(workload.runtime_class, workload.runtime_class)
    return Workload(*values)


def as_dicts(number: int) -> Any:
    return [loads(each) for each in documents(number)]


def as_plain(number: int) -> Any:
    return [decode(each, type=PlainWorkload) for each in documents(number)]


def as_slotted(number: int) -> Any:
    return [decode(each, type=SlottedWorkload) for each in documents(number)]


def as_workloads(number: int) -> Any:
    return [decode(each, type=Workload) for each in documents(number)]


def as_shared_workloads(number: int) -> Any:
    texts: dict[str, str] = {}
    return [shared(decode(each, type=Workload), texts) for each in documents(number)]


def as_registry(number: int) -> Any:
    registry = WorkloadRegistry(max_workloads=number)
    for index, each in enumerate(documents(number)):
        registry.register(decode(each, type=Workload), now=index * 0.001)  # a time of its own
    return registry


def as_running_registry(number: int) -> Any:
    registry = as_registry(number)
    for index in range(number):
        now = index * 0.001
        registry.update(
            f"wl-{index:07d}", Run(WorkloadState.RUNNING, started_at=now + 1.25), now=now + 1.5
        )
    return registry


def from_disk(number: int) -> Any:
    store = SQLiteStore(Path(os.environ["BENCH_STORE"]))
    try:
        return WorkloadRegistry.load(store.load())
    finally:
        store.close()


WAYS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "dicts": ("a dict for each", as_dicts),
    "plain": ("five fields, a frozen dataclass", as_plain),
    "slotted": ("five fields, with slots", as_slotted),
    "workloads": (f"Workload ({len(fields(Workload))} fields, slots)", as_workloads),
    "shared": ("Workload, common texts kept once", as_shared_workloads),
    "registry": ("the registry: entry, index, feed", as_registry),
    "running": ("the registry, each with one step of history", as_running_registry),
    "disk": ("the same, loaded from SQLite", from_disk),
}


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE


def measure(way: str, number: int) -> None:
    """Print bytes and microseconds for each workload, and of calls where there is a registry."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    before, began = resident(), time.perf_counter()
    kept = WAYS[way][1](number)
    seconds = time.perf_counter() - began
    result = {
        "bytes": (resident() - before) / number,
        "us": seconds * 1e6 / number,
        "tracked": len(gc.get_objects()) / number,
    }
    if isinstance(kept, WorkloadRegistry):
        result |= calls_of(kept, number)
    print(json.dumps(result))


def calls_of(registry: WorkloadRegistry, number: int) -> dict[str, float]:
    ids = [f"wl-{random.randrange(number):07d}" for _ in range(SAMPLE)]
    began = time.perf_counter()
    for each in ids:
        registry.get(each)
    got = time.perf_counter()
    for each in ids[:200]:
        registry.page(after=each, limit=100)
    paged = time.perf_counter()
    new = [Workload(f"new-{index}", "nginx", "edera-zone", 1, 1) for index in range(SAMPLE)]
    registry._max_workloads += SAMPLE
    ready = time.perf_counter()
    for each in new:
        registry.register(each, now=0.0)
    registered = time.perf_counter()
    return {
        "get": (got - began) * 1e6 / SAMPLE,
        "page": (paged - got) * 1e6 / 200,
        "register": (registered - ready) * 1e6 / SAMPLE,
    }


def fill(path: Path, number: int) -> float:
    """Write the store that one row loads, and give the bytes on disk for each workload."""
    registry = as_running_registry(number)
    store = SQLiteStore(path)
    batch: list[Change] = []
    for entry in registry:
        past = registry._histories[entry.workload.id]
        batch.append(Change(entry.workload.id, entry.version, entry, past))
        if len(batch) == 4096:
            store.write(batch)
            batch = []
    if batch:
        store.write(batch)
    store.close()
    return path.stat().st_size / number


def main() -> None:
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
        return
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    console = Console(width=118)
    table = Table(title=f"{number:,} workloads; bytes and µs are for each")
    for column in ("kept as", "bytes", "tracked", "made in µs", "get µs", "page µs", "register µs"):
        table.add_column(column, justify="left" if column == "kept as" else "right")
    with tempfile.TemporaryDirectory() as directory, console.status("measuring") as status:
        path = Path(directory) / "store.sqlite"
        status.update("filling the store")
        on_disk = run_apart(fill, path, number)
        for way, (words, _) in WAYS.items():
            status.update(words)
            done = subprocess.run(
                [sys.executable, __file__, way, str(number)],
                env={**os.environ, "BENCH_STORE": str(path)},
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found = json.loads(done.stdout)
            times = [
                f"{found[key]:.1f}" if key in found else "" for key in ("get", "page", "register")
            ]
            table.add_row(
                words,
                f"{found['bytes']:,.0f}",
                f"{found['tracked']:.1f}",
                f"{found['us']:.1f}",
                *times,
            )
    console.print(table)
    console.print(f"on disk: {on_disk:,.0f} bytes for each")


def run_apart(function: Callable[..., float], *arguments: Any) -> float:
    """Call a function in a process of its own, so that its memory goes with it."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sending, repr(function(*arguments)).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return float(text)


if __name__ == "__main__":
    main()
