"""Converts the values of a cursor to the shapes of a type, and collects all faults.

Each open container is a generator that yields the shapes of its items. The generators are kept in a
list, so a recursive type can be as deep as `max_depth` allows, regardless of the size of the
interpreter's stack.
"""

import sys
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from kakuri_json._decode.construction import COLLISIONS, MAX_COLLISIONS, build_set, set_fault
from kakuri_json._decode.conversion import INVALID, Conversion, Path, TooManyFaults
from kakuri_json._decode.convert_scalars import add_unmet, check_constraints, scalar_converter
from kakuri_json._types.describe import describe, shorten, suggest
from kakuri_json._types.shapes import (
    Constrained,
    Constraint,
    FixedTuple,
    Mapping,
    Record,
    Sequence,
    Shape,
    Union,
    is_string,
)

_MAX_SUGGESTIONS = 10
"""Number of faults after which messages no longer suggest a known name, because the search takes
time."""

Steps: TypeAlias = Generator[tuple[Shape, Path], Any, Any]

_TAG_KINDS = (str, int, bool, float, type(None))
_TOO_MANY = object()
"""The result of converting a container with more items than a constraint allows."""


def convert_value(conversion: Conversion, shape: Shape) -> Any:
    """Convert the value at the cursor. If there are faults, the result is meaningless."""
    try:
        return _convert(conversion, shape)
    except TooManyFaults:
        return INVALID


def _convert(conversion: Conversion, shape: Shape) -> Any:
    open_containers: list[Steps] = []
    path: Path = ()
    while True:
        start = conversion.cursor.position
        value = conversion.cursor.begin()
        simple = scalar_converter(shape)
        if simple is not None:
            value = simple(conversion, shape, value, path, start)
        else:
            open_containers.append(_CONTAINERS[type(shape)](conversion, shape, value, path, start))
            value = None
        while open_containers:
            try:
                shape, path = open_containers[-1].send(value)
            except StopIteration as stop:
                open_containers.pop()
                value = stop.value
            else:
                break
        else:
            return value


def _sequence(
    conversion: Conversion,
    shape: Sequence,
    value: Any,
    path: Path,
    start: int | None,
    max_items: int | None = None,
) -> Steps:
    if type(value) is not list and type(value) is not tuple:
        return conversion.mismatch(path, shape, value, start)
    cursor, item, before = conversion.cursor, shape.item, len(conversion.faults)
    maximum = sys.maxsize if max_items is None else max_items
    if (cursor.count(value) or 0) > maximum:
        return _TOO_MANY
    simple = scalar_converter(item)
    items: list[Any] = []
    for _ in cursor.items(value):
        run, is_at_item = cursor.read_run(item)
        items += run
        if len(items) > maximum or (is_at_item and len(items) == maximum):
            del conversion.faults[before:]
            cursor.abandon(start, value)
            return _TOO_MANY
        if not is_at_item:
            continue
        begin, faults = cursor.position, len(conversion.faults)
        inside = (path, len(items))
        if simple is not None:
            items.append(simple(conversion, item, cursor.begin(), inside, begin))
        else:
            items.append((yield item, inside))
            if len(conversion.faults) == faults:
                cursor.learn(item, begin)
    if len(conversion.faults) > before:
        return INVALID
    if shape.build is list:
        return items
    if shape.build is tuple:
        return tuple(items)
    built = build_set(shape.build, items)
    return conversion.fault(path, set_fault(items), start) if built is None else built


def _fixed(
    conversion: Conversion, shape: FixedTuple, value: Any, path: Path, start: int | None
) -> Steps:
    if type(value) is not list and type(value) is not tuple:
        return conversion.mismatch(path, shape, value, start)
    cursor, before, length = conversion.cursor, len(conversion.faults), len(shape.items)
    count = cursor.count(value)
    got = "" if count is None or count == length else str(count)
    items: list[Any] = []
    if not got:
        for _ in cursor.items(value):
            if len(items) == length:
                cursor.abandon(start, value)
                got = "more"
                break
            items.append((yield shape.items[len(items)], (path, len(items))))
        else:
            got = "" if len(items) == length else str(len(items))
    if got:
        del conversion.faults[before:]
        return conversion.fault(path, f"expected {describe(shape)}, got {got}", start)
    return INVALID if len(conversion.faults) > before else tuple(items)


def _dictionary(
    conversion: Conversion,
    shape: Mapping,
    value: Any,
    path: Path,
    start: int | None,
    max_items: int | None = None,
) -> Steps:
    if type(value) is not dict:
        return conversion.mismatch(path, shape, value, start)
    cursor, before = conversion.cursor, len(conversion.faults)
    maximum = sys.maxsize if max_items is None else max_items
    if (cursor.count(value) or 0) > maximum:
        return _TOO_MANY
    key_converter = scalar_converter(shape.key)
    assert key_converter is not None  # keys are text
    simple = scalar_converter(shape.value)
    result: dict[Any, Any] = {}
    hashes: set[int] | None = None if is_string(shape.key) else set()  # str hashes are randomized
    count = in_runs = 0
    for key in cursor.members(value, shape):
        if type(key) is list:  # members that were read at once
            result.update(key)
            in_runs += len(key)  # the cursor has checked their hashes
            count += len(key)
        else:
            count += 1
        if count > maximum:
            del conversion.faults[before:]
            cursor.abandon(start, value)
            return _TOO_MANY
        if type(key) is list:
            continue
        inside, begin = (path, key), cursor.position
        converted_key = key_converter(conversion, shape.key, key, inside, begin)
        if simple is not None:
            converted = simple(conversion, shape.value, cursor.begin(), inside, begin)
        else:
            converted = yield shape.value, inside
        if hashes is not None:
            hashes.add(hash(converted_key))
            if len(result) - in_runs - len(hashes) >= MAX_COLLISIONS:
                del conversion.faults[before:]
                cursor.abandon(start, value)
                return conversion.fault(path, COLLISIONS, start)
        if converted_key in result and converted_key is not INVALID:
            conversion.fault(inside, f"expected every key once, got {shorten(key)} again", begin)
        result[converted_key] = converted
    return INVALID if len(conversion.faults) > before else result


def _constrained(
    conversion: Conversion, shape: Constrained, value: Any, path: Path, start: int | None
) -> Steps:
    before, inner = len(conversion.faults), shape.inner
    if isinstance(inner, (Sequence, Mapping)):
        sizes = [c for c in shape.constraints if type(c.max_length) is int]
        narrow = min(sizes, key=_max_length, default=None)
        max_items = None if narrow is None else narrow.max_length
        walk = _sequence if isinstance(inner, Sequence) else _dictionary
        result = yield from walk(conversion, inner, value, path, start, max_items)  # type: ignore[arg-type]
        if result is _TOO_MANY:
            assert narrow is not None
            return add_unmet(conversion, shape, narrow, value, path, start)
    else:
        result = yield from _CONTAINERS[type(inner)](conversion, inner, value, path, start)
    return check_constraints(conversion, shape, result, value, path, start, before)


def _max_length(constraint: Constraint) -> int:
    return constraint.max_length or 0


def _union(
    conversion: Conversion, shape: Union, value: Any, path: Path, start: int | None
) -> Steps:
    kind = type(value)
    if kind is dict and shape.tag is not None:
        tag, place = conversion.cursor.find(value, shape.tag, INVALID)
        record = shape.tagged.get(tag) if type(tag) in _TAG_KINDS else None
        if record is not None:
            return (yield from _record(conversion, record, value, path, start))
        got = "nothing" if tag is INVALID else shorten(tag)
        tags = ", ".join(map(shorten, shape.tagged))
        conversion.fault((path, shape.tag), f"expected one of {tags}, got {got}", place)
        conversion.cursor.skip(value)
        return INVALID
    if kind is dict or kind is list or kind is tuple:
        # At most one member matches: a union that would need trial and error has no codec.
        for member in shape.members:
            inner = member.inner if isinstance(member, Constrained) else member
            if isinstance(inner, (Mapping, Record) if kind is dict else (Sequence, FixedTuple)):
                return (
                    yield from _CONTAINERS[type(member)](conversion, member, value, path, start)
                )
    else:
        attempt = Conversion(conversion.cursor, conversion.limits)
        for member in shape.members:
            simple = scalar_converter(member)
            if simple is not None:
                result = simple(attempt, member, value, path, start)
                if not attempt.faults:
                    return result
                attempt.faults.clear()
    return conversion.mismatch(path, shape, value, start)


def _expected_fields(shape: Record) -> str:
    if shape.by_json_name:
        return f"one of {', '.join(map(shorten, shape.by_json_name))}"
    return "no fields" if shape.tag is None else "no other fields"


def _record(
    conversion: Conversion, shape: Record, value: Any, path: Path, start: int | None
) -> Steps:
    if type(value) is not dict:
        return conversion.mismatch(path, shape, value, start)
    cursor, before, fields = conversion.cursor, len(conversion.faults), shape.by_json_name
    arguments: dict[str, Any] = {}
    has_tag = shape.tag is None
    for key in cursor.members(value):
        field, inside, begin = fields.get(key), (path, key), cursor.position
        if field is not None:
            simple = scalar_converter(field.shape)
            if simple is not None:
                converted = simple(conversion, field.shape, cursor.begin(), inside, begin)
            else:
                converted = yield field.shape, inside
            arguments[field.name] = converted
            continue
        member = cursor.begin()
        if key == shape.tag:
            has_tag = True
            if member != shape.tag_value:
                expected = f"expected {shorten(shape.tag_value)}, got {shorten(member)}"
                conversion.fault(inside, expected, begin)
        elif not shape.ignore_unknown:
            suggestion = suggest(key, fields) if len(conversion.faults) < _MAX_SUGGESTIONS else ""
            message = f"expected {_expected_fields(shape)}, got {shorten(key)}{suggestion}"
            conversion.fault(inside, message, begin)
        else:
            cursor.whole(member)
            continue
        cursor.skip(member)
    if not has_tag:
        conversion.fault(
            (path, shape.tag), f"expected {shorten(shape.tag_value)}, got nothing", start
        )
    for field in shape.fields:
        if field.required and field.name not in arguments:
            missing = f"expected {describe(field.shape)}, got nothing"
            conversion.fault((path, field.json_name), missing, start)
    if len(conversion.faults) > before:
        return INVALID
    if shape.is_dict:
        # In the same order as the compiled decoders return them.
        return {item.name: arguments[item.name] for item in shape.fields if item.name in arguments}
    try:
        return shape.cls(**arguments)
    except ValueError as error:  # the __post_init__ of the class rejects it
        reason = str(error) or f"the constructor of {shape.cls.__name__} rejects the fields"
        return conversion.fault(path, reason, start)


_CONTAINERS: dict[type[Any], Callable[[Conversion, Any, Any, Path, int | None], Steps]] = {
    Sequence: _sequence,
    FixedTuple: _fixed,
    Mapping: _dictionary,
    Constrained: _constrained,
    Union: _union,
    Record: _record,
}
