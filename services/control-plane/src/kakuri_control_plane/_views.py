"""The JSON of the API: the agent's replies in the API's form."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from kakuri_json import encode
from kakuri_rpc import Desired, History, State, Status, WorkloadList
from kakuri_workload import Isolation, Removal, Transition, Workload, WorkloadState

DESIRED: dict[Desired | None, str | None] = {
    None: None,
    **{each: each.value.lower() for each in Desired},
}
"""The API's spelling of what was requested; None if the workload is as requested."""


@dataclass(slots=True)  # not frozen: it is used once, and created in half of the time
class WorkloadView:
    """A workload's state, of its current run or its last one.

    `desired` is what was requested and is not done yet: stopped, restarted or removed.
    """

    __json__: ClassVar = {"omit_defaults": True}

    id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    address: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    restarts: int = 0
    image_digest: str | None = None
    desired: str | None = None
    restart_at: str | None = None
    existing: bool = False

    @classmethod
    def of(cls, status: Status) -> Self:
        """Return the view of an agent's status, without details."""
        return cls(
            status.id,
            status.state.workload_state,
            status.reason,
            status.message,
            status.exit_code,
            status.address,
            date_time_or_none(status.started_at),
            date_time_or_none(status.ended_at),
            status.attempt,
            status.image_digest,
            DESIRED[status.desired],
            date_time_or_none(status.restart_at),
            status.existing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationView:
    """The evidence of how a run is isolated."""

    __json__: ClassVar = {"omit_defaults": True}

    handler: str | None = None
    kernel: str | None = None
    host_kernel: str | None = None
    profile: str | None = None
    checked_at: str

    @classmethod
    def of(cls, isolation: Isolation) -> "IsolationView":
        """Return the view of an agent's evidence."""
        return cls(
            handler=isolation.handler,
            kernel=isolation.kernel,
            host_kernel=isolation.host_kernel,
            profile=isolation.profile,
            checked_at=date_time(isolation.checked_at),
        )


@dataclass(slots=True)
class WorkloadDetails(WorkloadView):
    """A workload with its specification, or what is kept of one that was removed."""

    version: int | None = None
    created_at: str | None = None
    changed_at: str | None = None
    spec: Workload | None = None
    removed_at: str | None = None
    removal: Removal | None = None
    isolation: IsolationView | None = None

    @classmethod
    def complete(cls, status: Status) -> Self:
        """Return the view of an agent's status with all that it has."""
        details = cls.of(status)
        details.version = status.version
        details.created_at = date_time_or_none(status.created_at)
        details.changed_at = date_time_or_none(status.changed_at)
        details.spec = status.workload
        details.removed_at = date_time_or_none(status.removed_at)
        details.removal = status.removal
        if status.isolation is not None:
            details.isolation = IsolationView.of(status.isolation)
        return details


@dataclass(frozen=True, slots=True)
class RemovedWorkload:
    """The response to a DELETE that waited: the receipt, and how the workload ended."""

    __json__: ClassVar = {"omit_defaults": True}

    id: str
    removed: Removal
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    started_at: str | None = None
    ended_at: str | None = None
    restarts: int = 0
    removed_at: str | None = None

    @classmethod
    def of(cls, status: Status) -> "RemovedWorkload":
        """Return the view of the last status of a workload that was removed."""
        return cls(
            status.id,
            status.removal or Removal(),
            status.state.workload_state,
            status.reason,
            status.message,
            status.exit_code,
            date_time_or_none(status.started_at),
            date_time_or_none(status.ended_at),
            status.attempt,
            date_time_or_none(status.removed_at),
        )


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a POST would do: `change` is `create`, or `none` if the workload exists already."""

    dry_run: bool
    change: str
    workload: Workload


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """A page of workloads; `next` is the `after` of the following page."""

    __json__: ClassVar = {"omit_defaults": True}

    workloads: Sequence[WorkloadView]
    next: str | None = None

    @classmethod
    def of(
        cls, page: WorkloadList, view: Callable[[Status], WorkloadView] = WorkloadView.of
    ) -> "WorkloadPage":
        """Return an agent's page, with a view of each workload."""
        return cls([view(status) for status in page.workloads], page.next)


@dataclass(frozen=True, slots=True)
class TransitionView:
    """One change of a workload's state."""

    __json__: ClassVar = {"omit_defaults": True}

    at: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    count: int = 1

    @classmethod
    def of(cls, transition: Transition[State]) -> "TransitionView":
        """Return the view of an agent's transition."""
        return cls(
            date_time(transition.at),
            transition.state.workload_state,
            transition.reason,
            transition.message,
            transition.exit_code,
            transition.attempt,
            transition.count,
        )


@dataclass(frozen=True, slots=True)
class HistoryView:
    """The transitions of a workload, oldest first."""

    id: str
    transitions: list[TransitionView]

    @classmethod
    def of(cls, history: History) -> "HistoryView":
        """Return the view of an agent's history."""
        return cls(history.id, [TransitionView.of(one) for one in history.transitions])


def existing_workload(workload: Workload, status: Status) -> bytes:
    """Return the JSON of a workload that exists already: its specification, then its state."""
    _, _, state = encode(WorkloadView.of(status)).partition(b",")  # an id has no comma
    return b"%b,%b" % (encode(workload)[:-1], state)


def date_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 text, in UTC and always with microseconds."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def date_time_or_none(seconds: float | None) -> str | None:
    """Return seconds since the epoch as `date_time` does; None without them."""
    return None if seconds is None else date_time(seconds)
