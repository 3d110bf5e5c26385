"""Checks of arguments, so that a wrong type is reported where it is passed."""

import math
from typing import TypeVar

from kakuri_tcp import Endpoint

T = TypeVar("T")


def checked_or_default(value: T | None, expected: type[T], name: str) -> T:
    """Return an argument, or the default if it is None; raise TypeError for another type."""
    if value is None:
        return expected()
    if not isinstance(value, expected):
        raise TypeError(f"expected {expected.__name__} as {name}, got {value!r:.80}")
    return value


def check_count(value: object, name: str) -> None:
    """Raise TypeError unless an argument is an integer, and ValueError if it is negative."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
    if value < 0:
        raise ValueError(f"expected at least 0 as {name}, got {value!r:.80}")


def check_number(
    value: object, name: str, *, minimum: float = 0.0, maximum: float = math.inf
) -> None:
    """Raise TypeError unless an argument is a number, and ValueError if it is out of range."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected a number as {name}, got {value!r:.80}")
    check_float(value, f"a number as {name}")
    if not minimum <= value <= maximum:
        bounds = f"at least {minimum:g}" if maximum == math.inf else f"{minimum:g} to {maximum:g}"
        raise ValueError(f"expected {bounds} as {name}, got {value!r:.80}")


def check_float(number: float, expected: str) -> None:
    """Raise ValueError for an integer that is too large for a float, such as 10**400."""
    try:
        float(number)
    except OverflowError:
        raise ValueError(f"expected {expected}, got an integer too large for a float") from None


def parsed_endpoint(endpoint: Endpoint | str) -> Endpoint:
    """Parse an endpoint; raise TypeError for another type, EndpointError for invalid text."""
    if isinstance(endpoint, Endpoint):
        return endpoint
    if not isinstance(endpoint, str):
        raise TypeError(f"expected an endpoint, got {endpoint!r}")
    return Endpoint.parse(endpoint)
