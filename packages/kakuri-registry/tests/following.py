"""Kills processes while a reader follows their events: following.py DIRECTORY ROUNDS SEED.

In each round, a child process runs a store writer with tasks that take workloads through a cycle,
and reports each event when it is published. It is killed (SIGKILL) at a failpoint of the store or of
the writer, or at any moment. A reader has what the child reported, and continues after the last
index in the next round. At the end, what it has read is the journal: nothing is missing, nothing
came twice, and no event that was read was undone by a kill.
"""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from crashing import kill_at
from kakuri_registry import (
    STORE_FAILPOINTS,
    WRITER_FAILPOINTS,
    EventJournal,
    SQLiteStore,
    StoreWriter,
    WorkloadRegistry,
)
from kakuri_workload import EventType, Run, Workload, WorkloadState

TASKS = 4


async def work(path: Path, out: int, after: int, failpoint) -> None:
    store = SQLiteStore(path, reserve=0, failpoint=failpoint)
    registry = WorkloadRegistry.load(store.load())
    writer = StoreWriter(registry, store, failpoint=failpoint)
    seen = after

    def report() -> None:
        nonlocal seen
        while events := registry.journal.after(seen, 100):
            seen = events[-1].index
            os.write(out, b"".join(b"%d\n" % event.index for event in events))

    registry.journal.subscribe(report)
    report()
    registry.record(EventType.NODE, now=1.0, version="1")

    async def cycle(name: str, number: int) -> None:
        chance = random.Random(number)
        while True:
            if name in registry:
                registry.remove(name, now=1.0)
            registry.register(Workload(name, "nginx", "edera-zone", 1, 1), now=1.0)
            for state in (WorkloadState.PENDING, WorkloadState.RUNNING, WorkloadState.FAILED):
                registry.update(name, Run(state, reason="Next"), now=1.0)
                if chance.random() < 0.5:
                    await writer.saved(name)
            await asyncio.sleep(0)

    await asyncio.gather(*[cycle(f"w-{number}", number) for number in range(TASKS)])


def one_round(path: Path, after: int, chance: random.Random) -> list[int]:
    """Run a child until it is killed; return the indexes that it reported."""
    step = chance.choice([None, *WRITER_FAILPOINTS, *STORE_FAILPOINTS])
    lines = chance.randrange(1, 400) if step is None else -1
    count = chance.randrange(1, 12)
    source, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            asyncio.run(work(path, out, after, kill_at(step, count)))
        finally:
            os._exit(1)
    os.close(out)
    reported = []
    with os.fdopen(source, encoding="ascii") as said:
        for line in said:
            if line.endswith("\n"):
                reported.append(int(line))
            lines -= 1
            if lines == 0:
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child ended by itself: {status}"
    return reported


def journal_of(path: Path) -> EventJournal:
    store = SQLiteStore(path, reserve=0)
    loaded = store.load()
    store.close()
    assert not [each for each in loaded.problems if "not complete" not in each.message]
    return WorkloadRegistry.load(loaded).journal


def main(directory: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    path = Path(directory) / "kakuri.db"
    read: list[int] = []
    for number in range(rounds):
        reported = one_round(path, max(read, default=0), chance)
        read += reported
        journal = journal_of(path)
        stored = {event.index for event in journal.after(journal.compacted, 100_000)}
        undone = {index for index in reported if index > journal.compacted} - stored
        assert not undone, f"round {number}: {sorted(undone)} were read and are not in the journal"
    journal = journal_of(path)
    read += [event.index for event in journal.after(max(read, default=0), 100_000)]
    expected = [event.index for event in journal.after(journal.compacted, 100_000)]
    assert read == sorted(set(read)), "an event came twice, or out of order"
    assert [each for each in read if each > journal.compacted] == expected
    print(f"{rounds} kills, {len(read)} events, {len(expected)} in the journal, all read once")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
