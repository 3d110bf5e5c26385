"""The JSON of the service itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

from kakuri_control_plane._version import __version__


@dataclass(frozen=True, slots=True)
class Index:
    """The name and the version of the service, and where to begin.

    Attributes:
        name: The name of the program.
        version: Its version.
        workloads: The path of the workloads.
        nodes: The path of the nodes.
        events: The path of the stream of events.
        ready: The path of the readiness probe.
    """

    name: str = "kakuri-control-plane"
    version: str = __version__
    workloads: str = "/workloads"
    nodes: str = "/nodes"
    events: str = "/events"
    ready: str = "/readyz"


@dataclass(frozen=True, slots=True)
class Health:
    """The response to a probe that succeeds.

    Attributes:
        status: Always `ok`.
        simulated: Whether workloads are only simulated.
        message: What an operator should know.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    status: str
    simulated: bool = False
    message: str | None = None


OK = Health("ok")
