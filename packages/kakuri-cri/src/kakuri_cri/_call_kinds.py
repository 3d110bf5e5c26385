"""The kinds of calls, by how long they can take.

A server may allow only a few concurrent calls on a connection, and thousands of pulls or stops may
be waiting. A read that waited with them would fail after its timeout of seconds, as if the runtime
did not respond. So a channel has a connection for each kind of call: reads never wait for slow
calls, and removals never wait for pulls, for virtual machines to boot, or for containers to end.
"""

from enum import Enum


class CallKind(Enum):
    """A kind of call, with its own connection."""

    READ = "read"
    """Calls that return the runtime's records, and the stream of its events."""
    MEASUREMENT = "measurement"
    """Calls that inspect cgroups and file systems, which take seconds for thousands of zones."""
    PULL = "pull"
    """Pulls, which wait for a registry."""
    SANDBOX = "sandbox"
    """Starts of sandboxes, which may boot a virtual machine and take up to 240 s."""
    CONTAINER = "container"
    """Stops and commands, which wait for processes of a container as long as the caller allows."""
    CHANGE = "change"
    """All other changes, and calls that this package does not know."""

    @classmethod
    def of(cls, path: str) -> "CallKind":
        """Return the kind of a method, such as `/runtime.v1.RuntimeService/Version`."""
        return _KINDS.get(path.rpartition("/")[2], cls.CHANGE)


_NAMES = {
    CallKind.READ: (
        "Version", "Status", "RuntimeConfig", "GetContainerEvents",
        "ListPodSandbox", "StreamPodSandboxes", "PodSandboxStatus",
        "ListContainers", "StreamContainers", "ContainerStatus",
        "ListImages", "StreamImages", "ImageStatus",
    ),
    CallKind.MEASUREMENT: (
        "ContainerStats", "ListContainerStats", "StreamContainerStats",
        "PodSandboxStats", "ListPodSandboxStats", "StreamPodSandboxStats",
        "ListMetricDescriptors", "ListPodSandboxMetrics", "StreamPodSandboxMetrics",
        "ImageFsInfo",
    ),
    CallKind.PULL: ("PullImage",),
    CallKind.SANDBOX: ("RunPodSandbox",),
    CallKind.CONTAINER: ("StopContainer", "ExecSync"),
}  # fmt: skip
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names}
