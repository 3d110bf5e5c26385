"""Events about the workloads of a node, and about the node itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from kakuri_workload._grammar import TRACE_ID, Range, Text
from kakuri_workload._removal import Removal
from kakuri_workload._transition import Attempt, ExitCode, Timestamp
from kakuri_workload._workload import WorkloadId

Version = Annotated[int, Range(ge=0, le=2**53)]
"""A registry's version after a change, exact in every JSON parser (RFC 8259 section 6)."""

TraceId = Annotated[
    str,
    Text(TRACE_ID, max_length=32, description="a trace id: 32 hexadecimal digits, not all 0"),
]
"""The id of the trace that a request belongs to (W3C Trace Context, section 3.2.2.3)."""

S = TypeVar("S")
D = TypeVar("D")


class EventType(Enum):
    """The type of an event."""

    WORKLOAD = "workload"
    """A workload was registered, or its state, reason or attempt changed."""

    DESIRED = "desired"
    """A workload was requested to stop, to restart or to be removed."""

    REMOVED = "removed"
    """A workload was removed."""

    RUNTIME = "runtime"
    """The runtime became available or unavailable."""

    NODE = "node"
    """The agent of the node started."""


# Not frozen, because each change of a registry creates an event, and creating a frozen one takes
# three times as long.
@dataclass(slots=True)
class Event(Generic[S, D]):
    """An event. Do not modify it: a registry's journal and its readers share it.

    `S` is `WorkloadState` and `D` is `DesiredState`, or the corresponding enums of a protocol.

    Attributes:
        index: The registry's version after the change. Indexes increase and never repeat, but most
            are not consecutive, because not every change is an event.
        at: When it happened, in seconds since the epoch by the agent's clock.
        type: The type of the event; the fields below are set if they apply to it.
        id: The workload; None for the types RUNTIME and NODE.
        state: The state of the workload after the event; its last state if it was removed.
        reason: The reason of the state, as a short code.
        message: The message of the state, or the reason why the runtime is unavailable.
        exit_code: The exit code of an ended run.
        attempt: The number of restarts so far.
        desired: The desired state of the workload.
        labels: The labels of the workload.
        removal: What was removed, and how the removal was verified.
        available: Whether the runtime is available.
        version: The version of the agent that started.
        trace: The trace of the latest request that changed the workload's desired state.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    index: Version
    at: Timestamp
    type: EventType
    id: WorkloadId | None = None
    state: S | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: ExitCode | None = None
    attempt: Attempt = 0
    desired: D | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    removal: Removal | None = None
    available: bool | None = None
    version: str | None = None
    trace: TraceId | None = None
