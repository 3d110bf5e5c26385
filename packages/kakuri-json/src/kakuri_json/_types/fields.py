"""Reads the fields of dataclasses and TypedDicts."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType
from typing import Any, TypeAlias

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._types.attributes import options_of
from kakuri_json._types.formats import decimal_class
from kakuri_json._types.generics import Scope, ToShape, from_typing, is_read_only
from kakuri_json._types.shapes import Choice, Field, Record

Hints: TypeAlias = dict[str, tuple[Any, Scope]]


_CONSTANT = (list, dict, tuple, set, frozenset, str, int, float, bool, bytes)
"""Default factories that always return equal values."""
_CONSTRUCTORS_OF_OBJECT = (object.__new__, object.__init__)


def _is_constant(factory: Any) -> bool:
    return factory in _CONSTANT or factory is decimal_class()


@contextmanager
def naming_field(cls: Any, name: str) -> Iterator[None]:
    """Put the name of a field before the message of an UnsupportedTypeError."""
    try:
        yield
    except UnsupportedTypeError as error:
        raise UnsupportedTypeError(f"{cls.__qualname__}.{name}: {error}") from error.__cause__


def typed_dict_fields(
    record: Record, hints: Hints, to_json: Callable[[str], str], to_shape: ToShape
) -> Iterator[Field]:
    """Yield the fields of a TypedDict (PEP 589, 655, 705).

    Raises:
        UnsupportedTypeError: It has extra items (PEP 728), which are not read.
    """
    unset = from_typing("NoExtraItems") or (None,)  # None before typing-extensions 4.13
    extra = getattr(record.cls, "__extra_items__", unset[0])
    if not any(extra is each for each in unset):
        raise UnsupportedTypeError(f"expected a TypedDict without extra items, got {record.cls!r}")
    for name, (hint, scope) in hints.items():
        with naming_field(record.cls, name):
            shape = to_shape(hint, scope)
        yield Field(name, to_json(name), shape, is_required(record.cls, name, hint))


def is_required(cls: Any, name: str, hint: Any) -> bool:
    """Return whether a key of a TypedDict is required.

    `__required_keys__` can be wrong for annotations in quotes, which were not evaluated when the
    class was created, so it only decides for keys without `Required` or `NotRequired`.
    """
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Required or origin is typing.NotRequired:
            return origin is typing.Required
        if origin is typing.Annotated:
            hint = hint.__origin__
        elif is_read_only(origin):
            hint = typing.get_args(hint)[0]
        else:
            return name in cls.__required_keys__


def dataclass_fields(
    record: Record, hints: Hints, to_json: Callable[[str], str], to_shape: ToShape
) -> Iterator[Field]:
    """Yield the fields of a dataclass that are arguments of its constructor."""
    cls = record.cls
    # Pseudo-fields: class variables, and each InitVar, which the constructor has as a parameter.
    pseudo = {*cls.__dataclass_fields__} - {item.name for item in dataclasses.fields(cls)}
    if pseudo and not pseudo.isdisjoint(inspect.signature(cls.__init__).parameters):
        raise UnsupportedTypeError(f"expected no InitVar, got one in {cls!r}")
    fields = [item for item in dataclasses.fields(cls) if item.init]
    _check_constructor(cls, [item.name for item in fields])
    record.generated_init = is_generated(cls.__init__)
    omit_defaults = options_of(cls).get("omit_defaults", False)
    for item in fields:
        hint, scope = hints[item.name]
        with naming_field(cls, item.name):
            shape = to_shape(hint, scope)
        has_default = item.default is not dataclasses.MISSING
        factory = None if item.default_factory is dataclasses.MISSING else item.default_factory
        is_tag = isinstance(shape, Choice) and shape.name is None and len(shape.rows) == 1
        # The program's factory may return something else when the document is decoded.
        known_default = has_default if factory is None else _is_constant(factory)
        yield Field(
            item.name,
            to_json(item.name),
            shape,
            required=not has_default and factory is None,
            default=item.default if has_default else None,
            default_factory=factory,
            omit_default=omit_defaults and known_default and not is_tag,
        )


def _check_constructor(cls: Any, names: list[str]) -> None:
    """Raise UnsupportedTypeError unless the constructor accepts every field by its name."""
    if inspect.isabstract(cls):
        raise UnsupportedTypeError(
            f"expected a class with instances, got {cls!r}, which is abstract"
        )
    # The signature of object's constructor accepts anything.
    constructors = [
        method for method in (cls.__new__, cls.__init__) if method not in _CONSTRUCTORS_OF_OBJECT
    ]
    if names and not constructors:
        raise UnsupportedTypeError(f"expected an __init__ of {cls!r}, got that of object")
    values = dict.fromkeys(names)
    try:
        for constructor in constructors:
            if isinstance(constructor, BuiltinFunctionType):
                constructor(cls, **values)  # `str.__new__` and the like show no signature
            elif not (is_generated(constructor) and "__init__" in cls.__dict__):
                inspect.signature(constructor).bind(None, **values)
    except (TypeError, ValueError) as error:
        expected = f"expected an __init__ of {cls!r} that takes its fields"
        raise UnsupportedTypeError(f"{expected}, got one that does not: {error}") from None


_GENERATED = "__create_fn__."
"""Prefix of `co_qualname` in methods that dataclasses generates. The faster
constructors of kakuri-workload have this name, too."""


def is_generated(method: Any) -> bool:
    """Return whether a method was generated by dataclasses.

    `co_filename` is not enough: code run by `exec` or `python -c` has the file name '<string>',
    too.
    """
    name: str = getattr(getattr(method, "__code__", None), "co_qualname", "")
    return name.startswith(_GENERATED)
