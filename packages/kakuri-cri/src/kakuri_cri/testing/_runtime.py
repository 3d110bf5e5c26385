"""A fake runtime's calls about containers, which follow containerd's rules.

Source: kubernetes/cri-api, `api.proto`; containerd, `internal/cri/server`.
"""

import asyncio
import time
from pathlib import Path

from kakuri_grpc import StatusCode

from kakuri_cri import api
from kakuri_cri.testing._commands import FakeCommands
from kakuri_cri.testing._logs import LogWriter
from kakuri_cri.testing._names import container_name
from kakuri_cri.testing._objects import FakeContainer, Pause, Refusal
from kakuri_cri.testing._state import KILLED

_START_ERROR = 128


class FakeRuntime(FakeCommands):
    """Carries out the calls about sandboxes and containers."""

    async def create_container(
        self, request: api.CreateContainerRequest, pause: Pause
    ) -> api.CreateContainerResponse:
        """Create a container from an image on the node."""
        config, sandbox_config = request.config, request.sandbox_config
        if config is None or config.metadata is None:
            raise Refusal("container config must include metadata")
        if sandbox_config is None or sandbox_config.metadata is None:
            raise Refusal("sandbox config must include metadata")
        sandbox = self.find_sandbox(request.pod_sandbox_id)
        if not sandbox.is_ready:
            raise Refusal(f'sandbox "{sandbox.id}" is not running')
        name = "" if config.image is None else config.image.image
        image = self.images.find(name)
        if image is None:
            raise Refusal(f'failed to resolve image "{name}": not found', StatusCode.NOT_FOUND)
        reserved = container_name(sandbox.metadata, config.metadata)
        identifier = self.reserve("container", reserved)
        try:
            await pause()
            self.find_sandbox(sandbox.id)  # it may have been removed meanwhile
        except BaseException:
            self.reserved.pop(reserved, None)
            raise
        container = FakeContainer(
            identifier,
            sandbox,
            config,
            config.metadata,
            self.images.get(image),
            image,
            time.time_ns(),
        )
        self.containers[identifier] = container
        self.events.add(api.ContainerEventType.CONTAINER_CREATED_EVENT, container)
        return api.CreateContainerResponse(container_id=identifier)

    async def start_container(
        self, request: api.StartContainerRequest, pause: Pause
    ) -> api.StartContainerResponse:
        """Start a container that has not been started."""
        container = self.find_container(request.container_id)
        failed = f'failed to set starting state for container "{container.id}"'
        if container.state is not api.ContainerState.CONTAINER_CREATED:
            raise Refusal(f"{failed}: {container.state.name}")
        if container.is_starting:
            raise Refusal(f"{failed}: container is already in starting state")
        container.is_starting = True
        await pause()
        container.is_starting = False
        if not container.sandbox.is_ready:
            raise Refusal(f'sandbox container "{container.sandbox.id}" is not running')
        self.finish_start(container)
        return api.StartContainerResponse()

    def finish_start(self, container: FakeContainer) -> None:
        """Run a container, or make it fail if its image has a `start_error`.

        Raises:
            Refusal: The start failed.
        """
        message = container.image.start_error
        if message is None and container.log_path:
            try:
                container.log = LogWriter(Path(container.log_path))
            except OSError as error:
                message = f"failed to create container loggers: {error}"
        if message is not None:
            self.finish(container, _START_ERROR, "StartError", message)
            raise Refusal(f"failed to create containerd task: {message}")
        container.state = api.ContainerState.CONTAINER_RUNNING
        container.started_at = time.time_ns()
        self.events.add(api.ContainerEventType.CONTAINER_STARTED_EVENT, container)
        if container.log is not None:
            container.log.write(container.image.output)
        if container.image.exit_code is not None:
            self.end(container, container.image.exit_code)

    async def stop_container(
        self, request: api.StopContainerRequest, pause: Pause
    ) -> api.StopContainerResponse:
        """Stop a container, and kill it after the timeout; succeeds if it does not exist."""
        await pause()
        if not self.node.stops_missing:
            self.find_container(request.container_id)
        container = self.containers.get(request.container_id)
        if container is not None and container.is_running:
            if request.timeout <= 0:
                self.end(container, KILLED)
            elif container.image.on_term is not None:
                self.end(container, container.image.on_term)
            else:
                try:
                    await asyncio.wait_for(container.ended.wait(), request.timeout)
                except TimeoutError:
                    self.end(container, KILLED)
        return api.StopContainerResponse()

    async def remove_container(
        self, request: api.RemoveContainerRequest, pause: Pause
    ) -> api.RemoveContainerResponse:
        """Remove a container, killing it if it is running; succeeds if it does not exist."""
        await pause()
        container = self.containers.get(request.container_id)
        if container is not None:
            self.remove(container)
        return api.RemoveContainerResponse()

    async def container_status(
        self, request: api.ContainerStatusRequest, pause: Pause
    ) -> api.ContainerStatusResponse:
        """Return the status of a container."""
        await pause()
        container = self.find_container(request.container_id)
        return api.ContainerStatusResponse(status=container.status())

    async def list_containers(
        self, request: api.ListContainersRequest, pause: Pause
    ) -> api.ListContainersResponse:
        """Return the containers that a filter selects."""
        await pause()
        found = self.select_containers(request.filter)
        items = tuple(container.item() for container in found)
        return api.ListContainersResponse(containers=items)

    def stream_containers(
        self, request: api.StreamContainersRequest
    ) -> list[api.StreamContainersResponse]:
        """Return a message for each container that a filter selects."""
        found = self.select_containers(request.filter)
        return [api.StreamContainersResponse(containers=(container.item(),)) for container in found]

    def select_containers(self, selected: api.ContainerFilter | None) -> list[FakeContainer]:
        """Return the containers that a filter selects."""
        if selected is None:
            return list(self.containers.values())
        state = None if selected.state is None else selected.state.state
        return [
            container
            for container in self.containers.values()
            if selected.id in ("", container.id)
            and selected.pod_sandbox_id in ("", container.sandbox.id)
            and state in (None, container.state)
            and selected.label_selector.items() <= container.labels.items()
        ]

    async def reopen_container_log(
        self, request: api.ReopenContainerLogRequest, pause: Pause
    ) -> api.ReopenContainerLogResponse:
        """Open the log of a running container again, under its name."""
        await pause()
        container = self.find_container(request.container_id)
        if not container.is_running:
            raise Refusal("container is not running")
        if container.log is not None:
            container.log = container.log.reopen()
        return api.ReopenContainerLogResponse()
