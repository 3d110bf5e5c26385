"""A change of a registry, as passed to its subscriber and to a store."""

from typing import NamedTuple

from kakuri_workload import History

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._events import RegistryEvent
from kakuri_registry._tombstones import NewTombstone


class Change(NamedTuple):
    """One change of a registry: a workload's new snapshot, its removal, or an event of the node.

    Attributes:
        workload_id: The workload; empty for an event of the node.
        version: The registry's version after the change.
        entry: The workload's snapshot after the change; None if it was removed.
        history: Its transitions since its registration.
        is_registration: Whether the change registers a new workload, for which a store must have
            room. False for a workload that was already running.
        events: The events to store with it: its own, and those of the workload's earlier changes
            that were not stored.
        tombstone: The tombstone to store for a removed workload with this id.
    """

    workload_id: str
    version: int
    entry: WorkloadEntry | None
    history: History = ()
    is_registration: bool = False
    events: tuple[RegistryEvent, ...] = ()
    tombstone: NewTombstone | None = None
