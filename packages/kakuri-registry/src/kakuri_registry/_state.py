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

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import ClassVar


class WorkloadState(Enum):
    """Where in its life a workload is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    # Each member is one object, so the hash that is written in C will do.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

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
