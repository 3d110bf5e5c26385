"""The client's side of a connection over an asyncio transport."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import Self

from kakuri_http2._client import ClientConnection, PreparedRequest
from kakuri_http2._driver import Driver
from kakuri_http2._errors import ErrorCode, RemoteProtocolError
from kakuri_http2._events import Fields, Processed, Request
from kakuri_http2._exchange import Exchange, ExchangeEnded
from kakuri_http2._limits import Limits
from kakuri_http2._receiver import Receiver


class ClientDriver(Driver[ClientConnection]):
    """A client's connection: opens as many concurrent exchanges as the server allows.

    >>> async def version(path: str) -> bytes:
    ...     loop = asyncio.get_running_loop()
    ...     _, client = await loop.create_unix_connection(ClientDriver, path)
    ...     async with client:
    ...         exchange = await client.open(Request(b"GET", b"/", b"localhost", end=True))
    ...         await exchange.response()
    ...         return await exchange.read()
    """

    def __init__(
        self, limits: Limits | None = None, *, untrimmed: Collection[bytes] = frozenset()
    ) -> None:
        """Create the protocol of a client's connection; see `ClientConnection`."""
        super().__init__(ClientConnection(limits, untrimmed=untrimmed))
        # An OrderedDict, because any of thousands may be cancelled, and removing one must not take
        # a search.
        self._waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        # The number of streams that ended with the last read; 0 once a request was sent after it.
        # Each of their callers may send another request, so the first one waits for the others,
        # unless it is alone.
        self._ended_together = 0
        self._granted = 0  # streams assigned to requests that have not opened them yet

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()
        await self.closed

    def data_received(self, data: bytes) -> None:
        """Process bytes from the server."""
        before = self.connection.open_streams
        super().data_received(data)
        self._ended_together = before - self.connection.open_streams

    async def open(self, request: Request) -> Exchange:
        """Send a request; while the server allows no more streams, wait in order.

        Raises:
            ExchangeEnded: The connection accepts no more requests; `processed` is `NO`.
        """
        if not self.has_room:
            await self.wait_for_room()
        exchange = Exchange(self)
        prepared = self.connection.prepare(request)
        exchange.stream = self.connection.start(prepared, exchange, is_end=request.end)
        self._flush_soon()
        return exchange

    @property
    def has_room(self) -> bool:
        """Whether a request can be sent without waiting or overtaking one that waits."""
        return not self._waiting and self.connection.available_streams > self._granted

    async def wait_for_room(self) -> None:
        """Wait until a request can be sent; send it before you await anything else.

        Raises:
            ExchangeEnded: The connection accepts no more requests; `processed` is `NO`.
        """
        if not self.connection.accepts_streams:
            raise _not_sent()
        turn = self._loop.create_future()
        self._waiting[turn] = None
        try:
            is_granted = await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                del self._waiting[turn]
            elif not turn.cancelled() and turn.result():
                self._granted -= 1
                self._streams_changed()
            raise
        if not is_granted:
            raise _not_sent()
        self._granted -= 1
        if not self.connection.available_streams:
            raise _not_sent()

    def start(
        self,
        request: PreparedRequest,
        receiver: Receiver,
        *,
        fields: Fields = (),
        content: bytes = b"",
        is_end: bool = True,
    ) -> int:
        """Send a prepared request; only if `has_room`, or after `wait_for_room`.

        It is written in this turn of the event loop, together with requests of other callers. If no
        other caller is about to send, it is written immediately.

        Returns:
            The number of its stream, which reports to the receiver.
        """
        connection = self.connection
        stream = connection.start(request, receiver, fields=fields, content=content, is_end=is_end)
        ended, self._ended_together = self._ended_together, 0
        if ended == 1 or (ended == 0 and connection.open_streams == 1):
            self.flush()
        else:
            self._flush_soon()
        return stream

    def _streams_changed(self) -> None:
        """Assign free streams to the requests that have waited longest."""
        while self._waiting and self.connection.available_streams > self._granted:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(True)
                self._granted += 1
        if self._waiting and not self.connection.accepts_streams:
            self._ended(None)  # the last stream number was used, or a GOAWAY came

    def _ended(self, error: RemoteProtocolError | None) -> None:  # noqa: ARG002 - the base's
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(False)


def _not_sent() -> ExchangeEnded:
    return ExchangeEnded(
        "the connection accepts no more requests",
        ErrorCode.NO_ERROR,
        by_peer=True,
        processed=Processed.NO,
    )
