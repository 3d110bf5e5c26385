"""How much calls may do in one turn of the event loop."""

import asyncio
import math
import time

_BYTES_PER_SHARE = 32 << 10
"""Bytes of messages that a call receives before other tasks run."""

_MESSAGE_COST = 512
"""Bytes that the smallest message counts as."""


class Share:
    """The messages that one call receives before other tasks get a turn of the event loop.

    A window of content can hold hundreds of thousands of messages that have all arrived.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _BYTES_PER_SHARE

    def count(self, size: int) -> bool:
        """Count a message of some bytes; return whether other tasks have to run before it."""
        is_used_up = self._left <= 0
        if is_used_up:
            self._left = _BYTES_PER_SHARE
        self._left -= size + _MESSAGE_COST
        return is_used_up


class Turn:
    """The time that all calls of a server share in one turn; when it is used up, they wait.

    The first call after a pause waits once although there is time left. Avoiding that would take a
    callback in each turn, instead of one read of the clock for each message.

    Attributes:
        end: When the time is over, by `time.monotonic`.
    """

    def __init__(self, seconds: float) -> None:
        self.end = -math.inf
        self._seconds = seconds
        self._next: asyncio.Handle | None = None
        self._has_begun = False  # a turn in which no call has continued yet

    async def wait(self) -> None:
        """Wait until a turn has time left; in each, at least one call continues."""
        while time.monotonic() >= self.end:
            if self._has_begun:
                self._has_begun = False
                self.end = time.monotonic() + self._seconds
                return
            if self._next is None:
                # It runs before the waiting calls continue: it was scheduled before their sleep(0).
                self._next = asyncio.get_running_loop().call_soon(self._begin)
            await asyncio.sleep(0)

    def _begin(self) -> None:
        self._next = None
        self._has_begun = True
