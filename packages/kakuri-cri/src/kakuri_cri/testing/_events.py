"""The events of a fake runtime, which buffers them like containerd."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator

from kakuri_cri import api
from kakuri_cri.testing._objects import FakeContainer, FakeSandbox

_BACKLOG = 1000


class EventLog:
    """Sends events to all listeners; while there are none, buffers events for the next one."""

    def __init__(self) -> None:
        self._backlog: deque[api.ContainerEventResponse] = deque(maxlen=_BACKLOG)
        self._queues: list[asyncio.Queue[api.ContainerEventResponse]] = []

    @property
    def listeners(self) -> int:
        """The number of calls that receive events."""
        return len(self._queues)

    def add(self, kind: api.ContainerEventType, of: FakeSandbox | FakeContainer) -> None:
        """Add an event of a sandbox or a container."""
        sandbox = of if isinstance(of, FakeSandbox) else of.sandbox
        event = api.ContainerEventResponse(
            container_id=of.id,
            container_event_type=kind,
            created_at=time.time_ns(),
            pod_sandbox_status=sandbox.status(),
            containers_statuses=() if isinstance(of, FakeSandbox) else (of.status(),),
        )
        if not self._queues:
            self._backlog.append(event)
        for queue in self._queues:
            queue.put_nowait(event)

    async def listen(self) -> AsyncGenerator[api.ContainerEventResponse, None]:
        """Yield the buffered events, then every new event."""
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
        """Drop the buffered events."""
        self._backlog.clear()
