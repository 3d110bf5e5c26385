"""What the API shows of a workload: the agent's words in the API's."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from kakuri_rpc import History, Status, Transition, WorkloadList
from kakuri_workload import WorkloadState


@dataclass(slots=True)  # not frozen: nobody holds it, and it takes half as long to make
class WorkloadView:
    """A workload's state; times belong to its present run, or to the last one."""

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
        """Put an agent's status into the words of the API."""
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
    """A page of workloads; next is what `after` has to be for the following page."""

    __json__: ClassVar = {"omit_defaults": True}

    workloads: list[WorkloadView]
    next: str | None = None

    @classmethod
    def of(cls, page: WorkloadList) -> "WorkloadPage":
        """Put an agent's page into the words of the API."""
        return cls([WorkloadView.of(status) for status in page.workloads], page.next)


@dataclass(frozen=True, slots=True)
class TransitionView:
    """What a workload became, when and why."""

    __json__: ClassVar = {"omit_defaults": True}

    at: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    count: int = 1

    @classmethod
    def of(cls, transition: Transition) -> "TransitionView":
        """Put an agent's transition into the words of the API."""
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
    """What has happened to a workload, in the order of events."""

    id: str
    transitions: list[TransitionView]

    @classmethod
    def of(cls, history: History) -> "HistoryView":
        """Put an agent's history into the words of the API."""
        return cls(history.id, [TransitionView.of(one) for one in history.transitions])


def date_time(seconds: float) -> str:
    """Spell seconds since the epoch as RFC 3339 does, in UTC and always to the microsecond."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
