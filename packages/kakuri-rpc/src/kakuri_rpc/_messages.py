"""The vocabulary of the agent protocol: one JSON object a line, told apart by its `type`."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeAlias

from kakuri_workload import MaxLength, Range, Run, Workload, WorkloadId, WorkloadState, printable

from kakuri_rpc._words import (
    MAX_ADDRESS_LENGTH,
    MAX_DIGEST_LENGTH,
    MAX_GRACE_SECONDS,
    MAX_LOG_DATA,
    MAX_LOG_WAIT,
    MAX_MESSAGE_LENGTH,
    MAX_PAGE,
    MAX_REASON_LENGTH,
    MAX_TAIL,
    MAX_TRANSITIONS,
    Attempt,
    Count,
    ErrorCode,
    ExitCode,
    LabelSelector,
    LogCursor,
    State,
    Timestamp,
)


class AnyRequest:
    """What every request says about its spelling: a wrong field is an error."""

    __slots__ = ()
    __json__: ClassVar[dict[str, Any]] = {"tag": "type", "omit_defaults": True}


class AnyReply:
    """What every reply says about its spelling: fields of a newer agent are passed over."""

    __slots__ = ()
    __json__: ClassVar[dict[str, Any]] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}


@dataclass(frozen=True, slots=True)
class StartWorkload(AnyRequest):
    """Have a workload run. Repeating it gives the present status."""

    workload: Workload


@dataclass(frozen=True, slots=True)
class GetStatus(AnyRequest):
    """Ask how far a workload has come."""

    id: WorkloadId


@dataclass(frozen=True, slots=True)
class StopWorkload(AnyRequest):
    """Have a workload end: it is asked, and killed after the grace time."""

    id: WorkloadId
    grace_seconds: Annotated[int, Range(ge=0, le=MAX_GRACE_SECONDS)] = 10


@dataclass(frozen=True, slots=True)
class RemoveWorkload(AnyRequest):
    """Have a workload end and be forgotten."""

    id: WorkloadId


@dataclass(frozen=True, slots=True)
class ListWorkloads(AnyRequest):
    """Ask for a page of statuses in the order of their ids, behind the id `after`.

    Only of workloads in that state and with that label, where they are given.
    """

    state: State | None = None
    after: str = ""
    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    label: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class ReadLog(AnyRequest):
    """Ask for what a workload has written from the cursor `after` on.

    Without a cursor, from the last `tail` lines on, or from the beginning; with one, `tail` means
    nothing. If there is nothing, the reply may wait up to `wait_seconds` for it. Bounded requests
    are for what there is at the first of them, whose cursors they pass on: `ended` is then true at
    that end.
    """

    id: WorkloadId
    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    after: LogCursor | None = None
    wait_seconds: Annotated[float, Range(ge=0, le=MAX_LOG_WAIT)] = 0.0
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class GetHistory(AnyRequest):
    """Ask what has happened to a workload."""

    id: WorkloadId


@dataclass(frozen=True, slots=True)
class DescribeNode(AnyRequest):
    """Ask what the node is and what it runs workloads with."""


@dataclass(frozen=True, slots=True)
class Status(AnyReply):
    """How far a workload has come.

    Times are seconds since the epoch by the runtime's clock, of the present run or the last one;
    attempt counts the restarts so far; existing says that a StartWorkload found it there already;
    image_digest is that of the image that ran, where it is known.
    """

    id: WorkloadId
    state: State
    reason: str | None = None
    message: str | None = None
    exit_code: ExitCode | None = None
    address: str | None = None
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    attempt: Attempt = 0
    existing: bool = False
    image_digest: str | None = None

    @classmethod
    def of(cls, workload_id: str, run: Run, *, existing: bool = False) -> "Status":
        """Return the status of a workload's run; a long reason or message is shortened."""
        reason, message, address, digest = run.reason, run.message, run.address, run.image_digest
        return cls(
            workload_id,
            State.of(run.state),
            reason and printable(reason, MAX_REASON_LENGTH),
            message and printable(message, MAX_MESSAGE_LENGTH),
            run.exit_code,
            address and printable(address, MAX_ADDRESS_LENGTH),
            run.started_at,
            run.ended_at,
            run.attempt,
            existing,
            digest and printable(digest, MAX_DIGEST_LENGTH),
        )


@dataclass(frozen=True, slots=True)
class WorkloadList(AnyReply):
    """A page of statuses; next is where the following page begins, if there is one."""

    workloads: Annotated[list[Status], MaxLength(MAX_PAGE)]
    next: WorkloadId | None = None


@dataclass(frozen=True, slots=True)
class Node(AnyReply):
    """What a node is: the agent's version, its runtime, and how many workloads it has.

    memory_mb and cpu_millicores are what workloads may take in all, where that is known, and
    those with `_used` what is taken; units as in Workload. While the runtime is not available,
    zones run on and nothing is started.

    runtime_endpoint is the kind of socket through which zones are run, "unix" or "tcp"; None if
    there is none. runtime_handlers has the runtime's handler for each runtime class, if the agent
    itself chooses it.
    """

    version: str
    runtime: str
    simulated: bool
    workloads: Count
    memory_mb: Count | None = None
    memory_mb_used: Count | None = None
    cpu_millicores: Count | None = None
    cpu_millicores_used: Count | None = None
    runtime_available: bool = True
    message: str | None = None
    runtime_endpoint: str | None = None
    runtime_handlers: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Log(AnyReply):
    """A piece of what a workload has written, as it was written.

    next is the cursor behind it. ended says that nothing will ever follow: the workload has ended
    for good, and this is the rest. gap says that bytes between the request's cursor and data were
    removed before they could be read.
    """

    data: Annotated[bytes, MaxLength(MAX_LOG_DATA)]
    next: LogCursor
    ended: bool
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """What a workload became, when (seconds since the epoch, the agent's clock), and why.

    count is how many attempts in a row ended in this after the same steps, if more than one: the
    steps of the earlier ones are left out.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    at: Timestamp
    state: State
    reason: str | None = None
    message: str | None = None
    exit_code: ExitCode | None = None
    attempt: Attempt = 0
    count: Attempt = 1

    @classmethod
    def of(
        cls,
        at: float,
        state: WorkloadState,
        *,
        reason: str | None = None,
        message: str | None = None,
        exit_code: int | None = None,
        attempt: int = 0,
        count: int = 1,
    ) -> "Transition":
        """Make a transition from the registry's words; a long reason or message is cut."""
        return cls(
            at,
            State.of(state),
            reason and printable(reason, MAX_REASON_LENGTH),
            message and printable(message, MAX_MESSAGE_LENGTH),
            exit_code,
            attempt,
            count,
        )


@dataclass(frozen=True, slots=True)
class History(AnyReply):
    """What has happened to a workload, in the order of events; at most the newest 100."""

    id: WorkloadId
    transitions: Annotated[list[Transition], MaxLength(MAX_TRANSITIONS)]


@dataclass(frozen=True, slots=True)
class Error(AnyReply):
    """Why there is no other reply; id is that of the workload asked about, where there is one."""

    id: str | None = field(default=None, kw_only=True)
    code: ErrorCode
    message: str


Request: TypeAlias = (
    StartWorkload
    | GetStatus
    | StopWorkload
    | RemoveWorkload
    | ListWorkloads
    | DescribeNode
    | ReadLog
    | GetHistory
)
Reply: TypeAlias = Status | WorkloadList | Node | Log | History | Error
