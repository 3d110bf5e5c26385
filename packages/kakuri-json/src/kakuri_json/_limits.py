"""Limits on the cost of a document, each with its reason."""

import sys
from collections.abc import Iterable
from typing import NamedTuple, Self

from kakuri_json._errors import NO_LOCATION, LimitError, Location


# Not a dataclass, because importing dataclasses would take longer than importing `loads` and
# `dumps`. A subclass checks the values, because a NamedTuple may not define `__new__` itself.
class _Fields(NamedTuple):
    max_depth: int
    max_digits: int
    max_length: int
    max_keys: int


class Limits(_Fields):
    """Bounds on a document, which apply to decoding and encoding.

    Attributes:
        max_depth: Levels of nested arrays and objects. Real documents stay below 50. The parser
            does not recurse and could go deeper, but programs that walk the result often recurse.
        max_digits: Characters of a number. Converting digits takes quadratic time. The default is
            that of CPython (CVE-2020-10735).
        max_length: Bytes of a document (characters of a str). Values can take twenty times the
            memory of their text; use IncrementalParser for longer documents.
        max_keys: Members of an object, because all keys are held to detect duplicates.

    Raises:
        TypeError: A limit is not an integer.
        ValueError: A limit is negative.
    """

    __slots__ = ()

    def __new__(
        cls,
        max_depth: int = 512,
        max_digits: int = 4300,
        max_length: int = 64 * 2**20,
        max_keys: int = 100_000,
    ) -> Self:
        """Create limits; unset ones have their default."""
        limits = super().__new__(cls, max_depth, max_digits, max_length, max_keys)
        for name, value in zip(cls._fields, limits, strict=True):
            check_count(value, name)
        return limits

    @classmethod
    def _make(cls, iterable: Iterable[int]) -> Self:  # type: ignore[override]  # `_replace` calls it
        return cls(*iterable)


def check_count(value: object, name: str) -> None:
    """Raise TypeError unless an argument is an integer, and ValueError if it is negative."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
    if value < 0:
        raise ValueError(f"expected at least 0 as {name}, got {value!r:.80}")


DEFAULT_LIMITS = Limits()

MAX_FAULTS = 100
"""Maximum number of faults in a ValidationError. The peer decides how many there are, and no reader
needs more."""

_UNITS = {
    "max_depth": "levels of nesting",
    "max_digits": "characters in a number",
    "max_length": "characters or bytes in a document",
    "max_keys": "keys in an object",
}


def limits_or_default(limits: Limits | None) -> Limits:
    """Return the limits that a caller chose, or the default ones.

    Raises:
        TypeError: The argument is neither Limits nor None.
    """
    if limits is None:
        return DEFAULT_LIMITS
    if not isinstance(limits, Limits):
        message = f"expected Limits as limits, got {limits!r:.80}"  # type: ignore[unreachable]
        raise TypeError(message)
    return limits


def exceeded(limits: Limits, name: str, location: Location = NO_LOCATION) -> LimitError:
    """Return the error for a document or value that exceeds a limit."""
    maximum = getattr(limits, name)
    message = f"expected at most {maximum} {_UNITS[name]}, got more"
    return LimitError(message, limit=name, maximum=maximum, location=location)


def interpreter_limits(limits: Limits) -> Limits:
    """Return limits with the number of digits that `sys.set_int_max_str_digits` allows."""
    return limits._replace(max_digits=sys.get_int_max_str_digits())
