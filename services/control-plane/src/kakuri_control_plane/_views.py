"""The JSON of the API: the agent's replies in the API's form."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from kakuri_rpc import History, State, Status, WorkloadList
from kakuri_workload import Transition, WorkloadState


@dataclass(slots=True)  # not frozen: it is used once, and created in half of the time
class WorkloadView:
    """A workload's state, of its current run or its last one."""

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

    @classmethod
    def of(cls, status: Status) -> "WorkloadView":
        """Return the view of an agent's status."""
        started_at, ended_at = status.started_at, status.ended_at
        return cls(
            status.id,
            status.state.workload_state,
            status.reason,
            status.message,
            status.exit_code,
            status.address,
            None if started_at is None else date_time(started_at),
            None if ended_at is None else date_time(ended_at),
            status.attempt,
            status.image_digest,
        )


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """A page of workloads; `next` is the `after` of the following page."""

    __json__: ClassVar = {"omit_defaults": True}

    workloads: list[WorkloadView]
    next: str | None = None

    @classmethod
    def of(cls, page: WorkloadList) -> "WorkloadPage":
        """Return the view of an agent's page."""
        return cls([WorkloadView.of(status) for status in page.workloads], page.next)


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


def date_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 text, in UTC and always with microseconds."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
