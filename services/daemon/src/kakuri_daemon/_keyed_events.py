"""Events by key: each task waits for a change of one workload or zone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class KeyedEvents:
    """Wakes the tasks that wait for a change of a key, such as the id of a workload.

    It takes memory only for keys that a task waits for. Its truth value is whether any task waits.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @contextmanager
    def watch(self, key: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set at each change of the key while the context is entered."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]

    def set(self, key: str) -> None:
        """Set the events of all tasks that wait for this key."""
        if self._waiting:
            for event in self._waiting.get(key, ()):
                event.set()

    def set_all(self) -> None:
        """Set the events of all waiting tasks."""
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()


async def wait_until_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait until an event is set, and clear it; return whether it was set in time."""
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
