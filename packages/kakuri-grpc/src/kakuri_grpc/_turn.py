"""The time that all calls of a server may take in one turn of the event loop."""

import asyncio
import time


class Turn:
    """A turn of the event loop; when its time is over, calls wait for the next one.

    The first call after a pause waits once although there is time left. Avoiding that would take a
    callback in each turn, instead of one read of the clock for each message.

    Attributes:
        end: When the time is over, by `time.monotonic`.
    """

    def __init__(self, seconds: float) -> None:
        self.end = 0.0
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
                # It is called before the calls that wait continue, because they wait after this.
                self._next = asyncio.get_running_loop().call_soon(self._begin)
            await asyncio.sleep(0)

    def _begin(self) -> None:
        self._next = None
        self._has_begun = True
