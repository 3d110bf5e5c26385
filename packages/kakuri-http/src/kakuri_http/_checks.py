"""Checks of arguments, so that a wrong type is an error where it is passed."""

from typing import Any, TypeVar

T = TypeVar("T")


def checked(value: Any, expected: type[T], name: str) -> T:
    """Return a value of the expected type.

    Raises:
        TypeError: It is of another type; the message names both and the argument.
    """
    if not isinstance(value, expected):
        shown = "text" if expected is str else expected.__name__
        raise TypeError(f"expected {shown} as {name}, got {type(value).__name__}")
    return value


def checked_or_default(value: Any, expected: type[T], name: str) -> T:
    """Return a value of the expected type, or for None a new one, made without arguments."""
    return expected() if value is None else checked(value, expected, name)


def check_seconds(value: Any, name: str, *, may_be_none: bool = False) -> None:
    """Raise TypeError unless a value is a number of seconds, ValueError if it is negative."""
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = "seconds or None" if may_be_none else "seconds"
        raise TypeError(f"expected {shown} as {name}, got {type(value).__name__}")
    if not value >= 0:
        raise ValueError(f"expected at least 0 seconds as {name}, got {value!r}")


def check_count(value: Any, name: str, *, least: int = 0) -> None:
    """Raise TypeError unless a value is an integer, ValueError if it is less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected an integer as {name}, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"expected at least {least} as {name}, got {value}")
