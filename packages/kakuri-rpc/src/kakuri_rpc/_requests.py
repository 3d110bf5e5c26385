"""The requests of the agent protocol: JSON objects, one per line, distinguished by `type`."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeAlias

from kakuri_json import encode
from kakuri_workload import (
    LogSelection,
    Range,
    TraceId,
    Version,
    Workload,
    WorkloadId,
    fast_init,
)

from kakuri_rpc._base import DRY_RUN, REQUEST, START_LINE, TRACE, WITH_VERSION
from kakuri_rpc._events import WatchChanges
from kakuri_rpc._fields import (
    MAX_LOG_WAIT,
    MAX_PAGE,
    MAX_TAIL,
    GraceSeconds,
    LabelSelector,
    LogCursor,
    State,
)
from kakuri_rpc._metrics import ReadMetrics


@fast_init
@dataclass(frozen=True, slots=True)
class StartWorkload:
    """Start a workload. A repeated request is answered with the current status.

    Attributes:
        workload: The workload.
        dry_run: Perform all checks of a start, and change nothing. The reply is the same as for a
            start.
        with_version: Whether to include the workload's version in the reply.
        trace: The trace of the request that caused this one.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    workload: Workload
    dry_run: bool = False
    with_version: bool = False
    trace: TraceId | None = None


@fast_init
@dataclass(frozen=True, slots=True)
class GetStatus:
    """Request the status of a workload.

    Attributes:
        id: The workload.
        detail: Whether to include all details in the reply, such as the specification.
        removed: Whether to request the latest removed workload with this id.
        with_version: Whether to include the workload's version in the reply, which `detail`
            implies.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    detail: bool = False
    removed: bool = False
    with_version: bool = False


@dataclass(frozen=True, slots=True)
class StopWorkload:
    """Stop a workload: terminate it, kill it after the grace period, and keep its record.

    Attributes:
        id: The workload.
        grace_seconds: Seconds between terminating and killing its process.
        expected_version: Reject the request unless the workload has this version.
        with_version: Whether to include the workload's version in the reply.
        trace: The trace of the request that caused this one.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    grace_seconds: GraceSeconds = 10
    expected_version: Version | None = None
    with_version: bool = False
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class RemoveWorkload:
    """Stop a workload and remove its record; a tombstone is kept for the retention time.

    The fields are those of `StopWorkload`.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    grace_seconds: GraceSeconds = 10
    expected_version: Version | None = None
    with_version: bool = False
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class RerunWorkload:
    """Run an ended workload again, as its next attempt; its log is kept.

    A workload that is waiting for its next attempt begins it immediately; one that is being stopped
    runs again after it has ended. If the workload is already running, the reply is its status with
    `existing` set.

    Attributes:
        id: The workload.
        expected_version: Reject the request unless the workload has this version.
        with_version: Whether to include the workload's version in the reply.
        trace: The trace of the request that caused this one.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    expected_version: Version | None = None
    with_version: bool = False
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class RestartWorkload:
    """End the current run of a workload, then begin its next attempt.

    If the workload has ended, its next attempt begins immediately. The fields are those of
    `StopWorkload`.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    grace_seconds: GraceSeconds = 10
    expected_version: Version | None = None
    with_version: bool = False
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class ListWorkloads:
    """Request a page of statuses in the order of their ids.

    Attributes:
        state: Only workloads in this state.
        after: Only ids after this one.
        limit: Maximum number of statuses on the page.
        label: Only workloads with this label.
        detail: Whether to include all details in each status, such as the specification. A page
            then ends before its statuses exceed MAX_DETAIL_BYTES.
        removed: Whether to request removed workloads: the latest of each id.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    state: State | None = None
    after: str = ""
    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    label: LabelSelector | None = None
    detail: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Request a piece of a workload's log.

    Attributes:
        id: The workload.
        tail: Without a cursor, begin with this number of lines from the end; None for the whole
            log.
        after: The cursor to begin after.
        wait_seconds: How long the agent may wait for output if there is none yet.
        bounded: Stop at the end that the log has at the first of these requests, which the cursors
            record; `ended` is then true at that end.
        removed: Whether to read the kept end of the log of the latest removed workload with this
            id: its last lines, up to 64 KiB as records.
        records: Return the selected records, in the format of `kakuri_workload.read_records`,
            instead of the bytes that the container wrote. Must be the same in all requests for
            pieces of one log.
        trace: The trace of the request that caused this one.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    after: LogCursor | None = None
    wait_seconds: Annotated[float, Range(ge=0, le=MAX_LOG_WAIT)] = 0.0
    bounded: bool = False
    removed: bool = False
    records: LogSelection | None = None
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class GetHistory:
    """Request the transitions of a workload, or of the latest removed one with this id."""

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    removed: bool = False


@dataclass(frozen=True, slots=True)
class DescribeNode:
    """Request a description of the node."""

    __json__: ClassVar[dict[str, Any]] = REQUEST


Request: TypeAlias = (
    StartWorkload
    | GetStatus
    | StopWorkload
    | RemoveWorkload
    | RerunWorkload
    | RestartWorkload
    | ListWorkloads
    | DescribeNode
    | ReadLog
    | GetHistory
    | WatchChanges
    | ReadMetrics
)


TracedRequest: TypeAlias = (
    StartWorkload | StopWorkload | RemoveWorkload | RerunWorkload | RestartWorkload | ReadLog
)
"""Requests that may have a trace: their effects appear in the logs of the agent or its sidecar, or
in events."""


def encode_request(request: Request, encoded_workload: bytes | None = None) -> bytes:
    """Return the line of a request, without its end.

    Args:
        request: The request.
        encoded_workload: The workload of a StartWorkload as JSON, if the caller already has it.
    """
    if encoded_workload is None or not isinstance(request, StartWorkload):
        return encode(request)
    return START_LINE % (
        encoded_workload,
        DRY_RUN if request.dry_run else b"",
        WITH_VERSION if request.with_version else b"",
        b"" if request.trace is None else TRACE % request.trace.encode(),
    )


@lru_cache(4096)
def status_request(workload_id: str) -> tuple[GetStatus, bytes]:
    """Return a request for the status of a workload, without options, and its encoded line.

    Both are cached, because clients poll the state of workloads; they take 300 bytes for each id.
    """
    request = GetStatus(workload_id)
    return request, encode_request(request)
