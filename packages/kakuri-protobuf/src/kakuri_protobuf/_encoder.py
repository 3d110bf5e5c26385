"""Generates the function that encodes a message class.

A generated function takes a message, whether maps are sorted, how deeply messages may still nest,
and a list with the number of elements that it may still have, and returns bytes. It only handles
correct messages, and raises arbitrary exceptions for others. Then `_faults` checks the message
again to find the field and report what was expected.
"""

import struct
from collections.abc import Callable
from typing import Any

from kakuri_protobuf._errors import EncodeError
from kakuri_protobuf._fields import Field, Label, Schema
from kakuri_protobuf._generated import define
from kakuri_protobuf._kinds import END_GROUP, I32, I64, LEN, VARINT, Kind
from kakuri_protobuf._snippets import STRUCTS, indent
from kakuri_protobuf._wire import ONE_BYTE, write_varint

Encoder = Callable[..., bytes]

_FEW = 4
_ZERO_BYTES = {I32: bytes(4), I64: bytes(8)}


class TooManyElements(Exception):
    """A message has more elements than the caller wants to encode."""


def compile_encoder(
    schema: Schema, encoder_of: Callable[[type[Any]], Encoder], *, is_counting: bool
) -> Encoder:
    """Return the encoder of a message.

    Args:
        schema: The message.
        encoder_of: Returns the encoder of a nested message; called when one is first encountered.
        is_counting: Whether elements are counted, and TooManyElements can be raised.
    """
    return _EncoderWriter(schema, encoder_of, is_counting=is_counting).compile()


class _EncoderWriter:
    """Generates the source of one message's encoder."""

    def __init__(
        self, schema: Schema, encoder_of: Callable[[type[Any]], Encoder], *, is_counting: bool
    ) -> None:
        self._schema = schema
        self._encoder_of = encoder_of
        count = ["s[0] -= len(v)", "if s[0] < 0: raise TooManyElements"]
        self._count = count if is_counting else []
        self._names: dict[str, Any] = {
            "varint": write_varint,
            "utf8": str.encode,  # not the method of a subclass
            "ONE": ONE_BYTE,
            "EncodeError": EncodeError,
            "TooManyElements": TooManyElements,
            "cls": schema.cls,
        }

    def compile(self) -> Encoder:
        """Return the compiled function."""
        lines = []
        for field in self._schema.fields:
            lines += self._field(field)
        lines += self._oneofs()
        if self._schema.unknown is not None:
            lines += [f"out += m.{self._schema.unknown}"]
        body = [
            "if m.__class__ is not cls or d < 0: raise TypeError",
            f"out = {_empty(self._schema)}",
            *lines,
            "return out",
        ]
        source = "\n".join(["def encode(m, is_sorted, d, s):", *indent(*body)])
        define("encode", self._schema.cls, source, self._names)
        encode: Encoder = self._names["encode"]
        return encode

    def _oneofs(self) -> list[str]:
        """Return statements that reject a oneof with two members."""
        groups: dict[str, list[str]] = {}
        for field in self._schema.fields:
            if field.oneof is not None:
                groups.setdefault(field.oneof, []).append(field.name)
        return [
            f"if {' + '.join(f'(m.{name} is not None)' for name in members)} > 1: raise ValueError"
            for members in groups.values()
            if len(members) > 1
        ]

    def _field(self, field: Field) -> list[str]:
        value = [f"v = m.{field.name}"]
        if field.label is Label.REPEATED:
            repeated = [*self._count, *self._repeated(field)]
            return [*value, "if v:", *indent(*repeated), *_typecheck("tuple", "list")]
        if field.label is Label.MAP:
            entries = [*self._count, *self._map(field)]
            return [*value, "if v:", *indent(*entries), "elif v is None: raise TypeError"]
        tagged = self._tagged(field.number, field)
        if field.label is Label.OPTIONAL:
            return [*value, "if v is not None:", *indent(*tagged)]
        if field.label is Label.REQUIRED:
            return [*value, *tagged]
        if field.kind in (Kind.FLOAT, Kind.DOUBLE):
            # -0.0 equals 0.0 but has to be written, so the bytes are compared.
            zero = _ZERO_BYTES[field.kind.wire_type]
            tag = write_varint(field.number << 3 | field.kind.wire_type)
            return [
                *value,
                f"x = {self._pack(field.kind)}(v)",
                f"if x != {zero!r}: out += {tag!r} + x",
            ]
        names = {
            Kind.STRING: ("str",),
            Kind.BYTES: ("bytes", "bytearray", "memoryview"),
            Kind.BOOL: ("bool", "int"),
        }
        return [*value, "if v:", *indent(*tagged), *_typecheck(*names.get(field.kind, ("int",)))]

    def _repeated(self, field: Field) -> list[str]:
        if field.is_packed:
            tag = write_varint(field.number << 3 | LEN)
            return [*self._packed(field), f"out += {tag!r} + varint(len(x)) + x"]
        # Otherwise, a string would be written as a sequence of its characters.
        check = ["if isinstance(v, str): raise TypeError"] if field.kind is Kind.STRING else []
        return [*check, "for v in v:", *indent(*self._tagged(field.number, field))]

    def _packed(self, field: Field) -> list[str]:
        """Return statements that set `x` to the concatenated elements of `v`."""
        kind = field.kind
        if kind.wire_type != VARINT:
            letter = STRUCTS[kind][1]
            self._names["pack"] = struct.pack
            return [f'x = pack(f"<{{len(v)}}{letter}", *v)']
        return [
            "x = bytearray()",
            "for v in v:",
            *indent(*self._number(kind, "x")),
        ]

    def _map(self, field: Field) -> list[str]:
        assert field.key is not None
        tag = write_varint(field.number << 3 | LEN)
        key = Field("key", 1, field.key, Label.REQUIRED)
        value = Field("value", 2, field.kind, Label.REQUIRED, field.type)
        return [
            "for k, w in sorted(v.items()) if is_sorted else v.items():",
            *indent(
                "total, out = out, bytearray()",
                "v = k",
                *self._tagged(1, key),
                "v = w",
                *self._tagged(2, value, name=f"encode{field.number}"),
                f"total += {tag!r} + varint(len(out)) + out",
                "out = total",
            ),
        ]

    def _tagged(self, number: int, field: Field, name: str | None = None) -> list[str]:
        """Return statements that write the value `v` with its tag."""
        kind = field.kind
        tag = write_varint(number << 3 | kind.wire_type)
        if kind in (Kind.STRING, Kind.BYTES, Kind.MESSAGE):
            prefixes = [tag + ONE_BYTE[length] for length in range(128)]
            self._names[f"prefix{number}"] = prefixes
            content = {Kind.STRING: "utf8(v)", Kind.BYTES: "bytes_of(v)"}.get(kind)
            if kind is Kind.BYTES:
                self._names["bytes_of"] = _bytes_of
            if content is None:
                content = self._call(field, name or f"encode{number}")
            return [
                f"x = {content}",
                "n = len(x)",
                f"out += prefix{number}[n] if n < 128 else {tag!r} + varint(n)",
                "out += x",
            ]
        if kind is Kind.GROUP:
            end = write_varint(number << 3 | END_GROUP)
            call = self._call(field, name or f"encode{number}")
            return [f"out += {tag!r} + {call} + {end!r}"]
        if kind.wire_type == VARINT:
            return [f"out += {tag!r}", *self._number(kind, "out")]
        return [f"out += {tag!r} + {self._pack(kind)}(v)"]

    def _number(self, kind: Kind, out: str) -> list[str]:
        """Return statements that write the integer `v` as a varint."""
        if kind is Kind.BOOL:
            return [
                "if v.__class__ is not bool: raise TypeError",
                f"{out} += ONE[v]",
            ]
        assert kind.bounds is not None
        low, high = kind.bounds
        if kind in (Kind.SINT32, Kind.SINT64):
            return [
                f"if not {low} <= v <= {high}: raise ValueError",
                f"{out} += varint(v << 1 ^ v >> 63)",
            ]
        lines = [
            f"if 0 <= v < 128: {out} += ONE[v]",
            f"elif 0 <= v <= {high}: {out} += varint(v)",
        ]
        if low < 0:
            lines.append(f"elif {low} <= v < 0: {out} += varint(v + 0x10000000000000000)")
        return [*lines, "else: raise ValueError"]

    def _pack(self, kind: Kind) -> str:
        name = f"pack_{kind.value}"
        self._names[name] = struct.Struct(STRUCTS[kind]).pack
        return name

    def _call(self, field: Field, name: str) -> str:
        names, cls, encoder_of = self._names, field.type, self._encoder_of

        def first(*arguments: Any) -> bytes:
            data = encoder_of(cls)(*arguments)
            names[name] = encoder_of(cls)  # compiled by now
            return data

        names.setdefault(name, first)
        return f"{name}(v, is_sorted, d - 1, s)"


def _empty(schema: Schema) -> str:
    """Return the initial buffer of a message; for a few scalars, `bytes` is faster."""
    is_small = len(schema.fields) <= _FEW and all(
        field.label in (Label.IMPLICIT, Label.OPTIONAL) and field.kind is not Kind.GROUP
        for field in schema.fields
    )
    return 'b""' if is_small else "bytearray()"


def _typecheck(*names: str) -> list[str]:
    """Return statements that reject falsy values of other types, which would be omitted.

    Args:
        names: Names of the types, the usual one first.
    """
    types = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return [f"elif v.__class__ is not {names[0]} and not isinstance(v, {types}): raise TypeError"]


def _bytes_of(value: Any) -> bytes:
    return value if value.__class__ is bytes else bytes(memoryview(value))
