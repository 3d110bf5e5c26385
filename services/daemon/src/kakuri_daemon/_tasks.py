"""Helpers for cancelled and finished asyncio tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any


def retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Mark the exception of a task that has ended as retrieved.

    asyncio logs the exception of a task that nothing awaited. That is expected of a task whose
    waiters may all be cancelled: add this function as its callback.
    """
    if not task.cancelled():
        task.exception()


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, however they end."""
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
