"""What a runtime does with sandboxes and containers: containerd's rules, and nothing that runs.

Facts: kubernetes/cri-api, the comments of `api.proto`; containerd, `internal/cri/server`.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar.testing._logs import LogWriter
from kakuri_sidecar.testing._names import container_name, sandbox_name
from kakuri_sidecar.testing._objects import FakeContainer, FakeSandbox, Pause, Refusal
from kakuri_sidecar.testing._state import KILLED, FakeState

_START_ERROR = 128

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class FakeRuntime(FakeState):
    """What each call does."""

    # Sandboxes

    async def run_pod_sandbox(
        self, request: api.RunPodSandboxRequest, pause: Pause
    ) -> api.RunPodSandboxResponse:
        """Make a sandbox; its name is taken from the first moment on."""
        config, handler = request.config, request.runtime_handler
        if not config.HasField("metadata"):
            raise Refusal("sandbox config must include metadata")
        if handler not in self.node.handlers:
            raise Refusal(
                f'failed to get sandbox runtime: no runtime for "{handler}" is configured'
            )
        name = sandbox_name(config.metadata)
        identifier = self.reserve("sandbox", name)
        try:
            await pause()
            self.check_network(identifier)
        except BaseException:
            self.reserved.pop(name, None)
            raise
        address = f"10.88.0.{next(self.addresses) % 256}"
        sandbox = FakeSandbox(identifier, _copy(config), handler, time.time_ns(), address)
        self.sandboxes[identifier] = sandbox
        self.events.tell(api.CONTAINER_CREATED_EVENT, sandbox)
        self.events.tell(api.CONTAINER_STARTED_EVENT, sandbox)
        return api.RunPodSandboxResponse(pod_sandbox_id=identifier)

    async def stop_pod_sandbox(
        self, request: api.StopPodSandboxRequest, pause: Pause
    ) -> api.StopPodSandboxResponse:
        """Kill what runs in a sandbox and end it; done if it is gone."""
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
        """Remove a sandbox with its containers; done if it is gone."""
        await pause()
        sandbox = self.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            for container in self.containers_of(sandbox):
                self.remove(container)
            self.end_sandbox(sandbox)
            del self.sandboxes[sandbox.id]
            self.reserved.pop(sandbox_name(sandbox.config.metadata), None)
            self.events.tell(api.CONTAINER_DELETED_EVENT, sandbox)
        return api.RemovePodSandboxResponse()

    async def pod_sandbox_status(
        self, request: api.PodSandboxStatusRequest, pause: Pause
    ) -> api.PodSandboxStatusResponse:
        """Tell all about a sandbox."""
        await pause()
        sandbox = self.find_sandbox(request.pod_sandbox_id)
        return api.PodSandboxStatusResponse(status=sandbox.status())

    async def list_pod_sandbox(
        self, request: api.ListPodSandboxRequest, pause: Pause
    ) -> api.ListPodSandboxResponse:
        """Tell which sandboxes there are."""
        await pause()
        wanted = request.filter
        state = wanted.state.state if wanted.HasField("state") else None
        labels = dict(wanted.label_selector).items()
        return api.ListPodSandboxResponse(
            items=[
                sandbox.item()
                for sandbox in _chosen(self.sandboxes, wanted.id)
                if state in (None, sandbox.state) and labels <= sandbox.labels.items()
            ]
        )

    # Containers

    async def create_container(
        self, request: api.CreateContainerRequest, pause: Pause
    ) -> api.CreateContainerResponse:
        """Make a container of an image that is on the node."""
        config = request.config
        if not config.HasField("metadata"):
            raise Refusal("container config must include metadata")
        if not request.sandbox_config.HasField("metadata"):
            raise Refusal("sandbox config must include metadata")
        sandbox = self.find_sandbox(request.pod_sandbox_id)
        if not sandbox.is_ready:
            raise Refusal(f'sandbox "{sandbox.id}" is not running')
        image = self.images.find(config.image.image)
        if image is None:
            words = f'failed to resolve image "{config.image.image}": not found'
            raise Refusal(words, grpc.StatusCode.NOT_FOUND)
        reserved = container_name(sandbox.config.metadata, config.metadata)
        identifier = self.reserve("container", reserved)
        try:
            await pause()
            self.find_sandbox(sandbox.id)  # it may have gone meanwhile
        except BaseException:
            self.reserved.pop(reserved, None)
            raise
        container = FakeContainer(
            identifier,
            sandbox,
            _copy(config),
            self.images.get(image),
            image,
            time.time_ns(),
        )
        self.containers[identifier] = container
        self.events.tell(api.CONTAINER_CREATED_EVENT, container)
        return api.CreateContainerResponse(container_id=identifier)

    async def start_container(
        self, request: api.StartContainerRequest, pause: Pause
    ) -> api.StartContainerResponse:
        """Let a container run that has not run before."""
        container = self.find_container(request.container_id)
        if container.state != api.CONTAINER_CREATED:
            state = api.ContainerState.Name(container.state)
            raise Refusal(f'failed to set starting state for container "{container.id}": {state}')
        if container.is_starting:
            words = "container is already in starting state"
            raise Refusal(f'failed to set starting state for container "{container.id}": {words}')
        container.is_starting = True
        await pause()
        container.is_starting = False
        if not container.sandbox.is_ready:
            raise Refusal(f'sandbox container "{container.sandbox.id}" is not running')
        self.finish_start(container)
        return api.StartContainerResponse()

    def finish_start(self, container: FakeContainer) -> None:
        """Run a container, or make it fail as its image says."""
        words = container.image.start_error
        if words is None and container.log_path:
            try:
                container.log = LogWriter(Path(container.log_path))
            except OSError as error:
                words = f"failed to create container loggers: {error}"
        if words is not None:
            self.finish(container, _START_ERROR, "StartError", words)
            raise Refusal(f"failed to create containerd task: {words}")
        container.state = api.CONTAINER_RUNNING
        container.started_at = time.time_ns()
        self.events.tell(api.CONTAINER_STARTED_EVENT, container)
        if container.log is not None:
            container.log.write(container.image.output)
        if container.image.exit_code is not None:
            self.end(container, container.image.exit_code)

    async def stop_container(
        self, request: api.StopContainerRequest, pause: Pause
    ) -> api.StopContainerResponse:
        """Ask a container to end and kill it after the timeout; done if it is gone or has ended."""
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
        """Remove a container, killed if it runs; done if it is gone."""
        await pause()
        container = self.containers.get(request.container_id)
        if container is not None:
            self.remove(container)
        return api.RemoveContainerResponse()

    async def container_status(
        self, request: api.ContainerStatusRequest, pause: Pause
    ) -> api.ContainerStatusResponse:
        """Tell all about a container."""
        await pause()
        container = self.find_container(request.container_id)
        return api.ContainerStatusResponse(status=container.status())

    async def list_containers(
        self, request: api.ListContainersRequest, pause: Pause
    ) -> api.ListContainersResponse:
        """Tell which containers there are."""
        await pause()
        wanted = request.filter
        state = wanted.state.state if wanted.HasField("state") else None
        labels, sandbox_id = dict(wanted.label_selector).items(), wanted.pod_sandbox_id
        return api.ListContainersResponse(
            containers=[
                container.item()
                for container in _chosen(self.containers, wanted.id)
                if sandbox_id in ("", container.sandbox.id)
                and state in (None, container.state)
                and labels <= container.labels.items()
            ]
        )

    async def reopen_container_log(
        self, request: api.ReopenContainerLogRequest, pause: Pause
    ) -> api.ReopenContainerLogResponse:
        """Open the log of a running container anew, under its name."""
        await pause()
        container = self.find_container(request.container_id)
        if not container.is_running:
            raise Refusal("container is not running")
        if container.log is not None:
            container.log = container.log.reopen()
        return api.ReopenContainerLogResponse()


def _copy(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _chosen(known: Mapping[str, T], identifier: str) -> list[T]:
    """Return the object with an id, or all objects without one."""
    if not identifier:
        return list(known.values())
    return [known[identifier]] if identifier in known else []
