"""The query parameters of the API; `kakuri_daemon.api.read_query` converts them."""

from dataclasses import dataclass
from typing import Annotated

from kakuri_rpc import MAX_PAGE, GraceSeconds, LabelSelector
from kakuri_workload import Range, WorkloadState

MAX_WAIT_SECONDS = 60
"""Seconds that an answer may wait for a change: less than clients and proxies usually allow."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Parameters of a list of workloads."""

    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    after: str = ""
    state: WorkloadState | None = None
    label: LabelSelector | None = None
    spec: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class WorkloadQuery:
    """Parameters of one workload: whether to show everything, and which one of an id."""

    spec: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Parameters of a history: whether of the workload that was removed last."""

    removed: bool = False


@dataclass(frozen=True, slots=True)
class SubmissionQuery:
    """Parameters of a submission."""

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RemovalQuery:
    """Parameters of a removal: the grace time, and how long to wait until it is complete."""

    grace_seconds: GraceSeconds = 10
    wait: Annotated[int, Range(ge=0, le=MAX_WAIT_SECONDS)] = 0
