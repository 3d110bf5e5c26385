import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from kakuri_agent import Agent, Capacity, Reconciler
from kakuri_registry import MemoryStore, StoreWriter, WorkloadRegistry, _sqlite

from .loop_clock import LoopClock
from .recording_runtime import RecordingRuntime


@pytest.fixture
def runtime():
    return RecordingRuntime()


@pytest.fixture
def registry():
    return WorkloadRegistry(max_workloads=3)


@pytest.fixture
def capacity():
    return Capacity()


@pytest.fixture
async def writer(registry):
    writer = StoreWriter(registry, MemoryStore())
    yield writer
    await writer.close()


@pytest.fixture
async def agent(registry, writer, runtime, capacity):
    agent = Agent(registry, writer, runtime, capacity, clock=lambda: 7.0)
    yield agent
    agent.close()


@pytest.fixture
def until_idle():
    """Return a coroutine function that runs the event loop until the reconciler is idle."""

    async def turns():
        for _ in range(10):
            await asyncio.sleep(0)

    return turns


@pytest.fixture
async def restarting(monkeypatch, registry, writer, runtime):
    clock = LoopClock(monkeypatch)
    reconciler = Reconciler(
        registry, writer, runtime, Capacity(), clock=lambda: 100.0, jitter=lambda: 0.0
    )
    yield reconciler, clock
    reconciler.close()


@pytest.fixture
def crash_directory(tmp_path, monkeypatch):
    """Yield a directory in memory if possible, because these tests do not test the disk.

    The logs of its stores are short, so that they are overwritten many times.
    """
    monkeypatch.setattr(_sqlite, "MAX_LOG_PAGES", 16)
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        yield Path(directory)
