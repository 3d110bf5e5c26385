"""The observed and the desired states of a workload, as tables.

     ┌─────────┐      ┌─────────┐      ┌───────────┐
●───►│ pending ├─────►│ running ├─────►│ succeeded │
     └────┬────┘      └────┬────┘      └───────────┘
          │                ▼
          │           ┌────────┐
          └──────────►│ failed │
                      └────────┘

The table has the transitions that a runtime can report. A registry adds one: the next attempt at
a workload is pending again, after a run that ended, whatever its state then.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import ClassVar


class WorkloadState(Enum):
    """The observed state of a workload.

    Attributes:
        is_terminal: Whether a workload in this state keeps it until it is run again on request.
    """

    is_terminal: bool

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    # Each member is a single object, so the hash implemented in C is correct, and faster.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

    def can_become(self, other: "WorkloadState") -> bool:
        """Return whether the state machine has a transition from this state to the other."""
        return other in TRANSITIONS[self]


TRANSITIONS: Mapping[WorkloadState, frozenset[WorkloadState]] = MappingProxyType(
    {
        WorkloadState.PENDING: frozenset({WorkloadState.RUNNING, WorkloadState.FAILED}),
        WorkloadState.RUNNING: frozenset({WorkloadState.SUCCEEDED, WorkloadState.FAILED}),
        WorkloadState.SUCCEEDED: frozenset(),
        WorkloadState.FAILED: frozenset(),
    }
)
"""The states that can follow each state."""

for _state, _following in TRANSITIONS.items():
    _state.is_terminal = not _following  # an attribute, because each request asks for it


class DesiredState(Enum):
    """What was requested of a workload.

    The latest request counts, except that a removal is final. RESTART stands for: end the present
    run, then run again; once the next attempt has begun, the desired state is RUN.
    """

    RUN = "run"
    RESTART = "restart"
    STOP = "stop"
    REMOVE = "remove"

    def can_become(self, other: "DesiredState") -> bool:
        """Return whether a request can change this desired state to the other."""
        return other in DESIRED_TRANSITIONS[self]


DESIRED_TRANSITIONS: Mapping[DesiredState, frozenset[DesiredState]] = MappingProxyType(
    {
        DesiredState.RUN: frozenset({DesiredState.RESTART, DesiredState.STOP, DesiredState.REMOVE}),
        DesiredState.RESTART: frozenset({DesiredState.STOP, DesiredState.REMOVE}),
        DesiredState.STOP: frozenset({DesiredState.RESTART, DesiredState.REMOVE}),
        DesiredState.REMOVE: frozenset(),
    }
)
"""The desired states that a request can change each one to; a registry adds the change to RUN when
the next attempt begins."""
