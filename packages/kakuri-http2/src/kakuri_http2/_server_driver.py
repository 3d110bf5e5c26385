"""The server's side of a connection over an asyncio transport."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

from kakuri_http2._driver import Driver
from kakuri_http2._errors import ErrorCode
from kakuri_http2._events import Request
from kakuri_http2._exchange import Exchange, ExchangeEnded
from kakuri_http2._limits import Limits
from kakuri_http2._server import ServerConnection


class ServerDriver(Driver[ServerConnection]):
    """A server's connection: runs a handler for each request in its own task."""

    def __init__(
        self, handler: Callable[[Exchange], Awaitable[None]], limits: Limits | None = None
    ) -> None:
        """Create the protocol of a server's connection.

        Args:
            handler: Sends the response with the exchange's methods. If it raises, or returns before
                ending the exchange, the exchange is reset with INTERNAL_ERROR.
            limits: What the client may do.

        Raises:
            TypeError: An argument has the wrong type.
        """
        if not callable(handler):
            raise TypeError(f"expected a function as handler, got {handler!r:.80}")
        super().__init__(ServerConnection(limits, self._accept))
        self._handler = handler
        self._accepted: list[Exchange] = []
        self._tasks: dict[asyncio.Task[None], Exchange] = {}
        # Handlers start in copies of this context. The current one may be that of another request:
        # asyncio reads in the context in which reading was last resumed.
        self._context = contextvars.copy_context()

    def _accept(self, request: Request) -> Exchange:
        exchange = Exchange(self, request.stream)
        exchange.head = request
        exchange.is_complete = request.end
        self._accepted.append(exchange)
        return exchange

    def _received(self) -> None:
        accepted, self._accepted = self._accepted, []
        for exchange in accepted:
            if len(self._tasks) >= 2 * self.connection.limits.concurrent_streams:
                # Includes handlers of streams that the client has reset (CVE-2023-44487).
                self.reset(exchange.stream, ErrorCode.REFUSED_STREAM)
                continue
            task = self._loop.create_task(self._run(exchange), context=self._context.copy())
            self._tasks[task] = exchange
            task.add_done_callback(self._tasks.pop)
        super()._received()

    async def _run(self, exchange: Exchange) -> None:
        if exchange.is_aborted:  # the client reset it before this task began
            return
        try:
            await self._handler(exchange)
        except ExchangeEnded:
            return  # the peer no longer waits for it
        finally:
            self.connection.reset_unfinished(exchange.stream)
            self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the transport: cancel the handlers that still run.

        A handler that the `on_end` of its exchange has cancelled is skipped, because a second
        cancellation would interrupt its cleanup.
        """
        super().connection_lost(exc)
        for task, exchange in self._tasks.items():
            has_ended = exchange.on_end is not None and exchange.is_aborted
            if not (has_ended and task.cancelling()):
                task.cancel()
