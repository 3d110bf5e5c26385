"""Prints values of classes other than None, bool, int, float, str, list and dict."""

import datetime as dt
import enum
import sys
import uuid
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kakuri_json._encode.printer import float_text, integer_text, print_value
from kakuri_json._errors import EncodeError
from kakuri_json._limits import DEFAULT_LIMITS, Limits, exceeded
from kakuri_json._syntax.strings import quote
from kakuri_json._types.annotations import record_of
from kakuri_json._types.describe import path_text, shorten
from kakuri_json._types.formats import is_decimal, write_bytes, write_date_time, write_decimal
from kakuri_json._types.shapes import Field, Flags

__all__ = [
    "EXACT", "check_keys", "is_default", "key_text", "open_container", "path_text", "simple_text",
]  # fmt: skip
_LITERALS = {None: "null", True: "true", False: "false"}


def simple_text(
    value: Any, limits: Limits, number_text: Callable[[Any], str] | None = None
) -> str | None:
    """Return the text of a value that JSON represents as a scalar; None for a container."""
    if isinstance(value, enum.Enum):
        value = _flag_value(value) if isinstance(value, enum.Flag) else value._value_
        if value is None or value is True or value is False:
            return _LITERALS[value]
    text: str | None
    if isinstance(value, dt.datetime):
        text = write_date_time(value)
        if text is None:
            raise EncodeError(f"expected a date and time with offset, got {value!r}")
    elif isinstance(value, dt.date):
        text = dt.date.isoformat(value)
    elif is_decimal(value):
        text = write_decimal(value)
        if text is None:
            expected = "a finite number"
            if value.is_finite():
                expected = "a decimal number of at most 1000 digits and 6 in its exponent"
            raise EncodeError(f"expected {expected}, got {shorten(value)}")
    elif isinstance(value, (bytes, bytearray)):
        text = write_bytes(value)
    elif isinstance(value, uuid.UUID):
        text = uuid.UUID.__str__(value)
    elif isinstance(value, str):
        text = str.__str__(value)
    elif isinstance(value, int):
        number = int.__int__(value)  # methods of a subclass do not count
        return number_text(number) if number_text else integer_text(number, limits)
    elif isinstance(value, float):
        real = float.__float__(value)
        return number_text(real) if number_text else float_text(real, limits)
    else:
        return None
    return quote(text)


def _flag_value(flag: enum.Flag) -> Any:
    value = flag._value_
    if value & ~Flags(type(flag)).known:
        raise EncodeError(f"expected a combination of members, got {flag!r}")
    return value


def _sort_text(item: Any, limits: Limits) -> str | None:
    if item is None or item is True or item is False:
        return _LITERALS[item]
    return quote(item) if type(item) is str else simple_text(item, limits)


def open_container(
    value: Any, limits: Limits, sort_key: Callable[[str], Any] | None
) -> tuple[bool, Iterator[Any], int]:
    """Return the items of a value that contains others.

    Returns:
        Whether it is an object, its items (pairs for an object), and their number.

    Raises:
        EncodeError: JSON cannot represent the value.
        LimitError: An object has too many keys.
    """
    cls = type(value)
    is_record = cls is not tuple and hasattr(cls, "__dataclass_fields__")
    if cls is tuple or (isinstance(value, (list, tuple)) and not is_record):
        return False, iter(value), len(value)
    pairs: Any
    if is_record:
        pairs = _members(value)
    elif isinstance(value, abc.Mapping):
        pairs = [(key_text(key), item) for key, item in value.items()]
        check_keys([key for key, _ in pairs])
    elif isinstance(value, (frozenset, set)):
        # A set has no order, but the texts of simple items do, and it is the same in every process.
        texts = [(_sort_text(item, limits), item) for item in value]
        simple = [text for text, _ in texts if text is not None]
        if len({*simple}) != len(simple):
            raise EncodeError("expected every item once, got items with the same JSON form")
        if len(simple) == len(texts):
            texts.sort(key=lambda pair: pair[0] or "")
        return False, iter([item for _, item in texts]), len(value)
    else:
        raise EncodeError(
            f"expected a value with a JSON form, got {shorten(value)} ({type(value).__name__})"
        )
    if sort_key is not None:
        pairs.sort(key=lambda pair: sort_key(pair[0]))
    if len(pairs) > limits.max_keys:
        raise exceeded(limits, "max_keys")
    return True, iter(pairs), len(pairs)


def check_keys(keys: Iterable[Any]) -> None:
    """Raise EncodeError if two keys have the same JSON form."""
    texts = [key_text(key) for key in keys]
    if len(set(texts)) != len(texts):
        raise EncodeError("expected every key once, got keys with the same JSON form")


def key_text(key: Any) -> str:
    """Return the text of a key."""
    if type(key) is str:
        return key
    text = key._value_ if isinstance(key, enum.Enum) else key
    if isinstance(text, (dt.date, bytes, uuid.UUID)) or is_decimal(text):
        quoted = simple_text(text, DEFAULT_LIMITS)
        assert quoted is not None
        return quoted[1:-1]
    if not isinstance(text, str):
        raise EncodeError(f"expected a string as a key, got {shorten(key)}")
    return str.__str__(text)


def _members(value: Any) -> list[tuple[str, Any]]:
    record = record_of(type(value))
    pairs: list[tuple[str, Any]] = []
    if record.tag is not None:
        pairs.append((record.tag, record.tag_value))
    for item in record.fields:
        member = getattr(value, item.name)
        if not (item.omit_default and is_default(item, member)):
            pairs.append((item.json_name, member))
    return pairs


EXACT = (str, int, bool, bytes, type(None))
"""Classes whose equal values have the same JSON form."""


def is_default(item: Field, value: Any) -> bool:
    """Return whether a value is the same as a field's default, including its JSON form."""
    if item.default_factory is None and value is item.default:
        return True
    default = item.default if item.default_factory is None else item.default_factory()
    if type(value) is not type(default) or value != default:
        return False
    if type(value) in EXACT:
        return True
    # 0.0 equals -0.0, Decimal("1.0") equals Decimal("1.00"), a time equals itself in another zone,
    # …
    try:
        return _print(value) == _print(default)
    except EncodeError:
        return False


def _print(value: Any) -> str:
    return print_value(value, DEFAULT_LIMITS, lambda: sys.modules[__name__])
