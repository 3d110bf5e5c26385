"""How values print that are not None, bool, int, float, str, list or dict themselves."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections import abc
from collections.abc import Callable, Iterator
from typing import Any

from kakuri_json._errors import UnprintableError
from kakuri_json._formats import write_bytes, write_date_time, write_decimal
from kakuri_json._limits import DEFAULT_LIMITS, Limits, exceeded
from kakuri_json._numbers import float_text, integer_text
from kakuri_json._reading import record_of
from kakuri_json._strings import quote
from kakuri_json._words import show

_WORDS = {None: "null", True: "true", False: "false"}


def simple_text(
    value: Any, limits: Limits, number_text: Callable[[Any], str] | None = None
) -> str | None:
    """Give the text of a value that prints as a string or number, or None for a container."""
    if isinstance(value, enum.Enum):
        value = value.value
        if value is None or value is True or value is False:
            return _WORDS[value]
    text: str | None
    if isinstance(value, dt.datetime):
        text = write_date_time(value)
        if text is None:
            raise UnprintableError(f"expected a date and time with offset, got {value!r}")
    elif isinstance(value, dt.date):
        text = value.isoformat()
    elif isinstance(value, decimal.Decimal):
        text = write_decimal(value)
        if text is None:
            raise UnprintableError(f"expected a finite number, got {value!r}")
    elif isinstance(value, (bytes, bytearray)):
        text = write_bytes(value)
    elif isinstance(value, uuid.UUID):
        text = str(value)
    elif isinstance(value, str):
        text = str.__str__(value)
    elif isinstance(value, int):
        return number_text(int(value)) if number_text else integer_text(int(value), limits)
    elif isinstance(value, float):
        return number_text(float(value)) if number_text else float_text(float(value))
    else:
        return None
    return quote(text)


def _sort_text(item: Any, limits: Limits) -> str | None:
    return item if type(item) is str else simple_text(item, limits)


def open_container(
    value: Any, limits: Limits, sort_key: Callable[[str], Any] | None
) -> tuple[bool, Iterator[Any], int]:
    """Open a value that holds others.

    Gives whether it is an object, its items (pairs for an object), and how many there are.
    """
    if isinstance(value, (list, tuple)):
        return False, iter(value), len(value)
    pairs: Any
    if isinstance(value, abc.Mapping):
        pairs = [(key_text(key), item) for key, item in value.items()]
        if len({key for key, _ in pairs}) != len(pairs):
            raise UnprintableError("expected every key once, got keys with the same spelling")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = _members(value)
    elif isinstance(value, (frozenset, set)):
        # A set has no order; the texts of simple items have, the same one in every process.
        texts = [(_sort_text(item, limits), item) for item in value]
        if all(text is not None for text, _ in texts):
            texts.sort(key=lambda pair: pair[0] or "")
        return False, iter([item for _, item in texts]), len(value)
    else:
        raise UnprintableError(
            f"expected a value with a JSON form, got {show(value)} ({type(value).__name__})"
        )
    if sort_key is not None:
        pairs.sort(key=lambda pair: sort_key(pair[0]))
    if len(pairs) > limits.max_keys:
        raise exceeded(limits, "max_keys")
    return True, iter(pairs), len(pairs)


def key_text(key: Any) -> str:
    """Give the text of a key."""
    if type(key) is str:
        return key
    text = key.value if isinstance(key, enum.Enum) else key
    if isinstance(text, (dt.date, decimal.Decimal, bytes, uuid.UUID)):
        quoted = simple_text(text, DEFAULT_LIMITS)
        assert quoted is not None
        return quoted[1:-1]
    if not isinstance(text, str):
        raise UnprintableError(f"expected text as a key, got {show(key)}")
    return str.__str__(text)


def _members(value: Any) -> list[tuple[str, Any]]:
    record = record_of(type(value))
    pairs: list[tuple[str, Any]] = []
    if record.tag is not None:
        pairs.append((record.tag, record.tag_value))
    for item in record.fields:
        one = getattr(value, item.name)
        if item.omit_default and not item.required:
            default = item.default if item.default_factory is None else item.default_factory()
            if type(one) is type(default) and one == default:
                continue
        pairs.append((item.json_name, one))
    return pairs
