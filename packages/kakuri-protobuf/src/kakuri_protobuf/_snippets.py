"""Source lines of generated decoders, and the tables they use."""

from typing import Any

from kakuri_protobuf._fields import Field, Label
from kakuri_protobuf._kinds import Enum, Kind

STRUCTS = {
    Kind.FIXED32: "<I",
    Kind.SFIXED32: "<i",
    Kind.FLOAT: "<f",
    Kind.FIXED64: "<Q",
    Kind.SFIXED64: "<q",
    Kind.DOUBLE: "<d",
}
ZEROS: dict[Kind, Any] = {
    Kind.STRING: "",
    Kind.BYTES: b"",
    Kind.BOOL: False,
    Kind.FLOAT: 0.0,
    Kind.DOUBLE: 0.0,
}
ZIGZAG = [value >> 1 ^ -(value & 1) for value in range(128)]
CONTINUED = bytes(range(0x80, 0x100))

# Statements that convert `v` from a varint to a value of a kind. A short varint has one byte; a
# longer one may have more bits than the kind, and the excess is dropped.
FROM_LONG_VARINT = {
    Kind.INT32: ["v &= 0xFFFFFFFF", "if v > 0x7FFFFFFF: v -= 0x100000000"],
    Kind.INT64: ["if v > 0x7FFFFFFFFFFFFFFF: v -= 0x10000000000000000"],
    Kind.UINT32: ["v &= 0xFFFFFFFF"],
    Kind.UINT64: [],
    Kind.SINT32: ["v &= 0xFFFFFFFF", "v = v >> 1 ^ -(v & 1)"],
    Kind.SINT64: ["v = v >> 1 ^ -(v & 1)"],
    Kind.BOOL: ["v = v != 0"],
    Kind.ENUM: ["v &= 0xFFFFFFFF", "if v > 0x7FFFFFFF: v -= 0x100000000"],
}
FROM_SHORT_VARINT = {
    Kind.SINT32: ["v = zigzag[v]"],
    Kind.SINT64: ["v = zigzag[v]"],
    Kind.BOOL: ["v = v != 0"],
}

NEXT_TAG = [
    "t = b[p]",
    "p += 1",
    "if t > 127: t, p = read_tag(b, p)",
]


LENGTH = [
    "n = b[p]",
    "if n < 128: p += 1",
    "else: n, p = read_varint(b, p)",
    "e = p + n",
    "if e > end: raise IndexError",
]


def varint_lines(kind: Kind) -> list[str]:
    """Return statements that read a varint into `v` and move `p` after it."""
    lines = ["v = b[p]"]
    if kind in FROM_SHORT_VARINT:
        lines += ["if v < 128:", *indent("p += 1", *FROM_SHORT_VARINT[kind]), "else:"]
    else:
        lines += ["if v < 128: p += 1", "else:"]
    return [*lines, *indent("v, p = read_varint(b, p)", *FROM_LONG_VARINT[kind])]


def assignment(field: Field, target: str | None, value: str) -> list[str]:
    """Return the statement that sets the target, or appends to the field's list if it is None."""
    if target is None:
        return [f"f{field.number}.append({value})"]
    return [f"{target} = {value}"]


def initial_value(field: Field) -> str:
    """Return the expression for the value of a field before any is read."""
    if field.label is Label.REPEATED:
        return "()"
    if field.label is not Label.IMPLICIT:
        return "None"
    if field.kind is Kind.ENUM:
        return f"zero{field.number}"
    return repr(ZEROS.get(field.kind, 0))


def zero_of(enum_class: Any) -> Any:
    """Return an enum's value 0, or its first value if there is no 0, as is allowed in proto2."""
    return enum_class(0) if issubclass(enum_class, Enum) else next(iter(enum_class))


def indent(*lines: str) -> list[str]:
    return ["    " + line for line in lines]
