"""Reads types: from annotations to shapes."""

import dataclasses
import datetime as dt
import decimal
import enum
import threading
import types
import typing
import uuid
from collections import abc
from typing import Any, Literal, TypeAlias

from kakuri_json._constraints import constrain, constraints_of
from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._options import options_of
from kakuri_json._shapes import (
    Anything,
    Choice,
    Constrained,
    Dictionary,
    Field,
    Fixed,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
)

_SIMPLE: dict[Any, Shape] = {
    str: Scalar("string"),
    int: Scalar("integer"),
    float: Scalar("number"),
    bool: Scalar("boolean"),
    None: Scalar("null"),
    type(None): Scalar("null"),
    Any: Anything(),
    object: Anything(),
    decimal.Decimal: Text("decimal"),
    dt.datetime: Text("datetime"),
    dt.date: Text("date"),
    bytes: Text("bytes"),
    uuid.UUID: Text("uuid"),
    list: Sequence(Anything(), list),
    tuple: Sequence(Anything(), tuple),
    set: Sequence(Anything(), set),
    frozenset: Sequence(Anything(), frozenset),
    dict: Dictionary(Scalar("string"), Anything()),
}
_SEQUENCES: dict[Any, type[Any]] = {
    list: list, set: set, frozenset: frozenset, abc.Sequence: list, abc.Set: frozenset,
    abc.Iterable: list, abc.Collection: list, abc.MutableSequence: list,
}  # fmt: skip
_DICTIONARIES = (dict, abc.Mapping, abc.MutableMapping)
_ALIAS = getattr(typing, "TypeAliasType", ())
_QUALIFIERS = tuple(
    getattr(typing, name) for name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
    if hasattr(typing, name)
)  # fmt: skip

Bindings: TypeAlias = dict[Any, Any]
Rename: TypeAlias = abc.Callable[[str], str]

_records: dict[tuple[Any, tuple[Any, ...]], Record] = {}
_reading = threading.RLock()
"""Held while a class is read: another thread must not see a record without its fields."""


def shape_of(annotation: Any, bindings: Bindings | None = None) -> Shape:
    """Give the shape of a type.

    bindings: what the type variables of a generic class stand for.
    Raises UnsupportedTypeError for a type that JSON values cannot be converted to.
    """
    bindings = bindings or {}
    try:
        simple = _SIMPLE.get(annotation)
    except TypeError:  # unhashable metadata in Annotated
        simple = None
    if simple is not None:
        return simple
    if isinstance(annotation, typing.TypeVar):
        if bindings.get(annotation, annotation) is not annotation:
            return shape_of(bindings[annotation], bindings)
        return shape_of(annotation.__bound__) if annotation.__bound__ else Anything()
    if isinstance(annotation, typing.NewType):
        return shape_of(annotation.__supertype__, bindings)
    if _ALIAS and isinstance(annotation, _ALIAS):
        return _alias(annotation, bindings)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is not None:
        return _generic(annotation, origin, arguments, bindings)
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return _enum(annotation)
        if dataclasses.is_dataclass(annotation) or typing.is_typeddict(annotation):
            return record_of(annotation)
    raise UnsupportedTypeError(f"expected a type with a JSON form, got {annotation!r}")


def _generic(annotation: Any, origin: Any, arguments: tuple[Any, ...], bindings: Bindings) -> Shape:
    if origin is typing.Annotated:
        inner = shape_of(annotation.__origin__, bindings)
        constraints = tuple(constraints_of(annotation.__metadata__))
        return constrain(inner, constraints) if constraints else inner
    if origin in _QUALIFIERS:
        return shape_of(arguments[0], bindings)
    if origin is Literal:
        return Choice(tuple(_literal_row(value) for value in arguments))
    if origin in (typing.Union, types.UnionType):
        return _union([shape_of(argument, bindings) for argument in arguments], annotation)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return Sequence(shape_of(arguments[0], bindings), tuple)
        return Fixed(tuple(shape_of(argument, bindings) for argument in arguments))
    if origin in _SEQUENCES:
        return Sequence(shape_of(arguments[0], bindings), _SEQUENCES[origin])
    if origin in _DICTIONARIES:
        key = shape_of(arguments[0], bindings)
        if not _is_textual(key):
            raise UnsupportedTypeError(f"expected keys with a string form, got {annotation!r}")
        return Dictionary(key, shape_of(arguments[1], bindings))
    if _ALIAS and isinstance(origin, _ALIAS):
        given = (bindings.get(argument, argument) for argument in arguments)
        return _alias(origin, bindings | dict(zip(origin.__type_params__, given, strict=True)))
    if dataclasses.is_dataclass(origin) or typing.is_typeddict(origin):
        bound = tuple(bindings.get(argument, argument) for argument in arguments)
        return record_of(origin, bound)
    raise UnsupportedTypeError(f"expected a type with a JSON form, got {annotation!r}")


def _alias(alias: Any, bindings: Bindings) -> Shape:
    if alias in bindings:
        got = f"{alias!r} inside itself"
        raise UnsupportedTypeError(f"expected a class where a type contains itself, got {got}")
    return shape_of(alias.__value__, bindings | {alias: alias})


def _literal_row(value: Any) -> tuple[Any, Any]:
    return (value.value if isinstance(value, enum.Enum) else value), value


def _enum(cls: type[enum.Enum]) -> Choice:
    for member in cls:
        if type(member.value) not in (str, int, float, bool, type(None)):
            raise UnsupportedTypeError(f"expected an Enum of JSON values, got {member!r}")
    return Choice(tuple((member.value, member) for member in cls), cls.__name__)


def _is_textual(shape: Shape) -> bool:
    if isinstance(shape, Constrained):
        return _is_textual(shape.inner)
    if isinstance(shape, Choice):
        return all(type(value) is str for value, _ in shape.rows)
    return isinstance(shape, Text) or shape == Scalar("string")


def _union(members: list[Shape], annotation: Any) -> Shape:
    flat: list[Shape] = []
    for member in members:
        flat.extend(member.members if isinstance(member, Union) else (member,))
    flat.sort(key=_rank)
    records = [member for member in flat if isinstance(member, Record)]
    _refuse_guessing(flat, annotation)
    if len(records) < 2:
        return Union(tuple(flat))
    tags = (name for name in records[0].tags if all(name in record.tags for record in records))
    tag = next(tags, None)
    if tag is None:
        raise UnsupportedTypeError(f"expected a tag that tells the classes apart in {annotation!r}")
    tagged: dict[Any, Record] = {}
    for record in records:
        for value in record.tags[tag]:
            if tagged.setdefault(value, record) is not record:
                got = f"{value!r} twice in {annotation!r}"
                raise UnsupportedTypeError(f"expected different values of {tag!r}, got {got}")
    return Union(tuple(flat), tag, tagged)


_FORMAT_RANKS = ("datetime", "date", "uuid", "decimal", "bytes")


def _rank(member: Shape) -> int:
    """Order the members of a union, the narrow ones first.

    A choice or a format is also text, an integer is also a number. Python takes `A | B` and
    `B | A` for equal, so the order in which they are written can't decide.
    """
    if isinstance(member, Constrained):
        return _rank(member.inner)
    if isinstance(member, Choice):
        return 0
    if isinstance(member, Text):
        return 1 + _FORMAT_RANKS.index(member.format)
    return 10 if member == Scalar("integer") else 11


def _refuse_guessing(members: list[Shape], annotation: Any) -> None:
    """Refuse a union where only a trial tells which member an array or object is meant for."""
    inner = [member.inner if isinstance(member, Constrained) else member for member in members]
    arrays = sum(isinstance(member, (Sequence, Fixed)) for member in inner)
    dictionaries = sum(isinstance(member, Dictionary) for member in inner)
    objects = dictionaries + any(isinstance(member, Record) for member in inner)
    if arrays > 1 or objects > 1:
        kind = "array" if arrays > 1 else "object without a tag"
        raise UnsupportedTypeError(f"expected one kind of {kind}, got more in {annotation!r}")


def record_of(cls: Any, arguments: tuple[Any, ...] = ()) -> Record:
    """Give the record of a dataclass or TypedDict, the same one each time."""
    with _reading:
        known = _records.get((cls, arguments))
        if known is not None:
            return known
        complete = len(_records)
        record = Record(cls, is_dict=typing.is_typeddict(cls))
        _records[cls, arguments] = record  # before its fields are read: they may speak of it
        try:
            _read_record(record, arguments)
        except BaseException as error:
            # Those that were read on the way speak of it.
            for key in [*_records][complete:]:
                del _records[key]
            if isinstance(error, NameError):
                expected = f"expected names that resolve in {cls!r}: {error}"
                raise UnsupportedTypeError(expected) from error
            raise
        return record


def _read_record(record: Record, arguments: tuple[Any, ...]) -> None:
    cls = record.cls
    options = options_of(cls)
    rename = options.get("rename", {})
    to_json = rename if callable(rename) else lambda name: rename.get(name, name)
    hints = typing.get_type_hints(cls, include_extras=True)
    record.ignore_unknown = options.get("unknown", "error") == "ignore"
    # What tells the class apart comes first: a union inside it may need to know.
    record.tag = options.get("tag")
    record.tag_value = options.get("tag_value", cls.__name__)
    if record.tag is not None:
        record.tags[record.tag] = (record.tag_value,)
    for name, hint in hints.items():
        if typing.get_origin(hint) is Literal:
            record.tags[to_json(name)] = tuple(
                written for written, _ in map(_literal_row, typing.get_args(hint))
            )
    bindings = _bindings(cls, arguments)
    read = _typed_dict_fields if record.is_dict else _dataclass_fields
    record.fields = tuple(read(cls, hints, bindings, to_json))
    record.by_json_name = {item.json_name: item for item in record.fields}
    if len(record.by_json_name) != len(record.fields) or record.tag in record.by_json_name:
        raise UnsupportedTypeError(f"expected different names for the fields of {cls!r}")


def _typed_dict_fields(
    cls: Any, hints: dict[str, Any], bindings: Bindings, to_json: Rename
) -> abc.Iterator[Field]:
    for name, hint in hints.items():
        required = name in cls.__required_keys__
        yield Field(name, to_json(name), shape_of(hint, bindings), required=required)


def _dataclass_fields(
    cls: Any, hints: dict[str, Any], bindings: Bindings, to_json: Rename
) -> abc.Iterator[Field]:
    omit_defaults = options_of(cls).get("omit_defaults", False)
    if any(isinstance(hint, dataclasses.InitVar) for hint in hints.values()):
        raise UnsupportedTypeError(f"expected no InitVar, got one in {cls!r}")
    for item in dataclasses.fields(cls):
        if not item.init:
            continue
        shape = shape_of(hints[item.name], bindings)
        has_default = item.default is not dataclasses.MISSING
        factory = None if item.default_factory is dataclasses.MISSING else item.default_factory
        is_tag = isinstance(shape, Choice) and shape.name is None and len(shape.rows) == 1
        yield Field(
            item.name,
            to_json(item.name),
            shape,
            required=not has_default and factory is None,
            default=item.default if has_default else None,
            default_factory=factory,
            omit_default=omit_defaults and not is_tag,
        )


def _bindings(cls: Any, arguments: tuple[Any, ...]) -> Bindings:
    bindings: Bindings = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        if origin is not None and origin is not typing.Generic:
            given = tuple(bindings.get(argument, argument) for argument in typing.get_args(base))
            bindings |= _bindings(origin, given)
    return bindings
