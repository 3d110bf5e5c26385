"""What an agent and a runtime exchange about one zone: its specification and its status."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from kakuri_workload._fast_init import fast_init
from kakuri_workload._grammar import Range
from kakuri_workload._isolation import Isolation
from kakuri_workload._limits import MAX_DOCUMENT_BYTES
from kakuri_workload._run import Run
from kakuri_workload._state import WorkloadState
from kakuri_workload._transition import Attempt, ExitCode, Timestamp
from kakuri_workload._workload import DEFAULT_RUNTIME_CLASS, MAX_QUANTITY, Workload

MAX_SPEC_BYTES = MAX_DOCUMENT_BYTES + 64
"""Bytes of a ZoneSpec in its compact JSON encoding: its workload, the attempt and their names."""


@fast_init
@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """What a runtime runs: a workload, and which attempt at it.

    `attempt` increases with each restart; the same id and attempt are the same run.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    workload: Workload
    attempt: Annotated[int, Range(ge=0, le=MAX_QUANTITY)] = 0

    @property
    def id(self) -> str:
        """The id of the workload, which is also the zone's."""
        return self.workload.id


def present_spelling(document: Any) -> Any:
    """Return the JSON of a ZoneSpec in its current spelling.

    The release before this one wrote the fields of the workload next to the attempt, without a
    restart policy, and left out the default runtime class. Annotations of running zones still
    have that spelling. To be removed with the release after this one.

    Args:
        document: A decoded JSON value; one that is not in the earlier spelling is returned as it
            is.
    """
    if not isinstance(document, dict) or "image" not in document:
        return document
    workload = {"runtime_class": DEFAULT_RUNTIME_CLASS, **document}
    attempt = workload.pop("attempt", 0)
    return {"workload": workload, "attempt": attempt}


@fast_init
@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """The observed state of a zone; times are seconds since the epoch by the runtime's clock.

    `spec_hash` identifies what the zone was created from, whatever the attempt. `spec` is that
    specification itself, enough to adopt a zone that is in no registry. It is large, so only the
    answer about a single zone has it; lists and events have the hash alone. `image_digest` is that
    of the image that its container was created from. `isolation` is set once a run was checked.
    `pulled_bytes` is, roughly, what the node received since the pull of its image began.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True, "unknown": "ignore"}

    id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: ExitCode | None = None
    pod_sandbox_id: str | None = None
    container_id: str | None = None
    address: str | None = None
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    attempt: Attempt = 0
    spec: ZoneSpec | None = None
    image_digest: str | None = None
    spec_hash: str | None = None
    isolation: Isolation | None = None
    pulled_bytes: Annotated[int, Range(ge=0, le=2**53)] | None = None

    @property
    def run(self) -> Run:
        """The observed state as the agent records it, without the runtime's own ids."""
        return Run(
            self.state,
            self.reason,
            self.message,
            self.exit_code,
            self.address,
            self.started_at,
            self.ended_at,
            self.attempt,
            self.image_digest,
        )
