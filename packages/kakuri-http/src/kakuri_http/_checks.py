"""Checks of what callers pass, so that a wrong type is an error where it is passed."""

from typing import Any, TypeVar

T = TypeVar("T")


def checked(value: Any, expected: type[T], name: str) -> T:
    """Return a value that is of a type.

    Raises:
        TypeError: it is of another one; the message names both and the argument.

    """
    if not isinstance(value, expected):
        wanted = "text" if expected is str else expected.__name__
        raise TypeError(f"expected {wanted} as {name}, got {type(value).__name__}")
    return value


def check_seconds(value: Any, name: str, *, may_be_none: bool = False) -> None:
    """Raise TypeError unless a value is a number of seconds, ValueError if it is below 0."""
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        wanted = "seconds or None" if may_be_none else "seconds"
        raise TypeError(f"expected {wanted} as {name}, got {type(value).__name__}")
    if not value >= 0:
        raise ValueError(f"expected seconds from 0 on as {name}, got {value!r}")


def check_count(value: Any, name: str, *, least: int = 0) -> None:
    """Raise TypeError unless a value is an integer, ValueError if it is below `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected an integer as {name}, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"expected at least {least} as {name}, got {value}")
