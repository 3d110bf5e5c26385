"""Waiting in tests, without guessing how long it takes."""

import asyncio
from collections.abc import Callable

# Enough turns for callbacks and tasks that only wait for each other.
_TURNS = 20
_PAUSE = 0.001


async def run_pending() -> None:
    """Run the event loop until no callback or task is ready to run."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], *, timeout: float = 10.0) -> None:
    """Poll until a condition holds, for conditions that no event announces.

    Raises:
        TimeoutError: It did not hold within `timeout` seconds.
    """
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(_PAUSE)
