"""What handlers return, what clients receive when they fail, and the access log."""

import asyncio
import contextvars
import inspect
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kakuri_http._errors import ClientDisconnected, RemoteProtocolError
from kakuri_http._messages import Request, Response
from kakuri_http.server._problems import problem
from kakuri_http.server._router import Route


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One exchange, for an access log.

    `method` and `target` are empty where the request could not be read; they come from the peer:
    escape them in logs. `sent` counts bytes of content; `seconds` runs from the head's arrival to
    the handing over of the last byte. `complete` is False where the response was cut off.
    """

    peer: str
    method: str
    target: str
    status: int
    sent: int
    seconds: float
    complete: bool


def access_of(
    request: Request | None,
    started: float,
    peer: str,
    status: int,
    sent: int,
    complete: bool,  # noqa: FBT001 (fields in their order)
) -> AccessEntry:
    """Describe an exchange that has ended; `started` is its begin by the monotonic clock."""
    if request is None:
        return AccessEntry(peer, "", "", status, sent, 0.0, complete)
    seconds = time.monotonic() - started
    return AccessEntry(peer, request.method, request.target, status, sent, seconds, complete)


AccessLog = Callable[[AccessEntry], None]


def tell(access_log: AccessLog, entry: AccessEntry) -> None:
    """Call an access log; its failure harms no exchange."""
    try:
        access_log(entry)
    except Exception:
        logging.getLogger("kakuri_http").exception("expected %r to be logged, got an error", entry)


log = logging.getLogger("kakuri_http")


def fault_response(error: BaseException, during: str) -> Response:
    """Turn what a handler raised into an answer; the trace goes to the log and nowhere else."""
    if isinstance(error, RemoteProtocolError):
        return problem(error.status, detail=str(error), code=error.code)
    if isinstance(error, ClientDisconnected):
        return problem(400, detail="the content was cut off", code="bad_request")
    log.error("%s failed", during, exc_info=error)
    return problem(500, code="internal")


# From Python 3.12 on, only a coroutine that really waits enters the event loop.
_EAGERLY: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


def as_future(
    result: object, loop: asyncio.AbstractEventLoop, context: contextvars.Context
) -> asyncio.Future[Any] | None:
    """Return what a handler's awaitable result will be; None for what can't be awaited."""
    if inspect.iscoroutine(result):
        return asyncio.Task(result, loop=loop, context=context, **_EAGERLY)
    if asyncio.isfuture(result):
        return result
    if inspect.isawaitable(result):
        return loop.create_task(_wait_for(result), context=context)
    return None


async def _wait_for(result: Awaitable[Any]) -> object:
    return await result


def wrong_result(route: Route | None, result: object) -> TypeError:
    """Return the error for a handler that did not return a response."""
    where = "a check" if route is None else f"the handler of {route.method} {route.pattern}"
    return TypeError(
        f"expected a Response from {where}, got {type(result).__name__}: {result!r:.200}"
    )
