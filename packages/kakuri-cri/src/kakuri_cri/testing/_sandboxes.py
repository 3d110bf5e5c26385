"""A fake runtime's calls about sandboxes, which follow containerd's rules.

Source: kubernetes/cri-api, `api.proto`; containerd, `internal/cri/server`.
"""

import time

from kakuri_cri import api
from kakuri_cri.testing._names import sandbox_name
from kakuri_cri.testing._objects import FakeSandbox, Pause, Refusal
from kakuri_cri.testing._state import KILLED, FakeState


class FakeSandboxes(FakeState):
    """Carries out the calls about sandboxes."""

    async def run_pod_sandbox(
        self, request: api.RunPodSandboxRequest, pause: Pause
    ) -> api.RunPodSandboxResponse:
        """Create a sandbox; its name is reserved before the work begins."""
        config, handler = request.config, request.runtime_handler
        if config is None or config.metadata is None:
            raise Refusal("sandbox config must include metadata")
        if handler not in self.node.handlers:
            raise Refusal(
                f'failed to get sandbox runtime: no runtime for "{handler}" is configured'
            )
        name = sandbox_name(config.metadata)
        identifier = self.reserve("sandbox", name)
        try:
            await pause()
            self.check_accepted(identifier, config)
        except BaseException:
            self.reserved.pop(name, None)
            raise
        address = f"10.88.0.{next(self.addresses) % 256}"
        sandbox = FakeSandbox(identifier, config, config.metadata, handler, time.time_ns(), address)
        self.sandboxes[identifier] = sandbox
        self.events.add(api.ContainerEventType.CONTAINER_CREATED_EVENT, sandbox)
        self.events.add(api.ContainerEventType.CONTAINER_STARTED_EVENT, sandbox)
        return api.RunPodSandboxResponse(pod_sandbox_id=identifier)

    async def stop_pod_sandbox(
        self, request: api.StopPodSandboxRequest, pause: Pause
    ) -> api.StopPodSandboxResponse:
        """Kill the containers of a sandbox and end it; succeeds if it does not exist."""
        await pause()
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            for container in self.containers_of(sandbox):
                self.end(container, KILLED)
            self.end_sandbox(sandbox)
        return api.StopPodSandboxResponse()

    async def remove_pod_sandbox(
        self, request: api.RemovePodSandboxRequest, pause: Pause
    ) -> api.RemovePodSandboxResponse:
        """Remove a sandbox with its containers; succeeds if it does not exist."""
        await pause()
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            for container in self.containers_of(sandbox):
                self.remove(container)
            self.end_sandbox(sandbox)
            del self.sandboxes[sandbox.id]
            self.reserved.pop(sandbox_name(sandbox.metadata), None)
            self.events.add(api.ContainerEventType.CONTAINER_DELETED_EVENT, sandbox)
        return api.RemovePodSandboxResponse()

    async def pod_sandbox_status(
        self, request: api.PodSandboxStatusRequest, pause: Pause
    ) -> api.PodSandboxStatusResponse:
        """Return the status of a sandbox."""
        await pause()
        sandbox = self.find_sandbox(request.pod_sandbox_id)
        return api.PodSandboxStatusResponse(status=sandbox.status())

    async def list_pod_sandbox(
        self, request: api.ListPodSandboxRequest, pause: Pause
    ) -> api.ListPodSandboxResponse:
        """Return the sandboxes that a filter selects."""
        await pause()
        found = self.select_sandboxes(request.filter)
        return api.ListPodSandboxResponse(items=tuple(sandbox.item() for sandbox in found))

    def stream_pod_sandboxes(
        self, request: api.StreamPodSandboxesRequest
    ) -> list[api.StreamPodSandboxesResponse]:
        """Return a message for each sandbox that a filter selects."""
        found = self.select_sandboxes(request.filter)
        return [
            api.StreamPodSandboxesResponse(pod_sandboxes=(sandbox.item(),)) for sandbox in found
        ]

    def select_sandboxes(self, selected: api.PodSandboxFilter | None) -> list[FakeSandbox]:
        """Return the sandboxes that a filter selects."""
        if selected is None:
            return list(self.sandboxes.values())
        state = None if selected.state is None else selected.state.state
        return [
            sandbox
            for sandbox in self.sandboxes.values()
            if selected.id in ("", sandbox.id)
            and state in (None, sandbox.state)
            and selected.label_selector.items() <= sandbox.labels.items()
        ]
