"""The decorator of generated messages: a `dataclasses.dataclass` that adds methods lazily.

The standard decorator generates and compiles six methods for each class, which takes a third of a
millisecond at import. A generated module has a hundred classes, of which a program uses a few. So
here, a class only has its slots at first, and gets its methods on first use. To type checkers,
generated modules show the standard decorator.
"""

import dataclasses
import inspect
from collections.abc import Callable
from threading import RLock
from typing import Any, ClassVar, TypeVar, dataclass_transform, get_origin

T = TypeVar("T")

_lock = RLock()

_PLAIN = "__kakuri_protobuf_plain__"
_GENERATED_NAMES = (
    "__init__",
    "__repr__",
    "__eq__",
    "__hash__",
    "__replace__",
    "__dataclass_params__",
    "__dataclass_fields__",
)


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,)
)
def dataclass(
    *, frozen: bool = True, slots: bool = True, kw_only: bool = True
) -> Callable[[type[T]], type[T]]:
    """Return a decorator that turns a class into a dataclass on first use.

    Args:
        frozen: Must be True; the parameters exist for compatibility with the standard decorator.
        slots: Must be True.
        kw_only: Must be True.

    Raises:
        TypeError: A parameter is False.
    """
    if not (frozen and slots and kw_only):
        raise TypeError("expected a frozen dataclass with slots and keyword-only fields")
    return _with_slots


def _with_slots(plain: type[T]) -> type[T]:
    """Return a class with the slots of a dataclass, to which `_complete` adds the methods.

    If an annotation may declare something other than a field, the class gets its methods at once.
    """
    annotations = inspect.get_annotations(plain)
    if any(map(_may_be_pseudo_field, annotations.values())):
        return dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(plain)
    names = tuple(annotations)
    members = {
        name: value
        for name, value in plain.__dict__.items()
        if name not in names and name not in ("__dict__", "__weakref__")
    }
    members |= _UNTIL_FIRST_USE
    members["__slots__"] = names
    members["__qualname__"] = plain.__qualname__
    members[_PLAIN] = plain
    slotted: type[T] = type(plain.__name__, plain.__bases__, members)
    return slotted


def _may_be_pseudo_field(annotation: Any) -> bool:
    """Return whether an annotation may declare something other than a field."""
    if isinstance(annotation, str):
        return any(name in annotation for name in ("ClassVar", "InitVar", "KW_ONLY"))
    kinds = (ClassVar, dataclasses.InitVar, dataclasses.KW_ONLY)
    is_kind = annotation in kinds or get_origin(annotation) is ClassVar
    return is_kind or isinstance(annotation, dataclasses.InitVar)


def _complete(cls: type[Any]) -> None:
    """Add the methods of a dataclass to a class, or to the incomplete class it inherits from."""
    with _lock:
        owner = next((base for base in cls.__mro__ if _PLAIN in base.__dict__), None)
        if owner is None:
            return
        plain = owner.__dict__[_PLAIN]
        generated = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(plain)
        for name in _GENERATED_NAMES:
            if name in generated.__dict__:
                setattr(owner, name, generated.__dict__[name])
        delattr(owner, _PLAIN)


def _init(self: Any, /, **values: Any) -> None:
    _complete(type(self))
    type(self).__init__(self, **values)


def _refuse_assignment(_self: Any, name: str, _value: Any = None) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in type(self).__dataclass_fields__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(type(self).__dataclass_fields__, state, strict=True):
        object.__setattr__(self, name, value)


class _Fields:
    """The attribute that identifies a dataclass, until the class is completed."""

    def __get__(self, instance: object, cls: type[Any]) -> Any:
        _complete(cls)
        return cls.__dataclass_fields__


_UNTIL_FIRST_USE: dict[str, Any] = {
    "__init__": _init,
    "__setattr__": _refuse_assignment,
    "__delattr__": _refuse_assignment,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
    "__match_args__": (),
    "__dataclass_fields__": _Fields(),
}
