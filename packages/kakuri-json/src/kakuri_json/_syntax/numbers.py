"""Reads numbers (RFC 8259 section 6)."""

import re
from typing import TYPE_CHECKING, Any, Final

from kakuri_json._limits import Limits, interpreter_limits
from kakuri_json._syntax.diagnosis import limit_error, syntax_error
from kakuri_json._syntax.scanning import COMPILED

if TYPE_CHECKING:
    from mypy_extensions import i64

_NUMBER: Final = re.compile(
    # The empty group only participates in the match if the number is not an integer.
    r"-?(?:0|[1-9][0-9]*+)(?:(?:\.[0-9]++(?:[eE][-+]?[0-9]++|)|[eE][-+]?[0-9]++)()|)"
).match

_MINUS: Final = 0x2D
_PLUS: Final = 0x2B
_POINT: Final = 0x2E
_ZERO: Final = 0x30
_NINE: Final = 0x39
MACHINE_DIGITS: Final = 18
"""Number of digits that always fit into 64 bits."""
_LOW_BITS: Final = 2**59 - 1
"""Mask applied before each further digit, so that an i64 can't overflow, which is undefined
behaviour in C. A number that loses bits has more than 18 digits, and is converted by Python.
"""
_EXPONENT_DIGITS: Final = 4
"""Maximum number of exponent digits that are read without converting text."""
_EXACT: Final = 2**53
"""All integers up to this one are exact as doubles."""
_POWERS: Final = [float(10**exponent) for exponent in range(23)]
"""The powers of ten that are exact as doubles."""
_SPLIT: Final = 134217729.0
"""Multiplying by this number splits a double into two halves whose products are exact."""


def skip_number(text: str, position: int) -> int:
    """Return the position after the number that begins here, or the same position if none does.

    The position is negative for a number with a fraction or an exponent. The caller has to check
    what follows: `01` ends after its zero.
    """
    token = _NUMBER(text, position)
    if token is None:
        return position
    return token.end() if token.lastindex is None else -token.end()


def read_number(text: str, start: "i64", max_digits: "i64", limits: Limits) -> tuple[Any, "i64"]:
    """Return the number that begins at a position, and the position after it.

    If no number begins there, the position is the same. The caller has to check what follows: `01`
    ends after its zero.

    Args:
        text: The document.
        start: Where the number begins.
        max_digits: The limit `max_digits`.
        limits: Bounds on the document.

    Raises:
        JSONSyntaxError: The number is beyond the range of a double.
        LimitError: The number has too many characters.
    """
    if COMPILED:
        return _read_digits(text, start, max_digits, limits)
    token = _NUMBER(text, start)
    if token is None:
        return None, start
    end: i64 = token.end()
    if end - start > max_digits:
        raise limit_error(text, start, limits, "max_digits")
    if token.lastindex is None:
        return _integer(text, start, end, limits), end
    return _float(text, start, end), end


def _read_digits(  # noqa: C901 - one pass over local variables is fastest
    text: str, start: "i64", max_digits: "i64", limits: Limits
) -> tuple[Any, "i64"]:
    """Do the same as `read_number`, digit by digit, which is only faster in compiled code.

    The result is the same when interpreted; tests compare both.
    """
    end: i64 = len(text)
    position: i64 = start
    is_negative = ord(text[position]) == _MINUS
    if is_negative:
        position += 1
    first: i64 = position
    number: i64 = 0
    code: i64 = ord(text[position]) if position < end else 0
    while _ZERO <= code <= _NINE:
        number = (number & _LOW_BITS) * 10 + (code - _ZERO)
        position += 1
        code = ord(text[position]) if position < end else 0
    digits: i64 = position - first
    if digits == 0:
        return None, start
    if digits > 1 and ord(text[first]) == _ZERO:
        return 0, first + 1

    # A fraction, and an exponent; each only if it has a digit.
    is_integer = True
    exponent: i64 = 0
    after: i64 = position
    if code == _POINT:
        after += 1
        code = ord(text[after]) if after < end else 0
        while _ZERO <= code <= _NINE:
            number = (number & _LOW_BITS) * 10 + (code - _ZERO)
            after += 1
            code = ord(text[after]) if after < end else 0
        exponent = position + 1 - after
        if exponent == 0:
            code = _POINT
        else:
            digits -= exponent
            position = after
            is_integer = False
    if code == 0x65 or code == 0x45:
        after = position + 1
        code = ord(text[after]) if after < end else 0
        has_minus = code == _MINUS
        if has_minus or code == _PLUS:
            after += 1
            code = ord(text[after]) if after < end else 0
        power: i64 = 0
        first = after
        while _ZERO <= code <= _NINE:
            power = (power & _LOW_BITS) * 10 + (code - _ZERO)
            after += 1
            code = ord(text[after]) if after < end else 0
        if after > first:
            position = after
            is_integer = False
            if after - first > _EXPONENT_DIGITS:
                digits = MACHINE_DIGITS + 1
            exponent += -power if has_minus else power

    if position - start > max_digits:
        raise limit_error(text, start, limits, "max_digits")
    if digits > MACHINE_DIGITS:
        if is_integer:
            return _integer(text, start, position, limits), position
        return _float(text, start, position), position
    if is_integer:
        return -number if is_negative else number, position
    real = _scale(number, exponent)
    if real < 0.0:
        return _float(text, start, position), position
    return -real if is_negative else real, position


def _scale(number: "i64", exponent: "i64") -> float:
    """Return the double nearest to a number times a power of ten; -1.0 if that is uncertain.

    If both operands are small enough to be exact doubles, a single operation rounds correctly
    (Clinger 1990). A longer number is the sum of two doubles: its quotient is computed to about 100
    bits, and the result is certain unless they are too close to the midpoint between two doubles.
    """
    if exponent < -22 or exponent > 22:
        return -1.0
    high = float(number)
    if number <= _EXACT:
        return high * _POWERS[exponent] if exponent >= 0 else high / _POWERS[-exponent]
    if exponent >= 0:
        return -1.0
    divisor = _POWERS[-exponent]
    low = float(number - int(high))
    quotient = high / divisor
    # The exact product is the sum of `product` and `error` (Dekker 1971).
    product = quotient * divisor
    part = quotient * _SPLIT
    quotient_high = part - (part - quotient)
    quotient_low = quotient - quotient_high
    part = divisor * _SPLIT
    divisor_high = part - (part - divisor)
    divisor_low = divisor - divisor_high
    error = (
        (quotient_high * divisor_high - product)
        + quotient_high * divisor_low
        + quotient_low * divisor_high
    ) + quotient_low * divisor_low
    correction = (high - product - error + low) / divisor
    margin = correction * 1e-14
    result = quotient + (correction - margin)
    return result if result == quotient + (correction + margin) else -1.0


def _integer(text: str, start: "i64", end: "i64", limits: Limits) -> int:
    try:
        return int(text[start:end])
    except ValueError:  # the interpreter allows fewer digits than the limit
        raise limit_error(text, start, interpreter_limits(limits), "max_digits") from None


def _float(text: str, start: "i64", end: "i64") -> float:
    number = float(text[start:end])
    if number - number != 0.0:
        raise syntax_error(
            text, start, "a number within the range of a double", text[start : min(end, start + 40)]
        )
    return number
