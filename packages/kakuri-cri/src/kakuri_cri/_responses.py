"""Decodes response messages."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kakuri_protobuf import AsyncCodec, DecodeError, Method

from kakuri_cri._errors import CallTimeout, CallUnanswered, printable

T = TypeVar("T")


def name_of(method: Method[Any, Any]) -> str:
    """Return the name of a call, without its service."""
    return method.path.rpartition("/")[2]


async def read_response(
    codec: AsyncCodec, method: Method[Any, T], data: bytes, deadline: float = math.inf
) -> T:
    """Decode a response without holding the event loop for long.

    Args:
        codec: Decodes large responses in its thread.
        method: The method that was called.
        data: The encoded response.
        deadline: When to give up, by the event loop's clock.

    Raises:
        CallTimeout: The deadline passed before a large response was decoded.
        CallUnanswered: The response is not a valid message of the method's type.
    """
    return await _decoded(codec, method, data, method.response, deadline)


async def read_items(
    codec: AsyncCodec,
    method: Method[Any, Any],
    items: Sequence[bytes],
    cls: type[T],
    visit: Callable[[T], None],
) -> None:
    """Decode the items of a response one by one, and pass each to a function.

    Raises:
        CallUnanswered: An item is not a valid message.
    """
    size = 0
    for item in items:
        size += len(item)
        if size > codec.LARGE_MESSAGE:
            size = 0
            await asyncio.sleep(0)
        visit(await _decoded(codec, method, item, cls))


async def _decoded(
    codec: AsyncCodec,
    method: Method[Any, Any],
    data: bytes,
    cls: type[T],
    deadline: float = math.inf,
) -> T:
    try:
        return await codec.decode(data, cls, deadline=deadline)
    except TimeoutError:
        text = "the deadline passed before the response was decoded"
        raise CallTimeout(name_of(method), text, "DEADLINE_EXCEEDED") from None
    except DecodeError as error:
        text = printable(f"the response is not a valid {cls.__name__}: {error}")
        raise CallUnanswered(name_of(method), text, "INTERNAL") from error
