"""Helpers for asyncio tasks."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def create_deferred_task(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Create a task that starts in the next turn of the event loop, never at once.

    For a task that clears the attribute it is stored in. With `asyncio.eager_task_factory`,
    `create_task` could return one that has ended already, and it would look unfinished for ever.
    """
    return asyncio.Task(coroutine, loop=asyncio.get_running_loop())


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
