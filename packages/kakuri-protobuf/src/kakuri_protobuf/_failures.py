"""Errors of the generated decoders, with their location in the message."""

from typing import Any

from kakuri_protobuf._errors import DecodeError, LimitError
from kakuri_protobuf._fields import Field


def too_deep() -> LimitError:
    return LimitError("expected messages to nest less deeply", limit="depth")


def too_many() -> LimitError:
    return LimitError("expected fewer elements", limit="elements")


def no_end(tag: int) -> DecodeError:
    return DecodeError(f"expected the end of group {tag >> 3}")


def failure(
    error: Exception, fields: dict[int, Field], tag: int, p: int, lists: dict[int, Any]
) -> DecodeError:
    """Convert an exception to a DecodeError with the field in its path and the position.

    An error from a nested message already has a position; the field is prepended to its path.
    """
    number = tag >> 3
    name = ""
    if tag:
        name = fields[number].name if number in fields else str(number)
    if number in lists:
        name += f"[{len(lists[number])}]"
    if isinstance(error, DecodeError):
        path = f"{name}.{error.path}" if name and error.path else name or error.path
        return error.placed(path, p if error.position < 0 else error.position)
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return DecodeError(f"expected UTF-8, got byte {byte:#04x}", name, p + error.start)
    return DecodeError("expected the rest of the field, got the end of the message", name, p)
