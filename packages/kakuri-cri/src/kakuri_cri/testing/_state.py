"""The sandboxes and containers of a fake runtime, and their state changes."""

import itertools
import secrets
import time

from kakuri_grpc import StatusCode

from kakuri_cri import api
from kakuri_cri.testing._events import EventLog
from kakuri_cri.testing._images import FakeImages
from kakuri_cri.testing._names import container_name
from kakuri_cri.testing._node import FakeNode
from kakuri_cri.testing._objects import FakeContainer, FakeSandbox, Refusal

KILLED = 137
"""The exit code of a killed process."""


class FakeState:
    """The sandboxes and containers of a runtime.

    Attributes:
        sandboxes: The sandboxes by id.
        containers: The containers by id.
        images: The images.
        events: The events.
        node: The runtime's version, conditions and handlers.
        reserved: Ids of objects that exist or are being created, by their reserved names.
        addresses: Iterator over the last bytes of the addresses of new sandboxes.
    """

    def __init__(self, images: FakeImages, node: FakeNode) -> None:
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.containers: dict[str, FakeContainer] = {}
        self.images = images
        self.events = EventLog()
        self.node = node
        self.reserved: dict[str, str] = {}
        self.addresses = itertools.count(2)

    def end(self, container: FakeContainer, code: int, reason: str = "", message: str = "") -> None:
        """End the process of a container, if it is running."""
        if container.is_running:
            usual = "Completed" if code == 0 else "Error"
            self.finish(container, code, reason or usual, message)

    def end_sandbox(self, sandbox: FakeSandbox) -> None:
        """Make a sandbox NOTREADY; its containers keep their state."""
        if sandbox.is_ready:
            sandbox.is_ready = False
            self.events.add(api.ContainerEventType.CONTAINER_STOPPED_EVENT, sandbox)

    def forget(self) -> None:
        """Drop everything except the images."""
        for container in self.containers.values():
            if container.log is not None:
                container.log.close()
            container.ended.set()
        self.sandboxes.clear()
        self.containers.clear()
        self.reserved.clear()
        self.events.clear()

    def finish(self, container: FakeContainer, code: int, reason: str, message: str) -> None:
        """Make a container EXITED, and close its log."""
        if container.log is not None:
            container.log.close()
        container.state = api.ContainerState.CONTAINER_EXITED
        container.finished_at = time.time_ns()
        container.exit_code, container.reason, container.message = code, reason, message
        container.ended.set()
        self.events.add(api.ContainerEventType.CONTAINER_STOPPED_EVENT, container)

    def remove(self, container: FakeContainer) -> None:
        """Remove a container, killing it if it is running, and free its name."""
        self.end(container, KILLED)
        if self.containers.pop(container.id, None) is not None:
            self.reserved.pop(container_name(container.sandbox.metadata, container.metadata), None)
            self.events.add(api.ContainerEventType.CONTAINER_DELETED_EVENT, container)

    def reserve(self, kind: str, name: str) -> str:
        """Reserve a name for a new object, and return the object's id.

        Raises:
            Refusal: The name is reserved.
        """
        owner = self.reserved.get(name)
        if owner is not None:
            raise Refusal(
                f'failed to reserve {kind} name "{name}": name "{name}" is reserved for "{owner}"'
            )
        self.reserved[name] = secrets.token_hex(32)
        return self.reserved[name]

    def containers_of(self, sandbox: FakeSandbox) -> list[FakeContainer]:
        """Return the containers of a sandbox."""
        return [found for found in self.containers.values() if found.sandbox is sandbox]

    def check_accepted(self, identifier: str, config: api.PodSandboxConfig) -> None:
        """Raise Refusal if the node has no network for a sandbox, or accepts no sysctls."""
        if config.linux is not None and config.linux.sysctls and not self.node.accepts_sysctls:
            raise Refusal(f"sysctls are not allowed: {', '.join(config.linux.sysctls)}")
        if not self.node.conditions["NetworkReady"]:
            reason = "cni plugin not initialized"
            raise Refusal(f'failed to setup network for sandbox "{identifier}": {reason}')

    def find_sandbox(self, identifier: str) -> FakeSandbox:
        """Return a sandbox; raise Refusal if there is no such sandbox."""
        try:
            return self.sandboxes[identifier]
        except KeyError:
            message = f'an error occurred when try to find sandbox "{identifier}": not found'
            raise Refusal(message, StatusCode.NOT_FOUND) from None

    def find_container(self, identifier: str) -> FakeContainer:
        """Return a container; raise Refusal if there is no such container."""
        try:
            return self.containers[identifier]
        except KeyError:
            message = f'an error occurred when try to find container "{identifier}": not found'
            raise Refusal(message, StatusCode.NOT_FOUND) from None
