"""Events of a node: the request for them, and its reply."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, ClassVar

from kakuri_workload import (
    Attempt,
    ExitCode,
    MaxLength,
    Range,
    Removal,
    Timestamp,
    WorkloadId,
)

from kakuri_rpc._base import REPLY, REQUEST
from kakuri_rpc._fields import (
    MAX_LOG_WAIT,
    Desired,
    State,
    Version,
)

MAX_EVENTS = 1000
"""Events in one reply."""

MAX_EVENTS_BYTES = 524_288
"""Bytes of the events in a reply, below what a line may have; the first event is always in it."""


class EventType(Enum):
    """What an event is about."""

    WORKLOAD = "workload"
    DESIRED = "desired"
    REMOVED = "removed"
    RUNTIME = "runtime"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class WatchChanges:
    """Ask for the events after an index.

    Attributes:
        after: The index; None to ask for the present one.
        wait_seconds: How long the reply may wait if there are none yet.
        limit: Events in the reply.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    after: Version | None = None
    wait_seconds: Annotated[float, Range(ge=0, le=MAX_LOG_WAIT)] = 0.0
    limit: Annotated[int, Range(ge=1, le=MAX_EVENTS)] = MAX_EVENTS


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        index: The registry's version after the change. Indexes increase, and never repeat.
        at: When it happened, in seconds since the epoch by the agent's clock.
        type: What it is about; the fields below are set as far as they apply.
        id: The workload.
        state: The state of the workload afterwards, or its last one if it was removed.
        reason: Why, as a short code.
        message: The same for people; also why the runtime can't be used.
        exit_code: The exit code of an ended run.
        attempt: The number of restarts so far.
        desired: What was requested of the workload; None if it is to run.
        labels: The labels of the workload.
        removal: What was removed, and how that was checked.
        available: Whether the runtime can be used.
        version: The version of the agent that started.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    index: Version
    at: Timestamp
    type: EventType
    id: WorkloadId | None = None
    state: State | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: ExitCode | None = None
    attempt: Attempt = 0
    desired: Desired | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    removal: Removal | None = None
    available: bool | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The events after an index, in the order of their indexes; `next` is the index after them."""

    __json__: ClassVar[dict[str, Any]] = REPLY

    events: Annotated[list[Event], MaxLength(MAX_EVENTS)]
    next: Version
