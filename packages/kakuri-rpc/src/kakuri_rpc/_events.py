"""Events of a node: the request for them, and its reply."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from kakuri_workload import Event, MaxLength, Range, Version

from kakuri_rpc._base import REPLY, REQUEST
from kakuri_rpc._fields import MAX_LOG_WAIT, Desired, State, StoreId

MAX_EVENTS = 1000
"""Events in one reply."""

MAX_EVENTS_BYTES = 524_288
"""Bytes of the events in a reply, below what a line may have; the first event is always in it."""


@dataclass(frozen=True, slots=True)
class WatchChanges:
    """Ask for the events after an index.

    Attributes:
        after: The index; None to ask for the current one.
        wait_seconds: How long the reply may wait if there are none yet.
        limit: Events in the reply.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    after: Version | None = None
    wait_seconds: Annotated[float, Range(ge=0, le=MAX_LOG_WAIT)] = 0.0
    limit: Annotated[int, Range(ge=1, le=MAX_EVENTS)] = MAX_EVENTS


@dataclass(frozen=True, slots=True)
class Changes:
    """The events after an index.

    Attributes:
        events: The events in the order of their indexes.
        next: The index after them.
        store_id: The random id of the agent's store. If it changes, another store has taken the
            place of the one before, and `events` are not those that follow the index.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

    events: Annotated[list[Event[State, Desired]], MaxLength(MAX_EVENTS)]
    next: Version
    store_id: StoreId | None = None
