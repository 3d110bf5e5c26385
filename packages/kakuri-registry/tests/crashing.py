"""Kills processes that commit in a loop and checks the database: crashing.py DIRECTORY ROUNDS SEED.

In each round, a child process runs a store writer on the database, with tasks that take workloads
through a cycle: registered, running, succeeded, removed, and again. The child reports when a
transition begins and when it is saved. It is killed (SIGKILL) at a failpoint of the store or of the
writer, or at any moment by its parent. Then the database is opened: each workload is in the state
that was saved last, or in the next one if that transition had begun.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from kakuri_registry import (
    STORE_FAILPOINTS,
    WRITER_FAILPOINTS,
    SQLiteStore,
    StoreWriter,
    WorkloadRegistry,
    _sqlite,
)
from kakuri_workload import Run, Workload, WorkloadState

_sqlite.MAX_LOG_PAGES = 16  # so that logs are overwritten many times

TASKS = 8
CYCLE = (None, WorkloadState.PENDING, WorkloadState.RUNNING, WorkloadState.SUCCEEDED)


def kill_at(name: str | None, count: int):
    """Return a callback that kills the process when it reaches a failpoint for the nth time."""
    remaining = count

    def failpoint(reached: str) -> None:
        nonlocal remaining
        if reached == name:
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return failpoint


async def work(path: Path, out: int, failpoint) -> None:
    store = SQLiteStore(path, reserve=0, failpoint=failpoint)
    registry = WorkloadRegistry.load(store.load())
    writer = StoreWriter(registry, store, failpoint=failpoint)

    async def cycle(name: str) -> None:
        while True:
            entry = registry.get(name)
            place = 0 if entry is None else CYCLE.index(entry.state)
            step = (place + 1) % len(CYCLE)
            os.write(out, f"b {name} {step} 0\n".encode())
            if step == 1:
                registry.register(Workload(name, "nginx", "edera-zone", 1, 1), now=time.time())
            elif step == 0:
                registry.remove(name)
            else:
                registry.update(name, Run(CYCLE[step], reason="Next"), now=time.time())
            version = registry.version
            await writer.saved(name)
            os.write(out, f"d {name} {step} {version}\n".encode())

    await asyncio.gather(*[cycle(f"w-{number}") for number in range(TASKS)])


def one_round(path: Path, chance: random.Random) -> tuple[dict[str, set[int]], int, int]:
    """Run a child until it is killed.

    Returns:
        The positions in the cycle that each workload may have, the latest version and the number of
        changes that were saved.
    """
    step = chance.choice([None, None, *WRITER_FAILPOINTS, *STORE_FAILPOINTS])
    lines = chance.randrange(1, 200) if step is None else -1
    count = chance.randrange(1, 12)
    source, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            asyncio.run(work(path, out, kill_at(step, count)))
        finally:
            os._exit(1)
    os.close(out)
    begun: dict[str, int] = {}
    done: dict[str, int] = {}
    latest = acknowledged = 0
    with os.fdopen(source, encoding="ascii") as said:
        for line in said:
            kind, name, place, version = line.split()
            (begun if kind == "b" else done)[name] = int(place)
            if kind == "d":
                acknowledged += 1
                latest = max(latest, int(version))
            lines -= 1
            if lines == 0:
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child ended by itself: {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL
    may_be = {name: {place, done.get(name, (place - 1) % 4)} for name, place in begun.items()}
    return may_be, latest, acknowledged


def main(directory: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    path = Path(directory) / "kakuri.db"
    places = {f"w-{number}": 0 for number in range(TASKS)}
    total = version = 0
    for number in range(rounds):
        may_be, latest, acknowledged = one_round(path, chance)
        total += acknowledged
        version = max(version, latest)
        store = SQLiteStore(path, reserve=0)
        loaded = store.load()
        registry = WorkloadRegistry.load(loaded)
        store.close()
        assert not [each for each in loaded.problems if "not complete" not in each.message]
        assert registry.version > version, (registry.version, version)
        for name, before in places.items():
            entry = registry.get(name)
            place = 0 if entry is None else CYCLE.index(entry.state)
            allowed = may_be.get(name, {before})
            assert place in allowed, f"round {number}: {name} is at {place}, not in {allowed}"
            places[name] = place
    print(f"{rounds} kills, {total} acknowledged changes, all there")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
