"""The sandboxes, containers and images of a fake runtime."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from kakuri_grpc import StatusCode

from kakuri_cri import api
from kakuri_cri.testing._logs import LogWriter

Pause: TypeAlias = Callable[[], Awaitable[None]]
"""Awaited in the middle of each call; a fault can delay it."""


class Refusal(Exception):
    """The runtime refuses a call; containerd's status is usually UNKNOWN."""

    def __init__(self, message: str, code: StatusCode = StatusCode.UNKNOWN) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeImage:
    """An image, and the behaviour of its containers.

    Attributes:
        state: "present" on the node, "pullable" from the registry, "missing" in the registry, or
            "hanging", so that a pull never completes.
        size: Size in bytes.
        user: The `USER` of its configuration.
        working_dir: The `WORKDIR` of its configuration.
        version: Distinguishes images with the same name; each version has its own id.
        is_pinned: Whether the runtime reports it as pinned, so that it is not removed.
        output: Written to stdout when a container starts.
        exit_code: Exit code with which a container exits right after its start; None if it keeps
            running.
        start_error: Error message with which every start fails; None if starts succeed.
        on_term: Exit code after SIGTERM; None if containers ignore it.
        commands: Stdout and exit code of ExecSync, by argument vector; any other command exits
            with 127.
    """

    state: str = "pullable"
    size: int = 1_000_000
    user: str = ""
    working_dir: str = ""
    version: int = 0
    is_pinned: bool = False
    output: bytes = b""
    exit_code: int | None = None
    start_error: str | None = None
    on_term: int | None = 143
    commands: Mapping[tuple[str, ...], tuple[bytes, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        states = ("present", "pullable", "missing", "hanging")
        if self.state not in states:
            raise ValueError(f"expected one of {', '.join(states)}, got {self.state!r}")


@dataclass(slots=True, eq=False)
class FakeSandbox:
    """A sandbox.

    Attributes:
        id: Its id.
        config: Its configuration.
        metadata: The metadata of the configuration.
        handler: Name of its runtime handler.
        created_at: Creation time in nanoseconds since the epoch.
        ip: Its address.
        is_ready: Whether it is SANDBOX_READY.
        received_bytes: Bytes that its interface received; None to leave it out of the statistics.
        sent_bytes: Bytes that its interface sent, or None.
        processes: Number of processes, or None.
    """

    id: str
    config: api.PodSandboxConfig
    metadata: api.PodSandboxMetadata
    handler: str
    created_at: int
    ip: str
    is_ready: bool = True
    received_bytes: int | None = None
    sent_bytes: int | None = None
    processes: int | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its configuration."""
        return self.config.labels

    @property
    def state(self) -> api.PodSandboxState:
        """The state in the protocol's terms."""
        states = api.PodSandboxState
        return states.SANDBOX_READY if self.is_ready else states.SANDBOX_NOTREADY

    def status(self) -> api.PodSandboxStatus:
        """Return its status message."""
        return api.PodSandboxStatus(
            id=self.id,
            metadata=self.metadata,
            state=self.state,
            created_at=self.created_at,
            network=api.PodSandboxNetworkStatus(ip=self.ip if self.is_ready else ""),
            labels=self.config.labels,
            annotations=self.config.annotations,
            runtime_handler=self.handler,
        )

    def item(self) -> api.PodSandbox:
        """Return its message in a list."""
        return api.PodSandbox(
            id=self.id,
            metadata=self.metadata,
            state=self.state,
            created_at=self.created_at,
            labels=self.config.labels,
            annotations=self.config.annotations,
            runtime_handler=self.handler,
        )


@dataclass(slots=True, eq=False)
class FakeContainer:
    """A container.

    Attributes:
        id: Its id.
        sandbox: Its sandbox.
        config: Its configuration.
        metadata: The metadata of the configuration.
        image: The image it was created from.
        image_ref: Id of the image.
        created_at: Creation time in nanoseconds since the epoch, like `started_at` and
            `finished_at`.
        state: Its state, in the protocol's terms.
        exit_code: Exit code of its process.
        reason: Why it exited, such as "Completed" or "Error".
        message: Details about the reason.
        resources: Set by UpdateContainerResources; None until then.
        cpu_nanoseconds: CPU time in its statistics; None to leave it out.
        memory_bytes: Working set, or None.
        writable_bytes: Size of the writable layer, or None.
        log: The writer of its log; None before its start, or without a log path.
        is_starting: Whether a StartContainer call is in progress; others are refused.
        ended: Set when it has exited.
    """

    id: str
    sandbox: FakeSandbox
    config: api.ContainerConfig
    metadata: api.ContainerMetadata
    image: FakeImage
    image_ref: str
    created_at: int
    state: api.ContainerState = api.ContainerState.CONTAINER_CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    resources: api.LinuxContainerResources | None = None
    cpu_nanoseconds: int | None = 0
    memory_bytes: int | None = 0
    writable_bytes: int | None = None
    log: LogWriter | None = None
    is_starting: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its configuration."""
        return self.config.labels

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.state is api.ContainerState.CONTAINER_RUNNING

    @property
    def log_path(self) -> str:
        """The absolute path of its log; empty if it has no log."""
        directory, path = self.sandbox.config.log_directory, self.config.log_path
        return f"{directory}/{path}" if directory and path else ""

    def status(self) -> api.ContainerStatus:
        """Return its status message."""
        resources = self.resources
        return api.ContainerStatus(
            id=self.id,
            metadata=self.metadata,
            state=self.state,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            image=self.config.image,
            image_ref=self.image_ref,
            reason=self.reason,
            message=self.message,
            labels=self.config.labels,
            annotations=self.config.annotations,
            log_path=self.log_path,
            resources=None if resources is None else api.ContainerResources(linux=resources),
        )

    def item(self) -> api.Container:
        """Return its message in a list."""
        return api.Container(
            id=self.id,
            pod_sandbox_id=self.sandbox.id,
            metadata=self.metadata,
            image=self.config.image,
            image_ref=self.image_ref,
            state=self.state,
            created_at=self.created_at,
            labels=self.config.labels,
            annotations=self.config.annotations,
        )
