"""Events of a node: the request for them, and its reply."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from kakuri_workload import Event, MaxLength, Range, Version

from kakuri_rpc._base import REPLY, REQUEST
from kakuri_rpc._fields import MAX_LOG_WAIT, Desired, State, StoreId

MAX_EVENTS = 1000
"""Maximum number of events in one reply."""

MAX_EVENTS_BYTES = 524_288
"""Maximum size of the events in a reply, below the limit of a line. The first event always fits."""


@dataclass(frozen=True, slots=True)
class WatchChanges:
    """Request the events after an index.

    Attributes:
        after: The index; None to get only the current index.
        wait_seconds: How long the agent may wait for events if there are none yet.
        limit: Maximum number of events in the reply.
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
        next: The index to continue after.
        store_id: The random id of the agent's store. If it changes, another store has replaced the
            previous one, and `events` do not follow the requested index.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

    events: Annotated[list[Event[State, Desired]], MaxLength(MAX_EVENTS)]
    next: Version
    store_id: StoreId | None = None
