"""The events of a runtime that is not there, kept as containerd keeps them."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar.testing._objects import FakeContainer, FakeSandbox

_BACKLOG = 1000


class Events:
    """Hands events to everybody who listens, and keeps them for the next one if nobody does.

    Attributes:
        listeners: how many listen.

    """

    def __init__(self) -> None:
        self._backlog: deque[api.ContainerEventResponse] = deque(maxlen=_BACKLOG)
        self._queues: list[asyncio.Queue[api.ContainerEventResponse]] = []

    @property
    def listeners(self) -> int:
        """How many listen at the moment."""
        return len(self._queues)

    def tell(self, kind: api.ContainerEventType, of: FakeSandbox | FakeContainer) -> None:
        """Say what has happened to a sandbox or a container."""
        sandbox = of if isinstance(of, FakeSandbox) else of.sandbox
        event = api.ContainerEventResponse(
            container_id=of.id,
            container_event_type=kind,
            created_at=time.time_ns(),
            pod_sandbox_status=sandbox.status(),
            containers_statuses=[] if isinstance(of, FakeSandbox) else [of.status()],
        )
        if not self._queues:
            self._backlog.append(event)
        for queue in self._queues:
            queue.put_nowait(event)

    async def listen(self) -> AsyncGenerator[api.ContainerEventResponse, None]:
        """Give every event from now on, what was kept first."""
        queue: asyncio.Queue[api.ContainerEventResponse] = asyncio.Queue()
        for event in self._backlog:
            queue.put_nowait(event)
        self._backlog.clear()
        self._queues.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.remove(queue)

    def clear(self) -> None:
        """Forget what was kept."""
        self._backlog.clear()
