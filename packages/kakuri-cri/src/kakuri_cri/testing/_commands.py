"""A fake runtime's calls about commands, resources and statistics of containers."""

import time

from kakuri_cri import api
from kakuri_cri.testing._objects import FakeContainer, FakeSandbox, Pause, Refusal
from kakuri_cri.testing._sandboxes import FakeSandboxes

_URL = "http://127.0.0.1:10250"
_NOT_FOUND = 127


class FakeCommands(FakeSandboxes):
    """Carries out the calls about running containers."""

    async def exec_sync(self, request: api.ExecSyncRequest, pause: Pause) -> api.ExecSyncResponse:
        """Return the output and exit code that the container's image defines for the command."""
        await pause()
        container = self._running(request.container_id)
        result = container.image.commands.get(tuple(request.cmd))
        if result is None:
            message = f"exec: {request.cmd[0] if request.cmd else ''!r}: not found\n"
            return api.ExecSyncResponse(stderr=message.encode(), exit_code=_NOT_FOUND)
        output, code = result
        return api.ExecSyncResponse(stdout=output, exit_code=code)

    async def exec(self, request: api.ExecRequest, pause: Pause) -> api.ExecResponse:
        """Return a URL at which no server listens."""
        await pause()
        return api.ExecResponse(url=f"{_URL}/exec/{self._running(request.container_id).id[:8]}")

    async def attach(self, request: api.AttachRequest, pause: Pause) -> api.AttachResponse:
        """Return a URL at which no server listens."""
        await pause()
        return api.AttachResponse(url=f"{_URL}/attach/{self._running(request.container_id).id[:8]}")

    async def port_forward(
        self, request: api.PortForwardRequest, pause: Pause
    ) -> api.PortForwardResponse:
        """Return a URL at which no server listens."""
        await pause()
        sandbox = self.find_sandbox(request.pod_sandbox_id)
        return api.PortForwardResponse(url=f"{_URL}/portforward/{sandbox.id[:8]}")

    async def update_container_resources(
        self, request: api.UpdateContainerResourcesRequest, pause: Pause
    ) -> api.UpdateContainerResourcesResponse:
        """Store the limits, which ContainerStatus then returns."""
        await pause()
        self.find_container(request.container_id).resources = request.linux
        return api.UpdateContainerResourcesResponse()

    async def container_stats(
        self, request: api.ContainerStatsRequest, pause: Pause
    ) -> api.ContainerStatsResponse:
        """Return the statistics of a container."""
        await pause()
        container = self.find_container(request.container_id)
        return api.ContainerStatsResponse(stats=_container_stats(container))

    async def list_container_stats(
        self, request: api.ListContainerStatsRequest, pause: Pause
    ) -> api.ListContainerStatsResponse:
        """Return the statistics of the running containers that a filter selects."""
        await pause()
        selected = request.filter or api.ContainerStatsFilter()
        stats = tuple(
            _container_stats(container)
            for container in self.containers.values()
            if container.is_running
            and selected.id in ("", container.id)
            and selected.pod_sandbox_id in ("", container.sandbox.id)
            and selected.label_selector.items() <= container.labels.items()
        )
        return api.ListContainerStatsResponse(stats=stats)

    async def pod_sandbox_stats(
        self, request: api.PodSandboxStatsRequest, pause: Pause
    ) -> api.PodSandboxStatsResponse:
        """Return the statistics of a sandbox."""
        await pause()
        sandbox = self.find_sandbox(request.pod_sandbox_id)
        return api.PodSandboxStatsResponse(stats=self._sandbox_stats(sandbox))

    async def list_pod_sandbox_stats(
        self, request: api.ListPodSandboxStatsRequest, pause: Pause
    ) -> api.ListPodSandboxStatsResponse:
        """Return the statistics of the sandboxes that a filter selects."""
        await pause()
        selected = request.filter or api.PodSandboxStatsFilter()
        stats = tuple(
            self._sandbox_stats(sandbox)
            for sandbox in self.sandboxes.values()
            if selected.id in ("", sandbox.id)
            and selected.label_selector.items() <= sandbox.labels.items()
        )
        return api.ListPodSandboxStatsResponse(stats=stats)

    def _running(self, identifier: str) -> FakeContainer:
        container = self.find_container(identifier)
        if not container.is_running:
            raise Refusal(f"container is in {container.state.name} state")
        return container

    def _sandbox_stats(self, sandbox: FakeSandbox) -> api.PodSandboxStats:
        containers = tuple(map(_container_stats, self.containers_of(sandbox)))
        return api.PodSandboxStats(
            attributes=api.PodSandboxAttributes(
                id=sandbox.id, metadata=sandbox.metadata, labels=sandbox.labels
            ),
            linux=api.LinuxPodSandboxStats(
                containers=containers,
                network=api.NetworkUsage(
                    default_interface=api.NetworkInterfaceUsage(
                        name="eth0",
                        rx_bytes=_reported(sandbox.received_bytes),
                        tx_bytes=_reported(sandbox.sent_bytes),
                    )
                ),
                process=api.ProcessUsage(process_count=_reported(sandbox.processes)),
            ),
        )


def _container_stats(container: FakeContainer) -> api.ContainerStats:
    now = time.time_ns()
    linux = container.config.linux
    used, available = container.memory_bytes, None
    if linux is not None and linux.resources is not None and used is not None:
        limit = linux.resources.memory_limit_in_bytes
        available = max(0, limit - used) if limit else None
    return api.ContainerStats(
        attributes=api.ContainerAttributes(
            id=container.id,
            metadata=container.metadata,
            labels=container.labels,
            annotations=container.config.annotations,
        ),
        cpu=api.CpuUsage(
            timestamp=now, usage_core_nano_seconds=_reported(container.cpu_nanoseconds)
        ),
        memory=api.MemoryUsage(
            timestamp=now,
            working_set_bytes=_reported(used),
            available_bytes=_reported(available),
        ),
        writable_layer=api.FilesystemUsage(
            timestamp=now, used_bytes=_reported(container.writable_bytes)
        ),
    )


def _reported(value: int | None) -> api.UInt64Value | None:
    """Wrap a value for a message; None if it is not reported."""
    return None if value is None else api.UInt64Value(value=value)
