"""The sending half of a server's connection: writes responses to the transport.

The responses to all requests of one read are sent with one write. If a handler returned a future,
its response is sent at the end of a turn of the event loop, together with those of other
connections. A streamed response has its own task, which waits while the client does not read.
"""

import asyncio
import time
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any

from kakuri_tcp import Connection, ConnectionFault

from kakuri_http._errors import ClientDisconnected, ResponseAborted
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._messages import Response, piece_of
from kakuri_http._sent_body import closing_pieces
from kakuri_http.core._fast_head import FastHeadReader
from kakuri_http.core._server import ServerConnection
from kakuri_http.core._states import Data, EndOfMessage, State
from kakuri_http.server._exchange import AccessLog, Exchange, log
from kakuri_http.server._outbox import Outbox
from kakuri_http.server._problems import MEDIA_TYPE, traced

_BODY = State.BODY
# Responses to pipelined requests are collected and written together, up to these limits.
_MAX_COLLECTED_BYTES = 8192  # of one response; a longer one is written with those before it
_MAX_COLLECTED_RESPONSES = 64


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state that all connections of a server share.

    Attributes:
        limits: The limits of each connection.
        access_log: Called after each exchange; None for no log.
        outbox: Sends the responses of one turn of the event loop together.
        read_fast: Reads request heads, with caches for all connections.
    """

    limits: Limits
    access_log: AccessLog | None
    outbox: Outbox
    read_fast: FastHeadReader


class ResponseSide(Connection):
    """The sending half of ServerProtocol, and its current exchange."""

    __slots__ = (
        "_access_log", "_core", "_exchange", "_http_limits", "_is_advancing", "_is_draining",
        "_is_ending", "_loop", "_out", "_outbox", "_writable",
    )  # fmt: skip

    def __init__(self, server: ServerState) -> None:
        super().__init__()
        self._outbox = server.outbox
        self._core = ServerConnection(server.limits, server.read_fast)
        self._http_limits = server.limits
        self._access_log = server.access_log
        self._loop = asyncio.get_running_loop()
        self._exchange: Exchange | None = None  # whose response has not been sent
        self._writable: asyncio.Future[None] | None = None
        self._out: list[bytes] = []
        self._is_advancing = False
        self._is_ending = False  # the client sends no more, or we drain: close after this exchange
        self._is_draining = False

    @property
    def is_sending(self) -> bool:
        """Whether a response has begun but not ended."""
        return self._core.response_state is _BODY or super().is_sending

    def end_exchange(self, *, complete: bool) -> None:
        """Log the exchange and continue with the next, or close the connection."""
        raise NotImplementedError

    def respond(self, exchange: Exchange, response: Response) -> None:
        """Send a response: immediately if its content is bytes, otherwise in a task."""
        core = self._core
        if self._is_ending and (self._is_draining or not core.buffered):
            core.keep_alive = False
        exchange.status = response.status
        body = response.body
        if core.request_state is _BODY and (isinstance(body, bytes) or exchange.stream is None):
            core.discard_content(self._http_limits.discarded_body)
        if isinstance(body, bytes):
            request = exchange.request
            is_problem = response.content_type == MEDIA_TYPE
            try:
                if is_problem and request is not None and request.traceparent:
                    response = traced(response, request.traceparent)
                data = core.send(response)
            except Exception:  # noqa: BLE001 - for example an attribute of the wrong type that the handler assigned
                log.exception("%s: %r could not be sent", self.peer, response)
                self.abort()
                return
            exchange.sent = len(body)
            self._out.append(data)
            if len(data) > _MAX_COLLECTED_BYTES or len(self._out) >= _MAX_COLLECTED_RESPONSES:
                self.flush()  # so that a client that doesn't read is noticed
            if (
                self._access_log is None
                and core.keep_alive
                and self._is_advancing
                and exchange.stream is None
            ):
                self._exchange = None
            else:
                self.end_exchange(complete=True)
        else:
            self.flush()
            sending = self._send_streamed(exchange, response)
            exchange.is_stopping = False  # it described the handler's task; this is a new one
            exchange.task = self._loop.create_task(sending, context=exchange.context)
            exchange.task.add_done_callback(self._streaming_done, context=self.context)

    def flush_soon(self) -> None:
        """Write the responses that are ready at the end of this turn of the event loop."""
        if self._out:
            self._outbox.add(self)

    def flush(self) -> None:
        """Write the responses that are ready."""
        if out := self._out:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()  # first: a server that is short of memory aborts the connection in `write`
            self.write(data)

    def close(self) -> None:
        """Close after sending the responses that are ready."""
        self.flush()
        super().close()

    def close_lingering(self) -> None:
        """Send the responses that are ready, then close as `Connection.close_lingering` does."""
        self.flush()
        super().close_lingering()

    def abort(self, fault: ConnectionFault | None = None) -> None:
        """Write the responses that are ready, then close immediately and drop unsent data."""
        self.flush()
        super().abort(fault)

    async def _send_streamed(self, exchange: Exchange, response: Response) -> None:
        """Send a response whose body is an iterable; raise what the iterable raises."""
        core = self._core
        self.write(core.send(response))
        body = response.body
        if core.omits_content or body is None or isinstance(body, bytes):
            pass
        else:
            async with closing_pieces(body) as pieces:
                await self._send_pieces(exchange, pieces)
        self.write(core.send(EndOfMessage(response.trailers or Headers())))

    async def _send_pieces(self, exchange: Exchange, pieces: AsyncIterable[Any]) -> None:
        slice_end = time.monotonic() + self.limits.slice_time
        async for piece in pieces:
            await self._until_writable(exchange)
            if time.monotonic() >= slice_end:  # writing never paused
                await asyncio.sleep(0)
                slice_end = time.monotonic() + self.limits.slice_time
            data = piece if isinstance(piece, bytes) else piece_of(piece)
            self.write(self._core.send(Data(data)))
            exchange.sent += len(data)

    async def _until_writable(self, exchange: Exchange) -> None:
        """Wait until the client has caught up; raise ClientDisconnected if it disconnected."""
        if self.is_closing:
            exchange.is_stopping = True
            raise self._disconnected()
        if self.is_writing_paused:
            self._writable = self._loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None

    def wake_writer(self, error: ClientDisconnected | None = None) -> None:
        """Resume a streamed response that waits for the client to read, or fail it."""
        writable = self._writable
        if writable is None or writable.done():
            return
        if error is None:
            writable.set_result(None)
        else:
            writable.set_exception(error)

    def _disconnected(self) -> ClientDisconnected:
        return ClientDisconnected(f"{self.peer} disconnected before its response was complete")

    def _streaming_done(self, task: asyncio.Future[None]) -> None:
        exchange = self._exchange
        assert exchange is not None  # it stays as long as its task runs
        exchange.task = None
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            if error is not None and not isinstance(error, ClientDisconnected | ResponseAborted):
                log.error("%s: %r was cut off", self.peer, exchange.request, exc_info=error)
            self.abort()  # by a reset, so that the client can't mistake it for complete
            self.end_exchange(complete=False)
            return
        if self._core.request_state is _BODY:  # the handler has not read all of the content
            self._core.discard_content(self._http_limits.discarded_body)
        self.end_exchange(complete=True)
