"""Annotations that define how fields are written on the wire.

A field is an attribute with a number in its annotation: `id: Annotated[str, 1] = ""`. Where
Python's type is not specific enough, an alias specifies the kind: an `int` can be written in ten
ways, so plain `int` is not allowed, and `Int64` is `Annotated[int, Kind.INT64]`. Nested annotations
are flattened, so `Annotated[Int64, 4]` has both the kind and the number, and type checkers see
`int`.

The names are those of the Protocol Buffers language (protobuf.dev/programming-guides/proto3).
"""

import enum
from dataclasses import dataclass
from typing import Annotated, Any

VARINT, I64, LEN, START_GROUP, END_GROUP, I32 = range(6)
"""Wire types (protobuf.dev/programming-guides/encoding)."""


class Kind(enum.Enum):
    """A field's type in the Protocol Buffers language."""

    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    UINT64 = "uint64"
    SINT32 = "sint32"
    SINT64 = "sint64"
    BOOL = "bool"
    ENUM = "enum"
    FIXED32 = "fixed32"
    SFIXED32 = "sfixed32"
    FLOAT = "float"
    FIXED64 = "fixed64"
    SFIXED64 = "sfixed64"
    DOUBLE = "double"
    STRING = "string"
    BYTES = "bytes"
    MESSAGE = "message"
    GROUP = "group"

    @property
    def wire_type(self) -> int:
        """The wire type of one value of this kind."""
        return _WIRE_TYPES.get(self, VARINT)

    @property
    def is_packable(self) -> bool:
        """Whether a repeated field can be packed: every scalar kind except strings and bytes."""
        return self.wire_type in (VARINT, I32, I64)

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The smallest and the largest value of an integer kind; None for other kinds."""
        return _BOUNDS.get(self)


_WIRE_TYPES = {
    Kind.FIXED32: I32,
    Kind.SFIXED32: I32,
    Kind.FLOAT: I32,
    Kind.FIXED64: I64,
    Kind.SFIXED64: I64,
    Kind.DOUBLE: I64,
    Kind.STRING: LEN,
    Kind.BYTES: LEN,
    Kind.MESSAGE: LEN,
    Kind.GROUP: START_GROUP,
}
_SIGNED_32, _SIGNED_64 = (-(1 << 31), (1 << 31) - 1), (-(1 << 63), (1 << 63) - 1)
_UNSIGNED_32, _UNSIGNED_64 = (0, (1 << 32) - 1), (0, (1 << 64) - 1)
_BOUNDS = {
    Kind.INT32: _SIGNED_32,
    Kind.SINT32: _SIGNED_32,
    Kind.SFIXED32: _SIGNED_32,
    Kind.ENUM: _SIGNED_32,
    Kind.INT64: _SIGNED_64,
    Kind.SINT64: _SIGNED_64,
    Kind.SFIXED64: _SIGNED_64,
    Kind.UINT32: _UNSIGNED_32,
    Kind.FIXED32: _UNSIGNED_32,
    Kind.UINT64: _UNSIGNED_64,
    Kind.FIXED64: _UNSIGNED_64,
}

Int32 = Annotated[int, Kind.INT32]
Int64 = Annotated[int, Kind.INT64]
UInt32 = Annotated[int, Kind.UINT32]
UInt64 = Annotated[int, Kind.UINT64]
SInt32 = Annotated[int, Kind.SINT32]
SInt64 = Annotated[int, Kind.SINT64]
Fixed32 = Annotated[int, Kind.FIXED32]
Fixed64 = Annotated[int, Kind.FIXED64]
SFixed32 = Annotated[int, Kind.SFIXED32]
SFixed64 = Annotated[int, Kind.SFIXED64]
Float = Annotated[float, Kind.FLOAT]
Double = Annotated[float, Kind.DOUBLE]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Marks a field as a member of a oneof, of which at most one member is not None."""

    name: str


@dataclass(frozen=True, slots=True)
class Default:
    """The declared default of a proto2 field. An absent field is None regardless."""

    value: Any


class Mark(enum.Enum):
    """Marks without a value; exported as Unpacked, Required, Group and Unknown."""

    UNPACKED = "unpacked"
    REQUIRED = "required"
    GROUP = "group"
    UNKNOWN = "unknown"


Unpacked = Mark.UNPACKED
"""Writes each element of a repeated scalar field with its own tag, as in proto2."""

Required = Mark.REQUIRED
"""Marks a required proto2 field: it is always written, and its absence is a DecodeError."""

Group = Mark.GROUP
"""Writes a message between a start and an end tag, as a group in proto2."""

Unknown = Mark.UNKNOWN
"""Marks the `bytes` attribute that keeps unknown fields, byte for byte; they are written last."""


class Enum(enum.IntEnum):
    """Base class of open enums: a number without a name is also a value of the class.

    Such a value prints as `ContainerState(7)`, compares like the integer, and is not stored, so a
    peer that sends many numbers does not make the class grow. A plain `enum.IntEnum` is a closed
    enum, as in proto2: a number without a name is treated as an unknown field.
    """

    @classmethod
    def _missing_(cls, value: object) -> "Enum | None":
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        low, high = _SIGNED_32
        if not low <= value <= high:
            return None
        unnamed = int.__new__(cls, value)
        unnamed._name_ = ""
        unnamed._value_ = value
        return unnamed

    def __repr__(self) -> str:
        if self._name_:
            return f"{type(self).__name__}.{self._name_}"
        return f"{type(self).__name__}({self._value_})"

    def __str__(self) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return type(self), (self._value_,)

    def __deepcopy__(self, memo: object) -> "Enum":
        return self

    def __copy__(self) -> "Enum":
        return self
