"""The life of a workload as a table.

     ┌─────────┐      ┌─────────┐      ┌───────────┐
●───►│ pending ├─────►│ running ├─────►│ succeeded │
     └────┬────┘      └────┬────┘      └───────────┘
          │                ▼
          │           ┌────────┐
          └──────────►│ failed │
                      └────────┘
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

    def can_become(self, other: "WorkloadState") -> bool:
        """Tell whether the state machine has a step from this state to the other."""
        return other in TRANSITIONS[self]

    @property
    def is_terminal(self) -> bool:
        """Whether a workload in this state never changes again."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[WorkloadState, frozenset[WorkloadState]] = MappingProxyType(
    {
        WorkloadState.PENDING: frozenset({WorkloadState.RUNNING, WorkloadState.FAILED}),
        WorkloadState.RUNNING: frozenset({WorkloadState.SUCCEEDED, WorkloadState.FAILED}),
        WorkloadState.SUCCEEDED: frozenset(),
        WorkloadState.FAILED: frozenset(),
    }
)
"""The states that each state can become."""
