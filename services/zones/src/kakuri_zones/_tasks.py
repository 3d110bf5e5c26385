"""Helpers that keep the event loop responsive: iteration in turns, and bounded concurrency."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

TURN_ITEMS = 500
"""Items in a turn of the event loop: a few microseconds each, so a few milliseconds together."""


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items, and let the event loop do other work after each `TURN_ITEMS` of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % TURN_ITEMS == 0:
            await asyncio.sleep(0)


async def gather_bounded(
    calls: Sequence[Callable[[], Coroutine[Any, Any, T]]], *, limit: int
) -> list[T]:
    """Await calls, at most `limit` of them at the same time, and return their results in order.

    Raises:
        Exception: The exception of the first call that failed. The other calls in progress
            continue, and further ones begin.
    """
    results: dict[int, T] = {}
    waiting = enumerate(calls)  # shared: each worker takes the next call

    async def worker() -> None:
        for number, call in waiting:
            results[number] = await call()

    await asyncio.gather(*(worker() for _ in range(min(limit, len(calls)))))
    return [results[number] for number in range(len(calls))]
