"""The queue of removals: a bounded number of them work at a time, each until it is complete.

If thousands of removals made their calls side by side, each call would wait for thousands of
others, and no zone would be removed until nearly all of them were.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Self

MAX_REMOVALS = 32
"""Removals that work at the same time: enough to keep a runtime busy."""

STOP_SLOT_SECONDS = 1.0
"""Seconds for which a container that is being stopped keeps the slot of its removal. Most end
within this time; after it, the removal only waits for the container's grace period to end."""

SLOT_SECONDS = 30.0
"""Seconds after which a removal loses its slot and continues without one, so that a stuck removal
does not delay others."""


class RemovalQueue:
    """Grants slots in the order in which the removals were requested.

    A removal keeps its position while it is paused, or replaced by one with a shorter grace period,
    until `forget`.
    """

    def __init__(self) -> None:
        self._free = MAX_REMOVALS
        self._positions: dict[str, int] = {}
        self._last_position = 0
        self._serial = count()  # orders entries of the same position
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap

    def slot(self, zone_id: str) -> "RemovalSlot":
        """Return the slot of a removal, which is at the end of the queue if it is new."""
        if zone_id not in self._positions:
            self._last_position += 1
            self._positions[zone_id] = self._last_position
        return RemovalSlot(self, self._positions[zone_id])

    def forget(self, zone_id: str) -> None:
        """Forget the position of a removal that has ended, or goes to the end of the queue."""
        self._positions.pop(zone_id, None)

    async def acquire(self, position: int) -> None:
        """Wait until a slot is free, and no removal with an earlier position waits for it."""
        if self._free:  # then none waits
            self._free -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (position, next(self._serial), granted))
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Pass a slot on to the next removal."""
        while self._waiting:
            _, _, granted = heappop(self._waiting)
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1


class RemovalSlot:
    """The slot of one removal; leaving its context releases it."""

    def __init__(self, queue: RemovalQueue, position: int) -> None:
        self._queue = queue
        self._position = position
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_held = False
        self._has_ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._has_ended = True
        self._release()

    async def acquire(self) -> None:
        """Wait for the slot, unless it is held."""
        if not (self._is_held or self._has_ended):
            await self._queue.acquire(self._position)
            self._granted()

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Release the slot if the context lasts over `STOP_SLOT_SECONDS`; acquire it afterwards.

        The removal may have ended meanwhile: an operation continues when its caller is cancelled.
        """
        if self._is_held:
            self._release_after(STOP_SLOT_SECONDS)
        yield
        await self.acquire()
        if self._is_held:
            self._release_after(SLOT_SECONDS)

    def _granted(self) -> None:
        self._is_held = True
        if self._has_ended:
            self._release()
        else:
            self._release_after(SLOT_SECONDS)

    def _release_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._release)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_held:
            self._is_held = False
            self._queue.release()
