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
    """Start a workload. The reply to a repeated request is the current status.

    Attributes:
        workload: The workload.
        dry_run: Check everything that a start checks, and change nothing. The reply is that of a
            start, or its error.
        with_version: Whether the reply has the workload's version.
        trace: The trace of the request that it is sent for.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    workload: Workload
    dry_run: bool = False
    with_version: bool = False
    trace: TraceId | None = None


@fast_init
@dataclass(frozen=True, slots=True)
class GetStatus:
    """Ask for the status of a workload.

    Attributes:
        id: The workload.
        detail: Whether the reply has everything that is known, the specification included.
        removed: Whether to ask for the latest removed workload with this id.
        with_version: Whether the reply has the workload's version, which `detail` includes.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    detail: bool = False
    removed: bool = False
    with_version: bool = False


@dataclass(frozen=True, slots=True)
class StopWorkload:
    """Stop a workload: terminate it, and kill it after the grace time. Its record stays.

    Attributes:
        id: The workload.
        grace_seconds: Seconds between the signal and the kill of its process.
        expected_version: Refuse the request unless the workload has this version.
        with_version: Whether the reply has the workload's version.
        trace: The trace of the request that it is sent for.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    grace_seconds: GraceSeconds = 10
    expected_version: Version | None = None
    with_version: bool = False
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class RemoveWorkload:
    """Stop a workload and remove its record; a tombstone of it stays for the retention time.

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
    """Run a workload again that has ended, as its next attempt; its log is kept.

    A workload that waits for its next attempt begins it at once, and one that is being stopped
    runs again after its end. The reply for one that runs is its status, with `existing`.

    Attributes:
        id: The workload.
        expected_version: Refuse the request unless the workload has this version.
        with_version: Whether the reply has the workload's version.
        trace: The trace of the request that it is sent for.
    """

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    expected_version: Version | None = None
    with_version: bool = False
    trace: TraceId | None = None


@dataclass(frozen=True, slots=True)
class RestartWorkload:
    """End the current run of a workload, then begin its next attempt.

    Of a workload that has ended, the next attempt begins at once. The fields are those of
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
    """Ask for a page of statuses in the order of their ids.

    Attributes:
        state: Only workloads in this state.
        after: Only ids after this one.
        limit: Statuses on the page.
        label: Only workloads with this label.
        detail: Whether each status has everything that is known, the specification included. A
            page then ends before its statuses exceed MAX_DETAIL_BYTES.
        removed: Whether to ask for removed workloads, of each id the latest.
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
    """Ask for a piece of a workload's log.

    Attributes:
        id: The workload.
        tail: Without a cursor, begin with this number of the last lines; None for all of them.
        after: The cursor to begin after.
        wait_seconds: How long the reply may wait if there is no output yet.
        bounded: Read up to the end that the log has at the first of these requests, which is
            recorded in the cursors; `ended` is then true at that end.
        removed: Whether to read what is kept of the log of the latest removed workload with this
            id: its last lines, up to 64 KiB as records.
        records: Which records to return, as `kakuri_workload.read_records` reads them, instead of
            the bytes that the container wrote. The same in all requests for the pieces of a log.
        trace: The trace of the request that it is sent for.
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
    """Ask for the transitions of a workload, or of the latest removed one with this id."""

    __json__: ClassVar[dict[str, Any]] = REQUEST

    id: WorkloadId
    removed: bool = False


@dataclass(frozen=True, slots=True)
class DescribeNode:
    """Ask for a description of the node."""

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
"""Requests that may have a trace: the agent, its sidecar or an event reports what they do."""


def encode_request(request: Request, encoded_workload: bytes | None = None) -> bytes:
    """Return the line of a request, without its end.

    Args:
        request: The request.
        encoded_workload: The workload of a StartWorkload as JSON, if the caller has it already.
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

    Clients poll the state of a workload, so both are cached; they take 300 bytes for each id.
    """
    request = GetStatus(workload_id)
    return request, encode_request(request)
