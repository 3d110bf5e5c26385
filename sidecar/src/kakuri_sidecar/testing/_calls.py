"""What was asked of a runtime, for assertions."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class CriCall:
    """A call that has come.

    Attributes:
        method: its name, as `RunPodSandbox`.
        request: its message; of a proxy, its bytes.
        at: when it came, in seconds of `time.monotonic`.
        code: the name of its status, as `OK`; None while it is under way, and for ever if its
            caller has left or its connection broke.

    """

    method: str
    request: Any
    at: float = field(default_factory=time.monotonic)
    code: str | None = None


class Calls:
    """Every call that has come, the first one first."""

    def __init__(self) -> None:
        self.all: list[CriCall] = []
        self._came = asyncio.Condition()

    def __repr__(self) -> str:
        return f"<Calls {[call.method for call in self.all]}>"

    def of(self, method: str) -> list[CriCall]:
        """Give the calls of a method."""
        return [call for call in self.all if call.method == method]

    def clear(self) -> None:
        """Forget them."""
        self.all.clear()

    async def add(self, method: str, request: Any) -> CriCall:
        """Take note of a call."""
        call = CriCall(method, request)
        self.all.append(call)
        async with self._came:
            self._came.notify_all()
        return call

    async def wait_for(self, method: str, number: int = 1, *, timeout: float = 10.0) -> CriCall:
        """Wait until the call of a method has come that is the `number`-th of them; give it.

        Raises:
            TimeoutError: it did not come within `timeout` seconds.

        """
        async with asyncio.timeout(timeout), self._came:
            await self._came.wait_for(lambda: len(self.of(method)) >= number)
        return self.of(method)[number - 1]
