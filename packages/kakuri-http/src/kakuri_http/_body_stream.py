"""Streams content to a reader as it arrives, with backpressure."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable

from kakuri_http._errors import ClientDisconnected
from kakuri_http._headers import Headers

_NO_TRAILERS = Headers()


def _do_nothing() -> None:
    """Stand in for pausing and resuming a connection: the content has arrived already."""


class StreamedBody:
    """A stream of pieces of content from a connection to one reader.

    Attributes:
        size: Bytes that have arrived and have not been read yet.
        is_paused: Whether reading from the connection is paused, because too much is unread.
        has_ended: Whether the content is complete.
        trailers: The fields after the content, once it is complete.
    """

    def __init__(
        self, high_water: int, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._high_water = high_water
        self._pause = pause
        self._resume = resume
        self._pieces: deque[bytes] = deque()
        self.size: int = 0
        self.is_paused: bool = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self.has_ended: bool = False
        self.trailers: Headers | None = None

    @classmethod
    def whole(cls, content: bytes) -> "StreamedBody":
        """Return the stream of content that has arrived already."""
        stream = cls(sys.maxsize, _do_nothing, _do_nothing)  # which never pauses
        if content:
            stream.feed(content)
        stream.end(_NO_TRAILERS)
        return stream

    def __aiter__(self) -> "StreamedBody":
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.has_ended:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("the content is being read by another task already")
            self._resume_if_paused()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = self._pieces.popleft()
        self.size -= len(piece)
        if self.size * 2 < self._high_water:
            self._resume_if_paused()
        return piece

    def _resume_if_paused(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._resume()

    def feed(self, piece: bytes) -> None:
        """Add a piece; pause the connection if too much is unread."""
        self._pieces.append(piece)
        self.size += len(piece)
        if self.size >= self._high_water and not self.is_paused:
            self.is_paused = True
            self._pause()
        self._wake()

    def end(self, trailers: Headers) -> None:
        """End the content."""
        self.has_ended = True
        self.trailers = trailers
        self._resume_and_wake()

    def fail(self, error: BaseException | None = None) -> None:
        """Raise an error in the reader after the last piece, unless the content has ended."""
        if not self.has_ended and self._error is None:
            self._error = error or ClientDisconnected(
                "the connection closed before the content ended"
            )
        self._resume_and_wake()

    def _resume_and_wake(self) -> None:
        """Resume reading the connection: a full buffer here must not delay the next message."""
        self._resume_if_paused()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
