"""What handlers return, and what a client is told when they fail."""

import asyncio
import inspect
import logging
import sys
from typing import Any

from kakuri_http._errors import ClientDisconnected, RemoteProtocolError
from kakuri_http._problems import problem
from kakuri_http._response import Response

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


def as_future(result: object, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any] | None:
    """Return what a handler's awaitable result will be; None for what can't be awaited."""
    if inspect.iscoroutine(result):
        return asyncio.Task(result, loop=loop, **_EAGERLY)
    return asyncio.ensure_future(result) if inspect.isawaitable(result) else None
