"""What handlers return, and what a client is told when they fail."""

import asyncio
import contextvars
import inspect
import logging
import sys
from collections.abc import Awaitable
from typing import Any

from kakuri_http._errors import ClientDisconnected, RemoteProtocolError
from kakuri_http._problems import problem
from kakuri_http._response import Response
from kakuri_http._router import Route

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
