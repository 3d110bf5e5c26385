"""Converts values without others inside: numbers, texts, enums, and constraints on them."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from kakuri_json._decode.conversion import INVALID, Conversion, Found, Path
from kakuri_json._types.describe import describe, shorten
from kakuri_json._types.formats import READERS
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
    run: Conversion, _shape: Anything, value: Any, _path: Path, _start: int | None
) -> Any:
    return run.cursor.whole(value)


def _scalar(run: Conversion, shape: Scalar, value: Any, path: Path, start: int | None) -> Any:
    kind = type(value)
    if kind is _KINDS[shape.kind]:
        return value
    if shape.kind == "number" and kind is int:
        try:
            return float(value)
        except OverflowError:
            pass
    return run.mismatch(path, shape, value, start)


def _choice(run: Conversion, shape: Choice, value: Any, path: Path, start: int | None) -> Any:
    for written, meant in shape.rows:
        if type(written) is type(value) and written == value:
            return meant
    return run.mismatch(path, shape, value, start)


def _flags(run: Conversion, shape: Flags, value: Any, path: Path, start: int | None) -> Any:
    if type(value) is int and value >= 0 and not value & ~shape.known:
        return shape.cls(value)
    return run.mismatch(path, shape, value, start)


def _text(run: Conversion, shape: Text, value: Any, path: Path, start: int | None) -> Any:
    if type(value) is _NATIVE.get(shape.format):
        return value  # not from JSON, but from TOML, say, which has such values
    if type(value) is str:
        try:
            read = READERS[shape.format][1](value)
        except (ValueError, ArithmeticError):
            read = None
        if read is not None:
            return read
    return run.mismatch(path, shape, value, start)


def _constrained_simple(
    run: Conversion, shape: Constrained, value: Any, path: Path, start: int | None
) -> Any:
    before = len(run.faults)
    result = _SIMPLE[type(shape.inner)](run, shape.inner, value, path, start)
    return checked(run, shape, result, value, path, start, before)


def checked(
    run: Conversion,
    shape: Constrained,
    result: Any,
    value: Any,
    path: Path,
    start: int | None,
    before: int,
) -> Any:
    """Return a converted value if its constraints hold, or INVALID."""
    if result is INVALID or len(run.faults) > before:
        if len(run.faults) == before + 1 and run.faults[-1].path is path:
            # The constraint's message says more than the plain kind.
            message = f"expected {describe(shape)}, got {shorten(value)}"
            run.faults[-1] = Found(path, message, start)
        return INVALID
    for constraint in shape.constraints:
        if not constraint.holds(result):
            return unmet(run, shape, constraint, value, path, start)
    return result


def unmet(
    run: Conversion,
    shape: Constrained,
    constraint: Constraint,
    value: Any,
    path: Path,
    start: int | None,
) -> object:
    """Add the fault that a value does not meet a constraint, which is named alone."""
    expected = describe(Constrained(shape.inner, (constraint,)))
    return run.fault(path, f"expected {expected}, got {shorten(value)}", start)


_KINDS: dict[str, type[Any]] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "null": type(None),
}  # fmt: skip
_NATIVE: dict[str, type[Any]] = {
    "datetime": dt.datetime, "date": dt.date, "decimal": decimal.Decimal,
    "bytes": bytes, "uuid": uuid.UUID,
}  # fmt: skip
Simple: TypeAlias = Callable[[Conversion, Any, Any, Path, int | None], Any]
_SIMPLE: dict[type[Any], Simple] = {
    Anything: _anything,
    Scalar: _scalar,
    Choice: _choice,
    Flags: _flags,
    Text: _text,
}


def simple_converter(shape: Shape) -> Simple | None:
    """Return the converter of a shape without others inside it; None for the rest."""
    if isinstance(shape, Constrained):
        return _constrained_simple if type(shape.inner) in _SIMPLE else None
    return _SIMPLE.get(type(shape))
