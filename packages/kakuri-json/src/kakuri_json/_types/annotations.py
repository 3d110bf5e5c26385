"""Reads the annotations of a program's types into shapes."""

import dataclasses
import datetime as dt
import enum
import math
import threading
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable
from typing import Any, Literal

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._syntax.scanning import has_surrogate
from kakuri_json._types.attributes import cache_of, options_of
from kakuri_json._types.constraints import constrain, constraints_of
from kakuri_json._types.fields import (
    dataclass_fields,
    is_required,
    naming_field,
    typed_dict_fields,
)
from kakuri_json._types.formats import decimal_class
from kakuri_json._types.generics import (
    Arguments,
    Scope,
    bind,
    hints_of,
    is_alias,
    is_read_only,
    is_typed_dict,
    lazy_attribute,
    parameters_of,
    resolve_forward_references,
    shapes_of,
    unbound,
    without_defaults,
)
from kakuri_json._types.shapes import (
    Anything,
    Choice,
    Constrained,
    FixedTuple,
    Flags,
    Mapping,
    NoShape,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
)
from kakuri_json._types.unions import union_of

_SIMPLE: dict[Any, Shape] = {
    str: Scalar("string"),
    int: Scalar("integer"),
    float: Scalar("number"),
    bool: Scalar("boolean"),
    None: Scalar("null"),
    type(None): Scalar("null"),
    Any: Anything(),
    object: Anything(),
    dt.datetime: Text("datetime"),
    dt.date: Text("date"),
    bytes: Text("bytes"),
    uuid.UUID: Text("uuid"),
}
_SEQUENCES: dict[Any, type[Any]] = {
    list: list, tuple: tuple, set: set, frozenset: frozenset, abc.Sequence: list,
    abc.Set: frozenset, abc.MutableSet: set, abc.Iterable: list, abc.Collection: list,
    abc.MutableSequence: list,
}  # fmt: skip
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_SIMPLE |= {origin: Sequence(Anything(), build) for origin, build in _SEQUENCES.items()}
_SIMPLE |= dict.fromkeys(_MAPPINGS, Mapping(Scalar("string"), Anything()))
_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar)

_lock = threading.RLock()
"""Held while a class is being read, so that no other thread sees a record without its fields."""
_in_progress: dict[tuple[Any, Arguments | None], Record] = {}
"""The records that are being read, because a class may contain itself."""


def shape_of(annotation: Any, arguments: Arguments | None = None) -> Shape:
    """Return the shape of a type, or of a generic class and its type arguments.

    Raises:
        UnsupportedTypeError: JSON values cannot be converted to the type.
    """
    with _lock:
        outermost = not _in_progress
        try:
            return _shape(annotation, {}) if arguments is None else _record(annotation, arguments)
        except RecursionError:
            got = f"one that is nested deeper or endlessly: {annotation!r}"
            expected = "expected a type that fits on the interpreter's stack"
            raise UnsupportedTypeError(f"{expected}, got {got}") from None
        finally:
            if outermost:
                _in_progress.clear()


def _shape(annotation: Any, scope: Scope) -> Shape:
    """Return the shape of an annotation in a scope."""
    try:
        simple = _SIMPLE.get(annotation)
    except TypeError:  # unhashable metadata in Annotated
        simple = None
    if simple is not None:
        return simple
    if annotation is decimal_class():
        return Text("decimal")
    if isinstance(annotation, typing.TypeVar):
        bound = scope.get(annotation)
        if isinstance(bound, NoShape):
            raise UnsupportedTypeError(bound.reason)
        return unbound(annotation, scope, _shape) if bound is None else bound
    if annotation is typing.Self and isinstance(own := scope.get(annotation), Record):
        return own
    if isinstance(annotation, typing.NewType):
        return _shape(annotation.__supertype__, {})
    if is_alias(annotation):
        return _alias(annotation, None)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    is_unpacked = getattr(annotation, "__unpacked__", False)  # *tuple[int, ...] (PEP 646)
    if origin is not None and not is_unpacked:
        return _generic(annotation, origin, arguments, scope)
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return _enum(annotation)
        if dataclasses.is_dataclass(annotation) or is_typed_dict(annotation):
            return _record(annotation, None)
    raise UnsupportedTypeError(f"expected a type with a JSON form, got {annotation!r}")


def _generic(annotation: Any, origin: Any, arguments: tuple[Any, ...], scope: Scope) -> Shape:
    if origin is typing.Annotated:
        inner = _shape(annotation.__origin__, scope)
        constraints = tuple(constraints_of(annotation.__metadata__))
        return constrain(inner, constraints) if constraints else inner
    if origin is Literal:
        return _literal(arguments)
    if annotation is typing.Tuple or (not arguments and origin is not tuple):  # noqa: UP006
        return _shape(origin, scope)  # List, Dict and the like of typing, without arguments
    if origin in _QUALIFIERS or is_read_only(origin):
        return _shape(arguments[0], scope)
    if origin in (typing.Union, types.UnionType):
        return union_of([_shape(argument, scope) for argument in arguments], annotation)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return FixedTuple(tuple(_shape(argument, scope) for argument in arguments))
    if (origin in _SEQUENCES or origin in _MAPPINGS) and origin is not tuple:
        expected = 1 if origin in _SEQUENCES else 2
        if len(arguments) != expected:
            raise UnsupportedTypeError(f"expected {expected} type arguments, got {annotation!r}")
    if origin in _SEQUENCES:
        return Sequence(_shape(arguments[0], scope), _SEQUENCES[origin])
    if origin in _MAPPINGS:
        return Mapping(_key(annotation, arguments[0], scope), _shape(arguments[1], scope))
    if is_alias(origin):
        return _alias(origin, shapes_of(without_defaults(origin, arguments), scope, _shape))
    if dataclasses.is_dataclass(origin) or is_typed_dict(origin):
        return _record(origin, shapes_of(without_defaults(origin, arguments), scope, _shape))
    raise UnsupportedTypeError(f"expected a type with a JSON form, got {annotation!r}")


_open_aliases: dict[Any, int] = {}
"""For each alias that is being read: how many records were in progress when it was last entered."""


def _alias(alias: Any, arguments: Arguments | None) -> Shape:
    before = _open_aliases.get(alias)
    if before == len(_in_progress):  # no class was begun in between
        message = f"expected the alias {alias!r} to refer to itself only through a class"
        raise UnsupportedTypeError(message)
    scope = bind(alias, arguments, _shape)
    _open_aliases[alias] = len(_in_progress)
    try:
        value = lazy_attribute(alias, "__value__")
        return _shape(resolve_forward_references(alias, value), scope)
    finally:
        if before is None:
            del _open_aliases[alias]
        else:
            _open_aliases[alias] = before


def _literal(arguments: tuple[Any, ...]) -> Choice:
    rows: dict[tuple[Any, Any], Any] = {}
    for value in arguments:
        encoded, decoded = _literal_row(value)
        if not _is_scalar(encoded):
            raise UnsupportedTypeError(f"expected literals with a JSON form, got {value!r}")
        if rows.setdefault((type(encoded), encoded), decoded) is not decoded:
            raise UnsupportedTypeError(
                f"expected literals with different JSON forms, got {value!r}"
            )
    return Choice(tuple((encoded, decoded) for (_, encoded), decoded in rows.items()))


def _literal_row(value: Any) -> tuple[Any, Any]:
    return (value.value if isinstance(value, enum.Enum) else value), value


def _is_scalar(value: Any) -> bool:
    """Return whether a value of an Enum or Literal is a scalar that JSON can represent."""
    if type(value) is str:
        return not has_surrogate(value)
    if type(value) is float:
        return math.isfinite(value)
    return type(value) in (int, bool, type(None))


def _enum(cls: type[enum.Enum]) -> Choice | Flags:
    if not cls.__members__:
        raise UnsupportedTypeError(f"expected an Enum with members, got {cls!r}")
    if issubclass(cls, enum.Flag):
        return Flags(cls)
    values = [member._value_ for member in cls]
    for value in values:
        if not _is_scalar(value):
            raise UnsupportedTypeError(f"expected an Enum of JSON values, got {value!r} in {cls!r}")
    return Choice(tuple((member._value_, member) for member in cls), cls.__name__)


def _literal_choice(hint: Any, scope: Scope) -> Choice | None:
    """Return the values of a field of literals, which can serve as a tag; None for other fields."""
    aliases: list[Any] = []
    while True:
        origin = typing.get_origin(hint)
        if origin in (typing.Annotated, *_QUALIFIERS) or is_read_only(origin):
            hint = typing.get_args(hint)[0]
        elif is_alias(hint) and hint not in aliases:
            aliases.append(hint)  # it may stand for itself
            hint = resolve_forward_references(hint, lazy_attribute(hint, "__value__"))
        else:
            break
    if typing.get_origin(hint) is Literal:
        return _literal(typing.get_args(hint))
    given = scope.get(hint) if isinstance(hint, typing.TypeVar) else None
    return given if isinstance(given, Choice) and given.name is None else None


def _key(annotation: Any, argument: Any, scope: Scope) -> Shape:
    """Return the shape of a mapping's keys."""
    key = _shape(argument, scope)
    if isinstance(key, Anything):
        return Scalar("string")  # as in a dict without arguments: every key in JSON is a string
    if not _is_textual(key):
        raise UnsupportedTypeError(f"expected hashable keys with a string form, got {annotation!r}")
    return key


def _is_textual(shape: Shape) -> bool:
    if isinstance(shape, Constrained):
        return _is_textual(shape.inner)
    if isinstance(shape, Choice):
        rows = shape.rows
        return all(type(text) is str and isinstance(key, abc.Hashable) for text, key in rows)
    return isinstance(shape, Text) or shape == Scalar("string")


def record_of(cls: Any) -> Record:
    """Return the record for encoding instances of a dataclass; cached.

    An instance does not know its type arguments. If its class can't be read without them, its
    parameters stand for any value.
    """
    cache = cache_of(cls)
    if cache.encoded_record is None:
        try:
            cache.encoded_record = shape_of(cls)
        except UnsupportedTypeError:
            parameters = parameters_of(cls)
            if not parameters:
                raise
            anything = Anything(stands_for_variable=True)
            cache.encoded_record = shape_of(cls, (anything,) * len(parameters))
    record: Record = cache.encoded_record
    return record


def _record(cls: Any, arguments: Arguments | None) -> Record:
    """Return the record of a class, with or without type arguments.

    Records with type arguments are kept by the codecs that use them, because a table would keep
    their classes alive.
    """
    if arguments is None:
        known: Record | None = cache_of(cls).record
        if known is not None:
            return known
    key = (cls, arguments)
    if key in _in_progress:
        return _in_progress[key]
    record = Record(cls, is_dict=is_typed_dict(cls))
    before = len(_in_progress)
    _in_progress[key] = record  # before its fields are read, which may refer to it
    try:
        _read_record(record, arguments)
    except BaseException:
        # Records that were read in the meantime may refer to it.
        for other in [*_in_progress][before:]:
            if other[1] is None:
                cache_of(other[0]).record = None
            del _in_progress[other]
        raise
    if arguments is None:
        cache_of(cls).record = record
    return record


def _renaming(cls: Any, rename: Callable[[str], Any]) -> Callable[[str], str]:
    """Return a function that returns the JSON name of a field's name."""

    def to_json(name: str) -> str:
        try:
            json_name = rename(name)
        except Exception as error:  # the program's function can raise anything
            expected = f"expected a JSON name for {name!r} of {cls!r}"
            raise UnsupportedTypeError(f"{expected}, got {error!r}") from error
        return _check_name(cls, json_name)

    return to_json


def _check_name(cls: Any, name: Any) -> str:
    if not isinstance(name, str) or has_surrogate(name):
        raise UnsupportedTypeError(f"expected text as the JSON names of {cls!r}, got {name!r}")
    return name


def _read_record(record: Record, arguments: Arguments | None) -> None:
    cls = record.cls
    options = options_of(cls)
    rename = options.get("rename", {})
    to_json = _renaming(cls, rename if callable(rename) else lambda name: rename.get(name, name))
    hints: dict[str, tuple[Any, Scope]] = {
        name: (hint, {**scope, typing.Self: record})
        for name, (hint, scope) in hints_of(cls, arguments, _shape).items()
    }
    record.ignore_unknown = options.get("unknown", "error") == "ignore"
    fields = dataclasses.fields(cls) if options.get("omit_defaults") and not record.is_dict else ()
    omitted = {item.name for item in fields if item.default is not dataclasses.MISSING}
    # Tags come first, because a union inside the class may need them.
    record.tag = options.get("tag")
    record.tag_value = options.get("tag_value", cls.__name__)
    if record.tag is not None:
        record.tags[record.tag] = (record.tag_value,)
    for name, (hint, scope) in hints.items():
        with naming_field(cls, name):
            choice = _literal_choice(hint, scope)
        if choice is None or (record.is_dict and not is_required(cls, name, hint)):
            continue
        if len(choice.rows) == 1 or name not in omitted:
            record.tags[to_json(name)] = tuple(encoded for encoded, _ in choice.rows)
    read = typed_dict_fields if record.is_dict else dataclass_fields
    record.fields = tuple(read(record, hints, to_json, _shape))
    record.by_json_name = {item.json_name: item for item in record.fields}
    if record.tag is not None:
        _check_name(cls, record.tag)
        _check_name(cls, record.tag_value)
    if len(record.by_json_name) != len(record.fields) or record.tag in record.by_json_name:
        raise UnsupportedTypeError(f"expected a different JSON name for each field of {cls!r}")
