"""The schema of a message, read from a dataclass, from which codecs are compiled."""

import dataclasses
import enum
import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from kakuri_protobuf._errors import UnsupportedTypeError
from kakuri_protobuf._kinds import Default, Kind, Mark, OneOf

MAX_NUMBER = (1 << 29) - 1
"""The largest field number (protobuf.dev/programming-guides/proto3#assigning)."""

_RESERVED_NUMBERS = range(19_000, 20_000)


class Label(enum.Enum):
    """How often a field can occur, and whether an absent field differs from a zero value."""

    IMPLICIT = "implicit"
    OPTIONAL = "optional"
    REQUIRED = "required"
    REPEATED = "repeated"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        name: Name of the attribute.
        number: Number of the field on the wire.
        kind: Kind of the value; for a repeated field or a map, of each element or value.
        label: How often the field can occur.
        type: Class of the enum or message; None for other kinds.
        is_packed: Whether the elements are written together.
        oneof: Name of the oneof that the field is a member of.
        key: Kind of the keys of a map.
    """

    name: str
    number: int
    kind: Kind
    label: Label
    type: Any = None
    is_packed: bool = False
    oneof: str | None = None
    key: Kind | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """A message: its class, its fields by number, and the attribute that keeps unknown fields."""

    cls: type[Any]
    fields: tuple[Field, ...]
    unknown: str | None = None


_PLAIN: dict[Any, Kind] = {str: Kind.STRING, bytes: Kind.BYTES, bool: Kind.BOOL, float: Kind.DOUBLE}
_PYTHON: dict[Kind, type[Any]] = {
    **dict.fromkeys((Kind.FLOAT, Kind.DOUBLE), float),
    **{kind: int for kind in Kind if kind.bounds is not None and kind is not Kind.ENUM},
}
_KEYS = {Kind.STRING, Kind.BOOL, *(kind for kind in _PYTHON if kind.bounds is not None)}


def schema_of(cls: type[Any]) -> Schema:
    """Read the schema of a dataclass.

    Raises:
        UnsupportedTypeError: The class is not a dataclass, or one of its fields has no number, a
            duplicate number, a number out of range, or a type without a wire format.
    """
    is_class: bool = isinstance(cls, type)
    if not (is_class and dataclasses.is_dataclass(cls)):
        raise UnsupportedTypeError(f"expected a dataclass, got {cls!r}")
    # Pseudo-fields: class variables, and each InitVar, which the constructor has as a parameter.
    pseudo = {*cls.__dataclass_fields__} - {item.name for item in dataclasses.fields(cls)}
    for name in pseudo and pseudo.intersection(inspect.signature(cls.__init__).parameters):
        if not hasattr(cls, name):
            raise UnsupportedTypeError(f"{cls.__qualname__}.{name}: expected a default")
    hints = _field_annotations(cls)
    fields: list[Field] = []
    unknown = None
    for item in dataclasses.fields(cls):
        place = f"{cls.__qualname__}.{item.name}"
        if item.name.startswith("__"):
            raise UnsupportedTypeError(f"{place}: expected a name that Python does not mangle")
        if not item.init:
            raise UnsupportedTypeError(f"{place}: expected a field of __init__, got init=False")
        kind, metadata = _unwrap(hints[item.name])
        if Mark.UNKNOWN in metadata:
            if kind is not bytes or unknown is not None:
                raise UnsupportedTypeError(f"{place}: expected one field of bytes as Unknown")
            unknown = item.name
            continue
        fields.append(_field(item.name, kind, metadata, place))
    _check_numbers(cls, fields)
    fields.sort(key=lambda field: field.number)
    return Schema(cls, tuple(fields), unknown)


def _field_annotations(cls: type[Any]) -> dict[str, Any]:
    """Return the annotations of fields only, because others may have names that do not resolve."""
    names = {item.name for item in dataclasses.fields(cls)}
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        own = {name: hint for name, hint in inspect.get_annotations(base).items() if name in names}
        carrier = type(base.__name__, (), {"__annotations__": own, "__module__": base.__module__})
        try:
            found |= get_type_hints(carrier, localns={}, include_extras=True)
        except Exception as error:  # the program's expressions can raise anything
            raise UnsupportedTypeError(f"{cls.__qualname__}: {error}") from error
    return found


def _check_numbers(cls: type[Any], fields: list[Field]) -> None:
    names: dict[int, str] = {}
    for field in fields:
        place = f"{cls.__qualname__}.{field.name}"
        if not 1 <= field.number <= MAX_NUMBER or field.number in _RESERVED_NUMBERS:
            raise UnsupportedTypeError(
                f"{place}: expected a number from 1 to {MAX_NUMBER} and outside 19000 to 19999,"
                f" got {field.number}"
            )
        if field.number in names:
            raise UnsupportedTypeError(
                f"{place}: number {field.number} is taken by {names[field.number]!r}"
            )
        names[field.number] = field.name


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type inside an Annotated and its metadata, innermost first."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    inner, *metadata = get_args(hint)
    return inner, tuple(metadata)


def _field(name: str, hint: Any, metadata: tuple[Any, ...], place: str) -> Field:
    numbers = [mark for mark in metadata if type(mark) is int]
    if len(numbers) != 1:
        raise UnsupportedTypeError(f"{place}: expected one field number, got {numbers}")
    known = (int, Kind, Mark, OneOf, Default)
    for mark in metadata:
        if not isinstance(mark, known):
            raise UnsupportedTypeError(f"{place}: expected metadata of this package, got {mark!r}")
    marks = [mark for mark in metadata if isinstance(mark, Mark)]
    oneofs = [mark.name for mark in metadata if isinstance(mark, OneOf)]
    oneof = oneofs[0] if oneofs else None
    hint, kinds, label = _label(hint, metadata, marks, place)
    if oneof is not None and label is not Label.OPTIONAL:
        raise UnsupportedTypeError(f"{place}: expected a member of a oneof to be optional")
    if label is Label.MAP:
        return _map(name, numbers[0], hint, place)
    kind, cls = _kind(hint, kinds, place)
    if Mark.GROUP in marks:
        if kind is not Kind.MESSAGE:
            raise UnsupportedTypeError(f"{place}: expected a message as a group, got {kind.value}")
        kind = Kind.GROUP
    if kind in (Kind.MESSAGE, Kind.GROUP) and label is Label.IMPLICIT:
        raise UnsupportedTypeError(
            f"{place}: expected {cls.__name__} | None, because a message may be absent"
        )
    is_packed = label is Label.REPEATED and kind.is_packable and Mark.UNPACKED not in marks
    return Field(name, numbers[0], kind, label, cls, is_packed, oneof)


def _label(
    hint: Any, metadata: tuple[Any, ...], marks: list[Mark], place: str
) -> tuple[Any, tuple[Any, ...], Label]:
    """Return the type of a value, the metadata that applies to it, and the label of the field."""
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        if len(members) != 1 or Mark.REQUIRED in marks:
            raise UnsupportedTypeError(f"{place}: expected X or X | None, got {hint}")
        inner, extra = _unwrap(members[0])
        return inner, extra, Label.OPTIONAL
    if get_origin(hint) is tuple:
        arguments = get_args(hint)
        if len(arguments) != 2 or arguments[1] is not Ellipsis:
            raise UnsupportedTypeError(f"{place}: expected tuple[X, ...], got {hint}")
        inner, extra = _unwrap(arguments[0])
        return inner, extra, Label.REPEATED
    if get_origin(hint) in (Mapping, dict):
        return hint, (), Label.MAP
    return hint, metadata, Label.REQUIRED if Mark.REQUIRED in marks else Label.IMPLICIT


def _map(name: str, number: int, hint: Any, place: str) -> Field:
    if len(get_args(hint)) != 2:
        raise UnsupportedTypeError(f"{place}: expected Mapping[K, V], got {hint}")
    key_hint, value_hint = get_args(hint)
    inner, extra = _unwrap(key_hint)
    key, _ = _kind(inner, extra, place)
    if key not in _KEYS:
        raise UnsupportedTypeError(f"{place}: expected integers, bool or str as keys")
    inner, extra = _unwrap(value_hint)
    kind, cls = _kind(inner, extra, place)
    return Field(name, number, kind, Label.MAP, cls, key=key)


def _kind(hint: Any, metadata: tuple[Any, ...], place: str) -> tuple[Kind, Any]:
    kinds = [mark for mark in metadata if isinstance(mark, Kind)]
    if kinds:
        if len(kinds) > 1 or _PYTHON.get(kinds[0]) is not hint:
            names = ", ".join(kind.value for kind in kinds)
            raise UnsupportedTypeError(f"{place}: expected one kind that fits {hint}, got {names}")
        return kinds[0], None
    if hint is int:
        raise UnsupportedTypeError(
            f"{place}: expected a kind of integer, such as Int32 or UInt64, got int"
        )
    if hint in _PLAIN:
        return _PLAIN[hint], None
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        if not hint.__members__:
            raise UnsupportedTypeError(f"{place}: expected an enum with members, got {hint!r}")
        return Kind.ENUM, hint
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return Kind.MESSAGE, hint
    raise UnsupportedTypeError(f"{place}: expected a type with a wire format, got {hint!r}")
