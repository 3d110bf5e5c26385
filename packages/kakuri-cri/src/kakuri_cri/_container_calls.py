"""The calls about containers."""

from collections.abc import Mapping, Sequence

from kakuri_cri import api
from kakuri_cri._caller import Caller, required

_SERVICE = api.RuntimeService


class ContainerCalls(Caller):
    """Creates, starts, stops, removes and lists containers."""

    async def create_container(
        self,
        sandbox_id: str,
        config: api.ContainerConfig,
        sandbox_config: api.PodSandboxConfig,
        timeout: float | None = None,
    ) -> str:
        """Create a container in a sandbox without starting it, and return its id.

        The call is not idempotent; see `run_pod_sandbox`. The image must already be on the node.

        Args:
            sandbox_id: A sandbox that is ready.
            config: The configuration of the container; `metadata` names it within its sandbox.
            sandbox_config: The configuration with which the sandbox was created.
            timeout: Seconds; `timeouts.usual` if None.

        Raises:
            NameReserved: A container with this metadata exists or is being created.
            CriError: The call failed.
        """
        request = api.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config
        )
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.CreateContainer, request, timeout=timeout)
        return required("CreateContainer", "container_id", response.container_id)

    async def start_container(self, container_id: str, timeout: float | None = None) -> None:
        """Start a created container.

        Raises:
            StartUnderWay: An earlier call is starting it.
            CriError: The call failed.
        """
        request = api.StartContainerRequest(container_id=container_id)
        await self.call(_SERVICE.StartContainer, request, timeout=self._seconds(timeout))

    async def stop_container(self, container_id: str, grace_seconds: int) -> None:
        """Stop a container, and kill it after the grace period.

        Succeeds if the container has already ended. The protocol also requires success if the
        container does not exist, but containerd 1.6 raises NotFound.

        Args:
            container_id: The container.
            grace_seconds: Seconds before the container is killed, added to `timeouts.usual`; 0 to
                kill it immediately.
        """
        request = api.StopContainerRequest(container_id=container_id, timeout=grace_seconds)
        timeout = self._seconds_after(grace_seconds, "grace_seconds")
        await self.call(_SERVICE.StopContainer, request, timeout=timeout)

    async def remove_container(self, container_id: str, timeout: float | None = None) -> None:
        """Remove a container, running or not; succeeds if it does not exist."""
        request = api.RemoveContainerRequest(container_id=container_id)
        await self.call(_SERVICE.RemoveContainer, request, timeout=self._seconds(timeout))

    async def container_status(
        self, container_id: str, timeout: float | None = None
    ) -> api.ContainerStatus:
        """Return a container's state, times and exit code.

        Raises:
            NotFound: There is no container with this id.
            CriError: The call failed.
        """
        request = api.ContainerStatusRequest(container_id=container_id)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ContainerStatus, request, timeout=timeout)
        return required("ContainerStatus", "status", response.status)

    async def list_containers(
        self, labels: Mapping[str, str], *, sandbox_id: str = "", timeout: float | None = None
    ) -> list[api.Container]:
        """Return the containers that have all of these labels.

        Args:
            labels: All of them must match exactly.
            sandbox_id: The sandbox whose containers to return; empty for all.
            timeout: Seconds; `timeouts.usual` if None.
        """
        selected = api.ContainerFilter(label_selector=labels, pod_sandbox_id=sandbox_id)
        request = api.ListContainersRequest(filter=selected)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ListContainers, request, timeout=timeout)
        return list(response.containers)

    async def reopen_container_log(self, container_id: str, timeout: float | None = None) -> None:
        """Make the runtime reopen a running container's log after you have renamed the file."""
        request = api.ReopenContainerLogRequest(container_id=container_id)
        timeout = self._seconds(timeout)
        await self.call(_SERVICE.ReopenContainerLog, request, timeout=timeout)

    async def update_container_resources(
        self,
        container_id: str,
        resources: api.LinuxContainerResources,
        *,
        annotations: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Change the limits of a container; they are in effect when the call returns.

        Args:
            container_id: The container.
            resources: The new limits; a field that is 0 or empty keeps its value.
            annotations: Annotations for the runtime.
            timeout: Seconds; `timeouts.usual` if None.
        """
        request = api.UpdateContainerResourcesRequest(
            container_id=container_id, linux=resources, annotations=annotations or {}
        )
        timeout = self._seconds(timeout)
        await self.call(_SERVICE.UpdateContainerResources, request, timeout=timeout)

    async def checkpoint_container(
        self, container_id: str, location: str, timeout_seconds: int = 0
    ) -> None:
        """Write a checkpoint of a running container to an archive of the host.

        Args:
            container_id: The container.
            location: Path of the archive.
            timeout_seconds: Seconds after which the runtime aborts; 0 for the runtime's default.

        Raises:
            Unimplemented: The runtime does not support checkpoints.
            CriError: The call failed.
        """
        request = api.CheckpointContainerRequest(
            container_id=container_id, location=location, timeout=timeout_seconds
        )
        timeout = self._seconds_after(timeout_seconds, "timeout_seconds")
        await self.call(_SERVICE.CheckpointContainer, request, timeout=timeout)

    # Commands and connections.

    async def exec_sync(
        self, container_id: str, command: Sequence[str], timeout_seconds: int
    ) -> api.ExecSyncResponse:
        """Run a command in a container, and return its output and exit code.

        The command has no standard input. containerd truncates each output stream after 16 MiB, and
        a response over `MAX_RECEIVED` fails with RESOURCE_EXHAUSTED.

        Args:
            container_id: A running container.
            command: Program and arguments.
            timeout_seconds: Seconds after which the runtime kills the command; 0 for no limit, and
                then the call has no deadline either.

        Raises:
            CallTimeout: The command took too long, or the runtime did not respond.
            CriError: The call failed.
        """
        request = api.ExecSyncRequest(
            container_id=container_id, cmd=tuple(command), timeout=timeout_seconds
        )
        timeout = (
            self._seconds_after(timeout_seconds, "timeout_seconds") if timeout_seconds else None
        )
        return await self.call(_SERVICE.ExecSync, request, timeout=timeout)

    async def exec(self, request: api.ExecRequest, timeout: float | None = None) -> str:
        """Prepare to run a command, and return the URL of the server that streams it.

        A URL is only valid for one connection and a short time.
        """
        response = await self.call(_SERVICE.Exec, request, timeout=self._seconds(timeout))
        return required("Exec", "url", response.url)

    async def attach(self, request: api.AttachRequest, timeout: float | None = None) -> str:
        """Prepare to attach to a container's streams, and return the URL; see `exec`."""
        response = await self.call(_SERVICE.Attach, request, timeout=self._seconds(timeout))
        return required("Attach", "url", response.url)

    async def port_forward(
        self, sandbox_id: str, ports: Sequence[int] = (), timeout: float | None = None
    ) -> str:
        """Prepare to forward ports of a sandbox, and return the URL; see `exec`."""
        request = api.PortForwardRequest(pod_sandbox_id=sandbox_id, port=tuple(ports))
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.PortForward, request, timeout=timeout)
        return required("PortForward", "url", response.url)
