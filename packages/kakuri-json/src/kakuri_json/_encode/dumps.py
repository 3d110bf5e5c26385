"""Values to documents."""

from typing import Any

from kakuri_json._encode.printer import print_value
from kakuri_json._limits import DEFAULT_LIMITS, Limits, exceeded
from kakuri_json._types.attributes import Encoder, cache_of


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
    Raises EncodeError for a value without JSON form, LimitError for one beyond the limits.
    """
    if indent is None and not sort_keys and limits is DEFAULT_LIMITS:
        return _compact(value)
    return print_value(
        value, limits, _load_values, indent=indent, sort_key=str if sort_keys else None
    )


def encode(value: object) -> bytes:
    """Print a value as a compact document in UTF-8.

    Raises EncodeError for a value without JSON form, LimitError for one beyond the limits.
    """
    data = _compact(value).encode()
    if len(data) > DEFAULT_LIMITS.max_length:
        raise exceeded(DEFAULT_LIMITS, "max_length")
    return data


def writer_of(cls: type[Any]) -> Encoder | None:
    """Return the function that prints instances of exactly this class; None if it has none."""
    if not hasattr(cls, "__dataclass_fields__"):
        return None
    cache = cache_of(cls)
    if cache.write is None:
        # Imported late: a program without dataclasses has no need of it.
        from kakuri_json._encode.compile_encoder import compile_writer  # noqa: PLC0415

        cache.write = compile_writer(cls)
        type.__setattr__(cls, "__kakuri_write__", cache.write)
    return cache.write


def _compact(value: object) -> str:
    """Print a value compactly, through its class's own writer if it has one."""
    cls = value.__class__
    if cls is not dict and cls is not list:
        try:
            text = cls.__kakuri_write__(value)  # type: ignore[attr-defined]  # see writer_of
        except (AttributeError, ValueError):  # the printer says which limit an integer exceeds
            text = None
        if text is None:
            text = _compact_first(value, cls)
        if text is not None and len(text) <= DEFAULT_LIMITS.max_length:
            result: str = text
            return result
    return print_value(value, DEFAULT_LIMITS, _load_values)


def _compact_first(value: object, cls: type[Any]) -> str | None:
    """Print a value if its class has no writer yet; what a base's writer says does not count."""
    if "__kakuri_write__" in cls.__dict__ and cache_of(cls).write is not None:
        return None
    write = writer_of(cls)
    try:
        return None if write is None else write(value)
    except ValueError:
        return None


def _load_values() -> Any:
    # Imported late: plain values need neither this module nor what it imports.
    from kakuri_json._encode import values  # noqa: PLC0415

    return values
