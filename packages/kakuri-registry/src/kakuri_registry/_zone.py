"""What an agent and a runtime say to each other about one zone."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeAlias

from kakuri_registry._document import MAX_DOCUMENT_BYTES
from kakuri_registry._grammar import Range
from kakuri_registry._state import WorkloadState
from kakuri_registry._workload import (
    MAX_QUANTITY,
    Arguments,
    Environment,
    ImageReference,
    Labels,
    PullPolicy,
    Quantity,
    RuntimeClass,
    User,
    WorkingDirectory,
    Workload,
    WorkloadId,
)

MAX_SPEC_BYTES = MAX_DOCUMENT_BYTES + 32
"""Bytes of a ZoneSpec in its compact JSON encoding: those of its workload and the attempt."""

DEFAULT_RUNTIME_CLASS = "edera-zone"
"""What a zone is run by unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """What a runtime has to know to run a workload; units and defaults as in Workload.

    attempt grows with each restart; the same id and attempt is the same run.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    id: WorkloadId
    image: ImageReference
    memory_mb: Quantity
    cpu_millicores: Quantity
    runtime_class: RuntimeClass = DEFAULT_RUNTIME_CLASS
    command: Arguments = ()
    args: Arguments = ()
    env: Environment = field(default_factory=dict)
    working_dir: WorkingDirectory | None = None
    user: User | None = None
    labels: Labels = field(default_factory=dict)
    attempt: Annotated[int, Range(ge=0, le=MAX_QUANTITY)] = 0
    pull: PullPolicy | None = None

    @classmethod
    def of(cls, workload: Workload, attempt: int = 0) -> "ZoneSpec":
        """Give what a runtime has to know of a workload."""
        return cls(
            workload.id,
            workload.image,
            workload.memory_mb,
            workload.cpu_millicores,
            workload.runtime_class,
            workload.command,
            workload.args,
            workload.env,
            workload.working_dir,
            workload.user,
            workload.labels,
            attempt,
            workload.pull,
        )

    def workload(self) -> Workload:
        """Give the workload that this zone runs, as far as a zone tells: it is never restarted."""
        return Workload(
            self.id,
            self.image,
            self.runtime_class,
            self.memory_mb,
            self.cpu_millicores,
            self.command,
            self.args,
            self.env,
            self.working_dir,
            self.user,
            self.labels,
            pull=self.pull,
        )


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """What is true of a zone now; times are seconds since the epoch, by the runtime's clock.

    `spec_hash` identifies what the zone was made from, whatever the attempt. `spec` is that itself:
    enough to adopt a zone that is in no registry. It is large, so only the answer about a single
    zone has it; lists and events have the hash alone. `image_digest` is that of the image that its
    container was created from.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    pod_sandbox_id: str | None = None
    container_id: str | None = None
    address: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0
    spec: ZoneSpec | None = None
    image_digest: str | None = None
    spec_hash: str | None = None


class _Event:
    """What every event says about its spelling."""

    __slots__ = ()
    __json__: ClassVar[dict[str, Any]] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}


@dataclass(frozen=True, slots=True)
class ZoneChanged(_Event):
    """What is true of a zone now: the whole truth, whether it was told before or not."""

    zone: ZoneStatus


@dataclass(frozen=True, slots=True)
class ZoneGone(_Event):
    """Nothing is left of a zone."""

    id: str


@dataclass(frozen=True, slots=True)
class ZonesListed(_Event):
    """Every zone that there is has been told since the stream began.

    It is repeated from time to time, so that silence means a broken stream.
    """


@dataclass(frozen=True, slots=True)
class RuntimeHealth(_Event):
    """Whether the container runtime answers; zones run on while it does not."""

    available: bool
    message: str | None = None


ZoneEvent: TypeAlias = ZoneChanged | ZoneGone | ZonesListed | RuntimeHealth
"""A line of a runtime's stream of events."""


@dataclass(frozen=True, slots=True)
class LogGrown(_Event):
    """There is more to read of a zone's log, or may be."""

    id: str


@dataclass(frozen=True, slots=True)
class LogsWatched(_Event):
    """Everything written from now on is reported; the first event of a stream.

    It is repeated from time to time, so that silence means a broken stream.
    """


LogEvent: TypeAlias = LogGrown | LogsWatched
"""A line of a runtime's stream about growing logs."""
