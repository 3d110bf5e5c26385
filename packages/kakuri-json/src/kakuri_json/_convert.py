"""Converts JSON values to what shapes ask for, gathering every fault."""

import contextlib
import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from kakuri_json._formats import READERS
from kakuri_json._limits import MAX_FAULTS, Limits, exceeded
from kakuri_json._shapes import (
    Anything,
    Choice,
    Constrained,
    Dictionary,
    Fixed,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
)
from kakuri_json._words import describe, show

Path: TypeAlias = tuple[str | int, ...]

_MAX_COLLISIONS = 100
"""Items of a set that may have the hash of another one."""

INVALID = object()
"""Stands for a value that had a fault."""


class _Enough(Exception):
    """There are MAX_FAULTS faults: what is wrong beyond them changes nothing."""


class Conversion:
    """One conversion: the faults so far, and how deep it may go."""

    def __init__(self, limits: Limits) -> None:
        self.faults: list[tuple[Path, str]] = []
        self.limits = limits

    def run(self, shape: Shape, value: Any) -> Any:
        """Convert a whole value; what it gives means nothing if there are faults."""
        try:
            return self.convert(shape, value, ())
        except _Enough:
            return INVALID
        except RecursionError:
            # A type that contains itself takes frames of the interpreter for each level.
            raise exceeded(self.limits, "max_depth") from None

    def fault(self, path: Path, message: str) -> object:
        """Note a fault."""
        self.faults.append((path, message))
        if len(self.faults) == MAX_FAULTS:
            raise _Enough
        return INVALID

    def mismatch(self, path: Path, shape: Shape, value: Any) -> object:
        """Note that a value is not what a shape asks for."""
        return self.fault(path, f"expected {describe(shape)}, got {show(value)}")

    def convert(self, shape: Shape, value: Any, path: Path) -> Any:
        """Give what the shape makes of the value, or INVALID."""
        if len(path) > self.limits.max_depth:
            raise exceeded(self.limits, "max_depth")
        return _CONVERTERS[type(shape)](self, shape, value, path)


def _anything(_run: Conversion, _shape: Anything, value: Any, _path: Path) -> Any:
    return value


def _scalar(run: Conversion, shape: Scalar, value: Any, path: Path) -> Any:
    kind = type(value)
    if kind is _KINDS[shape.kind]:
        return value
    if shape.kind == "number" and kind is int:
        try:
            return float(value)
        except OverflowError:
            pass
    return run.mismatch(path, shape, value)


def _choice(run: Conversion, shape: Choice, value: Any, path: Path) -> Any:
    for written, meant in shape.rows:
        if written == value and type(written) is type(value):
            return meant
    return run.mismatch(path, shape, value)


def _text(run: Conversion, shape: Text, value: Any, path: Path) -> Any:
    if type(value) is _NATIVE.get(shape.format):
        return value  # not from JSON, but from TOML, say, which has such values
    if type(value) is str:
        try:
            read = READERS[shape.format][1](value)
        except (ValueError, ArithmeticError):
            read = None
        if read is not None:
            return read
    return run.mismatch(path, shape, value)


def _sequence(run: Conversion, shape: Sequence, value: Any, path: Path) -> Any:
    if type(value) is not list and type(value) is not tuple:
        return run.mismatch(path, shape, value)
    item = shape.item
    convert = run.convert
    items = [convert(item, one, (*path, index)) for index, one in enumerate(value)]
    if shape.build is list:
        return items
    if any(one is INVALID for one in items):
        return INVALID
    if shape.build is tuple:
        return tuple(items)
    try:
        built = build_set(shape.build, items)
    except TypeError:
        return run.fault(path, "expected items that can be told apart, got arrays or objects")
    if built is None:
        return run.fault(path, "expected every item once, got an item again")
    return built


def build_set(build: type[Any], items: list[Any]) -> Any:
    """Give the set of the items; None if an item comes again, or too many hashes do.

    A peer can choose numbers that all have one hash, and a set of those takes quadratic time.
    """
    if len(items) - len(set(map(hash, items))) > _MAX_COLLISIONS:
        return None
    built = build(items)
    return built if len(built) == len(items) else None


def _fixed(run: Conversion, shape: Fixed, value: Any, path: Path) -> Any:
    if type(value) is not list and type(value) is not tuple:
        return run.mismatch(path, shape, value)
    if len(value) != len(shape.items):
        return run.fault(path, f"expected {describe(shape)}, got {len(value)}")
    pairs = enumerate(zip(shape.items, value, strict=True))
    return tuple(run.convert(item, one, (*path, index)) for index, (item, one) in pairs)


def _dictionary(run: Conversion, shape: Dictionary, value: Any, path: Path) -> Any:
    if type(value) is not dict:
        return run.mismatch(path, shape, value)
    result = {}
    for key, one in value.items():
        inside = (*path, key)
        meant = run.convert(shape.key, key, inside)
        converted = run.convert(shape.value, one, inside)
        if meant in result and meant is not INVALID:
            run.fault(inside, f"expected every key once, got {show(key)} again")
        result[meant] = converted
    return result


def _constrained(run: Conversion, shape: Constrained, value: Any, path: Path) -> Any:
    before = len(run.faults)
    result = run.convert(shape.inner, value, path)
    if result is INVALID or len(run.faults) > before:
        if len(run.faults) == before + 1 and run.faults[-1][0] == path:
            # The words of the constraint say more than the plain kind.
            run.faults[-1] = (path, f"expected {describe(shape)}, got {show(value)}")
        return INVALID
    for constraint in shape.constraints:
        if not constraint.holds(result):
            return run.fault(
                path,
                f"expected {describe(Constrained(shape.inner, (constraint,)))}, got {show(value)}",
            )
    return result


def _union(run: Conversion, shape: Union, value: Any, path: Path) -> Any:
    if shape.tag is not None and type(value) is dict:
        tag = value.get(shape.tag, INVALID)
        record = shape.tagged.get(tag) if type(tag) in (str, int, bool) else None
        if record is not None:
            return _record(run, record, value, path)
        got = "nothing" if tag is INVALID else show(tag)
        tags = ", ".join(map(show, shape.tagged))
        return run.fault((*path, shape.tag), f"expected one of {tags}, got {got}")
    likely: Conversion | None = None
    for member in shape.members:
        attempt = Conversion(run.limits)
        with contextlib.suppress(_Enough):
            result = attempt.convert(member, value, path)
            if not attempt.faults:
                return result
        # Faults inside the value come from the member that it was meant for.
        if any(place != path for place, _ in attempt.faults):
            likely = attempt
    if likely is not None:
        for place, message in likely.faults:
            run.fault(place, message)
        return INVALID
    return run.mismatch(path, shape, value)


def _record(run: Conversion, shape: Record, value: Any, path: Path) -> Any:
    if type(value) is not dict:
        return run.mismatch(path, shape, value)
    before = len(run.faults)
    arguments: dict[str, Any] = {}
    fields = shape.by_json_name
    if shape.tag is not None and value.get(shape.tag) != shape.tag_value:
        got = show(value[shape.tag]) if shape.tag in value else "nothing"
        run.fault((*path, shape.tag), f"expected {show(shape.tag_value)}, got {got}")
    for key, one in value.items():
        field = fields.get(key)
        if field is not None:
            arguments[field.name] = run.convert(field.shape, one, (*path, key))
        elif key != shape.tag and not shape.ignore_unknown:
            known = ", ".join(map(show, fields)) or "no field"
            run.fault((*path, key), f"expected one of {known}, got {show(key)}")
    for field in shape.fields:
        if field.required and field.name not in arguments:
            missing = (*path, field.json_name)
            run.fault(missing, f"expected {describe(field.shape)}, got nothing")
    if len(run.faults) > before:
        return INVALID
    if shape.is_dict:
        # In one order, as the compiled readers give them.
        return {item.name: arguments[item.name] for item in shape.fields if item.name in arguments}
    try:
        return shape.cls(**arguments)
    except ValueError as error:  # the class's own __post_init__ refuses it
        return run.fault(path, str(error))


_KINDS: dict[str, type[Any]] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "null": type(None),
}  # fmt: skip
_NATIVE: dict[str, type[Any]] = {
    "datetime": dt.datetime, "date": dt.date, "decimal": decimal.Decimal,
    "bytes": bytes, "uuid": uuid.UUID,
}  # fmt: skip
_CONVERTERS: dict[type[Any], Callable[[Conversion, Any, Any, Path], Any]] = {
    Anything: _anything,
    Scalar: _scalar,
    Choice: _choice,
    Text: _text,
    Sequence: _sequence,
    Fixed: _fixed,
    Dictionary: _dictionary,
    Constrained: _constrained,
    Union: _union,
    Record: _record,
}
