"""The vocabulary of the agent protocol: one JSON object a line, told apart by its `type`."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, ClassVar, TypeAlias

from kakuri_registry import Range, Workload, WorkloadId, WorkloadState

MAX_GRACE_SECONDS = 3600
"""The longest that a workload may take to end by itself."""

MAX_REASON_LENGTH = 64
"""Characters of a reason, which is a short code."""

MAX_MESSAGE_LENGTH = 1024
"""Characters of a status's message: the words of a registry or a runtime, at length."""

MAX_PAGE = 100
"""Statuses in one reply: with the longest messages, every character escaped to six bytes, they
still fit into a line of 1 MiB."""


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


class _Request:
    """What every request says about its spelling: a wrong field is an error."""

    __slots__ = ()
    __json__: ClassVar = {"tag": "type", "omit_defaults": True}


class _Reply:
    """What every reply says about its spelling: fields of a newer agent are passed over."""

    __slots__ = ()
    __json__: ClassVar = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}


@dataclass(frozen=True, slots=True)
class StartWorkload(_Request):
    """Have a workload run. Repeating it gives the present status."""

    workload: Workload


@dataclass(frozen=True, slots=True)
class GetStatus(_Request):
    """Ask how far a workload has come."""

    id: WorkloadId


@dataclass(frozen=True, slots=True)
class StopWorkload(_Request):
    """Have a workload end: it is asked, and killed after the grace time."""

    id: WorkloadId
    grace_seconds: Annotated[int, Range(ge=0, le=MAX_GRACE_SECONDS)] = 10


@dataclass(frozen=True, slots=True)
class RemoveWorkload(_Request):
    """Have a workload end and be forgotten."""

    id: WorkloadId


@dataclass(frozen=True, slots=True)
class ListWorkloads(_Request):
    """Ask for a page of statuses in the order of their ids, behind the id `after`."""

    state: State | None = None
    after: str = ""
    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE


@dataclass(frozen=True, slots=True)
class DescribeNode(_Request):
    """Ask what the node is and what it runs workloads with."""


@dataclass(frozen=True, slots=True)
class Status(_Reply):
    """How far a workload has come; existing says that a StartWorkload found it there already."""

    id: str
    state: State
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    existing: bool = False

    @classmethod
    def of(
        cls,
        workload_id: str,
        state: WorkloadState,
        *,
        reason: str | None = None,
        message: str | None = None,
        exit_code: int | None = None,
        existing: bool = False,
    ) -> "Status":
        """Make a status from the registry's state; a long reason or message is cut."""
        return cls(
            workload_id,
            State.of(state),
            reason and _cut(reason, MAX_REASON_LENGTH),
            message and _cut(message, MAX_MESSAGE_LENGTH),
            exit_code,
            existing,
        )


@dataclass(frozen=True, slots=True)
class WorkloadList(_Reply):
    """A page of statuses; next is where the following page begins, if there is one."""

    workloads: list[Status]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Node(_Reply):
    """What a node is: the agent's version, its runtime, and how many workloads it has."""

    version: str
    runtime: str
    simulated: bool
    workloads: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Error(_Reply):
    """Why there is no other reply; id is that of the workload asked about, where there is one."""

    id: str | None = field(default=None, kw_only=True)
    code: ErrorCode
    message: str


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


Request: TypeAlias = (
    StartWorkload | GetStatus | StopWorkload | RemoveWorkload | ListWorkloads | DescribeNode
)
Reply: TypeAlias = Status | WorkloadList | Node | Error
