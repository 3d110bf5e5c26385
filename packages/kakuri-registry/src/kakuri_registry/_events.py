"""Events: what happened to the workloads of a node, and to the node itself.

Not every change of a registry is an event. A new message or address is not; a new state, reason or
attempt is, and so are a request to end a workload, and its removal.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from kakuri_workload import DesiredState, Removal, WorkloadState

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._frozen import EMPTY
from kakuri_registry._sizes import texts_size

EVENT_BYTES = 384
"""Bytes of an event without its texts, in memory; its row takes less."""


class EventType(Enum):
    """What an event is about."""

    WORKLOAD = "workload"
    """A workload was registered, or has another state, reason or attempt."""

    DESIRED = "desired"
    """A workload is to stop, to restart or to be removed."""

    REMOVED = "removed"
    """A workload was removed."""

    RUNTIME = "runtime"
    """The runtime can be used again, or can't be used any more."""

    NODE = "node"
    """The agent of the node started."""


class Event(NamedTuple):
    """One event.

    Attributes:
        index: The registry's version after the change, so that indexes increase with time. Most
            are not consecutive, because not every change is an event.
        at: When it happened.
        type: What it is about; the fields below are set as far as they apply.
        workload_id: The workload; None for the types RUNTIME and NODE.
        state: The state of the workload afterwards, or its last one if it was removed.
        reason: The reason of the state.
        message: The message of the state or of the runtime; a long one is shortened.
        exit_code: The exit code of an ended run.
        attempt: The attempt, counted from 0.
        desired: What was requested.
        labels: The labels of the workload.
        is_available: Whether the runtime can be used.
        version: The version of the agent that started.
        removal: What was removed, and how that was checked.
    """

    index: int  # type: ignore[assignment]  # in place of the method of tuples
    at: float
    type: EventType
    workload_id: str | None = None
    state: WorkloadState | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    attempt: int = 0
    desired: DesiredState | None = None
    labels: Mapping[str, str] = EMPTY
    is_available: bool | None = None
    version: str | None = None
    removal: Removal | None = None

    @property
    def size(self) -> int:
        """Its size in bytes, computed like that of a workload."""
        texts = [self.workload_id, self.reason, self.message, self.version]
        if (removal := self.removal) is not None:
            texts += [removal.zone, removal.container, removal.verified_by]
        given = [text for text in texts if text is not None]
        if self.labels:
            given += self.labels
            given += self.labels.values()
        return EVENT_BYTES + texts_size(given)


def workload_event(
    kind: EventType, entry: WorkloadEntry, index: int, at: float, message: str | None
) -> Event:
    """Return an event about a workload, with the state of its entry.

    Args:
        kind: The type of the event.
        entry: The entry after the change, or the last one of a removed workload.
        index: The registry's version after the change.
        at: The time of the change.
        message: The message of the state, shortened like that of a transition.
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
    )
