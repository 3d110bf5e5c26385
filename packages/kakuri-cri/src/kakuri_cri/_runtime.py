"""The client for a runtime."""

from typing import Self

from kakuri_cri import api
from kakuri_cri._events import Events
from kakuri_cri._lists import Lists
from kakuri_cri._probe import ProbeResult, probe

_SERVICE = api.RuntimeService


class Runtime(Lists):
    """A client for a container runtime such as containerd.

    Each method is named after its call in the protocol. By default, it has the same deadline as in
    the kubelet. A call that fails raises CriError, whose subclasses show what the caller can do.
    Failed calls are not retried automatically.

    >>> async def names(socket: str) -> list[str]:
    ...     async with Runtime(f"unix:{socket}") as runtime:
    ...         containers = await runtime.list_containers({"app": "web"})
    ...     return [each.metadata.name for each in containers if each.metadata]
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls in progress raise RuntimeUnavailable."""
        await self._channel.close()
        self._codec.close()

    async def probe(self, timeout: float | None = None) -> ProbeResult:
        """Return the name, versions, handlers and conditions of the runtime.

        Args:
            timeout: Seconds for each of the three calls; `timeouts.usual` if None.

        Raises:
            RuntimeUnavailable: No runtime responds, or it is still starting.
            Unimplemented: The runtime speaks another version of the CRI.
            CriError: A call failed.
        """
        return await probe(self, self._seconds(timeout))

    async def version(self, timeout: float | None = None) -> api.VersionResponse:
        """Return the runtime's name and versions."""
        request = api.VersionRequest(version="v1")
        return await self.call(_SERVICE.Version, request, timeout=self._seconds(timeout))

    async def status(
        self, timeout: float | None = None, *, verbose: bool = False
    ) -> api.StatusResponse:
        """Return the runtime's conditions and handlers.

        Args:
            timeout: Seconds; `timeouts.usual` if None.
            verbose: Whether to include runtime-specific information in `info`: JSON by key.
        """
        request = api.StatusRequest(verbose=verbose)
        return await self.call(_SERVICE.Status, request, timeout=self._seconds(timeout))

    async def runtime_config(self, timeout: float | None = None) -> api.RuntimeConfigResponse:
        """Return the runtime's cgroup driver; raises Unimplemented before CRI 1.28."""
        request = api.RuntimeConfigRequest()
        timeout = self._seconds(timeout)
        return await self.call(_SERVICE.RuntimeConfig, request, timeout=timeout)

    async def update_runtime_config(self, pod_cidr: str, timeout: float | None = None) -> None:
        """Set the address range of sandboxes, in CIDR notation."""
        network = api.NetworkConfig(pod_cidr=pod_cidr)
        request = api.UpdateRuntimeConfigRequest(
            runtime_config=api.RuntimeConfig(network_config=network)
        )
        timeout = self._seconds(timeout)
        await self.call(_SERVICE.UpdateRuntimeConfig, request, timeout=timeout)

    def events(self) -> Events[api.ContainerEventResponse]:
        """Return an async iterator over events of containers and sandboxes.

        Treat events as hints: list again after each connect, and periodically. Read events quickly,
        because containerd waits for slow readers, and close the iterator when you are done. If the
        runtime has no events, Unimplemented is raised; list periodically instead.
        """
        return self.stream(_SERVICE.GetContainerEvents, api.GetEventsRequest(), timeout=None)
