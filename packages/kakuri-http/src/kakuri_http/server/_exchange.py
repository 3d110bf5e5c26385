"""One request and its response on a server's connection: handler, content, access log."""

import asyncio
import contextlib
import contextvars
import inspect
import logging
import reprlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from kakuri_http._body_stream import StreamedBody
from kakuri_http._errors import ClientDisconnected, LimitExceeded, RemoteProtocolError
from kakuri_http._messages import Request, Response
from kakuri_http.server._problems import problem
from kakuri_http.server._router import Route

log = logging.getLogger("kakuri_http")

_repr = reprlib.Repr()  # handles a `__repr__` that raises, but not every other failure
_repr.maxother = _repr.maxstring = 200

# From Python 3.12 on, a coroutine is only scheduled on the event loop if it suspends.
_EAGERLY: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class AccessEntry(NamedTuple):  # a server creates one for each request, so it has to be cheap
    """One exchange, as an access log receives it.

    Attributes:
        peer: Address of the client.
        method: As the client sent it; empty if the request could not be read. Escape it in logs.
        target: As the client sent it; empty if the request could not be read. Escape it in logs.
        status: Status of the response.
        sent: Bytes of content that were sent.
        seconds: Time from the arrival of the request's head until the response was ready to send;
            for a streamed response, until its last byte was passed to the transport.
        complete: Whether the whole response was sent or is ready to send.
        pattern: The pattern of the route, such as `/workloads/:id`; empty without a route.
        code: If no route matched, the code of the problem details, such as `not_found` or
            `uri_too_long`; empty if there is none.
    """

    peer: str
    method: str
    target: str
    status: int
    sent: int
    seconds: float
    complete: bool
    pattern: str = ""
    code: str = ""


# Takes a third less time than the generated constructor, which names each field.
_new_tuple = tuple.__new__

AccessLog = Callable[[AccessEntry], None]


class Exchange:
    """A request, from its head to the last byte of its response.

    Attributes:
        request: None if the input was not a valid request.
        context: The exchange's own copy of the context in which the server was started.
        route: The matching route.
        code: If no route matched, the code of the problem details.
        content: The content so far, while it is collected for the handler; there can be many small
            pieces.
        stream: The stream that feeds content to the handler of a streaming route.
        task: The task of the handler or of a streamed response, if either takes several turns.
        is_stopping: Whether the task must not be cancelled (again), because it was cancelled
            already, or is ending because the client disconnected.
        started: When the head arrived, by the monotonic clock.
        status: The status of the response.
        sent: Bytes of content that were sent.
    """

    __slots__ = (  # CPython 3.11 reads a slot much faster than the default of a class
        "code", "content", "context", "is_stopping", "request", "route", "sent", "started",
        "status", "stream", "task",
    )  # fmt: skip

    def __init__(self, request: Request | None, context: contextvars.Context) -> None:
        self.request = request
        self.context = context
        self.route: Route | None = None
        self.code: str | None = None
        self.content: bytearray | None = None
        self.stream: StreamedBody | None = None
        self.task: asyncio.Future[Any] | None = None
        self.is_stopping: bool = False
        self.started: float = 0.0
        self.status: int = 0
        self.sent: int = 0

    def cancel(self) -> None:
        """Cancel the task, once: another cancellation would interrupt its cleanup."""
        if self.task is not None and not self.is_stopping:
            self.is_stopping = True
            self.task.cancel()

    def drop_content(self, error: RemoteProtocolError) -> None:
        """Drop the content after an error.

        The reader of a stream gets LimitExceeded unchanged, and ClientDisconnected for any other
        error.
        """
        self.content = None
        if self.stream is not None:
            is_limit = isinstance(error, LimitExceeded)
            self.stream.fail(error if is_limit else ClientDisconnected(str(error)))
            self.stream = None

    def log(self, access_log: AccessLog, peer: str, *, complete: bool) -> None:
        """Report the exchange to an access log; exceptions of the access log are logged."""
        method = target = pattern = code = ""
        seconds = 0.0
        request, route = self.request, self.route
        if request is not None:
            method, target = request.method, request.target
            seconds = time.monotonic() - self.started
        if route is not None:
            pattern = route.pattern
        elif self.code is not None:
            code = self.code
        fields = (peer, method, target, self.status, self.sent, seconds, complete, pattern, code)
        entry = _new_tuple(AccessEntry, fields)
        try:
            self.context.run(access_log, entry)
        except Exception:
            log.exception("the access log failed for %r", entry)


def fault_response(
    error: BaseException, during: str, respond_to: Callable[[Exception], Response | None]
) -> Response:
    """Return the response to a request whose handler raised.

    Protocol errors, and errors that the router responds to, are described to the client. All others
    are logged with their traceback and become a plain 500.

    Args:
        error: What the handler raised.
        during: The client and the request, for the log.
        respond_to: Returns the router's response to an error, or None.
    """
    try:
        if isinstance(error, Exception) and (response := respond_to(error)) is not None:
            return response
    except Exception as second:
        response = _internal_error(error, during)
        if second is not error:
            _remove_from_chain(second, error)  # the log has its traceback already
            log.exception("the router failed to respond to %r", error)
        second.__traceback__ = None  # break the reference cycle: its frames refer to both errors
        return response
    if isinstance(error, RemoteProtocolError):
        return problem(error.status, detail=str(error), code=error.code)
    if isinstance(error, ClientDisconnected):
        return problem(400, detail="the content was cut off", code="bad_request")
    return _internal_error(error, during)


def _remove_from_chain(error: BaseException, removed: BaseException) -> None:
    """Remove an error from the chain of causes and contexts of another one."""
    seen: set[int] = set()  # causes can form a cycle
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if link.__cause__ is removed:
            link.__cause__ = None
        if link.__context__ is removed:
            link.__context__ = None
        link = link.__context__ if link.__cause__ is None else link.__cause__


def _internal_error(error: BaseException, during: str) -> Response:
    log.error("%s failed", during, exc_info=error)
    return problem(500, code="internal")


def as_future(
    result: object, loop: asyncio.AbstractEventLoop, context: contextvars.Context
) -> asyncio.Future[Any] | None:
    """Return a future for a handler's result, or None if it is not awaitable."""
    if hasattr(result, "add_done_callback") and hasattr(result, "__await__"):
        return result  # type: ignore[return-value]  # a future, or an object that acts like one
    if inspect.iscoroutine(result):
        return asyncio.Task(result, loop=loop, context=context, **_EAGERLY)
    if inspect.isawaitable(result):
        return loop.create_task(_wait_for(result), context=context)
    return None


async def _wait_for(result: Awaitable[Any]) -> object:
    return await result


def wrong_result(route: Route | None, result: object) -> TypeError:
    """Return the error for a handler, or a check, that did not return a response."""
    where = "a check" if route is None else f"the handler of {route.method} {route.pattern}"
    got = type(result).__name__
    with contextlib.suppress(Exception):  # such as of an integer with too many digits
        got += f": {_repr.repr(result)}"
    return TypeError(f"expected a Response from {where}, got {got}")
