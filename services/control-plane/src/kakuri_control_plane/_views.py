"""The JSON of the API: the agent's replies in the API's form."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Generic, Literal, Self, TypeVar

from kakuri_json import encode
from kakuri_rpc import Desired, History, State, Status, WorkloadList
from kakuri_workload import (
    ImageStatus,
    Isolation,
    Removal,
    Transition,
    Workload,
    WorkloadState,
)

DesiredName = Literal["stopped", "restarted", "removed"]

DESIRED: dict[Desired | None, DesiredName | None] = {
    None: None,
    Desired.STOPPED: "stopped",
    Desired.RESTARTED: "restarted",
    Desired.REMOVED: "removed",
}
"""The API's spelling of what was requested; None if the workload is as requested."""


@dataclass(frozen=True, slots=True)
class _TimeText:
    """The form of times, for `Annotated`."""

    pattern: str = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
    format: str = "date-time"


Time = Annotated[str, _TimeText()]
"""A time as `date_time` returns it."""


@dataclass(slots=True)  # not frozen: it is used once, and created in half of the time
class WorkloadView:
    """A workload's state, of its current run or its last one.

    Attributes:
        id: The workload.
        state: Its state.
        reason: Why it has this state, as a short code such as `OOMKilled`.
        message: An explanation for people.
        exit_code: The exit code of a run that has ended.
        address: The IP address of its zone.
        started_at: When the run started.
        ended_at: When the run ended.
        restarts: The number of restarts.
        image_digest: The manifest digest of the run's image.
        desired: What was requested and is not done yet.
        restart_at: When the next run is due.
        existing: Whether the workload existed already, or was already running.
    """

    __json__: ClassVar = {"omit_defaults": True}

    id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    address: str | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    restarts: int = 0
    image_digest: str | None = None
    desired: DesiredName | None = None
    restart_at: Time | None = None
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
    """Evidence of how a run is isolated, as far as it could be observed.

    Attributes:
        handler: The container runtime's handler of the sandbox.
        kernel: The release of the zone's kernel, which an image can forge.
        host_kernel: The release of the host's kernel.
        profile: The hash of the security profile of the container.
        checked_at: When it was observed.
    """

    __json__: ClassVar = {"omit_defaults": True}

    handler: str | None = None
    kernel: str | None = None
    host_kernel: str | None = None
    profile: str | None = None
    checked_at: Time

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
    """A workload with its specification, or the record of a removed one.

    Attributes:
        version: A number that increases with each change, and is never used again.
        created_at: When it was submitted.
        changed_at: When it changed last.
        spec: Its specification.
        removed_at: When it was removed.
        removal: What was removed, and how that was checked.
        isolation: How its run is isolated.
        pulled_bytes: Roughly how many bytes the node has received since the image's pull began.
    """

    version: int | None = None
    created_at: Time | None = None
    changed_at: Time | None = None
    spec: Workload | None = None
    removed_at: Time | None = None
    removal: Removal | None = None
    isolation: IsolationView | None = None
    pulled_bytes: int | None = None

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
        details.pulled_bytes = status.pulled_bytes
        return details


@dataclass(frozen=True, slots=True)
class RemovedWorkload:
    """The response to a DELETE that waited: the receipt, and how the workload ended.

    Attributes:
        id: The workload.
        removed: The receipt: what was removed, and how that was checked.
        state: Its last state.
        reason: Why it had this state, as a short code.
        message: An explanation for people.
        exit_code: The exit code of its last run.
        started_at: When that run started.
        ended_at: When that run ended.
        restarts: The number of restarts.
        removed_at: When it was removed.
    """

    __json__: ClassVar = {"omit_defaults": True}

    id: str
    removed: Removal
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    restarts: int = 0
    removed_at: Time | None = None

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
    """What a POST would do.

    Attributes:
        dry_run: Always true.
        change: `create`, or `none` if the workload exists already.
        workload: The complete workload, with its defaults.
        image: Whether its image is on the node or would be pulled; only for a workload that would
            be created, and if known.
    """

    __json__: ClassVar = {"omit_defaults": True}

    dry_run: Literal[True]
    change: Literal["create", "none"]
    workload: Workload
    image: ImageStatus | None = None

    @classmethod
    def of(cls, workload: Workload, status: Status) -> "DryRun":
        """Return the response about a workload, to which the agent would reply with `status`."""
        change: Literal["create", "none"] = "none" if status.existing else "create"
        return cls(True, change, workload, status.image)  # noqa: FBT003


V = TypeVar("V", bound=WorkloadView)


@dataclass(frozen=True, slots=True)
class WorkloadPage(Generic[V]):
    """A page of workloads, in the order of their ids.

    Attributes:
        workloads: The workloads.
        next: The `after` of the following page; absent on the last one.
    """

    __json__: ClassVar = {"omit_defaults": True}

    workloads: Sequence[V]
    next: str | None = None

    @classmethod
    def of(cls, page: WorkloadList, view: Callable[[Status], V]) -> "WorkloadPage[V]":
        """Return an agent's page, with a view of each workload."""
        return cls([view(status) for status in page.workloads], page.next)


@dataclass(frozen=True, slots=True)
class TransitionView:
    """One change of a workload's state.

    Attributes:
        at: When it happened.
        state: The state afterwards.
        reason: Why, as a short code.
        message: An explanation for people.
        exit_code: The exit code of a run that has ended.
        restarts: The number of restarts by then.
        count: How many attempts in a row ended in this way.
    """

    __json__: ClassVar = {"omit_defaults": True}

    at: Time
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
    """The latest transitions of a workload, oldest first.

    Attributes:
        id: The workload.
        transitions: The transitions.
    """

    id: str
    transitions: list[TransitionView]

    @classmethod
    def of(cls, history: History) -> "HistoryView":
        """Return the view of an agent's history."""
        return cls(history.id, [TransitionView.of(one) for one in history.transitions])


def with_state(workload: bytes, status: Status) -> bytes:
    """Return a workload's JSON with the members of its state added."""
    state = encode(WorkloadView.of(status)).partition(b",")[2]  # after `id`, which has no comma
    return b"%b,%b" % (workload[:-1], state)


def date_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 text, in UTC and always with microseconds."""
    whole = math.floor(seconds)
    micros = round((seconds - whole) * 1_000_000)
    if micros == 1_000_000:
        whole, micros = whole + 1, 0
    return f"{_second(whole)}.{micros:06d}Z"


@lru_cache(4096)
def _second(seconds: int) -> str:
    """Return a whole second; most times of a list, or of a stream, have theirs in common."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().removesuffix("+00:00")


def date_time_or_none(seconds: float | None) -> str | None:
    """Return seconds since the epoch as `date_time` does, and None for None."""
    return None if seconds is None else date_time(seconds)
