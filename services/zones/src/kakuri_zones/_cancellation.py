"""Ending an operation early without losing track of what it has asked for.

A call that is simply abandoned may still make something. So when an operation is cancelled, the
call under way gets a while to answer before it is abandoned.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from kakuri_zones._errors import StartCancelled

T = TypeVar("T")


class Cancellation:
    """Tells an operation to end; patience is in seconds."""

    def __init__(self, words: str, patience: float) -> None:
        self._words = words
        self._patience = patience
        self._cancelled = asyncio.Event()

    def cancel(self) -> None:
        """Let `guard` raise from now on."""
        self._cancelled.set()

    async def guard(self, call: Coroutine[Any, Any, T], *, at_once: bool = False) -> T:
        """Await a call. Raises StartCancelled if the operation is told to end before it answers.

        at_once: whether the call can be abandoned without a wait.
        """
        if self._cancelled.is_set():
            call.close()
            raise StartCancelled(self._words)
        task = asyncio.ensure_future(call)
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({task, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and not at_once:
                await asyncio.wait({task}, timeout=self._patience)
        finally:
            cancelled.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if self._cancelled.is_set():
            if not task.cancelled():
                task.exception()  # seen: the caller looks for itself what there is
            raise StartCancelled(self._words)
        try:
            return task.result()
        finally:
            # The task holds what it raises, whose traceback holds this frame: a cycle otherwise,
            # which keeps all that the frames above have received.
            del task
