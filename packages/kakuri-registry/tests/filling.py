"""Fills the disk under a store and checks what still works: filling.py DIRECTORY.

DIRECTORY is a separate file system of a few MiB. Workloads are registered through a store writer until
there is no room. Another file then fills the rest of the disk, and the registered workloads are
stopped and removed. Finally, that file is removed, and workloads are registered again.
"""

import asyncio
import errno
import os
import sys
from contextlib import closing
from pathlib import Path

from kakuri_registry import SQLiteStore, StoreFull, StoreWriter, WorkloadRegistry
from kakuri_workload import DesiredState, Run, Workload, WorkloadState

RESERVE = 2 << 20
GROUP = 200
LONG_MESSAGES = 500


def fill(path: Path) -> None:
    """Use all free space, like the log of another program."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    size = 1 << 20
    while size:
        try:
            os.write(descriptor, b"x" * size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size //= 2
    os.close(descriptor)


def free(directory: Path) -> int:
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def reopened(store: SQLiteStore, path: Path) -> tuple[SQLiteStore, WorkloadRegistry]:
    store.close()
    store = SQLiteStore(path, reserve=RESERVE)
    loaded = store.load()
    assert not loaded.problems, loaded.problems
    return store, WorkloadRegistry.load(loaded)


def store_id_of(path: Path) -> str:
    """Open and close the store; return its id."""
    with closing(SQLiteStore(path, reserve=RESERVE)) as store:
        store_id = store.load().store_id
    assert store_id is not None
    return store_id


async def register(registry: WorkloadRegistry, writer: StoreWriter, names: list[str]) -> int:
    """Register some workloads together; return how many were accepted."""

    async def one(name: str) -> bool:
        workload = Workload(name, "nginx", "edera-zone", 1, 1, args=("x" * 1000,))
        registry.register(workload, now=1.0)
        try:
            await writer.saved(name)
        except StoreFull:
            assert name not in registry
            return False
        assert name in registry
        return True

    return sum(await asyncio.gather(*[one(name) for name in names]))


async def main(directory: Path) -> None:
    path = directory / "kakuri.db"
    old_log = directory / "old.log"
    old_log.write_bytes(b"x" * (RESERVE + (1 << 20)))
    reserve = directory / "kakuri.db.reserve"
    store = SQLiteStore(path, reserve=RESERVE)
    registry = WorkloadRegistry.load(store.load())
    writer = StoreWriter(registry, store)
    for group in range(1000):
        names = [f"{group}-{number}" for number in range(GROUP)]
        count = await register(registry, writer, names)
        assert count in (0, GROUP)
        if not count:
            break
    assert reserve.stat().st_blocks * 512 >= RESERVE
    assert store.has_reserve
    fill(directory / "another-program.log")
    assert free(directory) == 0
    assert await register(registry, writer, ["one-more"]) == 0
    taken = len(registry)
    assert taken > 1000

    # Workloads can be stopped and removed, in groups and one by one, between refused registrations.
    entries = list(registry)
    for number, entry in enumerate(entries):
        name = entry.workload.id
        registry.set_desired(name, DesiredState.STOP, now=2.0, grace_seconds=10)
        if number < LONG_MESSAGES:
            message = "x" * 2000  # does not fit in the existing pages
            registry.update(name, Run(WorkloadState.FAILED, message=message), now=3.0)
        elif number % 7 == 0:
            registry.remove(name)
        if number % 97 == 0:
            await writer.saved(name)
        if number % 997 == 0:
            assert await register(registry, writer, [f"new-{number}"]) == 0
    await writer.flushed()
    assert not reserve.exists()
    assert store.has_reserve is False
    expected = {entry.workload.id: entry for entry in registry}
    for number, entry in enumerate(entries):
        kept = expected.get(entry.workload.id)
        assert (kept is None) == (number >= LONG_MESSAGES and number % 7 == 0)
        assert kept is None or kept.desired is DesiredState.STOP

    # After a restart on the full disk, everything is there, and the same works as before.
    await writer.close()
    store, registry = reopened(store, path)
    assert {entry.workload.id: entry for entry in registry} == expected
    writer = StoreWriter(registry, store)
    assert await register(registry, writer, ["one-more"]) == 0
    for name in list(expected)[:300]:
        registry.remove(name)
        del expected[name]
    await writer.flushed()

    # It also starts if nothing can be written: neither its log nor its lock file, which is empty.
    # Versions may then be used again, so the store gets another id at each start until there is room.
    await writer.close()
    store.close()
    os.truncate(directory / "kakuri.db.lock", 0)
    fill(directory / "yet-another-program.log")
    assert free(directory) == 0
    ids = [store_id_of(path), store_id_of(path)]
    (directory / "yet-another-program.log").unlink()
    ids += [store_id_of(path), store_id_of(path)]
    assert len({*ids}) == 3, ids
    assert ids[2] == ids[3], ids
    store, registry = reopened(store, path)
    writer = StoreWriter(registry, store)

    # With space for twice the reserve, it is allocated again and new workloads are accepted.
    (directory / "another-program.log").unlink()
    old_log.unlink()
    assert await register(registry, writer, ["one-more"]) == 1
    assert reserve.stat().st_size == RESERVE
    await writer.close()
    store, registry = reopened(store, path)
    names = {entry.workload.id for entry in registry}
    store.close()
    assert names == {*expected, "one-more"}
    print(f"{taken} workloads, then the disk was full; every check passed")


asyncio.run(main(Path(sys.argv[1])))
