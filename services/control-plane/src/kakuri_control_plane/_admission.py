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


TURNS_BETWEEN = 4
"""Turns of the event loop between two large documents: a small request needs one to be accepted,
one to be read and one to be answered, and so waits for one large document at most."""


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
        self._gate = asyncio.Semaphore(1)  # to the event loop's time
        self._waiting = 0

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
        try:
            await self._gate.acquire()
        except BaseException:
            self._slots.release()
            raise
        self._open_gate_after(TURNS_BETWEEN)

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()

    def _open_gate_after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._open_gate_after, turns - 1)
        else:
            self._gate.release()

    def __repr__(self) -> str:
        return f"<Admission {self._waiting} waiting>"


_AT_ONCE = nullcontext()
