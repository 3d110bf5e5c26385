"""One request and its response on a client's connection."""

import asyncio
from collections.abc import AsyncIterator

from kakuri_http._body_stream import StreamedBody
from kakuri_http._errors import ResponseClosed
from kakuri_http._response import ReceivedResponse
from kakuri_http._timeouts import Timeouts


class Exchange:
    """The state of one request: what waits for it, and the content of its response.

    The connection serves other exchanges afterwards, so whoever still holds this one reaches
    nothing of theirs.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.head: asyncio.Future[ReceivedResponse] = asyncio.get_running_loop().create_future()
        self.head.add_done_callback(retrieve)
        self.continued: asyncio.Future[None] | None = None
        self.writable: asyncio.Future[None] | None = None
        self.sender: asyncio.Task[None] | None = None
        self.content: StreamedBody | None = None
        self.is_over: bool = False

    def fail(self, error: Exception) -> None:
        """Fail everything that waits, and stop sending."""
        for future in (self.head, self.writable):
            if future is not None and not future.done():
                future.set_exception(error)
        if self.content is not None:
            self.content.fail(error)
        if self.sender is not None:
            self.sender.cancel()

    def finish(self) -> None:
        """End the exchange: its caller reads nothing more from it."""
        self.is_over = True
        if self.content is not None:
            self.content.fail(_closed())

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the content of the response.

        Raises:
            ResponseClosed: the exchange is over.
            TimeoutError: no content came for as long as `Timeouts.read`.

        """
        assert self.content is not None
        while True:
            if self.is_over:
                raise _closed()
            try:
                async with asyncio.timeout(self.timeouts.read):
                    piece = await anext(self.content)
            except StopAsyncIteration:
                return
            yield piece


def _closed() -> ResponseClosed:
    return ResponseClosed("the response was read after the block of its stream() had ended")


def retrieve(future: "asyncio.Future[ReceivedResponse] | asyncio.Future[None]") -> None:
    """Retrieve a failure that no caller awaits, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()
