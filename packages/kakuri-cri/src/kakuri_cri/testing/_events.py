"""The events of a fake runtime, kept as containerd keeps them."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator

from kakuri_cri import api
from kakuri_cri.testing._objects import FakeContainer, FakeSandbox

_BACKLOG = 1000


class EventLog:
    """Sends events to all listeners, or keeps them for the next one while there is none."""

    def __init__(self) -> None:
        self._backlog: deque[api.ContainerEventResponse] = deque(maxlen=_BACKLOG)
        self._queues: list[asyncio.Queue[api.ContainerEventResponse]] = []

    @property
    def listeners(self) -> int:
        """How many calls follow the events."""
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
        """Yield the events that were kept, and every event from now on."""
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
        """Forget the events that were kept."""
        self._backlog.clear()
