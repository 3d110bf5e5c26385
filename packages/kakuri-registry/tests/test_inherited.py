"""A store in a process that is forked while it is open."""

import subprocess
import sys

import pytest
from kakuri_registry import SQLiteStore, StoreLocked

# Prints the workloads that a later process finds. The program ends without closing its store, so
# that only what was acknowledged counts.
FORKS = """
import asyncio, gc, os, sys
from kakuri_registry import SQLiteStore, StoreFailed, StoreWriter, WorkloadRegistry
from kakuri_workload.testing import workload

path, how = sys.argv[1:]
store = SQLiteStore(path)
registry = WorkloadRegistry.load(store.load())

async def save(workload_id):
    async with StoreWriter(registry, store) as writer:
        registry.register(workload(workload_id), now=1.0)
        await writer.saved(workload_id)

asyncio.run(save("before"))
if not (child := os.fork()):
    if how == "exits":
        sys.exit()
    elif how == "closes":
        store.close()
    elif how == "frees":
        del store
        gc.collect()
    elif how == "writes":
        try:
            store.write([])
            store.load()
        except StoreFailed:
            os._exit(0)
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
asyncio.run(save("after"))
print("saved", flush=True)
sys.stdin.read()
os._exit(0)
"""


@pytest.mark.parametrize("how", ["exits", "closes", "frees", "writes"])
def test_forked_process_leaves_the_store_to_its_parent(tmp_path, how):
    path = tmp_path / "a.db"
    program = [sys.executable, "-c", FORKS, str(path), how]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"saved\n"
        with pytest.raises(StoreLocked):
            SQLiteStore(path)
    assert process.returncode == 0
    store = SQLiteStore(path)
    assert {entry.workload.id for entry in store.load().entries} == {"before", "after"}
    store.close()


def test_lock_of_the_store_ends_with_the_parent_of_a_forked_process(tmp_path):
    path = tmp_path / "a.db"
    program = (
        "import os, sys; from kakuri_registry import SQLiteStore\n"
        f"store = SQLiteStore({str(path)!r})\n"
        "if os.fork(): os._exit(0)\n"
        "print('forked', flush=True); sys.stdin.read(); os._exit(0)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"forked\n"
        process.wait()
        SQLiteStore(path).close()


@pytest.mark.parametrize("name", [":memory:", "file:a?mode=memory"])
def test_relative_path_is_always_the_name_of_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore(name)
    monkeypatch.chdir("/")
    version = store.load().version
    store.close()
    assert (tmp_path / name).stat().st_size > 0
    again = SQLiteStore(tmp_path / name)
    assert again.load().version > version
    again.close()
