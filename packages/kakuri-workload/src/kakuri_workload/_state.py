"""The observed and desired states of a workload, as tables.

     ┌─────────┐      ┌─────────┐      ┌───────────┐
●───►│ pending ├─────►│ running ├─────►│ succeeded │
     └────┬────┘      └────┬────┘      └───────────┘
          │                ▼
          │           ┌────────┐
          └──────────►│ failed │
                      └────────┘

The table has the transitions that a runtime can report. A registry adds one: after a run has ended,
in whatever state, the next attempt is pending again.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import ClassVar


class WorkloadState(Enum):
    """The observed state of a workload.

    Attributes:
        is_terminal: Whether a workload stays in this state until a rerun is requested.
    """

    is_terminal: bool

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    # Members are singletons, so the hash of object, implemented in C, is correct and faster.
    __hash__: ClassVar[Callable[[object], int]] = object.__hash__

    def can_become(self, other: "WorkloadState") -> bool:
        """Return whether the state machine has a transition from this state to another."""
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
    _state.is_terminal = not _following  # an attribute, because every request reads it


class DesiredState(Enum):
    """The desired state of a workload.

    The latest request wins, except that a removal is final. RESTART means: end the current run,
    then run again. Once the next attempt has begun, the desired state is RUN.
    """

    RUN = "run"
    RESTART = "restart"
    STOP = "stop"
    REMOVE = "remove"

    def can_become(self, other: "DesiredState") -> bool:
        """Return whether a request can change this desired state to another."""
        return other in DESIRED_TRANSITIONS[self]


DESIRED_TRANSITIONS: Mapping[DesiredState, frozenset[DesiredState]] = MappingProxyType(
    {
        DesiredState.RUN: frozenset({DesiredState.RESTART, DesiredState.STOP, DesiredState.REMOVE}),
        DesiredState.RESTART: frozenset({DesiredState.STOP, DesiredState.REMOVE}),
        DesiredState.STOP: frozenset({DesiredState.RESTART, DesiredState.REMOVE}),
        DesiredState.REMOVE: frozenset(),
    }
)
"""The desired states that a request can change each one to. A registry adds the change from RESTART
to RUN when the next attempt begins."""
