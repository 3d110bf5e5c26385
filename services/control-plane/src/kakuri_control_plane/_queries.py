"""The query parameters of the API; `kakuri_daemon.api.read_query` converts them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kakuri_rpc import MAX_EVENTS, MAX_PAGE, GraceSeconds, LabelSelector, StoreId
from kakuri_workload import EventType, Range, Text, WorkloadId, WorkloadState

from kakuri_control_plane._headers import MAX_VERSION

MAX_WAIT_SECONDS = 60
"""Longest wait for a change, in seconds: below the usual timeouts of clients and proxies."""


_TYPES = "|".join(("state", *(each.value for each in EventType)))
EventTypes = Annotated[
    str,
    Text(
        pattern=f"((?:{_TYPES})(?:,(?:{_TYPES})){{0,5}})?",
        max_length=64,
        description=f"types of events, separated by commas: {_TYPES.replace('|', ', ')}",
    ),
]


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Parameters of a list of workloads.

    Attributes:
        limit: Maximum number of workloads in the page.
        after: Only workloads whose id comes after this one: `next` of the page before.
        state: Only workloads in this state.
        label: Only workloads with this label, as `key=value`.
        spec: Whether to show everything that is known of each.
        removed: Whether to list workloads that were removed.
    """

    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    after: str = ""
    state: WorkloadState | None = None
    label: LabelSelector | None = None
    spec: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class WorkloadQuery:
    """Parameters of a request for one workload.

    Attributes:
        spec: Whether the response has all details.
        removed: Whether to return the workload that was removed last under this id.
        wait: Seconds to wait for a version greater than `after`.
        after: A version; the current one by default.
    """

    spec: bool = False
    removed: bool = False
    wait: Annotated[int, Range(ge=0, le=MAX_WAIT_SECONDS)] = 0
    after: Annotated[int, Range(ge=0, le=MAX_VERSION)] | None = None


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Parameters of a stream of events: where to begin, and which events to have.

    Attributes:
        after: Begin after the event with this index, or `now`; by default, begin with the state of
            every workload.
        tail: First send this many of the latest events; ignored after an index.
        store_id: The id of the store that issued `after`. If the agent has another store now, the
            response is 410. Ignored without an index.
        workload: Only events about this workload.
        label: Only events about workloads with this label, as `key=value`.
        type: Only events of these types, separated by commas.
    """

    after: Annotated[int, Range(ge=0, le=MAX_VERSION)] | Literal["now"] | None = None
    tail: Annotated[int, Range(ge=0, le=MAX_EVENTS)] = 0
    store_id: StoreId | None = None
    workload: WorkloadId | None = None
    label: LabelSelector | None = None
    type: EventTypes = ""

    @property
    def label_pair(self) -> tuple[str, str] | None:
        """The label's key and value."""
        key, separator, value = (self.label or "").partition("=")
        return (key, value) if separator else None

    @property
    def kinds(self) -> frozenset[str]:
        """The types of events; empty for all."""
        return frozenset(filter(None, self.type.split(",")))


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Parameters of a history.

    Attributes:
        removed: Whether to return the history of the workload that was removed last under this id.
    """

    removed: bool = False


@dataclass(frozen=True, slots=True)
class SubmissionQuery:
    """Parameters of a submission.

    Attributes:
        dry_run: Whether to check everything and change nothing.
    """

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RemovalQuery:
    """Parameters of a removal.

    Attributes:
        grace_seconds: Seconds between the signal and the kill.
        wait: Seconds to wait until the workload is removed.
    """

    grace_seconds: GraceSeconds = 10
    wait: Annotated[int, Range(ge=0, le=MAX_WAIT_SECONDS)] = 0
