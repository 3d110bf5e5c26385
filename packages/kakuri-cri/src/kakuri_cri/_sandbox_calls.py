"""The calls about sandboxes."""

from collections.abc import Mapping

from kakuri_cri import api
from kakuri_cri._caller import Caller, required

_SERVICE = api.RuntimeService


class SandboxCalls(Caller):
    """Creates, stops, removes and lists sandboxes."""

    async def run_pod_sandbox(self, config: api.PodSandboxConfig, handler: str = "") -> str:
        """Create and start a sandbox, and return its id.

        The call is not idempotent: after CallUnanswered, list the sandboxes by label, and adopt the
        sandbox if it exists. To try again, increase `metadata.attempt`.

        Args:
            config: The configuration of the sandbox; `metadata` names it.
            handler: Name of the runtime handler; empty for the runtime's default.

        Raises:
            NameReserved: A sandbox with this metadata exists or is being created.
            CriError: The call failed.
        """
        request = api.RunPodSandboxRequest(config=config, runtime_handler=handler)
        timeout = self.timeouts.run_pod_sandbox
        response = await self.call(_SERVICE.RunPodSandbox, request, timeout=timeout)
        return required("RunPodSandbox", "pod_sandbox_id", response.pod_sandbox_id)

    async def stop_pod_sandbox(self, sandbox_id: str, timeout: float | None = None) -> None:
        """Stop a sandbox and everything in it; succeeds if it is already stopped.

        Call this at least once before `remove_pod_sandbox`, because it frees the sandbox's
        addresses. The protocol requires success if the sandbox does not exist, but containerd 1.6
        raises NotFound.
        """
        request = api.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self.call(_SERVICE.StopPodSandbox, request, timeout=self._seconds(timeout))

    async def remove_pod_sandbox(self, sandbox_id: str, timeout: float | None = None) -> None:
        """Remove a sandbox with its containers; succeeds if it does not exist."""
        request = api.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self.call(_SERVICE.RemovePodSandbox, request, timeout=self._seconds(timeout))

    async def pod_sandbox_status(
        self, sandbox_id: str, timeout: float | None = None
    ) -> api.PodSandboxStatus:
        """Return a sandbox's state, addresses and handler.

        Raises:
            NotFound: There is no sandbox with this id.
            CriError: The call failed.
        """
        request = api.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.PodSandboxStatus, request, timeout=timeout)
        return required("PodSandboxStatus", "status", response.status)

    async def list_pod_sandboxes(
        self, labels: Mapping[str, str], timeout: float | None = None
    ) -> list[api.PodSandbox]:
        """Return the sandboxes that have all of these labels."""
        selected = api.PodSandboxFilter(label_selector=labels)
        request = api.ListPodSandboxRequest(filter=selected)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ListPodSandbox, request, timeout=timeout)
        return list(response.items)

    async def update_pod_sandbox_resources(
        self,
        sandbox_id: str,
        *,
        overhead: api.LinuxContainerResources | None = None,
        resources: api.LinuxContainerResources | None = None,
        timeout: float | None = None,
    ) -> None:
        """Inform the runtime that the resources of a sandbox's containers have changed.

        The runtime decides what to do with them (CRI 1.33); older runtimes raise Unimplemented.

        Args:
            sandbox_id: The sandbox.
            overhead: Resources that the sandbox itself needs.
            resources: The total of its containers.
            timeout: Seconds; `timeouts.usual` if None.
        """
        request = api.UpdatePodSandboxResourcesRequest(
            pod_sandbox_id=sandbox_id, overhead=overhead, resources=resources
        )
        timeout = self._seconds(timeout)
        await self.call(_SERVICE.UpdatePodSandboxResources, request, timeout=timeout)

    async def checkpoint_pod(
        self, request: api.CheckpointPodRequest, timeout: float | None = None
    ) -> None:
        """Write a checkpoint of a sandbox with its containers (CRI 1.37, in development)."""
        await self.call(_SERVICE.CheckpointPod, request, timeout=self._seconds(timeout))

    async def restore_pod(self, request: api.RestorePodRequest) -> api.RestorePodResponse:
        """Create a sandbox from a checkpoint (CRI 1.37, in development).

        The call is not idempotent; see `run_pod_sandbox`.
        """
        timeout = self.timeouts.run_pod_sandbox
        response = await self.call(_SERVICE.RestorePod, request, timeout=timeout)
        required("RestorePod", "pod_sandbox_id", response.pod_sandbox_id)
        return response
