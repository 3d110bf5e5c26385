"""The events of a registry.

Not every change of a registry is an event. A new state, reason or attempt is one, and so are a
request to end a workload and its removal; a new message or address is not.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import TypeAlias

from kakuri_workload import DesiredState, Event, EventType, Removal, WorkloadState

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._frozen import EMPTY
from kakuri_registry._sizes import TEXT_BYTES, texts_size

_REMOVED, _RUN = (
    EventType.REMOVED,
    DesiredState.RUN,
)  # CPython 3.11 looks up members of enums slowly

EVENT_BYTES = 384
"""Size in memory of an event without its strings, in bytes; its row takes less."""

RegistryEvent: TypeAlias = Event[WorkloadState, DesiredState]
"""An event with the states of a registry."""


event_index: Callable[[RegistryEvent], int] = attrgetter("index")
"""Return the index of an event, by which events are sorted."""


def event_size(event: RegistryEvent) -> int:
    """Return the size of an event in bytes, computed like that of a workload."""
    removal, size = event.removal, EVENT_BYTES
    workload_id, trace = event.id, event.trace  # which are ASCII
    if workload_id is not None:
        size += TEXT_BYTES + len(workload_id)
    if trace is not None:
        size += TEXT_BYTES + len(trace)
    if not (event.reason or event.message or event.version or removal or event.labels):
        return size  # most events
    texts: list[str | None] = [event.reason, event.message, event.version]
    if removal is not None:
        texts += (removal.zone, removal.container, removal.verified_by)
    texts += event.labels
    texts += event.labels.values()
    return size + texts_size([text for text in texts if text is not None])


def workload_event(
    kind: EventType,
    entry: WorkloadEntry,
    index: int,
    at: float,
    message: str | None,
    *,
    removal: Removal | None = None,
) -> RegistryEvent:
    """Create an event about a workload, with the state of its entry.

    Args:
        kind: The type of the event.
        entry: The entry after the change, or the last entry of a removed workload.
        index: The registry's version after the change.
        at: The time of the change.
        message: The message of the state, shortened like that of a transition.
        removal: The receipt of a removal.
    """
    workload, run = entry.workload, entry.run
    has_desired = entry.desired is not _RUN and kind is not _REMOVED
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
        entry.desired if has_desired else None,
        workload.labels or EMPTY,
        removal,
        None,
        None,
        entry.trace,
    )
