"""Generates the statements of a decoder that read one value."""

import struct
from collections.abc import Callable
from typing import Any

from kakuri_protobuf._errors import DecodeError
from kakuri_protobuf._failures import failure, no_end, too_deep, too_many
from kakuri_protobuf._fields import Field, Schema
from kakuri_protobuf._kinds import END_GROUP, I32, VARINT, Enum, Kind
from kakuri_protobuf._snippets import (
    CONTINUED,
    LENGTH,
    STRUCTS,
    ZIGZAG,
    assignment,
    indent,
    varint_lines,
)
from kakuri_protobuf._wire import read_tag, read_varint, skip, write_varint

Decoder = Callable[..., Any]


class _Members(dict[int, Any]):
    """The values of an open enum by number; unnamed ones are created on demand and not stored."""

    def __init__(self, cls: type[Enum]) -> None:
        super().__init__((int(member), member) for member in cls)
        self._cls = cls

    def __missing__(self, number: int) -> Any:
        return self._cls(number)


class ValueWriter:
    """Generates statements that read values of fields, and records the names they use."""

    def __init__(
        self, schema: Schema, decoder_of: Callable[[type[Any]], Decoder], *, is_counting: bool
    ) -> None:
        self._schema = schema
        self._decoder_of = decoder_of
        self._is_counting = is_counting
        self._keeps_unknown = schema.unknown is not None
        self._names: dict[str, Any] = {
            "read_varint": read_varint,
            "read_tag": read_tag,
            "skip": skip,
            "write_varint": write_varint,
            "zigzag": ZIGZAG,
            "DecodeError": DecodeError,
            "CAUGHT": (DecodeError, IndexError, UnicodeDecodeError, struct.error),
            "failure": failure,
            "no_end": no_end,
            "fields": {field.number: field for field in schema.fields},
            "too_deep": too_deep,
            "too_many": too_many,
            "continued": CONTINUED,
        }

    def value(self, field: Field, target: str | None, old: str | None = None) -> list[str]:
        """Return statements that read a value after its tag.

        Args:
            field: The field.
            target: The variable to set, or None to append to the field's list.
            old: The variable that holds a message to merge into.
        """
        kind = field.kind
        if kind is Kind.STRING:
            return [*LENGTH, *assignment(field, target, "b[p:e].decode()"), "p = e"]
        if kind is Kind.BYTES:
            return [*LENGTH, *assignment(field, target, "b[p:e]"), "p = e"]
        if kind is Kind.MESSAGE:
            call = self.call(field, "e", old)
            return [*LENGTH, *assignment(field, target, call), "p = e"]
        if kind is Kind.GROUP:
            call = self.call(field, "end", old, group=field.number)
            return [*assignment(field, target, call), "p = s[1]"]
        if kind.wire_type == VARINT:
            return [*varint_lines(kind), *self.store(field, target)]
        self._names[f"unpack{field.number}"] = struct.Struct(STRUCTS[kind]).unpack_from
        size = 4 if kind.wire_type == I32 else 8
        return [*assignment(field, target, f"unpack{field.number}(b, p)[0]"), f"p += {size}"]

    def store(self, field: Field, target: str | None) -> list[str]:
        """Return statements that store the number `v`, which was decoded from a varint."""
        if field.kind is not Kind.ENUM:
            return assignment(field, target, "v")
        if self.is_open(field):
            return assignment(field, target, f"members{field.number}[v]")
        keep = ["pass"]
        if self._keeps_unknown:
            tag = write_varint(field.number << 3)
            keep = [f"unknown += {tag!r} + write_varint(v & 0xFFFFFFFFFFFFFFFF)"]
        return [
            f"if v in members{field.number}:",
            *indent(*assignment(field, target, f"members{field.number}[v]")),
            "else:",
            *indent(*keep),
        ]

    def is_open(self, field: Field) -> bool:
        """Return whether a field's enum is open, and record its values."""
        is_open = issubclass(field.type, Enum)
        members = (
            _Members(field.type) if is_open else {int(member): member for member in field.type}
        )
        self._names[f"members{field.number}"] = members
        return is_open

    def call(self, field: Field, end: str, old: str | None, *, group: int = 0) -> str:
        name = f"decode{field.number}"
        names, cls, decoder_of = self._names, field.type, self._decoder_of

        def first(*arguments: Any) -> Any:
            message = decoder_of(cls)(*arguments)
            names[name] = decoder_of(cls)  # already compiled
            return message

        names.setdefault(name, first)
        merged = "" if old is None and not group else f", {old}"
        end_tag = f", {group << 3 | END_GROUP}" if group else ""
        return f"{name}(b, p, {end}, d - 1, s{merged}{end_tag})"
