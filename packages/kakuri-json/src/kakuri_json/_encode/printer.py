"""The general printer: converts any value to text, without recursion.

Each open container is an iterator over its remaining items, so depth costs memory instead of stack.
The code is interpreted, or compiled to C by mypyc.
"""

from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any, Final

from kakuri_json._errors import EncodeError, JSONError
from kakuri_json._limits import Limits, exceeded, interpreter_limits
from kakuri_json._syntax.strings import only_strings, quote, quote_all

_LARGE: Final = 10**18
"""Integers below this bound have fewer digits than most limits allow."""
_MANY: Final = 16
"""Length of a list from which checking the types of all items together is faster."""
_MAX_NAMES: Final = 1000
"""Maximum number of keys whose text is cached: keys are often repeated, but must not fill
memory."""


def print_value(  # noqa: C901 - one loop over local variables is fastest
    value: Any,
    limits: Limits,
    load_values: Callable[[], Any],
    *,
    indent: int | None = None,
    sort_key: Callable[[str], Any] | None = None,
    number_text: Callable[[Any], str] | None = None,
) -> str:
    """Return the text of a value.

    Args:
        value: None, bool, int, float, str, list, dict, or what `load_values` can print.
        limits: Bounds on the text, the same as those of the parser.
        load_values: Returns the module `values`, which prints all other classes. It is loaded on
            first use, because plain values need neither it nor its imports.
        indent: Spaces for each level; None for no white space at all.
        sort_key: The key function to sort the keys of objects; None keeps their order.
        number_text: Returns the text of a number; None for Python's default.

    Raises:
        EncodeError: JSON cannot represent the value.
        LimitError: The parser would reject the text with the same limits.
    """
    parts: list[str] = []
    names: dict[str, str] = {}
    checked: Any = None
    colon = ":" if indent is None else ": "
    # The containers around the current one: their remaining items, and for objects the current
    # (key, value) pair; None for arrays.
    outer: list[Iterator[Any]] = []
    outer_entries: list[Any] = []
    values: list[Any] = []
    items: Iterator[Any] = iter((value,))
    in_object = False
    prefix = ""
    separator = ""
    max_digits = limits.max_digits
    try:
        while True:
            for entry in items:
                if in_object:
                    key, item = entry
                    if type(key) is str:
                        name = names.get(key)
                        if name is None:
                            name = quote(key) + colon
                            if len(names) < _MAX_NAMES:
                                names[key] = name
                    else:
                        # Different keys can have the same text.
                        if checked is not values[-1]:
                            checked = values[-1]
                            load_values().check_keys(checked)
                        name = quote(load_values().key_text(key)) + colon
                    parts.append(prefix + name)
                else:
                    item = entry
                    if prefix:
                        parts.append(prefix)
                prefix = separator
                kind = type(item)
                if kind is str:
                    parts.append(quote(item))
                elif number_text is not None and (kind is int or kind is float):
                    parts.append(number_text(item))
                elif kind is int:
                    if -_LARGE < item < _LARGE and max_digits > 18:
                        parts.append(str(item))
                    else:
                        parts.append(integer_text(item, limits))
                elif kind is float:
                    parts.append(float_text(item, limits))
                elif item is None:
                    parts.append("null")
                elif item is True:
                    parts.append("true")
                elif item is False:
                    parts.append("false")
                else:
                    if kind is not dict and kind is not list:
                        text = load_values().simple_text(item, limits, number_text)
                        if text is not None:
                            parts.append(text)
                            continue
                    if len(outer) >= limits.max_depth:
                        raise _too_deep(item, values, limits)
                    # Most large lists are lists of strings.
                    is_array = kind is list or kind is tuple
                    if is_array and indent is None and len(item) >= _MANY and only_strings(item):
                        try:
                            parts.append(f"[{quote_all(item)}]")
                            continue
                        except EncodeError:
                            pass  # printed one by one, to report which of them it is
                    if kind is list:
                        opened = (False, iter(item), len(item))
                    elif kind is dict and sort_key is None and len(item) <= limits.max_keys:
                        opened = (True, iter(item.items()), len(item))
                    else:
                        opened = load_values().open_container(item, limits, sort_key)
                    outer.append(items)
                    outer_entries.append(entry if in_object else None)
                    values.append(item)
                    in_object, items, count = opened
                    parts.append("{" if in_object else "[")
                    prefix = ""
                    separator = ","
                    if indent is not None:
                        prefix = "" if count == 0 else "\n" + " " * (indent * len(outer))
                        separator = ",\n" + " " * (indent * len(outer))
                    break
            else:
                if not outer:
                    return _joined(parts, limits)
                if indent is not None and prefix == separator:
                    parts.append("\n" + " " * (indent * (len(outer) - 1)))
                parts.append("}" if in_object else "]")
                items = outer.pop()
                in_object = outer_entries.pop() is not None
                values.pop()
                separator = "," if outer else ""
                if indent is not None and outer:
                    separator = ",\n" + " " * (indent * len(outer))
                prefix = separator
    except EncodeError as error:
        steps = _steps(values, [*outer, items], [*outer_entries, entry if in_object else None])
        raise EncodeError(f"{load_values().path_text(steps)}: {error}") from None


def _steps(values: list[Any], remaining: list[Iterator[Any]], entries: list[Any]) -> list[Any]:
    """Return the keys and indexes from the root to the item that is being printed.

    Args:
        values: The open containers.
        remaining: The root's iterator, and for each open container that of its remaining items.
        entries: For each iterator the current key and value of an object; None for an array.
    """
    steps: list[Any] = []
    for depth, value in enumerate(values):
        if any(value is other for other in values[:depth]):
            break  # a cycle ends where it begins again
        entry = entries[depth + 1]
        index = len(value) - length_hint(remaining[depth + 1]) - 1 if entry is None else entry[0]
        steps.append(index)
    return steps


def _joined(parts: list[str], limits: Limits) -> str:
    text = "".join(parts)
    if len(text) <= limits.max_length:
        return text
    raise exceeded(limits, "max_length")


def _too_deep(value: Any, around: list[Any], limits: Limits) -> JSONError:
    if any(value is other for other in around):
        kind = type(value).__name__
        return EncodeError(f"expected a value without cycles, got {kind} inside itself")
    return exceeded(limits, "max_depth")


def integer_text(value: int, limits: Limits) -> str:
    """Return the text of an integer of any size."""
    # n digits take less than 10 n / 3 + 1 bits; larger integers are rejected without converting
    # them.
    if value.bit_length() <= limits.max_digits * 10 // 3 + 1:
        try:
            text = int.__repr__(value)
        except ValueError:  # more digits than the interpreter converts
            raise exceeded(interpreter_limits(limits), "max_digits") from None
        if len(text) <= limits.max_digits:
            return text
    raise exceeded(limits, "max_digits")


def float_text(value: float, limits: Limits) -> str:
    """Return the shortest text that is parsed as the same number."""
    if value - value != 0:
        raise EncodeError(f"expected a finite number, got {value!r}")
    text = float.__repr__(value)
    if len(text) > limits.max_digits:
        raise exceeded(limits, "max_digits")
    return text
