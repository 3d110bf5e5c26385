"""Reads and checks many strings in a batch.

A document can have tens of thousands of strings of a few characters each. A call for each of them
would cost more than processing their characters, so they are joined, processed as one string, and
split.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from kakuri_json._syntax.strings import unescape_all
from kakuri_json._types.shapes import Constrained, Constraint, Shape

ReadTexts: TypeAlias = Callable[[list[Any]], list[Any] | None]
"""Reads the bodies of strings, or of pairs of strings; returns None if one is rejected."""


def reader_of_strings(item: Shape, *, escaped: bool) -> ReadTexts:
    """Return a function that reads strings of a shape from their bodies, the text in quotes."""
    are_valid = _shape_check(item)

    def read(texts: list[Any]) -> list[Any] | None:
        if escaped:
            try:
                texts = unescape_all(texts)  # type: ignore[assignment]  # a list remains one
            except ValueError:
                return None
        return texts if are_valid(texts) else None

    return read


def reader_of_pairs(key: Shape, value: Shape, *, escaped: bool) -> ReadTexts:
    """Return a function that reads members from the bodies of their keys and values."""
    are_valid_keys, are_valid_values = _shape_check(key), _shape_check(value)

    def read(pairs: list[Any]) -> list[Any] | None:
        keys: Sequence[str]
        values: Sequence[str]
        keys, values = zip(*pairs, strict=True)
        if escaped:
            try:
                plain = keys, values
                keys, values = unescape_all(keys), unescape_all(values)
            except ValueError:
                return None
            if keys is not plain[0] or values is not plain[1]:
                pairs = list(zip(keys, values, strict=True))
        return pairs if are_valid_keys(keys) and are_valid_values(values) else None

    return read


def read_accepted(found: list[Any], read: ReadTexts) -> list[Any]:
    """Read everything before the first rejected string or pair; there must be one.

    Each step halves the range, so all steps together read the batch about once more.
    """
    good: list[Any] = []
    low, high = 0, len(found)  # all before `low` are good; one from there to `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        values = read(found[low:middle])
        if values is None:
            high = middle
        else:
            good += values
            low = middle
    return good


def _shape_check(shape: Shape) -> Callable[[Sequence[str]], bool]:
    """Return a function that checks whether all strings meet a shape's constraints."""
    constraints = shape.constraints if isinstance(shape, Constrained) else ()
    checks = [_constraint_check(constraint) for constraint in constraints]
    return lambda texts: all(check(texts) for check in checks)


def _constraint_check(constraint: Constraint) -> Callable[[Sequence[str]], bool]:
    """Return a function that checks whether all strings meet a constraint."""
    holds: Callable[[str], object] = constraint.holds
    low, high = constraint.min_length, constraint.max_length
    compared = (constraint.ge, constraint.gt, constraint.le, constraint.lt)
    is_simple = constraint.pattern is not None or not constraint.of_text
    if any(compared) or not is_simple or (constraint.pattern, low, high) == (None, None, None):
        return lambda texts: all(map(holds, texts))
    matches = None if constraint.pattern is None else re.compile(constraint.pattern).fullmatch

    def check(texts: Sequence[str]) -> bool:
        return (
            (low is None or min(map(len, texts)) >= low)
            and (high is None or max(map(len, texts)) <= high)
            and (matches is None or all(map(matches, texts)))
        )

    return check
