"""The kinds of calls, by what decides how long they take.

A server may allow only a few calls at a time on a connection, and thousands of pulls or stops may
wait for it. A read that waited with them would fail after its timeout of seconds, as if the runtime
did not answer. So a channel has a connection for each kind of call, and a call waits only for calls
that take about as long as it does.
"""

from enum import Enum


class CallKind(Enum):
    """What a call of the protocol waits for."""

    READ = "read"
    """The runtime's records; and its events, which report changes of the same records."""
    MEASUREMENT = "measurement"
    """Cgroups and file systems, which the runtime inspects: seconds for thousands of zones."""
    PULL = "pull"
    """A registry."""
    WAIT = "wait"
    """The processes of a container, within a time that the caller allows."""
    CHANGE = "change"
    """The runtime's own work; also every call that this package does not know."""

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
    CallKind.WAIT: ("StopContainer", "ExecSync"),
}  # fmt: skip
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names}
