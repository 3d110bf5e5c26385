"""Publishes changes of a registry to its index, its journal and its subscriber."""

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from kakuri_workload import DesiredState, EventType, History

from kakuri_registry._arguments import check_entry
from kakuri_registry._change import Change
from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._events import RegistryEvent, workload_event
from kakuri_registry._history import extended, shortened
from kakuri_registry._registry_reader import MAX_WORKLOADS, RegistryReader

EntryObserver: TypeAlias = Callable[[WorkloadEntry | None, WorkloadEntry | None], None]
"""Called with the entries before and after a change; either may be None."""


class Persistence(Enum):
    """Which changes a subscriber stores, and when.

    An event is published once its change is stored. If the subscriber does not receive the change,
    its event is published immediately.
    """

    DELAYED = "delayed"
    """All changes, later. The subscriber reports to the journal what it has stored."""

    IMMEDIATE = "immediate"
    """All changes, before it returns."""

    REMOVALS = "removals"
    """Only removals and events of the node, before it returns."""


# Globals, because CPython 3.11 looks up members of enums slowly.
_DELAYED, _REMOVALS = Persistence.DELAYED, Persistence.REMOVALS
_DESIRED, _WORKLOAD = EventType.DESIRED, EventType.WORKLOAD
_RUN, _REMOVE = DesiredState.RUN, DesiredState.REMOVE


def _ignore_change(_change: Change) -> None:
    pass


def _ignore(_before: WorkloadEntry | None, _after: WorkloadEntry | None) -> None:
    pass


class ChangePublisher(RegistryReader):
    """The part of a registry that records and publishes changes, the same way for every kind."""

    def __init__(self, *, max_workloads: int = MAX_WORKLOADS) -> None:
        super().__init__(max_workloads=max_workloads)
        self._on_change: Callable[[Change], None] = _ignore_change
        self._persistence = _REMOVALS
        self._on_entry: EntryObserver = _ignore

    def subscribe(
        self,
        on_change: Callable[[Change], None] | None,
        *,
        persistence: Persistence = Persistence.DELAYED,
    ) -> None:
        """Subscribe to changes as they are made.

        Args:
            on_change: Called with each change; must not change the registry. None to unsubscribe.
            persistence: Which changes it is called for, and when it stores them.

        Raises:
            RuntimeError: The registry already has a subscriber.
            TypeError: An argument has the wrong type.
        """
        if on_change is not None and not callable(on_change):
            raise TypeError(f"expected a function as on_change, got {on_change!r:.80}")
        if not isinstance(persistence, Persistence):
            raise TypeError(f"expected a Persistence, got {persistence!r:.80}")
        if on_change is not None and self._on_change is not _ignore_change:
            raise RuntimeError("the registry has a subscriber already, such as a StoreWriter")
        self._on_change = _ignore_change if on_change is None else on_change
        self._persistence = _REMOVALS if on_change is None else persistence

    def observe(self, on_entry: EntryObserver) -> None:
        """Call a function whenever an entry is added, replaced or removed, for metrics.

        Args:
            on_entry: Called with the entry before the change (None if it is new) and after it (None
                if it was removed). It must not change the registry.

        Raises:
            TypeError: The argument is not callable.
        """
        if not callable(on_entry):
            raise TypeError(f"expected a function as on_entry, got {on_entry!r:.80}")
        self._on_entry = on_entry

    def _put(self, before: WorkloadEntry, entry: WorkloadEntry) -> WorkloadEntry:
        check_entry(entry)
        workload_id = entry.workload.id
        earlier, state = before.run.state, entry.run.state
        self._entries[workload_id] = entry
        known = self._histories.get(workload_id, ())
        history = extended(known, before, entry)
        if history is not known:
            self._histories[workload_id] = history
        if earlier is not state:
            self._index.record(workload_id, earlier)
            if earlier.is_terminal:
                self._ended.discard(workload_id)
            if state.is_terminal:
                is_removing = entry.desired is _REMOVE
                self._ended.add(self._as_ended(entry), is_removing=is_removing)
        event: RegistryEvent | None = None
        is_request = before.desired is not entry.desired
        is_transition = history is not known
        if is_request and entry.desired is _REMOVE:
            self._ended.set_removing(workload_id)
        if is_request or is_transition:
            # When a requested restart begins the next attempt, the desired state returns to RUN.
            # That is not a new request, so the event is about the transition.
            is_restarted = is_transition and entry.desired is _RUN
            kind = _DESIRED if is_request and not is_restarted else _WORKLOAD
            message = entry.run.message and shortened(entry.run.message)
            event = workload_event(kind, entry, entry.version, entry.changed_at, message)
        self._publish_entry(entry, history, event)
        self._on_entry(before, entry)
        return entry

    def _discard(self, workload_id: str) -> WorkloadEntry:
        entry = self._known(workload_id)
        del self._entries[workload_id]
        self._histories.pop(workload_id, None)
        self._index.discard(entry)
        self._ended.discard(workload_id)
        self._on_entry(entry, None)
        return entry

    def _publish_entry(
        self,
        entry: WorkloadEntry,
        history: History,
        event: RegistryEvent | None,
        *,
        is_new: bool = False,
        is_adopted: bool = False,
    ) -> None:
        """Publish a new or changed entry.

        Args:
            entry: The entry after the change.
            history: Its history after the change.
            event: The event of the change, if it has one.
            is_new: Whether the entry is new.
            is_adopted: Whether the workload was already running. If so, it does not count as a
                registration, for which a store must have room.
        """
        if self._persistence is not _REMOVALS:
            events = () if event is None else (event,)
            is_registration = is_new and not is_adopted
            version = entry.version
            change = Change(entry.workload.id, version, entry, history, is_registration, events)
            self._publish(change, is_new=is_new)
            return
        self._version = entry.version
        if event is None:
            self._journal.advance(entry.version)
        else:
            self._journal.add_stored(event)

    def _publish(self, change: Change, *, is_new: bool = False) -> None:
        self._version = change.version
        if not change.events:
            self._journal.advance(change.version)
        elif self._persistence is _DELAYED:
            self._journal.append(change.events[0], is_new=is_new)
        self._on_change(change)
        if change.events and self._persistence is not _DELAYED:
            self._journal.add_stored(change.events[0])
