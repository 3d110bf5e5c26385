"""Iterates over the pieces of a body that is sent."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager


@asynccontextmanager
async def closing_pieces(
    pieces: AsyncIterable[bytes] | Iterable[bytes],
) -> AsyncIterator[AsyncIterable[bytes]]:
    """Yield the pieces of a body as an asynchronous iterable; a generator is closed at the end.

    Otherwise its `finally` would run some time later, and that of an asynchronous one in another
    task.
    """
    iterated = pieces if isinstance(pieces, AsyncIterable) else _as_async(pieces)
    try:
        yield iterated
    finally:
        if isinstance(iterated, AsyncGenerator):
            await iterated.aclose()
        if isinstance(pieces, Generator):
            pieces.close()


async def _as_async(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
