"""The calls about containers."""

from collections.abc import Mapping

from kakuri_cri import api
from kakuri_cri._caller import Caller, expected

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

        The call is not idempotent; see `run_pod_sandbox`. The image has to be on the node.

        Args:
            sandbox_id: of a sandbox that is ready.
            config: with `metadata`, which names the container in its sandbox.
            sandbox_config: the same that the sandbox was created with.
            timeout: seconds; `timeouts.usual` if None.

        Raises:
            NameReserved: a container with this metadata exists or is being created.
            CriError: the call failed.

        """
        request = api.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config
        )
        timeout = timeout or self.timeouts.usual
        answer = await self.call(_SERVICE.CreateContainer, request, timeout=timeout)
        return expected("CreateContainer", "container_id", answer.container_id)

    async def start_container(self, container_id: str, timeout: float | None = None) -> None:
        """Start a container that was created.

        Raises:
            StartUnderWay: an earlier call is starting it.
            CriError: the call failed.

        """
        request = api.StartContainerRequest(container_id=container_id)
        await self.call(_SERVICE.StartContainer, request, timeout=timeout or self.timeouts.usual)

    async def stop_container(self, container_id: str, grace_seconds: int) -> None:
        """Stop a container, and kill it after the grace time; succeeds if it has ended.

        Args:
            container_id: which one.
            grace_seconds: 0 kills at once. The call may take this much longer than others.

        """
        request = api.StopContainerRequest(container_id=container_id, timeout=grace_seconds)
        timeout = self.timeouts.usual + grace_seconds
        await self.call(_SERVICE.StopContainer, request, timeout=timeout)

    async def remove_container(self, container_id: str, timeout: float | None = None) -> None:
        """Remove a container, running or not; succeeds if there is none of this id."""
        request = api.RemoveContainerRequest(container_id=container_id)
        await self.call(_SERVICE.RemoveContainer, request, timeout=timeout or self.timeouts.usual)

    async def container_status(
        self, container_id: str, timeout: float | None = None
    ) -> api.ContainerStatus:
        """Return a container's state, times and exit code.

        Raises:
            NotFound: there is no container of this id.
            CriError: the call failed.

        """
        request = api.ContainerStatusRequest(container_id=container_id)
        timeout = timeout or self.timeouts.usual
        answer = await self.call(_SERVICE.ContainerStatus, request, timeout=timeout)
        return expected("ContainerStatus", "status", answer.status)

    async def list_containers(
        self, labels: Mapping[str, str], *, sandbox_id: str = "", timeout: float | None = None
    ) -> list[api.Container]:
        """Return the containers that have all of these labels.

        Args:
            labels: all of them must match exactly.
            sandbox_id: of the sandbox whose containers are meant; empty for all.
            timeout: seconds; `timeouts.usual` if None.

        """
        selected = api.ContainerFilter(label_selector=labels, pod_sandbox_id=sandbox_id)
        request = api.ListContainersRequest(filter=selected)
        timeout = timeout or self.timeouts.usual
        answer = await self.call(_SERVICE.ListContainers, request, timeout=timeout)
        return list(answer.containers)

    async def reopen_container_log(self, container_id: str, timeout: float | None = None) -> None:
        """Let the runtime open a running container's log again, after it was renamed."""
        request = api.ReopenContainerLogRequest(container_id=container_id)
        timeout = timeout or self.timeouts.usual
        await self.call(_SERVICE.ReopenContainerLog, request, timeout=timeout)
