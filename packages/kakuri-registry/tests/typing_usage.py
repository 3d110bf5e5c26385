"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import assert_type

import kakuri_registry
from kakuri_registry import (
    Change,
    Compacted,
    Durability,
    Loaded,
    MemoryStore,
    SQLiteStore,
    Store,
    StoreError,
    StoreWriter,
    WorkloadEntry,
    WorkloadRegistry,
)
from kakuri_workload import History, Run, Workload, WorkloadState


def snapshots_are_returned_by_every_change(registry: WorkloadRegistry, workload: Workload) -> None:
    entry = registry.register(workload, now=0.0)
    assert_type(entry, WorkloadEntry)
    assert_type(registry.update(workload.id, Run(WorkloadState.RUNNING), now=1.0), WorkloadEntry)
    assert_type(entry.workload, Workload)
    assert_type(entry.state, WorkloadState)
    assert_type(registry.history(workload.id), History)


def lookups_tell_whether_there_is_one(registry: WorkloadRegistry) -> None:
    assert_type(registry.get("wl-1"), WorkloadEntry | None)
    assert_type("wl-1" in registry, bool)
    assert_type(registry.page(state=WorkloadState.RUNNING), list[WorkloadEntry])
    for entry in registry:
        assert_type(entry, WorkloadEntry)
    on_change: Callable[[Change], None] = print
    registry.subscribe(on_change)


async def a_writer_saves_what_the_registry_knows(path: Path) -> None:
    store = SQLiteStore(path)
    assert_type(store.load(), Loaded)
    registry = WorkloadRegistry.load(store.load())
    async with StoreWriter(registry, store) as writer:
        assert_type(writer, StoreWriter)
        await writer.saved("wl-1")
        assert_type(writer.durability("wl-1"), Durability)
        assert_type(writer.error, StoreError | None)


def stores_are_interchangeable(path: Path, changes: Sequence[Change]) -> None:
    stores: list[Store] = [SQLiteStore(path), MemoryStore()]
    for store in stores:
        store.write(changes)


def errors_are_a_tree(error: StoreError, compacted: Compacted) -> list[Exception]:
    return [error, compacted]


def misspelled_names_are_reported() -> None:
    print(kakuri_registry.no_such_name)  # type: ignore[attr-defined]
