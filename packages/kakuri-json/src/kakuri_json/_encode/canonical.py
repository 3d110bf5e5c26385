"""The JSON Canonicalization Scheme (RFC 8785): one encoding per value, to sign or to compare."""

from typing import Any

from kakuri_json._encode import values
from kakuri_json._encode.printer import print_value
from kakuri_json._errors import EncodeError
from kakuri_json._limits import Limits, exceeded, limits_or_default
from kakuri_json._types.describe import shorten


def canonical(value: object, *, limits: Limits | None = None) -> bytes:
    """Return the canonical form of a value in UTF-8 (RFC 8785).

    Keys are sorted by their UTF-16 code units, and numbers are written as ECMAScript writes
    doubles, so that equal values have equal bytes.

    Args:
        value: The value, as for `encode`.
        limits: Bounds on the document; None for the defaults.

    Returns:
        The document.

    Raises:
        EncodeError: JSON cannot represent the value, or a double cannot hold an integer exactly.
        LimitError: The document would exceed one of the limits.
    """
    limits = limits_or_default(limits)
    max_digits = limits.max_digits

    def number_text(number: Any) -> str:
        text = ecmascript_number(number)
        if len(text) > max_digits:
            raise exceeded(limits, "max_digits")
        return text

    text = print_value(value, limits, lambda: values, sort_key=_utf16, number_text=number_text)
    data = text.encode()
    if len(data) > limits.max_length:
        raise exceeded(limits, "max_length")
    return data


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")  # lone surrogates are rejected later


def ecmascript_number(value: Any) -> str:
    """Return a number as ECMAScript writes it (RFC 8785 section 3.2.2.3)."""
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number != 0 or number != value:
        expected = "a number that a double holds exactly"
        raise EncodeError(f"expected {expected}, got {shorten(value)}")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = int(exponent or 0) + (len(whole) if whole != "0" else len(digits) - len(fraction))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
