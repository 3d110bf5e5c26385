"""Generates the function that decodes a message class.

The function tests the fields in the order of their numbers, in which encoders write them: after a
field, it reads the next tag and continues with the later fields. If none of them has this tag, it
starts again at the first field; a tag that no field has is unknown. So fields can be in any order,
and fields in the usual order cost one comparison each.

A generated function has these parameters, and returns the message:

    b, p, end   the data, and the position and the end of the message in it
    d           how many more levels of messages may nest in this one
    s           a list of two numbers: how many more elements the whole message may have, and the
                position after the last group
    old         the message that this one is merged into, or None
    g           the end tag of the message if it is a group, or None

Only nested messages recurse. An exception is caught in the function that raised it, which knows the
field and the position, so that valid messages pay nothing for the location of errors.
"""

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

from kakuri_protobuf._construction import construction
from kakuri_protobuf._fields import Field, Label, Schema
from kakuri_protobuf._generated import define
from kakuri_protobuf._kinds import I32, I64, LEN, Enum, Kind
from kakuri_protobuf._snippets import (
    LENGTH,
    NEXT_TAG,
    STRUCTS,
    indent,
    initial_value,
    varint_lines,
    zero_of,
)
from kakuri_protobuf._value_writer import Decoder, ValueWriter


def compile_decoder(
    schema: Schema, decoder_of: Callable[[type[Any]], Decoder], *, is_counting: bool
) -> Decoder:
    """Return the decoder of a message.

    Args:
        schema: The message.
        decoder_of: Returns the decoder of a nested message; called when one is first encountered,
            so that recursive types and large families of types cost nothing before.
        is_counting: Whether elements are counted. Messages with fewer bytes than the limit on
            elements need not be counted.
    """
    return _DecoderWriter(schema, decoder_of, is_counting=is_counting).compile()


class _DecoderWriter(ValueWriter):
    """Generates the source of one message's decoder."""

    def compile(self) -> Decoder:
        """Return the compiled function."""
        fields = self._schema.fields
        next_tag = ["a = p", *NEXT_TAG] if self._keeps_unknown else NEXT_TAG
        lines = self._initial_values()
        body = [line for field in fields for line in self._field(field, next_tag)]
        unknown = ["unknown += b[a:p]"] if self._keeps_unknown else []
        loop = [
            "while True:",
            *indent(
                "q = p",
                *body,
                "if p == q:",  # no field has this tag
                *indent(
                    "if t == g: break",
                    "p = skip(b, p, end, t, d)",
                    *unknown,
                    "if p >= end: break",
                    *next_tag,
                ),
            ),
        ]
        lines += ["if p < end:", *indent(*next_tag, *loop)]
        lines += ["if p > end: raise IndexError"]
        lines += ["if g:", *indent("if t != g: t = 0; raise no_end(g)", "s[1] = p")]
        lines += self._required()
        counts = ", ".join(
            f"{field.number}: f{field.number}" for field in fields if field.label is Label.REPEATED
        )
        source = [
            "def decode(b, p, end, d, s, old=None, g=None):",
            *indent(
                "if d < 0: raise too_deep()",
                "t = 0",
                "try:",
                *indent(*lines),
                "except CAUGHT as error:",
                *indent(f"raise failure(error, fields, t, min(p, end), {{{counts}}}) from None"),
                *self._result(),
            ),
        ]
        define("decode", self._schema.cls, "\n".join(source), self._names)
        decode: Decoder = self._names["decode"]
        return decode

    # Before and after the loop.

    def _initial_values(self) -> list[str]:
        fresh, merged = ["f0 = None"], ["f0 = None"]
        for field in self._schema.fields:
            name = f"f{field.number}"
            fresh.append(f"{name} = {initial_value(field)}")
            if field.label is Label.REPEATED:
                count = f"len({name})"
                if field.kind.is_packable:
                    count = _packed_count(count)
                merged += [f"{name} = list(old.{field.name})", f"s[0] -= {count}"]
            elif field.label is Label.MAP:
                merged += [f"{name} = dict(old.{field.name})", f"s[0] -= len({name})"]
            else:
                merged.append(f"{name} = old.{field.name}")
        if self._keeps_unknown:
            fresh.append("unknown = bytearray()")
            merged.append(f"unknown = bytearray(old.{self._schema.unknown})")
            merged.append("s[0] -= len(unknown)")
        for field in self._schema.fields:
            if field.kind is Kind.ENUM and field.label is Label.IMPLICIT:
                self._names[f"zero{field.number}"] = zero_of(field.type)
        merged.append("if s[0] < 0: raise too_many()")
        return ["if old is None:", *indent(*fresh), "else:", *indent(*merged)]

    def _required(self) -> list[str]:
        lines = []
        for field in self._schema.fields:
            if field.label is Label.REQUIRED:
                lines.append(
                    f"if f{field.number} is None:"
                    f' raise DecodeError("expected field {field.name!r}, which is required")'
                )
        return ["t = 0", *lines] if lines else []

    def _result(self) -> list[str]:
        values = {}
        for field in self._schema.fields:
            name = f"f{field.number}"
            if field.label is Label.REPEATED:
                values[field.name] = f"tuple({name})"
            elif field.label is Label.MAP:
                values[field.name] = f"{{}} if {name} is None else {name}"
            else:
                values[field.name] = name
        if self._schema.unknown is not None:
            values[self._schema.unknown] = "bytes(unknown)"
        order = [item.name for item in dataclasses.fields(self._schema.cls)]
        return construction(self._schema.cls, {name: values[name] for name in order}, self._names)

    # One field.

    def _field(self, field: Field, next_tag: list[str]) -> list[str]:
        """Return the statements that read a field if the tag `t` is one of its tags."""
        after = ["if p >= end: break", *next_tag]
        if field.label is Label.REPEATED:
            return self._repeated(field, after)
        if field.label is Label.MAP:
            return self._map(field)
        target = f"f{field.number}"
        lines = self.value(field, target, old=target)
        if field.oneof is not None:
            others = [
                f"f{other.number}"
                for other in self._schema.fields
                if other.oneof == field.oneof and other is not field
            ]
            if others:
                lines = [*lines, f"{' = '.join(others)} = None"]
        tag = field.number << 3 | field.kind.wire_type
        return [f"if t == {tag}:", *indent(*lines, *after)]

    def _repeated(self, field: Field, after: list[str]) -> list[str]:
        target = f"f{field.number}"
        tag = field.number << 3 | field.kind.wire_type
        count = ["s[0] -= 1", "if s[0] < 0: raise too_many()"] if self._is_counting else []
        element = [*count, *self.value(field, None)]
        single = self._run(tag, f"if not {target}: {target} = []", element)
        if not field.kind.is_packable:
            return single
        packed = [
            f"if t == {field.number << 3 | LEN}:",
            *indent(
                *LENGTH,
                f"if not {target}: {target} = []",
                *self._packed(field, target),
                *after,
            ),
        ]
        return [*packed, *single] if field.is_packed else [*single, *packed]

    def _packed(self, field: Field, target: str) -> list[str]:
        kind = field.kind
        if kind.wire_type in (I32, I64):
            size = 4 if kind.wire_type == I32 else 8
            self._names[f"iterate{field.number}"] = struct.Struct(STRUCTS[kind]).iter_unpack
            return [
                f"if n % {size}:",
                f'    raise DecodeError(f"expected a multiple of {size} bytes, got {{n}}")',
                *self._count_packed(f"n // {size}"),
                f"{target} += [v for v, in iterate{field.number}(b[p:e])]",
                "p = e",
            ]
        short = {
            Kind.SINT32: f"{target} += [zigzag[v] for v in chunk]",
            Kind.SINT64: f"{target} += [zigzag[v] for v in chunk]",
            Kind.BOOL: f"{target} += map(bool, chunk)",
            Kind.ENUM: f"{target} += [members{field.number}[v] for v in chunk]",
        }.get(kind, f"{target} += chunk")
        store = self.store(field, None)
        condition = "chunk.isascii()"
        if kind is Kind.ENUM and not self.is_open(field):
            condition = "False"
        return [
            "chunk = b[p:e]",
            *self._count_packed("len(chunk.translate(None, continued))"),
            f"if {condition}:",
            *indent(short, "p = e"),
            "while p < e:",
            *indent(*varint_lines(kind), *store),
            "if p != e: raise IndexError",
        ]

    def _count_packed(self, count: str) -> list[str]:
        if not self._is_counting:
            return []
        return [f"s[0] -= {_packed_count(count)}", "if s[0] < 0: raise too_many()"]

    def _map(self, field: Field) -> list[str]:
        number = field.number
        target = f"f{number}"
        is_closed = field.kind is Kind.ENUM and not self.is_open(field)
        self._names[f"entry{number}"] = _entry_decoder(
            field, self._decoder_of, is_counting=self._is_counting
        )
        count = ["s[0] -= 1", "if s[0] < 0: raise too_many()"] if self._is_counting else []
        general = [f"k, v = entry{number}(b, p, e, d - 1, s)", f"{target}[k] = v"]
        if is_closed:
            kept = ["unknown += b[a:e]"] if self._keeps_unknown else ["pass"]
            general = [
                f"k, v = entry{number}(b, p, e, d - 1, s)",
                f"if v in members{number}: {target}[k] = members{number}[v]",
                "else:",
                *indent(*kept),
            ]
            self._names[f"members{number}"] = {int(member): member for member in field.type}
        if field.key is Kind.STRING and field.kind is Kind.STRING:
            # Most entries have the key first, and both strings are shorter than 128 bytes.
            is_short = (
                "n > 3 and b[p] == 10 and (k := b[p + 1]) < 128 and (m := p + k + 2) < e"
                " and b[m] == 18 and m + 2 + (k := b[m + 1]) == e and k < 128"
            )
            general = [
                f"if {is_short}:",
                *indent(
                    f"try: {target}[b[p + 2:m].decode()] = b[m + 2:e].decode()",
                    # The general path finds the position of the error.
                    f"except UnicodeDecodeError: entry{number}(b, p, e, d - 1, s)",
                ),
                "else:",
                *indent(*general),
            ]
        entry = [*count, *LENGTH, *general, "p = e"]
        return self._run(number << 3 | LEN, f"if {target} is None: {target} = {{}}", entry)

    def _run(self, tag: int, first: str, element: list[str]) -> list[str]:
        """Return statements that read consecutive elements with the same tag.

        Args:
            tag: The tag.
            first: The statement before the first element, which creates the container.
            element: The statements that read one element.
        """
        return [
            f"if t == {tag}:",
            *indent(
                first,
                "while True:",
                *indent(
                    *element,
                    "if p >= end:",
                    *indent("q = -1", "break"),
                    *(["a = p"] if self._keeps_unknown else []),
                    *NEXT_TAG,
                    f"if t != {tag}: break",
                ),
                "if q < 0: break",  # the end of the message: there is no further tag
            ),
        ]


def _packed_count(count: str) -> str:
    """Return the expression for how many of `Limits.elements` packed numbers count as."""
    return f"({count} + 15) >> 4"


def _entry_decoder(
    field: Field, decoder_of: Callable[[type[Any]], Decoder], *, is_counting: bool
) -> Decoder:
    """Return the decoder of a map's entries, which returns a pair.

    An entry is a message with the fields `key = 1` and `value = 2`; either may be missing. The
    value of a closed enum is returned as a number, because the entry counts as an unknown field if
    the enum has no such value.
    """
    assert field.key is not None
    value_kind, value_type = field.kind, field.type
    if value_kind is Kind.ENUM and not issubclass(value_type, Enum):
        value_kind, value_type = Kind.INT32, None
    label = Label.OPTIONAL if value_kind is Kind.MESSAGE else Label.IMPLICIT
    key = Field("key", 1, field.key, Label.IMPLICIT)
    value = Field("value", 2, value_kind, label, value_type)
    pair = _EntryWriter(Schema(_Entry, (key, value)), decoder_of, is_counting=is_counting)
    return pair.compile()


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Placeholder for the class of a map's entries, which exist only on the wire."""

    key: Any
    value: Any


class _EntryWriter(_DecoderWriter):
    """Writes the decoder of a map's entries."""

    def _result(self) -> list[str]:
        value = self._schema.fields[1]
        if value.kind is not Kind.MESSAGE:
            return ["return f1, f2"]
        empty = self.call(value, "p", None)
        return [f"return f1, {empty} if f2 is None else f2"]
