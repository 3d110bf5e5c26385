"""The objects of a runtime that is not there, and what becomes of them."""

import itertools
import secrets
import time

import grpc

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar.testing._events import Events
from kakuri_sidecar.testing._images import FakeImages
from kakuri_sidecar.testing._names import container_name
from kakuri_sidecar.testing._node import FakeNode
from kakuri_sidecar.testing._objects import FakeContainer, FakeSandbox, Refusal

KILLED = 137
"""The exit code of what was killed."""


class FakeState:
    """The sandboxes and containers of a runtime.

    Attributes:
        sandboxes: what there is, by id.
        containers: what there is, by id.
        images: the images.
        events: what has happened.
        node: what the runtime tells about itself.
        reserved: the ids of what has a name, or is to have it, by that name.
        addresses: the last bytes of the addresses to come.

    """

    def __init__(self, images: FakeImages, node: FakeNode) -> None:
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.containers: dict[str, FakeContainer] = {}
        self.images = images
        self.events = Events()
        self.node = node
        self.reserved: dict[str, str] = {}
        self.addresses = itertools.count(2)

    def end(self, container: FakeContainer, code: int, reason: str = "", message: str = "") -> None:
        """Let the process of a container end; nothing is done if none runs."""
        if container.is_running:
            usual = "Completed" if code == 0 else "Error"
            self.finish(container, code, reason or usual, message)

    def end_sandbox(self, sandbox: FakeSandbox) -> None:
        """Let a sandbox be NOTREADY; what its containers tell stays as it was."""
        if sandbox.is_ready:
            sandbox.is_ready = False
            self.events.tell(api.CONTAINER_STOPPED_EVENT, sandbox)

    def forget(self) -> None:
        """Lose everything but the images."""
        for container in self.containers.values():
            if container.log is not None:
                container.log.close()
            container.ended.set()
        self.sandboxes.clear()
        self.containers.clear()
        self.reserved.clear()
        self.events.clear()

    def finish(self, container: FakeContainer, code: int, reason: str, message: str) -> None:
        """Let a container be EXITED."""
        if container.log is not None:
            container.log.close()
        container.state = api.CONTAINER_EXITED
        container.finished_at = time.time_ns()
        container.exit_code, container.reason, container.message = code, reason, message
        container.ended.set()
        self.events.tell(api.CONTAINER_STOPPED_EVENT, container)

    def remove(self, container: FakeContainer) -> None:
        """Remove a container, killed if it runs; its name is free again."""
        self.end(container, KILLED)
        if self.containers.pop(container.id, None) is not None:
            metadata = container.sandbox.config.metadata
            self.reserved.pop(container_name(metadata, container.config.metadata), None)
            self.events.tell(api.CONTAINER_DELETED_EVENT, container)

    def reserve(self, kind: str, name: str) -> str:
        """Take a name for a new object and give its id."""
        owner = self.reserved.get(name)
        if owner is not None:
            raise Refusal(
                f'failed to reserve {kind} name "{name}": name "{name}" is reserved for "{owner}"'
            )
        self.reserved[name] = secrets.token_hex(32)
        return self.reserved[name]

    def containers_of(self, sandbox: FakeSandbox) -> list[FakeContainer]:
        """Give the containers of a sandbox."""
        return [one for one in self.containers.values() if one.sandbox is sandbox]

    def check_network(self, identifier: str) -> None:
        """Refuse a sandbox for which there is no network."""
        if not self.node.conditions["NetworkReady"]:
            words = "cni plugin not initialized"
            raise Refusal(f'failed to setup network for sandbox "{identifier}": {words}')

    def find_sandbox(self, identifier: str) -> FakeSandbox:
        """Give a sandbox; the call that asks for one that is not there is refused."""
        try:
            return self.sandboxes[identifier]
        except KeyError:
            words = f'an error occurred when try to find sandbox "{identifier}": not found'
            raise Refusal(words, grpc.StatusCode.NOT_FOUND) from None

    def find_container(self, identifier: str) -> FakeContainer:
        """Give a container; the call that asks for one that is not there is refused."""
        try:
            return self.containers[identifier]
        except KeyError:
            words = f'an error occurred when try to find container "{identifier}": not found'
            raise Refusal(words, grpc.StatusCode.NOT_FOUND) from None
