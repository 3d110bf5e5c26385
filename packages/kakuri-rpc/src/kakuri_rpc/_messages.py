"""The replies of the agent protocol; `_requests` has the requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

from kakuri_workload import (
    DEFAULT_RUNTIME_CLASS,
    MAX_HISTORY,
    Attempt,
    ExitCode,
    ImageStatus,
    Isolation,
    MaxLength,
    Removal,
    Run,
    Timestamp,
    Transition,
    Version,
    Workload,
    WorkloadId,
    WorkloadState,
    fast_init,
    printable,
)

from kakuri_rpc._base import REPLY
from kakuri_rpc._events import Changes
from kakuri_rpc._fields import (
    MAX_ADDRESS_LENGTH,
    MAX_DIFFERENCES,
    MAX_DIGEST_LENGTH,
    MAX_FEATURES,
    MAX_LOG_DATA,
    MAX_MESSAGE_LENGTH,
    MAX_PAGE,
    MAX_REASON_LENGTH,
    STATES,
    Count,
    Desired,
    ErrorCode,
    LogCursor,
    State,
    StoreId,
)
from kakuri_rpc._metrics import Metrics


@fast_init
@dataclass(frozen=True, slots=True)
class Status:
    """The status of a workload's current or last run.

    Attributes:
        id: The workload.
        state: Its state.
        reason: Why it is in that state, as a short code.
        message: An explanation for people.
        exit_code: The exit code of its main process.
        address: Its IP address.
        started_at: When the run started, in seconds since the epoch by the runtime's clock.
        ended_at: When it ended.
        attempt: The number of restarts so far.
        existing: Whether the workload already existed when StartWorkload arrived.
        image_digest: The digest of the image of the run.
        desired: The desired state, if it is not to run and has not been reached yet.
        restart_at: When the next attempt is due, in seconds since the epoch.
        version: The registry's version after the workload's last change, if requested.
        created_at: When the workload was registered; with details only.
        changed_at: When it changed last; with details only.
        workload: Its specification; with details only.
        removed_at: When it was removed.
        removal: What was removed, and how the removal was verified.
        isolation: How the run is isolated, once it has been checked; with details only.
        image: Whether the image is on the node, in the reply to a dry run.
        pulled_bytes: Roughly the number of bytes received since the pull of the image began; with
            details only.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

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
    desired: Desired | None = None
    restart_at: Timestamp | None = None
    version: Version | None = None
    created_at: Timestamp | None = None
    changed_at: Timestamp | None = None
    workload: Workload | None = None
    removed_at: Timestamp | None = None
    removal: Removal | None = None
    isolation: Isolation | None = None
    image: ImageStatus | None = None
    pulled_bytes: Count | None = None

    @classmethod
    def of(cls, workload_id: str, run: Run, *, existing: bool = False) -> "Status":
        """Create the status of a workload's run; a long reason or message is shortened."""
        reason, message, address, digest = run.reason, run.message, run.address, run.image_digest
        return cls(
            workload_id,
            STATES[run.state],
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
class WorkloadList:
    """A page of statuses; `next` is the `after` of the next page, if there is one."""

    __json__: ClassVar[dict[str, Any]] = REPLY

    workloads: Annotated[list[Status], MaxLength(MAX_PAGE)]
    next: WorkloadId | None = None


def runtime_classes(handlers: Mapping[str, str] | None) -> frozenset[str]:
    """Return the runtime classes of a node: those with a handler, otherwise the default class.

    Args:
        handlers: The runtime's handler for each class; empty or None if it has not reported any.
    """
    return frozenset(handlers or (DEFAULT_RUNTIME_CLASS,))


@dataclass(frozen=True, slots=True)
class Node:
    """The description of a node.

    Attributes:
        version: Version of the agent.
        runtime: The kind of runtime: sidecar, cri or simulated.
        simulated: Whether workloads are only simulated.
        workloads: The number of workloads.
        memory_mb: MiB for all workloads together, if the agent knows it.
        memory_mb_used: MiB that are reserved.
        cpu_millicores: Millicores for all workloads together, if the agent knows it.
        cpu_millicores_used: Millicores that are reserved.
        runtime_available: Whether the runtime answers and can run zones. If not, running zones
            continue, and no others are started.
        message: Why the runtime is unavailable, or other information for an operator.
        runtime_endpoint: The kind of socket to the runtime or sidecar: "unix" or "tcp".
        runtime_handlers: The runtime's handler for each runtime class, if known.
        name: The node's name.
        store: Where the agent keeps workloads: "sqlite" or "memory".
        started_at: When the agent started, in seconds since the epoch.
        event_index: The version of the registry, which is the index of the latest event.
        store_id: The random id of the store, as in `Changes`.
        reason: The reason for the message, as a short code such as `Simulated`.
        features: Optional features that the agent supports: `FEATURES` of its release.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

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
    name: str | None = None
    store: str | None = None
    started_at: Timestamp | None = None
    event_index: Version | None = None
    store_id: StoreId | None = None
    reason: str | None = None
    features: Annotated[list[str], MaxLength(MAX_FEATURES)] = field(default_factory=list)

    @property
    def runtime_classes(self) -> frozenset[str]:
        """The runtime classes that workloads on this node can have."""
        return runtime_classes(self.runtime_handlers)


@dataclass(frozen=True, slots=True)
class Log:
    """A piece of a workload's log, byte for byte or as records.

    Attributes:
        data: The bytes, or complete records; may be empty.
        next: The cursor after them.
        ended: Whether this is the last piece, because the workload has ended for good.
        gap: Whether bytes between the request's cursor and `data` were removed before they could be
            read. In records, a `gap` line marks the place.
        examined: How many bytes of the log's files were examined. For plain bytes, 0 unless the
            agent ended the piece early because of it. If it is not 0 and there is no data, request
            the next piece immediately.
    """

    __json__: ClassVar[dict[str, Any]] = REPLY

    data: Annotated[bytes, MaxLength(MAX_LOG_DATA)]
    next: LogCursor
    ended: bool
    gap: bool = False
    examined: Count = 0


@dataclass(frozen=True, slots=True)
class History:
    """The transitions of a workload, oldest first."""

    __json__: ClassVar[dict[str, Any]] = REPLY

    id: WorkloadId
    transitions: Annotated[list[Transition[State]], MaxLength(MAX_HISTORY)]

    @classmethod
    def of(cls, workload_id: str, history: Iterable[Transition[WorkloadState]]) -> "History":
        """Create the history of a workload; long reasons and messages are shortened."""
        return cls(
            workload_id,
            [
                Transition(
                    each.at,
                    State.of(each.state),
                    each.reason and printable(each.reason, MAX_REASON_LENGTH),
                    each.message and printable(each.message, MAX_MESSAGE_LENGTH),
                    each.exit_code,
                    each.attempt,
                    each.count,
                )
                for each in history
            ],
        )


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error, which can be the reply to any request. Its type on the wire is `Error`.

    Attributes:
        id: The workload that the request was about, if any.
        code: The kind of error.
        message: An explanation for people.
        differences: For a conflict of specifications, the paths of the differences, without values.
        version: For a version mismatch, the workload's current version.
        oldest: For events that are no longer kept, the smallest index to continue from.
        newest: The current index.
    """

    __json__: ClassVar[dict[str, Any]] = {**REPLY, "tag_value": "Error"}

    id: str | None = field(default=None, kw_only=True)
    code: ErrorCode
    message: str
    differences: Annotated[list[str], MaxLength(MAX_DIFFERENCES)] = field(default_factory=list)
    version: Version | None = None
    oldest: Version | None = None
    newest: Version | None = None


Reply: TypeAlias = Status | WorkloadList | Node | Log | History | Changes | Metrics | ErrorReply

REPLIES = frozenset(get_args(Reply))
"""The classes of replies."""
