"""A server's connection, its sending half: responses to the transport.

The responses to one read are sent with one write. A streamed response has a task, which waits
while the client does not read.
"""

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

from kakuri_tcp import Connection

from kakuri_http._body_stream import StreamedBody
from kakuri_http._errors import ClientDisconnected, ProtocolError
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._messages import Request, Response
from kakuri_http.core._events import Data, EndOfMessage
from kakuri_http.core._server import ServerConnection
from kakuri_http.core._states import State
from kakuri_http.server._exchange import AccessLog


async def send_streamed(
    connection: "ResponseSide", core: ServerConnection, response: Response
) -> None:
    """Send a response whose body is an iterable; raises what the iterable raises."""
    connection.write(core.send(response))
    body = response.body
    if core.omits_content or body is None or isinstance(body, bytes):
        pass
    elif isinstance(body, AsyncGenerator):
        async with aclosing(body):  # so that it ends with the connection, not some time later
            await _send_pieces(connection, core, body)
    elif isinstance(body, AsyncIterable):
        await _send_pieces(connection, core, body)
    else:
        await _send_pieces(connection, core, _as_async(body))
    connection.write(core.send(EndOfMessage(response.trailers or Headers())))


async def _send_pieces(
    connection: "ResponseSide", core: ServerConnection, pieces: AsyncIterable[bytes]
) -> None:
    async for piece in pieces:
        await connection.writable()
        connection.write(core.send(Data(piece)))
        connection.count_sent(len(piece))


async def _as_async(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


log = logging.getLogger("kakuri_http")

_BODY = State.BODY
# Bytes of pipelined responses that are collected before they are written.
_WRITE_AT_ONCE = 8192
_WRITES_TOGETHER = 64


class ResponseSide(Connection):
    """The sending half of HttpConnection: responses, and the exchange that they belong to."""

    __slots__ = (
        "_access_log", "_context", "_core", "_http_limits", "_is_advancing", "_is_draining",
        "_is_ending", "_loop", "_out", "_request", "_sent", "_status", "_stream", "_task",
        "_writable",
    )  # fmt: skip

    def __init__(self, limits: Limits, access_log: AccessLog | None) -> None:
        super().__init__()
        self._core = ServerConnection(limits)
        self._http_limits = limits
        self._access_log = access_log
        self._loop = asyncio.get_running_loop()
        self._context: contextvars.Context = self.context  # of the present exchange
        self._request: Request | None = None  # of the present exchange, until it has ended
        self._stream: StreamedBody | None = None  # what a streaming handler reads
        self._task: asyncio.Future[Any] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._out: list[bytes] = []
        self._is_advancing = False
        self._is_ending = False  # the client sends no more, or we drain: the last exchange closes
        self._is_draining = False
        self._status = 0
        self._sent = 0

    @property
    def is_sending(self) -> bool:
        """Whether a response was not sent to its end."""
        return self._core.response_state is _BODY or super().is_sending

    def end_exchange(self, *, complete: bool) -> None:
        """Log the exchange and go on with the next, or end the connection."""
        raise NotImplementedError

    def respond(self, response: Response) -> None:
        """Send a response to the present request, or to what should have been one."""
        core = self._core
        if self._is_ending and (self._is_draining or not core.buffered):
            core.keep_alive = False
        self._status = response.status
        body = response.body
        is_whole = isinstance(body, bytes)
        if core.request_state is _BODY and (is_whole or self._stream is None):
            core.discard_rest(self._http_limits.discarded_body)
        if isinstance(body, bytes):
            try:
                data = core.send(response)
            except ProtocolError:
                log.exception("%s: %r could not be sent", self.peer, response)
                self.abort()
                return
            self._sent = len(body)
            self._out.append(data)
            if len(data) > _WRITE_AT_ONCE or len(self._out) >= _WRITES_TOGETHER:
                self._flush()  # so that a client that doesn't read is noticed
            if (
                core.keep_alive
                and self._is_advancing
                and self._access_log is None
                and self._stream is None
            ):
                self._request = None
            else:
                self.end_exchange(complete=True)
        else:
            self._flush()
            sending = send_streamed(self, core, response)
            self._task = self._loop.create_task(sending, context=self._context)
            self._task.add_done_callback(self._streamed, context=self.context)

    def _flush(self) -> None:
        if out := self._out:
            self.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def _streamed(self, task: asyncio.Future[Any]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            if error is not None and not isinstance(error, ClientDisconnected):
                log.error("%s: %r was cut off", self.peer, self._request, exc_info=error)
            self.abort()  # by a reset, so that the client can't take it for complete
            self.end_exchange(complete=False)
            return
        if self._core.request_state is _BODY:  # the handler has not read all of the content
            self._core.discard_rest(self._http_limits.discarded_body)
        self.end_exchange(complete=True)

    def count_sent(self, length: int) -> None:
        """Add to the bytes of content that were sent."""
        self._sent += length

    async def writable(self) -> None:
        """Wait until the client has caught up; raise ClientDisconnected if it disconnected."""
        if self.is_closing:
            raise ClientDisconnected(f"{self.peer} disconnected before its response was complete")
        if self.is_writing_paused:
            self._writable = self._loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None
