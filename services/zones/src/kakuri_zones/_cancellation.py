"""Cancelling an operation without losing track of its call to the runtime.

An abandoned call may still create something. A cancelled operation therefore waits some time for
the answer of the call in progress before it abandons that call.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from kakuri_zones._errors import StartCancelled

T = TypeVar("T")


class Cancellation:
    """Cancels an operation.

    Args:
        message: The message of StartCancelled.
        timeout: Seconds that the call in progress may still take.
    """

    def __init__(self, message: str, timeout: float) -> None:
        self._message = message
        self._timeout = timeout
        self._cancelled = asyncio.Event()

    def cancel(self) -> None:
        """Cancel the operation: `guard` begins no further call."""
        self._cancelled.set()

    async def guard(self, call: Coroutine[Any, Any, T], *, at_once: bool = False) -> T:
        """Await a call and return its result.

        A call that succeeds after `cancel` has taken effect, so its result is returned; the next
        call raises StartCancelled.

        Args:
            call: The call to the runtime.
            at_once: Whether the call can be abandoned without waiting for its answer.

        Raises:
            StartCancelled: The operation was cancelled, and the call was not begun, failed, or was
                abandoned.
        """
        if self._cancelled.is_set():
            call.close()
            raise StartCancelled(self._message)
        task = asyncio.ensure_future(call)
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({task, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and not at_once:
                await asyncio.wait({task}, timeout=self._timeout)
        finally:
            cancelled.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if self._cancelled.is_set() and (task.cancelled() or task.exception() is not None):
            raise StartCancelled(self._message)
        try:
            return task.result()
        finally:
            # The task holds its exception, whose traceback holds this frame: a cycle would keep
            # everything that the frames above have received.
            del task
