"""The calls that a runtime received, for assertions."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class CriCall:
    """A call that was received.

    Attributes:
        method: Name of the call, such as `RunPodSandbox`.
        request: The request message; bytes in a proxy.
        at: When it was received, by `time.monotonic`.
        code: Name of the gRPC status of its response, such as `OK`. None while it is in progress,
            if its caller cancelled it, or if its connection broke.
    """

    method: str
    request: Any
    at: float = field(default_factory=time.monotonic)
    code: str | None = None


class Calls:
    """The calls that were received, in order.

    Attributes:
        all: The calls.
    """

    def __init__(self) -> None:
        self.all: list[CriCall] = []
        self._added = asyncio.Condition()

    def __repr__(self) -> str:
        return f"<Calls {[call.method for call in self.all]}>"

    def of(self, method: str) -> list[CriCall]:
        """Return the calls of a method."""
        return [call for call in self.all if call.method == method]

    def clear(self) -> None:
        """Forget all calls."""
        self.all.clear()

    async def add(self, method: str, request: Any) -> CriCall:
        """Record a call."""
        call = CriCall(method, request)
        self.all.append(call)
        async with self._added:
            self._added.notify_all()
        return call

    async def wait_for(self, method: str, number: int = 1, *, timeout: float = 10.0) -> CriCall:
        """Wait until a method was called `number` times, and return the last of these calls.

        Raises:
            TimeoutError: There were fewer calls within `timeout` seconds.
        """
        async with asyncio.timeout(timeout), self._added:
            await self._added.wait_for(lambda: len(self.of(method)) >= number)
        return self.of(method)[number - 1]
