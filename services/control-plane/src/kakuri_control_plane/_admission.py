"""A limit for large documents that are processed at the same time.

Decoding a document of 256 KiB takes as long as answering a hundred ordinary requests. So a few
large documents are processed at a time, some more wait, and further ones are refused at once.
Small requests are answered in between, and memory is bounded. The queue is shared among users.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial

from kakuri_workload import CopyableError

from kakuri_control_plane._agent_turns import FairSemaphore
from kakuri_control_plane._slots import Slots

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
    """Admission of documents: small ones immediately; for large ones, users take turns.

    async with admission.admitted(len(body), user_of(request)):
        ...  # decode the document, and send it to the agent
    """

    def __init__(self) -> None:
        self._in_progress = FairSemaphore(MAX_IN_PROGRESS)  # bounds memory
        self._gate = asyncio.Semaphore(1)  # spaces documents by TURNS_BETWEEN turns of the loop
        self._waiting = Slots(MAX_WAITING, "documents", lambda _: TooManyLargeDocuments())

    def admits_at_once(self, size: int) -> bool:
        """Return whether a document of `size` bytes is admitted without waiting."""
        return size < LARGE_DOCUMENT

    def admitted(self, size: int, user: str) -> AbstractAsyncContextManager[object]:
        """Return the context for a document of `size` bytes.

        Entering it waits for the document's turn. It raises TooManyLargeDocuments if the queue is
        full, or if another user's document needs the place in the queue.
        """
        return _AT_ONCE if self.admits_at_once(size) else self._large(user)

    @asynccontextmanager
    async def _large(self, user: str) -> AsyncIterator[None]:
        slot = self._waiting.take(user)
        try:
            async with asyncio.timeout(None) as wait:
                slot.end = partial(wait.reschedule, 0.0)
                await self._in_progress.acquire(user)
        except TimeoutError:
            raise TooManyLargeDocuments from None
        finally:
            self._waiting.free(slot)
        try:
            await self._gate.acquire()
            self._open_gate_after(TURNS_BETWEEN)
            yield
        finally:
            self._in_progress.release()

    def _open_gate_after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._open_gate_after, turns - 1)
        else:
            self._gate.release()

    def __repr__(self) -> str:
        return f"<Admission {len(self._waiting)} waiting>"


_AT_ONCE = nullcontext()
