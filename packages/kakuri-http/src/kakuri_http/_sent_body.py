"""Iterates over the pieces of a body that is sent."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager
from typing import Any


class IteratorAdapter:
    """Makes an iterator iterable, even if it has no `__iter__` or `__aiter__`."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    def __iter__(self) -> Any:
        return self._iterator

    def __aiter__(self) -> Any:
        return self._iterator


@asynccontextmanager
async def closing_pieces(
    pieces: AsyncIterable[bytes] | Iterable[bytes],
) -> AsyncIterator[AsyncIterable[bytes]]:
    """Yield an iterable of the pieces of a body; a generator is closed at the end.

    Without this, a generator's `finally` would run when it is garbage-collected, for an async
    generator in another task. `__iter__` or `__aiter__` may itself be a generator function, so the
    iterator is closed, not the iterable.
    """
    iterator: Any
    iterated: Any
    if isinstance(pieces, AsyncIterable):
        iterator = iterated = aiter(pieces)
    else:
        iterator = iter(pieces)
        iterated = _as_async(IteratorAdapter(iterator))
    try:
        yield IteratorAdapter(iterated)
    finally:
        if isinstance(iterated, AsyncGenerator):
            await iterated.aclose()
        if isinstance(iterator, Generator):
            iterator.close()


async def _as_async(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
