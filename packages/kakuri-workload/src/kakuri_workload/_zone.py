"""The specification and the status of a zone, which agents and runtimes exchange."""

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
"""Maximum size in bytes of a ZoneSpec's compact JSON: its workload, the attempt and the keys."""


@fast_init
@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """The specification of a zone for a runtime: a workload and an attempt.

    `attempt` increases with each restart. The same id and attempt mean the same run.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    workload: Workload
    attempt: Annotated[int, Range(ge=0, le=MAX_QUANTITY)] = 0

    @property
    def id(self) -> str:
        """The id of the workload, which is also the id of the zone."""
        return self.workload.id


def present_spelling(document: Any) -> Any:
    """Convert the JSON of a ZoneSpec to its current form.

    The previous release wrote the fields of the workload next to the attempt, without a restart
    policy, and left out the default runtime class. Annotations of running zones still have that
    form. To be removed with the next release.

    Args:
        document: A decoded JSON value; if it is not in the earlier form, it is returned unchanged.
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

    `spec_hash` identifies the specification that the zone was created from, regardless of the
    attempt. `spec` is that specification, which suffices to adopt a zone that no registry knows. It
    is large, so it is only set in the status of a single zone; lists and events only have the hash.
    `image_digest` is the digest of the image that the container was created from. `isolation` is
    set once a run has been checked. `pulled_bytes` is roughly the number of bytes that the node has
    received since the pull of the image began.
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
        """The observed state as the agent records it, without the runtime's ids."""
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
