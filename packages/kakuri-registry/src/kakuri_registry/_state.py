"""The life of a workload as a table.

     ┌─────────┐      ┌─────────┐      ┌───────────┐
●───►│ pending ├─────►│ running ├─────►│ succeeded │
     └────┬────┘      └────┬────┘      └───────────┘
          │                ▼
          │           ┌────────┐
          └──────────►│ failed │
                      └────────┘

The table has the steps that a runtime can report. One more is the registry's own: `restart` takes
a workload whose run has ended from pending or running back to pending, as its next attempt.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class WorkloadState(Enum):
    """Where in its life a workload is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    __hash__ = object.__hash__  # each is one object; Enum's own is a call in Python

    def can_become(self, other: "WorkloadState") -> bool:
        """Tell whether the state machine has a step from this state to the other."""
        return other in TRANSITIONS[self]

    @property
    def is_terminal(self) -> bool:
        """Whether a workload in this state never changes again."""
        return self in _TERMINAL


TRANSITIONS: Mapping[WorkloadState, frozenset[WorkloadState]] = MappingProxyType(
    {
        WorkloadState.PENDING: frozenset({WorkloadState.RUNNING, WorkloadState.FAILED}),
        WorkloadState.RUNNING: frozenset({WorkloadState.SUCCEEDED, WorkloadState.FAILED}),
        WorkloadState.SUCCEEDED: frozenset(),
        WorkloadState.FAILED: frozenset(),
    }
)
"""The states that each state can become."""

# A tuple finds a member by its identity.
_TERMINAL = tuple(state for state, following in TRANSITIONS.items() if not following)
