"""A change of a registry, as its subscriber and a store receive it."""

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
        is_registration: Whether the change is a registration, for which a store must have room;
            not that of a workload that was already running.
        events: The events to store with it: its own, and those of earlier changes of the workload
            that were not stored.
        tombstone: What to keep of a workload with this id that was removed.
    """

    workload_id: str
    version: int
    entry: WorkloadEntry | None
    history: History = ()
    is_registration: bool = False
    events: tuple[RegistryEvent, ...] = ()
    tombstone: NewTombstone | None = None
