"""Decoding answers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kakuri_protobuf import DecodeError, Method, decode

from kakuri_cri._errors import CallUnanswered, printable

_LARGE = 1 << 17
"""Size in bytes from which an answer is decoded in a thread, because 16 MiB take up to ten seconds,
which would block the event loop. Smaller answers, such as a list of 200 containers, take a few
milliseconds."""

A = TypeVar("A")


def name_of(method: Method[Any, Any]) -> str:
    """Return the name of a call, without its service."""
    return method.path.rpartition("/")[2]


async def read_answer(method: Method[Any, A], data: bytes) -> A:
    """Decode the message of an answer without blocking the event loop for long.

    Raises:
        CallUnanswered: The answer is not a valid message of the method's type.
    """
    if len(data) > _LARGE:
        return await asyncio.to_thread(_decoded, method, data)
    return _decoded(method, data)


async def read_items(
    method: Method[Any, Any], items: Sequence[bytes], kind: type[A], visit: Callable[[A], None]
) -> None:
    """Decode the items of an answer and pass each to a function; in a thread if there are many.

    Raises:
        CallUnanswered: An item is not a valid message.
    """

    def visit_all() -> None:
        for item in items:
            visit(_message(method, item, kind))

    if sum(map(len, items)) > _LARGE:
        await asyncio.to_thread(visit_all)
    else:
        visit_all()


def _decoded(method: Method[Any, A], data: bytes) -> A:
    return _message(method, data, method.response)


def _message(method: Method[Any, Any], data: bytes, kind: type[A]) -> A:
    try:
        return decode(data, type=kind)
    except DecodeError as error:
        message = printable(f"the answer is not a valid {kind.__name__}: {error}")
        raise CallUnanswered(name_of(method), message, "INTERNAL") from error
