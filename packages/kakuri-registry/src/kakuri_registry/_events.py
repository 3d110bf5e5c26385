"""The events of a registry.

Not every change of a registry is an event. A new message or address is not; a new state, reason or
attempt is, and so are a request to end a workload, and its removal.
"""

from typing import TypeAlias

from kakuri_workload import DesiredState, Event, EventType, Removal, WorkloadState

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._frozen import EMPTY
from kakuri_registry._sizes import texts_size

EVENT_BYTES = 384
"""Bytes of an event without its texts, in memory; its row takes less."""

RegistryEvent: TypeAlias = Event[WorkloadState, DesiredState]
"""An event with the states of a registry."""


def event_size(event: RegistryEvent) -> int:
    """Return the size of an event in bytes, computed like that of a workload."""
    texts: tuple[str | None, ...]
    texts = (event.id, event.reason, event.message, event.version, event.trace)
    if (removal := event.removal) is not None:
        texts += (removal.zone, removal.container, removal.verified_by)
    given = [text for text in texts if text is not None]
    if event.labels:
        given += event.labels
        given += event.labels.values()
    return EVENT_BYTES + texts_size(given)


def workload_event(
    kind: EventType,
    entry: WorkloadEntry,
    index: int,
    at: float,
    message: str | None,
    *,
    removal: Removal | None = None,
) -> RegistryEvent:
    """Return an event about a workload, with the state of its entry.

    Args:
        kind: The type of the event.
        entry: The entry after the change, or the last one of a removed workload.
        index: The registry's version after the change.
        at: The time of the change.
        message: The message of the state, shortened like that of a transition.
        removal: The receipt of a removal.
    """
    workload, run = entry.workload, entry.run
    return Event(
        index,
        at,
        kind,
        workload.id,
        run.state,
        run.reason,
        message,
        run.exit_code,
        run.attempt,
        entry.desired if kind is EventType.DESIRED else None,
        workload.labels or EMPTY,
        removal,
        None,
        None,
        entry.trace,
    )
