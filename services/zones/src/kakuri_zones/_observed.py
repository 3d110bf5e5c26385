"""The observed state of a zone: its objects in the runtime, and the status that follows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kakuri_cri import api
from kakuri_cri.api import ContainerState
from kakuri_workload import WorkloadState, ZoneStatus, printable

from kakuri_zones import _labels as labels

NANOSECONDS = 1_000_000_000

MAX_MESSAGE = 4096
"""Characters kept of a runtime's message about a container's end."""

MAX_ID = 256
"""Characters of an id of a sandbox or a container; containerd's have 64."""

MAX_REASON = 64
"""Characters of a reason: as many as the agent protocol carries."""

MAX_ADDRESS = 64
"""Characters of an address: the longest of IPv6 with a zone has 61."""

OOM_KILLED = "OOMKilled"
CHILD_KILLED = "a process in it was killed for taking more memory than its limit"
KILLED = 137
"""The exit code of a container that was killed: 128 and SIGKILL's number."""

UNKNOWN = "Unknown"
END_UNKNOWN = (
    "the runtime does not know how the container ended; it probably ended with the machine, or "
    "together with a process of the runtime"
)

START_ERROR = "StartError"

_DIGEST = re.compile("[a-z0-9]{1,32}:[a-f0-9]{32,128}")

ZONE_LOST = "ZoneLost"

CREATING_SANDBOX = "CreatingSandbox"
CREATING_CONTAINER = "CreatingContainer"
STARTING = "Starting"
"""The steps of a start after the pull; each is reported when it begins."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as the runtime lists it; `address` is None unless its status was requested."""

    id: str
    zone_id: str
    cri_attempt: int
    is_ready: bool
    created_at: int
    handler: str
    spec_hash: str
    attempt: int
    address: str | None = None

    @classmethod
    def of(cls, listed: api.PodSandbox, address: str | None = None) -> "Sandbox":
        """Create one from an item of a list."""
        return cls(
            listed.id,
            labels.zone_id_of(listed.labels),
            attempt_of(listed.metadata),
            listed.state == api.PodSandboxState.SANDBOX_READY,
            listed.created_at,
            listed.runtime_handler,
            listed.labels.get(labels.SPEC_HASH, ""),
            labels.attempt_of(listed.labels),
            address and printable(address, MAX_ADDRESS),
        )


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the runtime reports it; times are nanoseconds since the epoch, 0 for never."""

    id: str
    zone_id: str
    sandbox_id: str
    cri_attempt: int
    state: int
    created_at: int
    spec_hash: str
    attempt: int
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image_digest: str | None = None
    is_stale: bool = False
    """Whether the last request for its status failed."""

    @classmethod
    def of_listed(cls, listed: api.Container) -> "Container":
        """Create one from an item of a list, which has no times, exit code or reason."""
        return cls(
            listed.id,
            labels.zone_id_of(listed.labels),
            listed.pod_sandbox_id,
            attempt_of(listed.metadata),
            listed.state,
            listed.created_at,
            listed.labels.get(labels.SPEC_HASH, ""),
            labels.attempt_of(listed.labels),
            image_digest=image_digest(listed.annotations),
        )

    def with_status(self, status: api.ContainerStatus) -> "Container":
        """Return the container with its status, which is newer than the list."""
        return replace(
            self,
            state=status.state,
            started_at=status.started_at,
            finished_at=status.finished_at,
            exit_code=status.exit_code,
            reason=printable(status.reason, MAX_REASON),
            message=printable(status.message, MAX_MESSAGE),
            image_digest=image_digest(status.annotations) or self.image_digest,
            is_stale=False,
        )

    def as_stale(self) -> "Container":
        """Return the container marked as one whose status the runtime does not return.

        A list does not say how a container ended, so one that has ended still counts as running.
        """
        state = (
            ContainerState.CONTAINER_RUNNING
            if self.state == ContainerState.CONTAINER_EXITED
            else self.state
        )
        return replace(self, state=state, is_stale=True)

    @property
    def never_ran(self) -> bool:
        """Whether its start failed, perhaps only because the caller disconnected."""
        is_start_error = self.reason == START_ERROR and self.started_at <= 0
        return self.state == ContainerState.CONTAINER_EXITED and is_start_error

    @property
    def was_started(self) -> bool:
        """Whether it runs or has run."""
        return self.state != ContainerState.CONTAINER_CREATED and not self.never_ran

    @property
    def has_ended(self) -> bool:
        """Whether it has run and will never run again."""
        return self.state == ContainerState.CONTAINER_EXITED and not self.never_ran

    @property
    def own_reason(self) -> str:
        """The reason of its end, without "OOMKilled" if only a child process was killed.

        A runtime reports "OOMKilled" for every container in which the kernel killed a process for
        memory. The container itself was killed only if its exit code is that of SIGKILL.
        """
        is_of_child = self.reason == OOM_KILLED and self.exit_code != KILLED
        return "" if is_of_child else self.reason

    @property
    def own_message(self) -> str | None:
        """The message about its end, if there is one."""
        if self.has_ended and self.reason != self.own_reason and not self.message:
            return CHILD_KILLED
        return self.message or None

    @property
    def is_provisional(self) -> bool:
        """Whether it was killed, and the runtime may still report that memory was the reason."""
        return self.has_ended and self.exit_code == KILLED and self.reason != OOM_KILLED


@dataclass(frozen=True, slots=True)
class ObservedZone:
    """Every object that the runtime has for one zone: usually one sandbox with one container."""

    id: str
    sandboxes: tuple[Sandbox, ...]
    containers: tuple[Container, ...]

    @property
    def container(self) -> Container | None:
        """The latest container, which determines the status."""
        return max(self.containers, key=age, default=None)

    @property
    def sandbox(self) -> Sandbox | None:
        """The sandbox of the latest container; without a container, the latest sandbox."""
        if (container := self.container) is not None:
            return self.sandbox_of(container)
        return max(self.sandboxes, key=lambda each: (each.cri_attempt, each.created_at))

    def sandbox_of(self, container: Container) -> Sandbox | None:
        """Return the sandbox of a container; None if it was removed."""
        return next((each for each in self.sandboxes if each.id == container.sandbox_id), None)

    @property
    def is_lost(self) -> bool:
        """Whether the sandbox has ended although its container still runs."""
        container, sandbox = self.container, self.sandbox
        return (
            container is not None
            and not container.is_stale
            and container.state == ContainerState.CONTAINER_RUNNING
            and not (sandbox is not None and sandbox.is_ready)
        )

    @property
    def is_provisional(self) -> bool:
        """Whether the runtime may still correct an end that it has just reported.

        It notices the ends of a container and of its sandbox one after the other, and the reason
        "OOMKilled" after both.
        """
        container = self.container
        return self.is_lost or (container is not None and container.is_provisional)

    def status(self) -> ZoneStatus:
        """Return the zone's status."""
        container, sandbox = self.container, self.sandbox
        sandbox_id = printable(sandbox.id, MAX_ID) if sandbox else None
        if container is None:
            attempt = sandbox.attempt if sandbox else 0
            return ZoneStatus(
                self.id,
                WorkloadState.PENDING,
                CREATING_CONTAINER,
                pod_sandbox_id=sandbox_id,
                attempt=attempt,
                spec_hash=printable(sandbox.spec_hash, MAX_ID) or None if sandbox else None,
            )
        state, reason = _state(container, is_lost=self.is_lost)
        return ZoneStatus(
            self.id,
            state,
            reason,
            container.own_message or (END_UNKNOWN if reason == UNKNOWN else None),
            container.exit_code if container.has_ended else None,
            sandbox_id,
            printable(container.id, MAX_ID),
            sandbox.address if sandbox else None,
            _seconds(container.started_at),
            # For a short run, a runtime may record the end before the start.
            _seconds(max(container.finished_at, container.started_at))
            if container.has_ended and container.finished_at
            else None,
            container.attempt,
            image_digest=container.image_digest,
            spec_hash=printable(container.spec_hash, MAX_ID) or None,
        )


COMPLETED = "Completed"
"""containerd's reason for exit code 0, which is not reported: the state `succeeded` implies it."""


def _state(container: Container, *, is_lost: bool) -> tuple[WorkloadState, str | None]:
    match container.state:
        case ContainerState.CONTAINER_CREATED:
            return WorkloadState.PENDING, STARTING
        case ContainerState.CONTAINER_EXITED if container.never_ran:
            return WorkloadState.PENDING, STARTING
        case ContainerState.CONTAINER_RUNNING if is_lost:
            return WorkloadState.FAILED, ZONE_LOST
        case ContainerState.CONTAINER_RUNNING:
            return WorkloadState.RUNNING, None
        case ContainerState.CONTAINER_EXITED if container.exit_code == 0:
            own = container.own_reason
            return WorkloadState.SUCCEEDED, None if own == COMPLETED else own or None
        case ContainerState.CONTAINER_EXITED:
            return WorkloadState.FAILED, container.own_reason or "Error"
        case _:
            return WorkloadState.FAILED, container.reason or UNKNOWN


def age(container: Container) -> tuple[int, int, int]:
    """Return the sort key of a zone's containers: the latest has the greatest."""
    return (container.attempt, container.cri_attempt, container.created_at)


def attempt_of(metadata: api.PodSandboxMetadata | api.ContainerMetadata | None) -> int:
    """Return the attempt in an object's metadata; 0 if the runtime sent none."""
    return 0 if metadata is None else metadata.attempt


def addresses(status: api.PodSandboxStatus) -> list[str]:
    """Return the addresses of a sandbox, the primary one first."""
    network = status.network
    if network is None:
        return []
    return [each for each in (network.ip, *(one.ip for one in network.additional_ips)) if each]


def _seconds(nanoseconds: int) -> float | None:
    return nanoseconds / NANOSECONDS if nanoseconds > 0 else None


def image_digest(annotations: Mapping[str, str]) -> str | None:
    """Return the image digest in a container's annotations; None if absent or malformed."""
    digest = annotations.get(labels.IMAGE_DIGEST, "")
    return digest if _DIGEST.fullmatch(digest) else None
