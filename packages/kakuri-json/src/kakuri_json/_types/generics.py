"""Type variables and annotations, each resolved in the class that declares it.

Every class in an MRO has a scope of its own (PEP 484, 695, 696): the same TypeVar may stand for
different types in a class and in its base.
"""

import inspect
import operator
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._types.shapes import Shape

Scope: TypeAlias = Mapping[Any, Shape]
"""The shape of each type variable."""
ToShape: TypeAlias = Callable[[Any, Scope], Shape]


def bind(owner: Any, arguments: tuple[Shape, ...] | None, to_shape: ToShape) -> dict[Any, Shape]:
    """Return the scope inside a generic class or alias.

    Args:
        owner: The class or alias.
        arguments: Its type arguments; None if it has none, so that defaults apply (PEP 696), or
            bounds, or Any.
        to_shape: Returns the shape of an annotation in a scope.

    Raises:
        UnsupportedTypeError: There are too many arguments, or a parameter that is not a TypeVar.
    """
    parameters = getattr(owner, "__parameters__", ()) or getattr(owner, "__type_params__", ())
    if any(not isinstance(parameter, typing.TypeVar) for parameter in parameters):
        raise UnsupportedTypeError(f"expected type variables only, got others in {owner!r}")
    given = arguments or ()
    if len(given) > len(parameters):
        raise UnsupportedTypeError(f"expected fewer type arguments, got {len(given)} for {owner!r}")
    scope: dict[Any, Shape] = {}
    for number, parameter in enumerate(parameters):
        if number < len(given):
            scope[parameter] = given[number]
        else:
            scope[parameter] = unbound(parameter, scope, to_shape)
    return scope


def given_to(owner: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return type arguments without those at the end that repeat a default.

    `typing_extensions` adds them, and they may refer to the parameters before them.
    """
    parameters = getattr(owner, "__parameters__", ()) or getattr(owner, "__type_params__", ())
    count = min(len(arguments), len(parameters))
    while count and getattr(parameters[count - 1], "__default__", None) == arguments[count - 1]:
        count -= 1
    return arguments if len(arguments) > len(parameters) else arguments[:count]


def unbound(parameter: typing.TypeVar, scope: Scope, to_shape: ToShape) -> Shape:
    """Return the shape of a type variable without an argument: default, bound, or constraints."""
    has_default = getattr(parameter, "has_default", None)
    if has_default is not None and has_default():
        default = operator.attrgetter("__default__")  # which type checkers know since 3.13
        return to_shape(default(parameter), scope)
    if parameter.__bound__ is not None:
        return to_shape(parameter.__bound__, scope)
    if parameter.__constraints__:
        return to_shape(typing.Union[parameter.__constraints__], scope)  # noqa: UP007
    return to_shape(Any, scope)


def scopes(
    cls: Any, arguments: tuple[Shape, ...] | None, to_shape: ToShape
) -> dict[Any, dict[Any, Shape]]:
    """Return the scope of a class and of each of its bases."""
    found = {cls: bind(cls, arguments, to_shape)}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base)
        if origin is None:
            inherited = scopes(base, None, to_shape) if isinstance(base, type) else {}
        elif origin is typing.Generic or not isinstance(origin, type):
            inherited = {}
        else:
            given = tuple(to_shape(one, found[cls]) for one in typing.get_args(base))
            inherited = scopes(origin, given, to_shape)
        for other, scope in inherited.items():
            found.setdefault(other, scope)
    return found


def hints_of(
    cls: Any, arguments: tuple[Shape, ...] | None, to_shape: ToShape
) -> dict[str, tuple[Any, Scope]]:
    """Return the annotations of a dataclass or TypedDict, each with its scope.

    Raises:
        UnsupportedTypeError: An annotation cannot be evaluated.
    """
    found: dict[str, tuple[Any, Scope]] = {}
    scope_of = scopes(cls, arguments, to_shape)
    if typing.is_typeddict(cls):
        # A TypedDict keeps no bases, but has the annotations of all of them.
        resolved = _resolved(cls, dict(cls.__annotations__))
        return {name: (hint, _scope_of_key(cls, name, scope_of)) for name, hint in resolved.items()}
    for base in reversed(cls.__mro__):
        for name, hint in _resolved(base, inspect.get_annotations(base)).items():
            found[name] = (hint, scope_of.get(base, {}))
    return found


def _scope_of_key(cls: Any, name: str, scope_of: dict[Any, dict[Any, Shape]]) -> Scope:
    """Return the scope of the TypedDict that declares a key, among a class and its bases."""
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = typing.get_origin(base) or base
        if typing.is_typeddict(origin) and name in origin.__annotations__:
            return _scope_of_key(origin, name, scope_of)
    return scope_of.get(cls, {})


def _resolved(cls: Any, annotations: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the annotations of a class, without those of its bases."""
    if not annotations:
        return {}
    module = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    parameters = {one.__name__: one for one in getattr(cls, "__type_params__", ())}
    # get_type_hints() only accepts an object with annotations. Names are looked up as usual: in the
    # module first, then in the class.
    carrier = types.new_class(cls.__name__, (), {}, lambda body: body.update(
        __annotations__=annotations, __module__=cls.__module__
    ))  # fmt: skip
    try:
        return typing.get_type_hints(
            carrier,
            globalns=dict(vars(cls)),
            localns=ChainMap(parameters, module, {cls.__name__: cls}),
            include_extras=True,
        )
    except Exception as error:  # expressions of a program can raise anything
        expected = f"expected annotations that can be evaluated in {cls!r}"
        raise UnsupportedTypeError(f"{expected}, got {error}") from error
