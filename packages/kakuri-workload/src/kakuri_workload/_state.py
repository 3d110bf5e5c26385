"""The observed and the desired states of a workload, as tables.

     ┌─────────┐      ┌─────────┐      ┌───────────┐
●───►│ pending ├─────►│ running ├─────►│ succeeded │
     └────┬────┘      └────┬────┘      └───────────┘
          │                ▼
          │           ┌────────┐
          └──────────►│ failed │
                      └────────┘

The table has the transitions that a runtime can report. A registry adds one: a restart moves a
workload whose run has ended from pending or running back to pending, as its next attempt.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import ClassVar


class WorkloadState(Enum):
    """The observed state of a workload."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    # Each member is a single object, so the hash implemented in C is correct, and faster.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

    def can_become(self, other: "WorkloadState") -> bool:
        """Return whether the state machine has a transition from this state to the other."""
        return other in TRANSITIONS[self]

    @property
    def is_terminal(self) -> bool:
        """Whether a workload in this state never changes its state again."""
        return self in _TERMINAL


TRANSITIONS: Mapping[WorkloadState, frozenset[WorkloadState]] = MappingProxyType(
    {
        WorkloadState.PENDING: frozenset({WorkloadState.RUNNING, WorkloadState.FAILED}),
        WorkloadState.RUNNING: frozenset({WorkloadState.SUCCEEDED, WorkloadState.FAILED}),
        WorkloadState.SUCCEEDED: frozenset(),
        WorkloadState.FAILED: frozenset(),
    }
)
"""The states that can follow each state."""

# A tuple finds a member by its identity.
_TERMINAL = tuple(state for state, following in TRANSITIONS.items() if not following)


class DesiredState(Enum):
    """What was requested of a workload; it only ever changes to one further down this list."""

    RUN = "run"
    STOP = "stop"
    REMOVE = "remove"

    def can_become(self, other: "DesiredState") -> bool:
        """Return whether the other is further down the list."""
        order = list(DesiredState)
        return order.index(other) > order.index(self)
