"""Replies of line servers that are computed later."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Pending(NamedTuple):
    """A reply that is not ready, with the context of its line and the bytes it counts as."""

    future: asyncio.Future[Any]
    context: contextvars.Context
    size: int


async def wait_for(awaitable: Awaitable[Any]) -> object:
    """Return the result of an awaitable."""
    return await awaitable


def held_bytes(waiting: Sequence[bytes | Pending], total: int) -> int:
    """Return the bytes of replies that an earlier one holds back.

    Args:
        waiting: The replies of a connection that are not sent yet.
        total: The bytes that they count as. If the first one is not ready, it holds none yet.
    """
    first = waiting[0] if waiting else b""
    return total - first.size if isinstance(first, Pending) else total


def cancel_replies(waiting: Sequence[bytes | Pending]) -> None:
    """Cancel the handlers of the replies that are not ready."""
    for reply in waiting:
        if isinstance(reply, Pending):
            reply.future.cancel()
            reply.future.add_done_callback(_log_exception)


def _log_exception(cancelled: asyncio.Future[Any]) -> None:
    """Log the error of a cancelled handler that raised another exception; asyncio calls this."""
    error = None if cancelled.cancelled() else cancelled.exception()
    if error is not None:
        _log.error("a cancelled handler failed; its connection is closed", exc_info=error)
