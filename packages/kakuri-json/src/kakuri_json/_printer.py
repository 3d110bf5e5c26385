"""The general printer: any value to text, without recursion."""

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections import abc
from collections.abc import Iterator
from typing import Any

from kakuri_json._errors import LimitError, UnprintableError
from kakuri_json._formats import write_bytes, write_date_time, write_decimal
from kakuri_json._limits import Limits
from kakuri_json._reading import record_of
from kakuri_json._strings import quote
from kakuri_json._words import show

_CLOSING = {"[": "]", "{": "}"}


def print_value(value: Any, limits: Limits, *, indent: int | None, sort_keys: bool) -> str:
    """Give the text of a value.

    Raises UnprintableError for what JSON has no spelling for, LimitError for what the parser
    would refuse with the same limits.
    """
    parts: list[str] = []
    write = parts.append
    # Each open container: its value, an iterator over the rest of it, its closing bracket.
    stack: list[tuple[Any, Iterator[Any], str]] = []
    comma, colon = ",", ":" if indent is None else ": "
    newline = "" if indent is None else "\n"
    step = " " * (indent or 0)
    while True:
        simple = _simple(value, limits)
        if simple is not None:
            write(simple)
        else:
            opening, items, count = _container(value, limits, sort_keys=sort_keys)
            if len(stack) >= limits.max_depth:
                raise _too_deep(value, [entry[0] for entry in stack], limits)
            write(opening)
            if count:
                stack.append((value, items, _CLOSING[opening]))
                if indent is not None:
                    write(newline + step * len(stack))
                value = _next_value(items, opening, colon, write)
                continue
            write(_CLOSING[opening])
        while stack:
            _, items, closing = stack[-1]
            try:
                value = _next_value(
                    items,
                    "{" if closing == "}" else "[",
                    colon,
                    write,
                    comma + newline + step * len(stack),
                )
            except StopIteration:
                stack.pop()
                if indent is not None:
                    write(newline + step * len(stack))
                write(closing)
            else:
                break
        else:
            return "".join(parts)


def _next_value(
    items: Iterator[Any], opening: str, colon: str, write: Any, before: str = ""
) -> Any:
    item = next(items)
    if before:
        write(before)
    if opening == "[":
        return item
    write(quote(item[0]) + colon)
    return item[1]


def _simple(value: Any, limits: Limits) -> str | None:
    """Give the text of a value that holds no others, or None for one that may."""
    kind = type(value)
    if kind is str:
        return quote(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return _integer(value, limits)
    if kind is float:
        return _float(value)
    if kind in (dict, list, tuple):
        return None
    return _special(value, limits)


def _integer(value: int, limits: Limits) -> str:
    # A digit takes more than 3.3 bits: too many bits need no conversion to be refused.
    if value.bit_length() <= limits.max_digits * 10 // 3:
        try:
            text = int.__repr__(value)
        except ValueError:  # more digits than the interpreter converts
            text = ""
        if text and len(text) <= limits.max_digits:
            return text
    raise LimitError(
        f"expected at most {limits.max_digits} characters in a number, got more",
        limit="max_digits",
        maximum=limits.max_digits,
    )


def _float(value: float) -> str:
    if value - value != 0:
        raise UnprintableError(f"expected a finite number, got {value!r}")
    return float.__repr__(value)


def _special(value: Any, limits: Limits) -> str | None:
    if isinstance(value, enum.Enum):
        return _simple(value.value, limits)
    text: str | None
    if isinstance(value, datetime.datetime):
        text = write_date_time(value)
        if text is None:
            raise UnprintableError(f"expected a date and time with offset, got {value!r}")
    elif isinstance(value, datetime.date):
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
        return _integer(int(value), limits)
    elif isinstance(value, float):
        return _float(float(value))
    else:
        return None
    return quote(text)


def _container(value: Any, limits: Limits, *, sort_keys: bool) -> tuple[str, Iterator[Any], int]:
    if isinstance(value, (list, tuple)):
        return "[", iter(value), len(value)
    pairs: Any
    if isinstance(value, abc.Mapping):
        pairs = [(_key(key), item) for key, item in value.items()]
        if len({key for key, _ in pairs}) != len(pairs):
            raise UnprintableError("expected every key once, got keys with the same spelling")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = _members(value)
    elif isinstance(value, (frozenset, set)):
        # Sets have no order; their texts have, and it is the same in every process.
        printed = {
            print_value(item, limits, indent=None, sort_keys=sort_keys): item for item in value
        }
        return "[", iter([printed[text] for text in sorted(printed)]), len(printed)
    else:
        raise UnprintableError(
            f"expected a value with a JSON form, got {show(value)} ({type(value).__name__})"
        )
    if sort_keys:
        pairs.sort(key=lambda pair: pair[0])
    if len(pairs) > limits.max_keys:
        raise LimitError(
            f"expected at most {limits.max_keys} keys in an object, got {len(pairs)}",
            limit="max_keys",
            maximum=limits.max_keys,
        )
    return "{", iter(pairs), len(pairs)


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    text = key.value if isinstance(key, enum.Enum) else key
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


def _too_deep(value: Any, open_values: list[Any], limits: Limits) -> LimitError | UnprintableError:
    if any(value is other for other in open_values):
        return UnprintableError(
            f"expected a value without cycles, got {type(value).__name__} inside itself"
        )
    return LimitError(
        f"expected at most {limits.max_depth} levels of nesting, got more",
        limit="max_depth",
        maximum=limits.max_depth,
    )
