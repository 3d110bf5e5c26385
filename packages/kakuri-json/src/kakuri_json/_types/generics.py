"""Resolves type variables and annotations in the class that declares them.

Every class in an MRO has its own scope (PEP 484, 695, 696): the same TypeVar can stand for
different types in a class and in its base.
"""

import dataclasses
import inspect
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._types.shapes import NoShape, Shape

Scope: TypeAlias = Mapping[Any, Shape | NoShape]
"""The shape of each type variable, and of `Self`."""
Arguments: TypeAlias = tuple[Shape | NoShape, ...]
ToShape: TypeAlias = Callable[[Any, Scope], Shape]


def shapes_of(annotations: Iterable[Any], scope: Scope, to_shape: ToShape) -> Arguments:
    """Return the shapes of type arguments; NoShape for those without a JSON form."""
    return tuple(
        _shape_or_reason(partial(to_shape, annotation, scope)) for annotation in annotations
    )


def _shape_or_reason(read: Callable[[], Shape]) -> Shape | NoShape:
    try:
        return read()
    except UnsupportedTypeError as error:
        return NoShape(str(error))


def parameters_of(owner: Any) -> tuple[Any, ...]:
    """Return the type parameters of a class or alias.

    `__parameters__` is missing if the only generic bases are classes of `collections.abc`, and it
    is that of a base whose `__init_subclass__` does not call the one of `Generic`. In both cases,
    collect the parameters from the bases, as `Generic` does.
    """
    own = getattr(owner, "__dict__", {})
    known: tuple[Any, ...] = getattr(owner, "__type_params__", ()) or own.get("__parameters__", ())
    if not known and not isinstance(owner, type):
        known = getattr(owner, "__parameters__", ())  # an alias of typing_extensions
    if known:
        return known
    bases = own.get("__orig_bases__", ())
    for base in bases:
        if typing.get_origin(base) is typing.Generic:
            return typing.get_args(base)
    inherited = (variable for base in bases for variable in getattr(base, "__parameters__", ()))
    return tuple(dict.fromkeys(inherited))


def bind(owner: Any, arguments: Arguments | None, to_shape: ToShape) -> dict[Any, Shape | NoShape]:
    """Return the scope inside a generic class or alias.

    Args:
        owner: The class or alias.
        arguments: Its type arguments. If None, the defaults of the parameters apply (PEP 696),
            otherwise their bounds, otherwise Any.
        to_shape: Returns the shape of an annotation in a scope.

    Raises:
        UnsupportedTypeError: There are too many arguments.
    """
    parameters = parameters_of(owner)
    if any(not isinstance(parameter, typing.TypeVar) for parameter in parameters):
        # A TypeVarTuple takes any number of arguments, so arguments can't be matched to parameters.
        reason = NoShape(f"expected type variables only, got others in {owner!r}")
        return dict.fromkeys(parameters, reason)
    given = arguments or ()
    if len(given) > len(parameters):
        raise UnsupportedTypeError(f"expected fewer type arguments, got {len(given)} for {owner!r}")
    scope: dict[Any, Shape | NoShape] = {}
    for number, parameter in enumerate(parameters):
        if number < len(given):
            scope[parameter] = given[number]
        else:
            scope[parameter] = _shape_or_reason(partial(unbound, parameter, scope, to_shape))
    return scope


def without_defaults(owner: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return type arguments without trailing ones that repeat a default.

    `typing_extensions` adds them, and they may refer to the parameters before them.
    """
    parameters = parameters_of(owner)
    count = min(len(arguments), len(parameters))
    try:
        while count:
            default = lazy_attribute(parameters[count - 1], "__default__")
            if default != arguments[count - 1]:
                break
            count -= 1
    except UnsupportedTypeError:
        pass  # a default that has no value was not added
    return arguments if len(arguments) > len(parameters) else arguments[:count]


def unbound(parameter: typing.TypeVar, scope: Scope, to_shape: ToShape) -> Shape:
    """Return the shape of a type variable without an argument: default, bound, or constraints."""
    has_default = getattr(parameter, "has_default", None)
    if has_default is not None and has_default():
        default = lazy_attribute(parameter, "__default__")
        return to_shape(resolve_forward_references(parameter, default), scope)
    limit = lazy_attribute(parameter, "__bound__")
    if limit is None:
        constraints = lazy_attribute(parameter, "__constraints__")
        if not constraints:
            return to_shape(Any, scope)
        limit = typing.Union[constraints]  # noqa: UP007
    return to_shape(resolve_forward_references(parameter, limit), scope)


def lazy_attribute(owner: Any, name: str) -> Any:
    """Return an attribute of an alias or type variable, such as `__value__`; None without it.

    Python evaluates it when it is first read (PEP 695, 696).

    Raises:
        UnsupportedTypeError: The attribute cannot be evaluated.
    """
    try:
        return getattr(owner, name, None)
    except Exception as error:  # expressions of a program can raise anything
        expected = f"expected {name} of {owner!r} that can be evaluated"
        raise UnsupportedTypeError(f"{expected}, got {error}") from error


def scopes(cls: Any, arguments: Arguments | None, to_shape: ToShape) -> dict[Any, Scope]:
    """Return the scope of a class and of each of its bases."""
    found: dict[Any, Scope] = {cls: bind(cls, arguments, to_shape)}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base)
        if origin is None:
            inherited = scopes(base, None, to_shape) if isinstance(base, type) else {}
        elif not isinstance(origin, type) or not parameters_of(origin):
            inherited = {}  # Generic, Protocol, a class of collections.abc
        else:
            given = shapes_of(typing.get_args(base), found[cls], to_shape)
            inherited = scopes(origin, given, to_shape)
        for other, scope in inherited.items():
            found.setdefault(other, scope)
    return found


def is_alias(annotation: Any) -> bool:
    """Return whether a type is an alias of the `type` statement, or one of `typing_extensions`."""
    return isinstance(annotation, from_typing("TypeAliasType"))


def is_typed_dict(annotation: Any) -> bool:
    """Return whether a type is a TypedDict of `typing` or `typing_extensions`."""
    is_dict = isinstance(annotation, type) and issubclass(annotation, dict)
    return is_dict and hasattr(annotation, "__required_keys__")


def from_typing(name: str) -> tuple[Any, ...]:
    """Return the objects with a name in `typing` and, if it is imported, `typing_extensions`."""
    modules = (typing, sys.modules.get("typing_extensions"))
    return tuple(getattr(module, name) for module in modules if hasattr(module, name))


def is_read_only(origin: Any) -> bool:
    """Return whether the origin of an annotation is ReadOnly (PEP 705)."""
    return any(origin is each for each in from_typing("ReadOnly"))


def hints_of(
    cls: Any, arguments: Arguments | None, to_shape: ToShape
) -> dict[str, tuple[Any, Scope]]:
    """Return the annotations of a TypedDict, or of the fields of a constructor, with their scopes.

    Raises:
        UnsupportedTypeError: An annotation cannot be evaluated.
    """
    found: dict[str, tuple[Any, Scope]] = {}
    scope_of = scopes(cls, arguments, to_shape)
    if is_typed_dict(cls):
        # A TypedDict keeps no bases, but has the annotations of all of them.
        hints = _evaluate_annotations(cls, dict(cls.__annotations__))
        return {name: (hint, _scope_of_key(cls, name, scope_of)) for name, hint in hints.items()}
    # Other annotations, such as those of class variables, may contain names that do not resolve
    # here.
    names = {item.name for item in dataclasses.fields(cls) if item.init}
    for base in reversed(cls.__mro__):
        own = {name: hint for name, hint in inspect.get_annotations(base).items() if name in names}
        for name, hint in _evaluate_annotations(base, own).items():
            found[name] = (hint, scope_of.get(base, {}))
    return found


def _scope_of_key(cls: Any, name: str, scope_of: dict[Any, Scope]) -> Scope:
    """Return the scope of the TypedDict that declares a key, among a class and its bases."""
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = typing.get_origin(base) or base
        if is_typed_dict(origin) and name in origin.__annotations__:
            return _scope_of_key(origin, name, scope_of)
    return scope_of.get(cls, {})


def resolve_forward_references(owner: Any, annotation: Any) -> Any:
    """Evaluate the forward references in an annotation of an alias or type variable.

    Raises:
        UnsupportedTypeError: The annotation cannot be evaluated.
    """
    return _evaluate_annotations(owner, {"annotation": annotation})["annotation"]


def _evaluate_annotations(cls: Any, annotations: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the annotations of a class, alias or type variable, without those of its bases."""
    if not annotations:
        return {}
    module = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    parameters = {variable.__name__: variable for variable in getattr(cls, "__type_params__", ())}
    # get_type_hints() only accepts an object with annotations. Names are looked up as usual: in the
    # module first, then in the class.
    carrier = types.new_class(cls.__name__, (), {}, lambda body: body.update(
        __annotations__=annotations, __module__=cls.__module__
    ))  # fmt: skip
    names = dict(vars(cls)) if isinstance(cls, type) else {}
    try:
        return typing.get_type_hints(
            carrier,
            globalns=names,
            localns=ChainMap(parameters, module, {cls.__name__: cls}),
            include_extras=True,
        )
    except Exception as error:  # the program's expressions can raise anything
        if len(annotations) > 1:
            for name, annotation in annotations.items():  # find the one to name in the error
                _evaluate_annotations(cls, {name: annotation})
        fields = ", ".join(annotations)  # several, if each of them alone can be evaluated
        place = f"{cls.__qualname__}.{fields}" if isinstance(cls, type) else repr(cls)
        message = f"{place}: expected an annotation that can be evaluated, got {error}"
        raise UnsupportedTypeError(message) from error
