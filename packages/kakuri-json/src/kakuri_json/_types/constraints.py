"""Constraints in `Annotated`, recognized by attributes named as in annotated-types."""

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._types.describe import describe
from kakuri_json._types.formats import native_class
from kakuri_json._types.shapes import (
    Anything,
    Constrained,
    Constraint,
    FixedTuple,
    Mapping,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
)

_SIZES = ("min_length", "max_length")
_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", *_SIZES)


def constraints_of(metadata: tuple[Any, ...]) -> Iterator[Constraint]:
    """Yield the constraints in the metadata of an `Annotated`.

    Metadata without the attributes of a constraint is ignored.

    Raises:
        UnsupportedTypeError: A constraint is not valid.
    """
    for mark in metadata:
        bounds = _bounds(mark)
        pattern, fullmatch = _pattern(mark)
        description = getattr(mark, "description", None)
        message = description if isinstance(description, str) else None
        name = getattr(mark, "format", None)
        text_format = name if isinstance(name, str) and fullmatch is not None else None
        kinds = () if isinstance(mark, type) else {cls.__name__ for cls in type(mark).__mro__}
        zone = getattr(mark, "tz", None)
        if bounds or fullmatch is not None:
            yield _bounded(bounds, pattern, fullmatch, message, text_format)
        elif getattr(mark, "__is_annotated_types_grouped_metadata__", False) is True:
            yield from constraints_of(tuple(mark))
        elif "Predicate" in kinds and callable(getattr(mark, "func", None)):
            name = getattr(mark.func, "__qualname__", repr(mark.func))
            yield Constraint(_guarded(mark.func), f"for which {name} holds", message)
        elif "Timezone" in kinds and hasattr(mark, "tz"):
            yield _zoned(mark.tz, message)
        if type(zone) is bool:  # whether there is an offset at all
            yield _zoned(... if zone else None, message)


def _bounds(mark: Any) -> dict[str, Any]:
    """Return the bounds of a metadata object by name."""
    bounds = {name: getattr(mark, name, None) for name in _BOUNDS}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    for name, bound in bounds.items():
        if callable(bound) or hasattr(bound, "__get__"):
            # The metadata is a class, whose instances would have bounds.
            raise UnsupportedTypeError(f"expected a value for {name!r}, got {mark!r}")
        if name in _SIZES and (type(bound) is not int or bound < 0):
            raise UnsupportedTypeError(f"expected a length for {name!r}, got {bound!r}")
    if bounds.get("min_length") == 0:
        del bounds["min_length"]
    return bounds


def _pattern(mark: Any) -> tuple[str | None, Callable[[str], Any] | None]:
    """Return the regular expression of a metadata object: its source, and a matching function.

    The source is None if the expression was compiled with flags, which neither a schema nor a
    codec's expression can represent.
    """
    pattern = mark if isinstance(mark, re.Pattern) else getattr(mark, "pattern", None)
    if pattern is None:
        return None, None
    try:
        compiled = re.compile(pattern)
    except (TypeError, re.error) as error:
        got = f"{pattern!r} ({error})"
        raise UnsupportedTypeError(f"expected a regular expression, got {got}") from None
    if not isinstance(compiled.pattern, str):
        raise UnsupportedTypeError(f"expected a regular expression of text, got {pattern!r}")
    is_plain = isinstance(pattern, str) or compiled.flags == re.compile("").flags
    return compiled.pattern if is_plain else None, compiled.fullmatch


def _guarded(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Wrap a condition so that it is false if it can't be evaluated.

    Like a constructor, a predicate may raise ValueError to reject a value.
    """

    def computed(value: Any) -> bool:
        try:
            return holds(value)
        except (ArithmeticError, ValueError):
            return False

    return computed


def _zoned(zone: Any, message: str | None) -> Constraint:
    """Return the constraint for a time zone: a name or tzinfo, any zone (...), or none (None)."""
    if zone is None:
        without = "without an offset"
        return Constraint(lambda value: value.tzinfo is None, without, message, of_times=True)
    if zone is Ellipsis:
        with_one = "with an offset"
        return Constraint(lambda value: value.tzinfo is not None, with_one, message, of_times=True)
    expected_zone = zone
    if isinstance(zone, str):
        # Imported late, because few programs name a zone.
        from zoneinfo import ZoneInfo  # noqa: PLC0415

        try:
            expected_zone = ZoneInfo(zone)
        except (ValueError, OSError, KeyError) as error:
            raise UnsupportedTypeError(f"expected a time zone, got {zone!r}") from error

    def holds(value: Any) -> bool:
        offset: Any = value.utcoffset()
        return offset is not None and offset == value.astimezone(expected_zone).utcoffset()

    return Constraint(_guarded(holds), f"with the offset of {zone}", message, of_times=True)


def _bounded(
    bounds: dict[str, Any],
    pattern: str | None,
    fullmatch: Callable[[str], Any] | None,
    message: str | None,
    text_format: str | None,
) -> Constraint:
    tests = []
    if "ge" in bounds or "gt" in bounds or "le" in bounds or "lt" in bounds:
        tests.append(_describe_range(bounds))
    if "multiple_of" in bounds:
        tests.append(f"that is a multiple of {bounds['multiple_of']}")
    low, high = bounds.get("min_length"), bounds.get("max_length")
    if low is not None and high is not None:
        tests.append(f"of length {low} to {high}")
    elif low is not None:
        tests.append(f"of length {low} or more")
    elif high is not None:
        tests.append(f"of length {high} or less")
    if fullmatch is not None:
        source = fullmatch.__self__.pattern  # type: ignore[attr-defined]  # a method of re.Pattern
        tests.append(f"that matches {source}")

    def holds(value: Any) -> bool:
        if type(value) is dt.datetime and value.tzinfo is None:
            return False  # from `convert`; it can't be compared with a bound that has an offset
        return (
            ("ge" not in bounds or value >= bounds["ge"])
            and ("gt" not in bounds or value > bounds["gt"])
            and ("le" not in bounds or value <= bounds["le"])
            and ("lt" not in bounds or value < bounds["lt"])
            and ("multiple_of" not in bounds or _is_multiple(value, bounds["multiple_of"]))
            and ("min_length" not in bounds or len(value) >= bounds["min_length"])
            and ("max_length" not in bounds or len(value) <= bounds["max_length"])
            and (fullmatch is None or fullmatch(value) is not None)
        )

    return Constraint(
        _guarded(holds),
        " ".join(tests),
        message,
        pattern,
        text_format,
        of_text=fullmatch is not None,
        **bounds,
    )


def _is_multiple(value: Any, unit: Any) -> bool:
    """Return whether a number is a multiple of a unit in decimal notation, as 0.3 is of 0.1."""
    decimal = native_class("decimal")
    kinds = {type(value), type(unit)}
    if kinds == {int} or not kinds <= {int, float, decimal}:
        return bool(value % unit == 0)
    # `%` is inexact: 0.3 % 0.1 is 0.09…, and Decimal("1e30") % Decimal("0.01") can't be computed.
    scaled = []
    for number in (value, unit):
        exact = decimal(str(number) if type(number) is float else number)
        if not exact.is_finite():
            return False
        _, digits, exponent = exact.as_tuple()
        scaled.append((int(decimal((0, digits, 0))), exponent))
    (count, exponent), (step, step_exponent) = scaled
    shift = exponent - step_exponent
    if shift >= 0:
        return bool(count * pow(10, shift, step) % step == 0)
    # No nonzero multiple of 10**-shift is below it, so powers above the count need not be computed.
    return count == 0 or (-shift < count.bit_length() and count % (step * 10**-shift) == 0)


def _describe_range(bounds: dict[str, Any]) -> str:
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None and len(bounds.keys() & {"gt", "lt"}) == 0:
        return f"from {low} to {high}"
    phrases = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    return " and ".join(f"{phrases[name]} {bounds[name]}" for name in phrases if name in bounds)


def _or_null(constraint: Constraint) -> Constraint:
    """Return a copy of a constraint that also accepts null."""
    holds = constraint.holds
    return replace(constraint, holds=lambda value: value is None or holds(value))


def constrain(shape: Shape, constraints: tuple[Constraint, ...]) -> Shape:
    """Add constraints to a shape; in a union, to every member except null.

    Raises:
        UnsupportedTypeError: A constraint does not apply to values of the shape.
    """
    match shape:
        case Union(tag=None):
            null = Scalar("null")
            return Union(
                tuple(
                    member if member == null else constrain(member, constraints)
                    for member in shape.members
                )
            )
        case Union() if Scalar("null") in shape.members:
            constraints = tuple(_or_null(constraint) for constraint in constraints)
        case Constrained():
            return constrain(shape.inner, shape.constraints + constraints)
        case Anything(stands_for_variable=True):
            return shape
    for constraint in constraints:
        bounds = (constraint.ge, constraint.gt, constraint.le, constraint.lt)
        sizes = (constraint.min_length, constraint.max_length)
        if (
            (constraint.of_text and shape != Scalar("string"))
            or (constraint.multiple_of is not None and not _divides(constraint, shape))
            or not all(bound is None or _compares(bound, shape) for bound in bounds)
            or (any(size is not None for size in sizes) and not _is_sized(shape))
            or (constraint.of_times and shape != Text("datetime"))
        ):
            got = f"one {constraint.requirement} for {describe(shape)}"
            raise UnsupportedTypeError(f"expected a constraint that fits the type, got {got}")
    return Constrained(shape, constraints)


_SAMPLES: dict[Shape, Any] = {
    Scalar("integer"): 1,
    Scalar("number"): 1.0,
    Scalar("string"): "",
    Text("date"): dt.date.min,
    Text("datetime"): dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    Text("bytes"): b"",
    Text("uuid"): uuid.UUID(int=0),
}
"""A sample value of each shape whose values can be compared."""


def _sample(shape: Shape) -> Any:
    """Return a sample value of a shape; None if its values can't be compared."""
    return native_class("decimal")(1) if shape == Text("decimal") else _SAMPLES.get(shape)


def _compares(bound: Any, shape: Shape) -> bool:
    """Return whether values of a shape can be compared with a bound."""
    try:
        sample = _sample(shape)
        return sample is not None and type(sample < bound) is bool and bound == bound
    except (TypeError, ArithmeticError):
        return False


def _divides(constraint: Constraint, shape: Shape) -> bool:
    try:
        rest = _sample(shape) % constraint.multiple_of if _is_number(shape) else None
        return rest is not None and bool(rest == rest)  # not NaN
    except (TypeError, ArithmeticError):
        return False


def _is_number(shape: Shape) -> bool:
    return shape in (Scalar("integer"), Scalar("number"), Text("decimal"))


def _is_sized(shape: Shape) -> bool:
    others = (Scalar("string"), Text("bytes"))
    return isinstance(shape, (Sequence, FixedTuple, Mapping)) or shape in others
