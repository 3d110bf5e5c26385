"""The vocabulary of the agent protocol: one JSON object a line, told apart by its `type`."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

from kakuri_registry import Range, Workload, WorkloadId, WorkloadState

MAX_GRACE_SECONDS = 3600
"""The longest that a workload may take to end by itself."""

MAX_PAGE = 500
"""Statuses in one reply: with the longest messages they still fit into a line of 1 MiB."""


class State(Enum):
    """A workload's state in the words of this protocol."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @classmethod
    def of(cls, state: WorkloadState) -> "State":
        """Give the word for a state of the registry."""
        return _STATES[state]

    @property
    def workload_state(self) -> WorkloadState:
        """The state of the registry that this word stands for."""
        return WorkloadState[self.name]


_STATES = {state: State[state.name] for state in WorkloadState}


class ErrorCode(Enum):
    """Why a request was refused or failed."""

    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    CAPACITY = "capacity"
    RUNTIME = "runtime"
    INTERNAL = "internal"


# MESSAGES BELOW
