"""What an agent and a runtime exchange about one zone: its specification and its status."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from kakuri_workload._document import MAX_DOCUMENT_BYTES
from kakuri_workload._grammar import Range
from kakuri_workload._state import WorkloadState
from kakuri_workload._workload import (
    DEFAULT_RUNTIME_CLASS,
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
"""Bytes of a ZoneSpec in its compact JSON encoding: its workload and the attempt."""


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """What a runtime needs to run a workload; units and defaults are those of `Workload`.

    `attempt` increases with each restart; the same id and attempt are the same run.
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
        """Return what a runtime needs to run a workload."""
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
        """Return the workload that this zone runs, without a restart policy."""
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
    """The observed state of a zone; times are seconds since the epoch by the runtime's clock.

    `spec_hash` identifies what the zone was created from, whatever the attempt. `spec` is that
    specification itself, enough to adopt a zone that is in no registry. It is large, so only the
    answer about a single zone has it; lists and events have the hash alone. `image_digest` is that
    of the image that its container was created from.
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
