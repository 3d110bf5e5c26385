"""Iterates over the pieces of a body that is sent."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import asynccontextmanager


@asynccontextmanager
async def closing_pieces(
    pieces: AsyncIterable[bytes] | Iterable[bytes],
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield an iterator over the pieces of a body; a generator is closed at the end.

    Otherwise its `finally` would run some time later, and that of an asynchronous one in another
    task. A class may have a generator as its `__aiter__` or `__iter__`.
    """
    iterator = aiter(pieces) if isinstance(pieces, AsyncIterable) else iter(pieces)
    iterated = iterator if isinstance(iterator, AsyncIterator) else _as_async(iterator)
    try:
        yield iterated
    finally:
        if isinstance(iterated, AsyncGenerator):
            await iterated.aclose()
        if isinstance(iterator, Generator):
            iterator.close()


async def _as_async(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
