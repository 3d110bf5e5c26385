"""The query parameters of the API; `kakuri_daemon.api.read_query` converts them."""

from dataclasses import dataclass
from typing import Annotated

from kakuri_rpc import MAX_PAGE, MAX_TAIL, LabelSelector
from kakuri_workload import Range, WorkloadState


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Parameters of a list of workloads."""

    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    after: str = ""
    state: WorkloadState | None = None
    label: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Parameters of a log: how many of its last lines, and whether to follow it."""

    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    follow: bool = False
