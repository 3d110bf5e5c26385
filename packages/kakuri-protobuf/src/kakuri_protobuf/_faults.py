"""Finds the reason why a message can't be encoded: the field, and what was expected."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from kakuri_protobuf._errors import EncodeError
from kakuri_protobuf._fields import Field, Label, Schema
from kakuri_protobuf._kinds import Kind

SchemaOf: TypeAlias = Callable[[type[Any]], Schema]

_LONGEST = 60
_MOST_BITS = 200
_FLOAT_MAX = 3.4028235677973366e38  # halfway between the largest float32 and the next power of two


def find_fault(message: Any, schema: Schema, schema_of: SchemaOf, depth: int) -> EncodeError | None:
    """Return the first fault of a message, or None if it can be encoded.

    Args:
        message: The value that could not be encoded.
        schema: The schema of the expected message.
        schema_of: Returns the schema of a class.
        depth: How deeply messages may still nest.
    """
    for path, text in _message(message, schema, schema_of, depth):
        return EncodeError(text, path)
    return None


def _message(
    message: Any, schema: Schema, schema_of: SchemaOf, depth: int
) -> Iterator[tuple[str, str]]:
    if type(message) is not schema.cls:
        yield "", f"expected {schema.cls.__qualname__}, got {_shown(message)}"
        return
    if depth < 0:
        yield "", "expected messages to nest less deeply"
        return
    for field in schema.fields:
        yield from _field(getattr(message, field.name), field, schema_of, depth)
    yield from _oneofs(message, schema)
    if schema.unknown is not None and not isinstance(getattr(message, schema.unknown), bytes):
        yield schema.unknown, f"expected bytes, got {_shown(getattr(message, schema.unknown))}"


def _oneofs(message: Any, schema: Schema) -> Iterator[tuple[str, str]]:
    members: dict[str, list[str]] = {}
    for field in schema.fields:
        if field.oneof is not None and getattr(message, field.name) is not None:
            members.setdefault(field.oneof, []).append(field.name)
    for name, names in members.items():
        if len(names) > 1:
            yield name, f"expected at most one member of the oneof, got {', '.join(names)}"


def _field(value: Any, field: Field, schema_of: SchemaOf, depth: int) -> Iterator[tuple[str, str]]:
    if field.label is Label.REPEATED:
        if not isinstance(value, (tuple, list)):
            yield field.name, f"expected a tuple, got {_shown(value)}"
            return
        for index, element in enumerate(value):
            yield from _value(element, field, f"{field.name}[{index}]", schema_of, depth)
    elif field.label is Label.MAP:
        if not isinstance(value, Mapping):
            yield field.name, f"expected a mapping, got {_shown(value)}"
            return
        assert field.key is not None
        key_field = Field("key", 1, field.key, Label.REQUIRED)
        for key, element in value.items():
            path = f"{field.name}[{_shown(key)}]"
            yield from _value(key, key_field, path, schema_of, depth)
            yield from _value(element, field, path, schema_of, depth)
    elif value is not None or field.label is not Label.OPTIONAL:
        yield from _value(value, field, field.name, schema_of, depth)


def _value(
    value: Any, field: Field, path: str, schema_of: SchemaOf, depth: int
) -> Iterator[tuple[str, str]]:
    kind = field.kind
    if kind in (Kind.MESSAGE, Kind.GROUP):
        for inner, text in _message(value, schema_of(field.type), schema_of, depth - 1):
            yield f"{path}.{inner}" if inner else path, text
        return
    expected = _expected(value, kind)
    if expected:
        yield path, f"expected {expected}, got {_shown(value)}"


def _expected(value: Any, kind: Kind) -> str:
    """Describe what was expected instead of a value; empty if the value is valid."""
    if kind is Kind.STRING:
        if not isinstance(value, str):
            return "str"
        return "text without lone surrogates" if _has_surrogate(value) else ""
    if kind is Kind.BYTES:
        return "" if isinstance(value, (bytes, bytearray, memoryview)) else "bytes"
    if kind is Kind.BOOL:
        return "" if isinstance(value, bool) else "bool"
    if kind in (Kind.FLOAT, Kind.DOUBLE):
        return _expected_real(value, kind)
    assert kind.bounds is not None
    low, high = kind.bounds
    if not isinstance(value, int):
        return f"an integer ({kind.value})"
    return "" if low <= value <= high else f"an integer from {low} to {high} ({kind.value})"


def _expected_real(value: Any, kind: Kind) -> str:
    if not isinstance(value, (int, float)):
        return "a number"
    finite = value == value and abs(value) != float("inf")
    largest = _FLOAT_MAX if kind is Kind.FLOAT else 1.7976931348623157e308
    if finite and abs(value) >= largest and not (kind is Kind.DOUBLE and abs(value) == largest):
        return f"a number that a {kind.value} can hold"
    return ""


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:  # repr may refuse its length
        return f"an integer of {value.bit_length()} bits"
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
