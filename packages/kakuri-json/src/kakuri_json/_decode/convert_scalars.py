"""Converts scalars (numbers, strings, enums) and checks constraints on values."""

from collections.abc import Callable
from typing import Any, TypeAlias

from kakuri_json._decode.conversion import INVALID, Conversion, LocatedFault, Path
from kakuri_json._types.describe import describe, shorten
from kakuri_json._types.formats import READERS, is_leap_second, native_class
from kakuri_json._types.shapes import (
    Anything,
    Choice,
    Constrained,
    Constraint,
    Flags,
    Scalar,
    Shape,
    Text,
)


def _anything(
    conversion: Conversion, _shape: Anything, value: Any, _path: Path, _start: int | None
) -> Any:
    return conversion.cursor.whole(value)


def _scalar(
    conversion: Conversion, shape: Scalar, value: Any, path: Path, start: int | None
) -> Any:
    kind = type(value)
    if kind is _KINDS[shape.kind]:
        return value
    if shape.kind == "number" and kind is int:
        try:
            return float(value)
        except OverflowError:
            pass
    return conversion.mismatch(path, shape, value, start)


def _choice(
    conversion: Conversion, shape: Choice, value: Any, path: Path, start: int | None
) -> Any:
    for encoded, decoded in shape.rows:
        if type(encoded) is type(value) and encoded == value:
            return decoded
    return conversion.mismatch(path, shape, value, start)


def _flags(conversion: Conversion, shape: Flags, value: Any, path: Path, start: int | None) -> Any:
    if type(value) is int and value >= 0 and not value & ~shape.known:
        return shape.cls(value)
    return conversion.mismatch(path, shape, value, start)


def _text(conversion: Conversion, shape: Text, value: Any, path: Path, start: int | None) -> Any:
    if type(value) is native_class(shape.format):
        return value  # a parsed TOML file has such values
    if type(value) is str:
        try:
            read = READERS[shape.format][1](value)
        except (ValueError, ArithmeticError):
            read = None
        if read is not None:
            return read
        if shape.format == "datetime" and is_leap_second(value):
            expected = f"expected {describe(shape)} without a leap second"
            conversion.fault(path, f"{expected}, got {shorten(value)}", start)
            conversion.cursor.skip(value)
            return INVALID
    return conversion.mismatch(path, shape, value, start)


def _constrained_scalar(
    conversion: Conversion, shape: Constrained, value: Any, path: Path, start: int | None
) -> Any:
    before = len(conversion.faults)
    result = _SCALARS[type(shape.inner)](conversion, shape.inner, value, path, start)
    return check_constraints(conversion, shape, result, value, path, start, before)


def check_constraints(
    conversion: Conversion,
    shape: Constrained,
    result: Any,
    value: Any,
    path: Path,
    start: int | None,
    before: int,
) -> Any:
    """Return a converted value if its constraints hold, or INVALID."""
    if result is INVALID or len(conversion.faults) > before:
        if len(conversion.faults) == before + 1 and conversion.faults[-1].path is path:
            # The constraint's message is more specific than the shape's.
            message = f"expected {describe(shape)}, got {shorten(value)}"
            conversion.faults[-1] = LocatedFault(path, message, start)
        return INVALID
    for constraint in shape.constraints:
        if not constraint.holds(result):
            return add_unmet(conversion, shape, constraint, value, path, start)
    return result


def add_unmet(
    conversion: Conversion,
    shape: Constrained,
    constraint: Constraint,
    value: Any,
    path: Path,
    start: int | None,
) -> object:
    """Add a fault for a value that does not meet a constraint; the message only names that one."""
    expected = describe(Constrained(shape.inner, (constraint,)))
    return conversion.fault(path, f"expected {expected}, got {shorten(value)}", start)


_KINDS: dict[str, type[Any]] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "null": type(None),
}  # fmt: skip
ScalarConverter: TypeAlias = Callable[[Conversion, Any, Any, Path, int | None], Any]
_SCALARS: dict[type[Any], ScalarConverter] = {
    Anything: _anything,
    Scalar: _scalar,
    Choice: _choice,
    Flags: _flags,
    Text: _text,
}


def scalar_converter(shape: Shape) -> ScalarConverter | None:
    """Return the converter of a shape that contains no other shape; None for the rest."""
    if isinstance(shape, Constrained):
        return _constrained_scalar if type(shape.inner) in _SCALARS else None
    return _SCALARS.get(type(shape))
