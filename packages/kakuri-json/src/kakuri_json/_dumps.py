"""Values to documents."""

from collections.abc import Callable
from typing import Any, TypeAlias

from kakuri_json._limits import DEFAULT_LIMITS, Limits
from kakuri_json._printer import print_value

Writer: TypeAlias = Callable[[Any], str | None]


def dumps(
    value: object,
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Print a value as a document: JSON values, dataclasses, enums, and whatever decode can make.

    indent: spaces for each level; None prints no white space at all.
    sort_keys: order keys by their characters.
    Raises UnprintableError for a value without JSON form, LimitError for one beyond the limits.
    """
    if indent is None and not sort_keys and limits is DEFAULT_LIMITS:
        return _compact(value)
    return print_value(value, limits, indent=indent, sort_key=str if sort_keys else None)


def encode(value: object) -> bytes:
    """Print a value as a compact document in UTF-8.

    Raises UnprintableError for a value without JSON form, LimitError for one beyond the limits.
    """
    return _compact(value).encode()


writers: dict[type[Any], Writer | None] = {}


def _find_writer(cls: type[Any]) -> Writer | None:
    if not hasattr(cls, "__dataclass_fields__"):
        return None
    # Imported late: a program without dataclasses has no need of it.
    from kakuri_json._writers import writer_of  # noqa: PLC0415

    return writer_of(cls)


def _compact(value: object) -> str:
    """Print a value compactly, through its class's own writer if it has one."""
    cls = value.__class__
    try:
        write = writers[cls]
    except KeyError:
        write = writers[cls] = _find_writer(cls)
    if write is not None:
        try:
            text = write(value)
        except ValueError:  # the printer says which limit the integer exceeds
            text = None
        if text is not None and len(text) <= DEFAULT_LIMITS.max_length:
            return text
    return print_value(value, DEFAULT_LIMITS)
