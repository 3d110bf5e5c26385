"""Conditions in `Annotated`, recognized by the attributes of the annotated-types vocabulary."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._shapes import (
    Constrained,
    Constraint,
    Dictionary,
    Fixed,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
)

_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length")


def constraints_of(metadata: tuple[Any, ...]) -> Iterator[Constraint]:
    """Give the constraints among the metadata of an `Annotated`; the rest means nothing here."""
    for mark in metadata:
        if isinstance(mark, type):
            continue
        bounds = {name: getattr(mark, name, None) for name in _BOUNDS}
        bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        if bounds.get("min_length") == 0:
            del bounds["min_length"]
        pattern = getattr(mark, "pattern", None)
        if not isinstance(pattern, str) or isinstance(mark, re.Pattern):
            pattern = None  # a compiled expression has flags, which a schema could not tell
        description = getattr(mark, "description", None)
        words = description if isinstance(description, str) else None
        kind = type(mark).__name__
        if bounds or pattern is not None:
            yield _bounded(bounds, pattern, words)
        elif getattr(mark, "__is_annotated_types_grouped_metadata__", False) is True:
            yield from constraints_of(tuple(mark))
        elif kind == "Predicate" and callable(getattr(mark, "func", None)):
            name = getattr(mark.func, "__qualname__", repr(mark.func))
            yield Constraint(_refusing(mark.func), f"for which {name} holds", words)
        elif kind == "Timezone" and hasattr(mark, "tz"):
            yield _zoned(mark.tz, words)


def _refusing(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Let a condition that can't be computed for a value (1e30 % 0.01) not hold for it."""

    def computed(value: Any) -> bool:
        try:
            return holds(value)
        except ArithmeticError:
            return False

    return computed


def _zoned(zone: Any, words: str | None) -> Constraint:
    """Ask for a time in a zone (name or tzinfo), in any (...), or in none (None)."""
    if zone is None:
        return Constraint(lambda value: value.tzinfo is None, "without an offset", words)
    if zone is Ellipsis:
        return Constraint(lambda value: value.tzinfo is not None, "with an offset", words)
    there = zone
    if isinstance(zone, str):
        # Imported late: few ask for a zone by its name.
        from zoneinfo import ZoneInfo  # noqa: PLC0415

        there = ZoneInfo(zone)

    def holds(value: Any) -> bool:
        offset: Any = value.utcoffset()
        return offset is not None and offset == value.astimezone(there).utcoffset()

    return Constraint(_refusing(holds), f"with the offset of {zone}", words)


def _bounded(bounds: dict[str, Any], pattern: str | None, words: str | None) -> Constraint:
    tests = []
    if "ge" in bounds or "gt" in bounds or "le" in bounds or "lt" in bounds:
        tests.append(_range_words(bounds))
    if "multiple_of" in bounds:
        tests.append(f"that is a multiple of {bounds['multiple_of']}")
    low, high = bounds.get("min_length"), bounds.get("max_length")
    if low is not None and high is not None:
        tests.append(f"of length {low} to {high}")
    elif low is not None:
        tests.append(f"of length {low} or more")
    elif high is not None:
        tests.append(f"of length {high} or less")
    if pattern is not None:
        tests.append(f"that matches {pattern}")
    fullmatch = None if pattern is None else re.compile(pattern).fullmatch

    def holds(value: Any) -> bool:
        return (
            ("ge" not in bounds or value >= bounds["ge"])
            and ("gt" not in bounds or value > bounds["gt"])
            and ("le" not in bounds or value <= bounds["le"])
            and ("lt" not in bounds or value < bounds["lt"])
            and ("multiple_of" not in bounds or value % bounds["multiple_of"] == 0)
            and ("min_length" not in bounds or len(value) >= bounds["min_length"])
            and ("max_length" not in bounds or len(value) <= bounds["max_length"])
            and (fullmatch is None or fullmatch(value) is not None)
        )

    return Constraint(_refusing(holds), " ".join(tests), words, pattern, **bounds)


def _range_words(bounds: dict[str, Any]) -> str:
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None and len(bounds.keys() & {"gt", "lt"}) == 0:
        return f"from {low} to {high}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    return " and ".join(f"{words[name]} {bounds[name]}" for name in words if name in bounds)


def constrain(shape: Shape, constraints: tuple[Constraint, ...]) -> Shape:
    """Put constraints on a shape; of a union without tag, on every member but null.

    Raises UnsupportedTypeError for a constraint that says nothing about such values.
    """
    match shape:
        case Union(tag=None):
            null = Scalar("null")
            members = (one if one == null else constrain(one, constraints) for one in shape.members)
            return Union(tuple(members))
        case Constrained():
            return constrain(shape.inner, shape.constraints + constraints)
    for constraint in constraints:
        bounds = (constraint.ge, constraint.gt, constraint.le, constraint.lt)
        sizes = (constraint.min_length, constraint.max_length)
        if (
            (constraint.pattern is not None and shape != Scalar("string"))
            or (constraint.multiple_of is not None and not _is_number(shape))
            or (any(bound is not None for bound in bounds) and not _is_ordered(shape))
            or (any(size is not None for size in sizes) and not _is_sized(shape))
        ):
            kind = type(shape).__name__.lower()
            raise UnsupportedTypeError(
                f"expected a constraint that fits, got one {constraint.words} on a {kind}"
            )
    return Constrained(shape, constraints)


def _is_number(shape: Shape) -> bool:
    return shape in (Scalar("integer"), Scalar("number"), Text("decimal"))


def _is_ordered(shape: Shape) -> bool:
    return _is_number(shape) or isinstance(shape, Text) or shape == Scalar("string")


def _is_sized(shape: Shape) -> bool:
    others = (Scalar("string"), Text("bytes"))
    return isinstance(shape, (Sequence, Fixed, Dictionary)) or shape in others
