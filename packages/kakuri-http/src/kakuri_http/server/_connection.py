"""A server's connection: the core's events to handlers.

One exchange at a time, each in a context (contextvars) of its own: a copy of the one in which the
server was started. A handler that answers at once costs no task and no turn of the event loop.
"""

import asyncio
import time
from typing import Any

from kakuri_tcp import ConnectionFault

from kakuri_http._body_stream import StreamedBody
from kakuri_http._errors import ClientDisconnected, LimitExceeded, RemoteProtocolError
from kakuri_http._headers import Headers
from kakuri_http._limits import Limits
from kakuri_http._messages import Request, Response
from kakuri_http.core._events import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Data,
    EndOfMessage,
    InterimResponse,
)
from kakuri_http.core._framing import check_body_length
from kakuri_http.core._states import State
from kakuri_http.server._deadlines import Deadlines
from kakuri_http.server._exchange import (
    AccessLog,
    access_of,
    as_future,
    fault_response,
    tell,
    wrong_result,
)
from kakuri_http.server._problems import problem
from kakuri_http.server._responses import ResponseSide
from kakuri_http.server._router import Route, Router

_BODY, _IDLE = State.BODY, State.IDLE
_CONTINUE = InterimResponse(100)


class HttpConnection(ResponseSide):
    """One client of a server: its requests, and the handlers that answer them."""

    __slots__ = ("_body", "_called", "_deadlines", "_ready", "_route", "_router", "_started")

    def __init__(self, router: Router, limits: Limits, access_log: AccessLog | None) -> None:
        super().__init__(limits, access_log)
        self._router = router
        self._deadlines: Deadlines | None = None
        self._ready: Request | None = None  # came in one read, and waits for its turn
        self._route: Route | None = None  # of a request whose content is being gathered
        self._called: Route | None = None  # whose handler has not answered yet
        self._body = bytearray()  # pieces can be small and many
        self._started = 0.0

    # From the transport.

    def data_received(self, data: bytes) -> None:
        """Take bytes; asyncio calls this."""
        core = self._core
        if self._request is None and self._ready is None and not self.is_writing_paused:
            self._ready = core.receive_request(data)
            self.turns.process(self)  # for each read: without the call of `process` in between
            return
        core.receive_data(data)
        if self._ready is not None or core.request_state is _BODY or self in self.turns:
            self.process()
            return
        self.account()
        if core.buffered > self._http_limits.pipeline:
            self.pause_reading()

    def receive_eof(self) -> None:
        """Take the end of the client's stream; an answer that is due is still given."""
        self._core.receive_eof()
        self._is_ending = True
        if self._request is None or self._core.request_state is _BODY:
            self.process()

    def give_up_input(self, fault: ConnectionFault) -> None:
        """Answer 503 to a request whose content takes too long while memory is short."""
        if self._task is not None and self._stream is None:
            self.abort(fault)  # it waits behind a request that is being handled
            return
        self._fault = self._fault or fault
        self._ready = None
        self._body = bytearray()
        self._core.drop_input()
        self._refuse(
            LimitExceeded(str(fault), limit="unfinished_input", status=503, code="overloaded")
        )
        self._flush()

    def writing_resumed(self) -> None:
        """Go on, as the client has caught up."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._request is None and not self.is_closing:
            self.process()
            self._resume_unless_full()

    def drain(self) -> None:
        """Answer the request that has come, then close; a part of a head is none."""
        self._is_draining = self._is_ending = True
        self._core.keep_alive = False
        self._close_if_drained()

    def sweep(self, now: float) -> None:
        """Enforce the timeouts on heads, content and half-closed clients."""
        if self._deadlines is None:
            self._deadlines = Deadlines(self._http_limits, now)
        late = self._deadlines.check(
            now,
            self._core,
            is_reading=self._stream is None or not self._stream.is_paused,
            is_half_closed=self.has_eof,
            is_busy=self._task is not None,
        )
        if isinstance(late, LimitExceeded) and not self.is_closing:
            self._refuse(late)
            self._flush()
        elif late is not None and self._task is not None:
            self._task.cancel()
        if self._request is not None:
            self.progressed = True  # the client waits for us, or its content has deadlines
        super().sweep(now)

    def closed(self, fault: ConnectionFault | None) -> None:  # noqa: ARG002 - the log has it
        """Let nobody go on for a client that has gone."""
        if self._task is not None:
            self._task.cancel()
        gone = ClientDisconnected(f"{self.peer} disconnected before its response was complete")
        if self._stream is not None:
            self._stream.fail(gone)
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(gone)
        if self._request is not None and self._task is None:
            self.end_exchange(complete=False)

    @property
    def is_busy(self) -> bool:
        """Whether a handler works, or its response is being sent."""
        is_called = self._request is not None and self._core.request_state is not _BODY
        is_waiting = self._ready is not None or self in self.turns
        return is_called or is_waiting or self._task is not None or super().is_busy

    def unprocessed(self) -> int:
        """Return the number of bytes of heads and content that no handler has received yet."""
        size = self._core.held
        if self._ready is not None:
            size += len(self._ready.body)
        if self._route is not None:
            size += self._core.content_received
        if self._stream is not None:
            size += self._stream.size
        return size

    # From events to handlers.

    def work(self) -> None:
        """Answer the requests that have arrived, until this connection's slice is over."""
        request = self._ready
        if request is None:
            self._advance()
        else:
            self._ready = None
            self._is_advancing = True
            self._begin(request)
            self._is_advancing = False
            self._flush()
            if self._core.buffered:
                self._advance()
            elif self._held:
                self.account()
        if self._is_draining:
            self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self._request is None and self._ready is None and self not in self.turns:
            # Answered early, a client may still be sending.
            (self.finish if self._core.request_state is _BODY else self.close)()

    def _advance(self) -> None:
        """Walk through the events that the bytes so far make, then write what they brought."""
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
                    if self._stream is not None:
                        self._stream.feed(event.data)
                    elif self._route is not None:
                        self._body += event.data
                elif isinstance(event, Request):
                    self._begin(event)
                elif isinstance(event, ConnectionClosed):
                    if self._request is None:
                        self._flush()
                        self.close()
                    break
                elif isinstance(event, EndOfMessage):
                    self._end_content(event.trailers)
                can_wait = self._request is None or core.request_state is _BODY
                if can_wait and core.buffered and self.turns.slice_left() <= 0:
                    self.process_later()
                    break
        except RemoteProtocolError as error:
            self._refuse(error)
        finally:
            self._is_advancing = False
        self._flush()
        if self._held or core.request_state is _BODY or core.held:
            self.account()

    def _begin(self, request: Request) -> None:
        self.progressed = True
        self._request = request
        request.peer = self.peer
        if self._access_log is not None:
            self._started = time.monotonic()
        context = self._context = self.context.copy()
        try:
            found = context.run(self._router.resolve, request)
        except Exception as error:  # noqa: BLE001 - reported by _fault_response
            found = self._fault_response(error)
        if not isinstance(found, Route):
            self._answer_early(found)
            return
        own_limit = found.body_limit
        limit = self._http_limits.body if own_limit is None else own_limit
        try:
            if self._core.request_state is not _BODY:
                check_body_length(len(request.body), limit)
                if found.streaming:
                    request.stream_source = StreamedBody.whole(request.body)
                self._call(found, request)
                return
            self._core.limit_body(limit)
        except LimitExceeded as error:
            self._refuse(error)
            return
        self._route = found
        if request.expects_continue and request.length != 0 and not self._core.buffered:
            self._out.append(self._core.send(_CONTINUE))
        if found.streaming:
            self._flush()
            self._route = None
            self._stream = StreamedBody(
                self._http_limits.stream_buffer, self.pause_reading, self.resume_reading
            )
            request.stream_source = self._stream
            self._call(found, request)

    def _end_content(self, trailers: Headers) -> None:
        if self._stream is not None:
            self._stream.end(trailers)
            self._stream = None
        route, request = self._route, self._request
        if request is not None:
            request.trailers = trailers
        if route is None or request is None:
            return  # a handler has been called already, or it was only read to keep the connection
        if self._body:
            request.body = bytes(self._body)
            self._body = bytearray()
        self._route = None
        self._call(route, request)

    def _call(self, route: Route, request: Request) -> None:
        try:
            result: object = self._context.run(route.handler, request)
        except Exception as error:  # noqa: BLE001 - reported by _fault_response
            self.respond(self._fault_response(error))
            return
        if isinstance(result, Response):
            self.respond(result)
            return
        task = as_future(result, self._loop, self._context)
        if task is None:
            self.respond(self._fault_response(wrong_result(route, result)))
            return
        self._task, self._called = task, route
        if task.done():
            self._answered(task)
        else:
            self.turns.expect(len(request.body))
            task.add_done_callback(self._answered, context=self.context)

    def _answered(self, task: asyncio.Future[Any]) -> None:
        self._task = None
        if task.cancelled() and self.has_eof:
            self.abort()  # its client had its time; most likely it has gone
        if self.is_closing:
            self.end_exchange(complete=False)
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None and not isinstance(task.result(), Response):
            error = wrong_result(self._called, task.result())
        self.respond(task.result() if error is None else self._fault_response(error))

    def _fault_response(self, error: BaseException) -> Response:
        return fault_response(error, f"{self.peer}: {self._request!r}")

    def _answer_early(self, answer: object) -> None:
        """Answer before the content was read: read on and drop it, or give up the connection."""
        if self._request is not None and self._request.expects_continue:
            # Whether the content follows is the client's choice: nobody knows what comes next.
            self._core.keep_alive = False
        if not isinstance(answer, Response):
            answer = self._fault_response(wrong_result(None, answer))
        self.respond(answer)

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer what is not HTTP, or over a limit, and end the connection."""
        if self._stream is not None:
            is_limit = isinstance(error, LimitExceeded)
            self._stream.fail(error if is_limit else ClientDisconnected(str(error)))
            self._stream = None
        self._route = None
        self._core.keep_alive = False
        if self._core.response_state is _IDLE and self._task is None:
            self.respond(problem(error.status, detail=str(error), code=error.code))
        elif self._task is None:
            self.finish()

    def end_exchange(self, *, complete: bool) -> None:
        """Log the exchange and go on with the next, or end the connection."""
        request, core = self._request, self._core
        self._request = None
        if self._access_log is not None:
            entry = access_of(request, self._started, self.peer, self._status, self._sent, complete)
            self._context.run(tell, self._access_log, entry)
            self._sent = 0
        if not self._is_advancing and self.is_closing:
            return
        if not core.keep_alive:
            self._flush()
            if core.request_state is State.CLOSED and not core.buffered:
                self.close()
            else:
                self.finish()
            return
        if self._stream is not None:
            self._stream = None  # the handler left content unread: it is dropped
            self.resume_reading()
        if not self._is_advancing:
            self.process()
            self._resume_unless_full()

    def _resume_unless_full(self) -> None:
        # A turn reads many requests: by resuming behind each, a quick client could make us grow.
        waits = self._request is not None or self.is_writing_paused
        is_full = waits and self._core.buffered > self._http_limits.pipeline
        if self._core.request_state is _BODY:
            is_full = self._stream is not None and self._stream.is_paused
        if not is_full:
            self.resume_reading()
