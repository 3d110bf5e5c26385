"""A limit for large documents that are processed at the same time.

Decoding a document of 256 KiB takes as long as answering a hundred ordinary requests. So a few
large documents are processed at a time, some more wait, and further ones are refused at once.
Small requests are answered in between, and memory is bounded.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from kakuri_workload import CopyableError

LARGE_DOCUMENT = 16_384
"""Bytes from which a document is large; an ordinary one has a few hundred."""

MAX_IN_PROGRESS = 4
"""Large documents that are decoded, or sent to the agent, at the same time."""

MAX_WAITING = 64
"""Large documents that wait for their turn; together with those in progress at most 34 MiB."""

TURNS_BETWEEN = 4
"""Turns of the event loop between two large documents. A small request needs one to be accepted,
one to be read and one to be answered, so it waits for at most one large document."""


class TooManyLargeDocuments(CopyableError):
    """The queue of large documents is full."""

    def __init__(self) -> None:
        super().__init__(
            f"{MAX_IN_PROGRESS + MAX_WAITING} documents of at least {LARGE_DOCUMENT} bytes are in "
            "progress or waiting, which is the limit"
        )


class Admission:
    """Admission of documents: small ones at once, large ones in the order of arrival.

    async with admission.admitted(len(body)):
        ...  # decode the document, and send it to the agent
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_IN_PROGRESS)  # bounds memory
        self._gate = asyncio.Semaphore(1)  # spaces documents by TURNS_BETWEEN turns of the loop
        self._waiting = 0

    def admits_at_once(self, size: int) -> bool:
        """Return whether a document of `size` bytes is admitted without waiting."""
        return size < LARGE_DOCUMENT

    def admitted(self, size: int) -> AbstractAsyncContextManager[object]:
        """Return the context for a document of `size` bytes.

        Entering it waits for the document's turn, and raises TooManyLargeDocuments if the queue is
        full.
        """
        return _AT_ONCE if self.admits_at_once(size) else self

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

    async def __aexit__(self, *error: object) -> None:
        self._slots.release()

    def _open_gate_after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._open_gate_after, turns - 1)
        else:
            self._gate.release()

    def __repr__(self) -> str:
        return f"<Admission {self._waiting} waiting>"


_AT_ONCE = nullcontext()
