"""The sandboxes, containers and images of a runtime that is not there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar.testing._logs import LogWriter

Pause: TypeAlias = Callable[[], Awaitable[None]]
"""What a call waits for in the middle of its work, if a fault makes it slow."""


class Refusal(Exception):
    """A call that the runtime refuses; containerd says most of it with UNKNOWN."""

    def __init__(self, words: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeImage:
    """An image, and what becomes of a container of it.

    Attributes:
        state: "present" on the node, "pullable", "missing" in its registry, or "hanging": a pull
            of it does not end.
        size: bytes.
        user: `USER` of its configuration.
        working_dir: `WORKDIR` of its configuration.
        version: tells images of one name apart, which then have different ids.
        is_pinned: whether the runtime has marked it as not to be removed.
        output: what a container writes to stdout when it is started.
        exit_code: what a container ends with right after its start; None if it runs on.
        start_error: the words with which the start of a container fails.
        on_term: the exit code on SIGTERM; None if a container lets itself be killed.

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

    def __post_init__(self) -> None:
        states = ("present", "pullable", "missing", "hanging")
        if self.state not in states:
            raise ValueError(f"expected one of {', '.join(states)}, got {self.state!r}")


@dataclass(slots=True, eq=False)
class FakeSandbox:
    """A sandbox; `config` is what it was made from."""

    id: str
    config: api.PodSandboxConfig
    handler: str
    created_at: int
    ip: str
    is_ready: bool = True
    labels: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.labels = dict(self.config.labels)  # many times faster to look into than the message's

    @property
    def state(self) -> api.PodSandboxState:
        """The state as the protocol has it."""
        return api.SANDBOX_READY if self.is_ready else api.SANDBOX_NOTREADY

    def status(self) -> api.PodSandboxStatus:
        """Give it in full."""
        return api.PodSandboxStatus(
            id=self.id,
            metadata=self.config.metadata,
            state=self.state,
            created_at=self.created_at,
            network=api.PodSandboxNetworkStatus(ip=self.ip if self.is_ready else ""),
            labels=self.config.labels,
            annotations=self.config.annotations,
            runtime_handler=self.handler,
        )

    def item(self) -> api.PodSandbox:
        """Give what a list has of it."""
        return api.PodSandbox(
            id=self.id,
            metadata=self.config.metadata,
            state=self.state,
            created_at=self.created_at,
            labels=self.config.labels,
            annotations=self.config.annotations,
            runtime_handler=self.handler,
        )


@dataclass(slots=True, eq=False)
class FakeContainer:
    """A container; `config` is what it was made from.

    `is_starting` is set while StartContainer is carried out; further calls are refused then.
    """

    id: str
    sandbox: FakeSandbox
    config: api.ContainerConfig
    image: FakeImage
    image_ref: str
    created_at: int
    state: api.ContainerState = api.CONTAINER_CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log: LogWriter | None = None
    is_starting: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    labels: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.labels = dict(self.config.labels)

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.state == api.CONTAINER_RUNNING

    @property
    def log_path(self) -> str:
        """The absolute path of its log; empty if it has none."""
        directory, path = self.sandbox.config.log_directory, self.config.log_path
        return f"{directory}/{path}" if directory and path else ""

    def status(self) -> api.ContainerStatus:
        """Give it in full."""
        return api.ContainerStatus(
            id=self.id,
            metadata=self.config.metadata,
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
        )

    def item(self) -> api.Container:
        """Give what a list has of it."""
        return api.Container(
            id=self.id,
            pod_sandbox_id=self.sandbox.id,
            metadata=self.config.metadata,
            image=self.config.image,
            image_ref=self.image_ref,
            state=self.state,
            created_at=self.created_at,
            labels=self.config.labels,
            annotations=self.config.annotations,
        )
