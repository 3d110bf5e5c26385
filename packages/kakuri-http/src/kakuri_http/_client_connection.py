"""A client's connection: one exchange at a time over the core."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable

from kakuri_tcp import Connection, ConnectionFault

from kakuri_http._body_stream import StreamedBody
from kakuri_http._client_core import ClientConnection
from kakuri_http._errors import ConnectionBroken, RemoteProtocolError, RequestTimeout
from kakuri_http._events import (
    END_OF_MESSAGE,
    ConnectionClosed,
    Data,
    InterimResponse,
    NeedData,
    Paused,
)
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._request import Request
from kakuri_http._response import Body, Response
from kakuri_http._states import State
from kakuri_http._timeouts import Timeouts

CONTINUE = 100


class HttpClientConnection(Connection):
    """One connection of a pool."""

    __slots__ = (
        "_continued", "_head", "_http_limits", "_sender", "_writable", "core", "idle_since",
        "stream", "timeouts",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.core = ClientConnection(limits)
        self.idle_since = 0.0
        self._http_limits = limits
        self.timeouts = Timeouts()
        self._head: asyncio.Future[Response] | None = None
        self._continued: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self.stream: StreamedBody | None = None

    @property
    def is_reusable(self) -> bool:
        """Tell whether another request may be sent."""
        return not self.is_closing and self.core.is_reusable and self._sender is None

    # From the transport.

    def data_received(self, data: bytes) -> None:
        """Take bytes; asyncio calls this."""
        self.core.receive_data(data)
        self._advance()

    def receive_eof(self) -> None:
        """Take the end of the server's stream."""
        self.core.receive_eof()
        self._advance()
        self.close()

    def writing_resumed(self) -> None:
        """Go on sending."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def closed(self, fault: ConnectionFault | None) -> None:
        """Fail what is under way."""
        error = ConnectionBroken(f"expected {self.peer} to answer, got the end of the connection")
        error.__cause__ = fault
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        for future in (self._head, self._writable):
            if future is not None and not future.done():
                future.set_exception(error)
        if self.stream is not None:
            self.stream.fail(error)
        if self._sender is not None:
            self._sender.cancel()

    def _advance(self) -> None:
        try:
            while True:
                event = self.core.next_event()
                if isinstance(event, NeedData | Paused | ConnectionClosed):
                    break
                if isinstance(event, Data):
                    if self.stream is not None:
                        self.stream.feed(event.data)
                elif isinstance(event, InterimResponse):
                    if event.status == CONTINUE:
                        self._allow_content()
                elif isinstance(event, Response):
                    self.stream = StreamedBody(
                        self._http_limits.stream_buffer, self.pause_reading, self.resume_reading
                    )
                    if self._head is not None and not self._head.done():
                        self._head.set_result(event)
                else:
                    self._end_response(event.trailers)
                    break
        except RemoteProtocolError as error:
            self._fail(error)
            self.abort()

    def _end_response(self, trailers: Headers) -> None:
        # A response that comes before the request has been sent means: send no more.
        if self._sender is not None and self.core.request_state is State.BODY:
            self._sender.cancel()
        if self.stream is not None:
            self.stream.end(trailers)
        if not self.core.is_reusable:
            self.close()

    # For the client.

    async def start(self, request: Request, body: Body, *, body_limit: int) -> Response:
        """Send a request and return the head of its response; `stream` has the content.

        `body_limit` bounds the content of the response, in bytes.

        Raises ConnectionBroken, RequestTimeout or RemoteProtocolError.
        """
        loop = asyncio.get_running_loop()
        self.stream = None
        self.core.body_limit = body_limit
        self._head = head = loop.create_future()
        head.add_done_callback(_retrieve)
        self.write(self.core.send(request))
        sending = None
        if self.core.request_state is State.BODY:
            assert body is not None
            sending = self._send(body, is_asked=request.expects_continue)
        elif self.is_writing_paused:
            sending = self._until_taken()
        if sending is not None:
            self._sender = loop.create_task(sending)
            self._sender.add_done_callback(self._sent)
            # While the request goes out, the time for writing counts, and not that for reading.
            await asyncio.wait([head, self._sender], return_when=asyncio.FIRST_COMPLETED)
        deadline = asyncio.timeout(self.timeouts.read)
        try:
            async with deadline:
                response: Response = await head
                return response
        except TimeoutError as error:
            if not deadline.expired():
                raise  # of the sender, or of the caller's own content
            self.abort()
            raise RequestTimeout(
                f"expected a response within {self.timeouts.read} s, got none", phase="read"
            ) from error

    async def _send(self, body: Body, *, is_asked: bool) -> None:
        if is_asked:
            # A server that does not answer the expectation gets the content after a moment
            # (RFC 9110 10.1.1).
            self._continued = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._continued], timeout=1.0)
        if isinstance(body, bytes):
            await self._send_piece(body)
        elif isinstance(body, AsyncIterable):
            async for piece in body:
                await self._send_piece(piece)
        elif isinstance(body, Iterable):
            for piece in body:
                await self._send_piece(piece)
        self.write(self.core.send(END_OF_MESSAGE))

    async def _send_piece(self, piece: bytes) -> None:
        if self.is_writing_paused:
            await self._until_taken()
        self.write(self.core.send(Data(piece)))

    async def _until_taken(self) -> None:
        """Wait until the server has caught up; raises RequestTimeout where it takes nothing."""
        seconds = self.timeouts.write
        while self.is_writing_paused:
            unsent = self.unsent
            self._writable = asyncio.get_running_loop().create_future()
            self._writable.add_done_callback(_retrieve)
            try:
                async with asyncio.timeout(seconds):
                    await self._writable
            except TimeoutError as error:
                if self.unsent >= unsent:
                    raise RequestTimeout(
                        f"expected {self.peer} to read the request, it took nothing for "
                        f"{seconds} s", phase="write",
                    ) from error  # fmt: skip

    def _allow_content(self) -> None:
        if self._continued is not None and not self._continued.done():
            self._continued.set_result(None)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sender = None
        if task.cancelled():
            self.close()  # the request was cut off: there is no next one
        elif error := task.exception():
            if self._head is not None and not self._head.done():
                self._head.set_exception(error)
            self.abort()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the content of the response."""
        assert self.stream is not None
        iterator = self.stream
        while True:
            try:
                async with asyncio.timeout(self.timeouts.read):
                    piece = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                self.abort()
                raise RequestTimeout(
                    f"expected content within {self.timeouts.read} s, got none", phase="read"
                ) from error
            yield piece


def _retrieve(future: "asyncio.Future[Response] | asyncio.Future[None]") -> None:
    """Look at a failure that nobody may be waiting for."""
    if not future.cancelled():
        future.exception()
