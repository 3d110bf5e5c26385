"""A server's connection: turns the core's events into calls of handlers.

Exchanges follow one another. Each runs in its own context, a copy of the one in which the server
was started. A handler that is not a coroutine needs neither a task nor another turn of the loop.
"""

import asyncio
import time
from typing import Any

from kakuri_tcp import ConnectionFault

from kakuri_http._body_stream import StreamedBody
from kakuri_http._errors import ClientDisconnected, LimitExceeded, RemoteProtocolError
from kakuri_http._headers import Headers
from kakuri_http._messages import Request, Response
from kakuri_http.core._heads import check_body_length
from kakuri_http.core._states import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
    State,
)
from kakuri_http.server._deadlines import Deadlines
from kakuri_http.server._exchange import Exchange, as_future, fault_response, wrong_result
from kakuri_http.server._problems import problem
from kakuri_http.server._responses import ResponseSide, ServerState
from kakuri_http.server._router import Route, Router

_BODY, _IDLE = State.BODY, State.IDLE
_CONTINUE = InterimResponse(100)
_RAISED = (Exception, asyncio.CancelledError)  # by a check or handler; _fault_response reports it


class ServerProtocol(ResponseSide):
    """The connection of one client: its requests, and the handlers that respond to them."""

    __slots__ = ("_deadlines", "_ready", "_router")

    def __init__(self, router: Router, server: ServerState) -> None:
        super().__init__(server)
        self._router = router
        self._deadlines: Deadlines | None = None
        self._ready: Request | None = None  # arrived in one read, and waits for its turn

    # From the transport.

    def data_received(self, data: bytes) -> None:
        """Process bytes; asyncio calls this."""
        core = self._core
        if self._exchange is None and self._ready is None and not self.is_writing_paused:
            self._ready = core.receive_request(data)
            self.turns.process(self)  # inlined `process`, because this is called for each read
            return
        core.receive_data(data)
        if self._ready is not None or core.request_state is _BODY or self in self.turns:
            self.process()
            return
        self.account()
        if core.buffered > self._http_limits.pipeline:
            self.pause_reading()

    def receive_eof(self) -> None:
        """Process the end of the client's stream; requests before it still get their responses."""
        self.flush()  # because TLS closes the connection when this method returns
        self._core.receive_eof()
        self._is_ending = True
        if self._exchange is None or self._core.request_state is _BODY:
            self.process()

    def discard_input(self, fault: ConnectionFault) -> None:
        """Respond with 503 to a request whose content takes too long while memory is short."""
        exchange = self._exchange
        if exchange is not None and exchange.task is not None and exchange.stream is None:
            self.abort(fault)  # the input waits for a request that is being handled
            return
        self._fault = self._fault or fault
        self._ready = None
        self._core.drop_input()
        self._refuse(
            LimitExceeded(str(fault), limit="unfinished_input", status=503, code="overloaded")
        )
        self.flush()

    def refuse(self, fault: ConnectionFault) -> None:
        """Respond with 403 to a client whose user may not connect."""
        self._access_log = None  # users who may not connect must not fill it
        self._refuse(RemoteProtocolError(str(fault), status=403, code="forbidden_user"))
        self.flush()

    def writing_resumed(self) -> None:
        """Continue, as the client has caught up."""
        self.wake_writer()
        if self._exchange is None and not self.is_closing:
            self.process()
            self._resume_unless_full()

    def drain(self) -> None:
        """Respond to the request that has arrived, then close; an incomplete head is dropped."""
        self._is_draining = self._is_ending = True
        self._core.keep_alive = False
        self._close_if_drained()

    def sweep(self, now: float) -> None:
        """Enforce the timeouts on heads, content and half-closed clients."""
        if self._deadlines is None:
            self._deadlines = Deadlines(self._http_limits, now)
        exchange = self._exchange
        stream = None if exchange is None else exchange.stream
        task = None if exchange is None else exchange.task
        late = self._deadlines.check(
            now,
            self._core,
            is_reading=stream is None or not stream.is_paused,
            is_half_closed=self.has_eof,
            is_busy=task is not None,
        )
        if isinstance(late, LimitExceeded) and not self.is_closing:
            self._refuse(late)
            self.flush()
        elif late is not None and exchange is not None:
            exchange.cancel()
        if self._exchange is not None:
            self.made_progress = True  # the client waits for us, or its content has deadlines
        super().sweep(now)

    def closed(self, fault: ConnectionFault | None) -> None:  # noqa: ARG002 - the log has it
        """Cancel the handler, and fail everything that waits for the client."""
        exchange = self._exchange
        if exchange is not None:
            exchange.cancel()
            if exchange.stream is not None:
                exchange.stream.fail(self._disconnected())
        self.wake_writer(self._disconnected())
        if exchange is not None and exchange.task is None:
            self.end_exchange(complete=False)

    @property
    def is_busy(self) -> bool:
        """Whether a handler runs, or its response is being sent."""
        exchange = self._exchange
        is_called = exchange is not None and (
            exchange.task is not None or self._core.request_state is not _BODY
        )
        is_waiting = self._ready is not None or self in self.turns
        return is_called or is_waiting or super().is_busy

    def unprocessed(self) -> int:
        """Return the number of bytes of heads and content that no handler has received yet."""
        size = self._core.held
        if self._ready is not None:
            size += len(self._ready.body)
        if (exchange := self._exchange) is not None:
            if exchange.content is not None:
                size += self._core.content_received
            if exchange.stream is not None:
                size += exchange.stream.size
        return size

    # From events to handlers.

    def work(self) -> None:
        """Process the requests that have arrived, until this connection's slice is over."""
        request = self._ready
        if request is None:
            self._advance()
        else:
            self._ready = None
            self._is_advancing = True
            self._begin(request)
            self._is_advancing = False
            if self._out:
                self.flush()
            if self._core.buffered:
                self._advance()
            elif self._held:
                self.account()
        if self._is_draining:
            self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self._exchange is None and self._ready is None and self not in self.turns:
            # The client may still be sending content of a request that has its response.
            (self.close_lingering if self._core.request_state is _BODY else self.close)()

    def _advance(self) -> None:
        """Process the events of the bytes so far, then write the responses."""
        if self._is_advancing or self.is_closing:
            return
        self._is_advancing = True
        core = self._core
        try:
            while not (self.is_writing_paused and core.request_state is _IDLE):
                event = core.next_event()
                if event is NEED_DATA or event is PAUSED:
                    break
                if isinstance(event, Data):
                    self._receive_content(event.data)
                elif isinstance(event, Request):
                    self._begin(event)
                elif isinstance(event, ConnectionClosed):
                    if self._exchange is None:
                        self.close()
                    break
                elif isinstance(event, EndOfMessage):
                    self._end_content(event.trailers)
                can_wait = self._exchange is None or core.request_state is _BODY
                if can_wait and core.buffered and self.turns.slice_left() <= 0:
                    self.process_later()
                    break
        except RemoteProtocolError as error:
            self._refuse(error)
        finally:
            self._is_advancing = False
        self.flush()
        if self._held or core.request_state is _BODY or core.held:
            self.account()

    def _begin(self, request: Request) -> None:
        """Find the route of a request; call its handler now, or when the content is complete."""
        self.made_progress = True
        exchange = self._exchange = Exchange(request, self.context.copy())
        request.peer = self.peer
        request.uid = self.uid
        exchange.started = time.monotonic()
        try:
            found = exchange.context.run(self._router.resolve, request)
        except _RAISED as error:
            found = self._fault_response(exchange, error)
        if not isinstance(found, Route):
            self._respond_early(exchange, request, found)
            return
        exchange.route = found
        limit = self._http_limits.body if found.body_limit is None else found.body_limit
        try:
            if self._core.request_state is not _BODY:
                if len(request.body) > limit:
                    check_body_length(len(request.body), limit)
                if found.streaming:
                    request.stream_source = StreamedBody.whole(request.body)
                self._call(exchange, found, request)
                return
            self._core.limit_body(limit)
        except LimitExceeded as error:
            self._refuse(error)
            return
        if request.expects_continue and request.length != 0 and not self._core.buffered:
            self._out.append(self._core.send(_CONTINUE))
        if found.streaming:
            self.flush()
            exchange.stream = StreamedBody(
                self._http_limits.stream_buffer, self.pause_reading, self.resume_reading
            )
            request.stream_source = exchange.stream
            self._call(exchange, found, request)
        else:
            exchange.content = bytearray()

    def _receive_content(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # the response was sent, so content is only read to keep the connection
        if exchange.stream is not None:
            exchange.stream.feed(data)
        elif exchange.content is not None:
            exchange.content += data

    def _end_content(self, trailers: Headers) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.stream is not None:
            exchange.stream.end(trailers)
            exchange.stream = None
        request, content = exchange.request, exchange.content
        if request is not None:
            request.trailers = trailers
            if content is not None and exchange.route is not None:
                exchange.content = None
                request.body = bytes(content)
                self._call(exchange, exchange.route, request)

    def _call(self, exchange: Exchange, route: Route, request: Request) -> None:
        """Call a handler, and respond with its result, now or when it is ready."""
        try:
            result: object = exchange.context.run(route.handler, request)
        except _RAISED as error:
            self.respond(exchange, self._fault_response(exchange, error))
            return
        if isinstance(result, Response):
            self.respond(exchange, result)
            return
        task = as_future(result, self._loop, exchange.context)
        if task is None:
            self.respond(exchange, self._fault_response(exchange, wrong_result(route, result)))
            return
        exchange.task = task
        if task.done():
            self._handler_done(task)
            # Break a cycle: the traceback of a task that started eagerly refers to this frame.
            del result, task
        else:
            if task is not result:  # a task, whose first step takes time in the next turn
                self.turns.expect(len(request.body))
            task.add_done_callback(self._handler_done, context=self.context)

    def _handler_done(self, task: asyncio.Future[Any]) -> None:
        exchange = self._exchange
        assert exchange is not None  # it stays as long as its task runs
        exchange.task = None
        error: BaseException | None
        try:
            error = task.exception()
        except asyncio.CancelledError as cancelled:
            error = cancelled.with_traceback(None)  # which refers to this frame, and to the task
        if isinstance(error, asyncio.CancelledError) and self.has_eof:
            self.abort()  # `half_closed_timeout` has passed; most likely the client disconnected
        if self._closing_since is not None:
            self.end_exchange(complete=False)
            return
        response = task.result() if error is None else self._fault_response(exchange, error)
        if not isinstance(response, Response):
            response = self._fault_response(exchange, wrong_result(exchange.route, response))
        self.respond(exchange, response)
        # Futures are often completed together; after a task, others may run long in this turn.
        self.flush() if isinstance(task, asyncio.Task) else self.flush_soon()

    def _fault_response(self, exchange: Exchange, error: BaseException) -> Response:
        during = f"{self.peer}: {exchange.request!r}"
        return exchange.context.run(fault_response, error, during, self._router.respond_to)

    def _respond_early(self, exchange: Exchange, request: Request, response: object) -> None:
        """Respond before all content was read: read and drop the rest, or close the connection."""
        if request.expects_continue:
            # The client may or may not send the content, so the next bytes could be either.
            self._core.keep_alive = False
        if not isinstance(response, Response):
            response = self._fault_response(exchange, wrong_result(None, response))
        exchange.code = response.code
        self.respond(exchange, response)

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Respond to input that is not valid HTTP or exceeds a limit, and close the connection."""
        exchange = self._exchange
        if exchange is None:
            exchange = Exchange(None, self.context.copy())
        exchange.drop_content(error)
        self._core.keep_alive = False
        if self._core.response_state is _IDLE and exchange.task is None:
            self._exchange = exchange
            exchange.code = error.code
            self.respond(exchange, problem(error.status, detail=str(error), code=error.code))
        elif exchange.task is None:
            self.close_lingering()

    def end_exchange(self, *, complete: bool) -> None:
        """Log the exchange and continue with the next, or close the connection."""
        exchange, core = self._exchange, self._core
        self._exchange = None
        stream = None
        if exchange is not None:
            if self._access_log is not None:
                exchange.log(self._access_log, self.peer, complete=complete)
            stream = exchange.stream
        if stream is not None:
            stream.fail(ClientDisconnected("the response was sent, the content dropped"))
        if not self._is_advancing and self._closing_since is not None:
            return
        if not core.keep_alive:
            if core.request_state is State.CLOSED and not core.buffered:
                self.close()
            else:
                self.close_lingering()
            return
        if stream is not None:
            self.resume_reading()  # the handler left content unread: it is dropped
        if self._is_advancing:
            return
        if not self._is_ending and not self._held and core.release_if_idle():
            # The usual case: nothing else has arrived, so there is nothing to do.
            if self._pauses:
                self.resume_reading()
        else:
            self.process()
            self._resume_unless_full()

    def _resume_unless_full(self) -> None:
        # One turn handles many requests; resuming after each would let a fast client fill memory.
        exchange = self._exchange
        waits = exchange is not None or self.is_writing_paused
        is_full = waits and self._core.buffered > self._http_limits.pipeline
        if self._core.request_state is _BODY:
            stream = None if exchange is None else exchange.stream
            is_full = stream is not None and stream.is_paused
        if not is_full:
            self.resume_reading()
