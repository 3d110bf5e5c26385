"""Replies of line servers that are computed later."""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kakuri_tcp._errors import HandlerFailed, shown

_log = logging.getLogger("kakuri_tcp")


@dataclass(frozen=True, slots=True)
class LargeReply:
    """An awaitable of a reply that may be large, for a line server's handler to return.

    Until the reply is sent, it counts as `size` bytes that the connection holds. While a connection
    holds as much as `ServerLimits.write_buffer`, its next request is not handled, so a peer that
    sends a thousand requests for large replies has only a few of them in memory.

    Attributes:
        awaitable: Computes the reply.
        size: How many bytes it counts as until it is sent.
    """

    awaitable: Awaitable[Any]
    size: int

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.awaitable.__await__()


Pending: TypeAlias = tuple[asyncio.Future[Any], contextvars.Context, int]
"""A reply that is not ready, with the context of its line and the bytes it counts as."""


def start(
    awaitable: object, context: contextvars.Context, loop: asyncio.AbstractEventLoop
) -> asyncio.Future[Any]:
    """Start a task. From Python 3.12 on, a coroutine that never suspends is done at once."""
    if not isinstance(awaitable, Awaitable):
        raise HandlerFailed(f"expected bytes or an awaitable as reply, got {shown(awaitable)}")
    coroutine = awaitable if isinstance(awaitable, Coroutine) else _wait_for(awaitable)
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
    return loop.create_task(coroutine, context=context)


async def _wait_for(awaitable: Awaitable[Any]) -> object:
    return await awaitable


def encoded_result(
    future: asyncio.Future[Any],
    context: contextvars.Context,
    encode: Callable[[asyncio.Future[Any]], bytes],
) -> bytes:
    """Return the reply that is the result of a future."""
    try:
        # In a copy, because the current code may already run in this context.
        reply = context.copy().run(encode, future)
    except (Exception, asyncio.CancelledError) as error:
        raise HandlerFailed(f"{shown(future)} failed: {shown(error)}") from error
    if not isinstance(reply, bytes):
        raise HandlerFailed(f"expected bytes from {shown(future)}, got {shown(reply)}")
    return reply


def cancel_replies(waiting: Sequence[bytes | Pending]) -> None:
    """Cancel the handlers of the replies that are not ready."""
    for reply in waiting:
        if not isinstance(reply, bytes):
            future, _context, _size = reply
            future.cancel()
            future.add_done_callback(_log_exception)


def _log_exception(cancelled: asyncio.Future[Any]) -> None:
    """Log the error of a cancelled handler that raised another exception; asyncio calls this."""
    error = None if cancelled.cancelled() else cancelled.exception()
    if error is not None:
        _log.error("a cancelled handler failed; its connection is closed", exc_info=error)
