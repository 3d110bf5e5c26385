"""How many large documents are processed at a time.

Reading a document of a quarter of a megabyte takes the event loop for as long as answering a
hundred ordinary requests. Large ones therefore take turns: a few are under way, some wait, and
whatever comes beyond that is refused at once, so that small requests are answered meanwhile and
memory stays bounded.
"""

import asyncio
import copyreg
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

LARGE_DOCUMENT = 16_384
"""Bytes from which on a document is large; an ordinary one has a few hundred."""

MAX_UNDER_WAY = 4
"""Large documents that are read, or sent to the agent, at the same time."""

MAX_WAITING = 64
"""Large documents that wait for their turn: with those under way at most 34 MiB."""


class TooManyLargeDocuments(Exception):
    """The queue of large documents is full."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]

    def __init__(self) -> None:
        super().__init__(
            f"expected at most {MAX_UNDER_WAY + MAX_WAITING} documents of {LARGE_DOCUMENT} bytes "
            "or more at a time, got one more"
        )


class Admission:
    """Lets documents in: small ones at once, large ones first come, first served.

    `admitted(size)` returns a context to be entered while a document is under way.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_UNDER_WAY)
        self._waiting = 0
        self._left = 0  # whose places are not given on yet

    def admitted(self, size: int) -> AbstractAsyncContextManager[object]:
        """Return the context for a document of `size` bytes.

        Entering it waits for the document's turn, and raises TooManyLargeDocuments.
        """
        return self if size >= LARGE_DOCUMENT else _AT_ONCE

    async def __aenter__(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise TooManyLargeDocuments
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._left += 1
        if self._left == 1:
            asyncio.get_running_loop().call_soon(self._admit_one)

    def _admit_one(self) -> None:
        # One in each turn of the loop: several documents that are refused without waiting must not
        # be decoded in one turn.
        self._slots.release()
        self._left -= 1
        if self._left:
            asyncio.get_running_loop().call_soon(self._admit_one)

    def __repr__(self) -> str:
        return f"<Admission {self._waiting} waiting>"


_AT_ONCE = nullcontext()
