"""The content of a request as callers pass it: whole, or in pieces."""

import io
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

Body = bytes | bytearray | memoryview | AsyncIterable[bytes] | Iterable[bytes] | None
Content = bytes | AsyncIterable[bytes] | Iterable[bytes]


def content_of(body: Any, *, is_async: bool) -> Content:
    """Return content that can be sent: bytes, or an iterable of pieces.

    Args:
        body: bytes or anything bytes-like, an iterable of pieces, or None for no content.
        is_async: whether the client can send from an asynchronous iterable, too.

    Raises:
        TypeError: the body is of another type. Nothing is guessed: text has no encoding, and what
            can't be sent would otherwise be an empty content.

    """
    if isinstance(body, bytes):
        return body
    if body is None:
        return b""
    if not isinstance(body, str | Mapping | io.TextIOBase):
        try:
            return bytes(memoryview(body))
        except TypeError:
            pass  # not bytes-like
        if isinstance(body, list | tuple):
            for piece in body:
                piece_of(piece)
        if isinstance(body, Iterable) or (is_async and isinstance(body, AsyncIterable)):
            return body
    kinds = "an iterable or async iterable" if is_async else "an iterable"
    raise TypeError(f"expected bytes, or {kinds} of bytes as body, got {type(body).__name__}")


def piece_of(piece: Any) -> bytes:
    """Return a piece of content as bytes; raises TypeError if it is not bytes-like."""
    if isinstance(piece, bytes):
        return piece
    if not isinstance(piece, str):
        try:
            return bytes(memoryview(piece))
        except TypeError:
            pass
    raise TypeError(f"expected pieces of bytes as body, got a piece of {type(piece).__name__}")
