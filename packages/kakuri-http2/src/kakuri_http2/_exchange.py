"""One request and its response, with awaitable methods."""

import asyncio
from collections import deque
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from kakuri_http2._errors import ErrorCode, HTTP2Error
from kakuri_http2._events import (
    Data,
    Fields,
    Processed,
    Request,
    Response,
    StreamReset,
    Trailers,
)

if TYPE_CHECKING:
    from kakuri_http2._client import ClientConnection
    from kakuri_http2._driver import Driver
    from kakuri_http2._server import ServerConnection

MAX_QUEUED = 32 << 10
"""Bytes of content that `send` queues for one exchange before it waits.

With a hundred exchanges whose peer opens no window, that is 3 MiB.
"""

PIECES_PER_TURN = 64
"""Pieces that one exchange sends before other tasks get a turn. Tens of thousands of small pieces
can be sent without waiting for the peer."""

_SMALL_PIECE = 256
"""Size in bytes below which received pieces are joined, because tiny pieces take many times their
size in memory."""


class ExchangeEnded(HTTP2Error):
    """An exchange ended before it was complete.

    Attributes:
        code: The code of the RST_STREAM or GOAWAY frame, as a number.
        by_peer: Whether the peer ended it.
        processed: NO if the peer certainly did not process the request, so that it can be repeated.
    """

    def __init__(
        self, message: str, code: int, *, by_peer: bool, processed: Processed = Processed.UNKNOWN
    ) -> None:
        super().__init__(message, code, by_peer, processed)
        self.message = message
        self.code = code
        self.by_peer = by_peer
        self.processed = processed

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        arguments: dict[str, Any] = {"by_peer": self.by_peer, "processed": self.processed}
        return partial(ExchangeEnded, **arguments), (self.message, self.code), vars(self)


class Exchange:
    """One request and its response, on either side.

    Attributes:
        stream: The number of its stream.
        head: The head that the peer sent: a Request in a server, a Response in a client. None until
            it arrives.
        trailers: The fields after the peer's content; empty until they arrive.
        is_complete: Whether the peer has ended its side.
        on_end: Called when the exchange ends before it is complete. It runs while a frame is being
            handled, so it must not call the connection. In a server, it may cancel the handler,
            which is then not cancelled again when the connection is lost.
    """

    def __init__(
        self, driver: "Driver[ClientConnection] | Driver[ServerConnection]", stream: int = 0
    ) -> None:
        self._driver = driver
        self.stream = stream
        self.head: Request | Response | None = None
        self.trailers: Fields = ()
        self._pieces: deque[bytes] = deque()
        self._sent_pieces = 0
        self.is_complete: bool = False
        self._ended: ExchangeEnded | None = None
        self._waiters: list[asyncio.Future[None]] = []  # one for each waiting call
        self.on_end: Callable[[], object] | None = None

    async def response(self) -> Response:
        """Wait for the head of the response; interim responses are skipped.

        Raises:
            ExchangeEnded: The exchange ended before the head arrived.
        """
        while self.head is None:
            self._check()
            await self._wait()
        return cast("Response", self.head)

    async def read(self) -> bytes:
        """Wait for the next piece of content and return it; empty bytes at the end.

        Reading a piece returns its flow-control credit, so the peer can't send faster than you
        read.

        Raises:
            ExchangeEnded: The exchange ended before its content was complete.
        """
        while not self._pieces:
            if self.is_complete:
                return b""
            self._check()
            await self._wait()
        piece = self._pieces.popleft()
        self._driver.consumed(self.stream, len(piece))
        return piece

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Send content; wait while more than `MAX_QUEUED` bytes are queued for the peer.

        Other tasks get a turn of the event loop after every `PIECES_PER_TURN` pieces.

        Raises:
            ExchangeEnded: The exchange has ended.
            TypeError: The content is not bytes-like; nothing was sent.
        """
        self.send_now(data, end=end)
        self._sent_pieces += 1
        if self._sent_pieces % PIECES_PER_TURN == 0:
            await asyncio.sleep(0)
        while self._driver.connection.unsent_on(self.stream) > MAX_QUEUED:
            self._driver.connection.report_drained(self.stream)
            await self._wait()
            self._check()

    def send_now(self, data: bytes, *, end: bool = False) -> None:
        """Send content without waiting; only for small content, which may stay queued for long.

        Raises:
            ExchangeEnded: The exchange has ended.
            TypeError: The content is not bytes-like; nothing was sent.
        """
        self._check()
        self._driver.send(Data(self.stream, data, end))

    async def ended(self) -> ExchangeEnded:
        """Wait until the exchange ends prematurely, and return the error."""
        while self._ended is None:
            await self._wait()
        return self._ended

    def send_trailers(self, fields: Fields) -> None:
        """Send the fields after the content, which end this side of the exchange."""
        self._check()
        self._driver.send(Trailers(self.stream, fields))

    def respond(self, status: int, fields: Fields = (), *, end: bool = False) -> None:
        """Send the head of a response, in a server."""
        self._check()
        self._driver.send(Response(self.stream, status, fields, end))

    def cancel(self, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """Reset the exchange, unless it is complete."""
        self._driver.reset(self.stream, code)
        self._end(ExchangeEnded(f"the exchange was ended here ({code.name})", code, by_peer=False))

    @property
    def is_aborted(self) -> bool:
        """Whether the exchange was reset, or lost its connection, before it was complete."""
        return self._ended is not None

    @property
    def is_connection_over(self) -> bool:
        """Whether the exchange's connection has ended."""
        return self._driver.connection.is_over

    # What the connection calls.

    def receive_head(self, status: int, fields: Fields, *, is_end: bool) -> None:
        """Process the head of a response; interim responses are skipped."""
        if status >= 200:
            self.head = Response(self.stream, status, fields, is_end)
            self.is_complete = is_end
            self._wake()

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        """Buffer a piece of content; its credit is returned when it is read."""
        pieces = self._pieces
        if pieces and len(data) < _SMALL_PIECE and len(pieces[-1]) < _SMALL_PIECE:
            pieces[-1] += data
        elif data:
            pieces.append(data)
        self.is_complete = is_end
        self._wake()
        return False

    def receive_trailers(self, fields: Fields) -> None:
        """Process the fields after the content."""
        self.trailers = fields
        self.is_complete = True
        self._wake()

    def receive_reset(self, reset: StreamReset) -> None:
        """Process the early end of the exchange."""
        what = "connection" if self.is_connection_over else "exchange"
        message = reset.message or f"the peer ended the {what} (code {reset.code})"
        self._end(
            ExchangeEnded(message, reset.code, by_peer=reset.by_peer, processed=reset.processed)
        )

    def drained(self) -> None:
        """Wake a waiting `send`."""
        self._wake()

    def _end(self, error: ExchangeEnded) -> None:
        """Fail everything that waits; complete content can still be read."""
        if self._ended is None:
            self._ended = error
        self._wake()
        if self.on_end is not None:
            self.on_end()

    def _check(self) -> None:
        if self._ended is not None:
            # A copy, because a raised error refers to the frames of its traceback, which refer to
            # the exchange.
            raise copy(self._ended)

    async def _wait(self) -> None:
        """Wait until the state of the exchange changes; the caller checks its condition again.

        Any number of tasks may wait.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
