"""A faster constructor for frozen dataclasses.

The `__init__` of a frozen dataclass calls `object.__setattr__` for each field. A daemon creates a
dozen records for each request, and used to spend a fifth of its time on that. Microseconds for a
record of nine fields (CPython 3.11.2):

| `__init__`            |    µs |
| --------------------- | ----: |
| of a frozen dataclass |  1.45 |
| with `fast_init`      |  0.54 |
| of a mutable one      |  0.36 |
"""

import types
from dataclasses import MISSING, fields
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_CREATE = "__create_fn__"
"""The function in which dataclasses generate methods. By its name, kakuri-json and kakuri-protobuf
recognize a constructor that only sets fields (`_GENERATED` there)."""


def fast_init(cls: type[T]) -> type[T]:
    """Replace the `__init__` of a frozen dataclass with a faster one with the same effect.

    The fields are set by plain assignment while the new instance belongs to another class with the
    same slots. The decorated class must not be subclassed.

    Example:
        @fast_init
        @dataclass(frozen=True, slots=True)
        class Run: ...

    Raises:
        TypeError: The class has a base class other than Generic, no slots, a field that is not a
            positional argument or has a default factory, or a constructor that does more than set
            the fields.
    """
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]  # mypy: not a dataclass
    has_bases = cls.__bases__ not in ((object,), (Generic,))
    if has_bases or getattr(cls, "__slots__", None) != tuple(names):
        raise TypeError(f"expected a dataclass with slots and without bases, got {cls.__name__}")
    for each in fields(cls):  # type: ignore[arg-type]
        if each.default_factory is not MISSING or each.kw_only or not each.init:
            raise TypeError(
                f"expected {cls.__name__}.{each.name} to be a positional argument of the "
                "constructor, without a default factory"
            )
    given = cls.__init__
    code: Any = getattr(given, "__code__", None)  # without one, it is object's
    is_plain = code is not None and code.co_varnames == ("self", *names)
    if hasattr(cls, "__post_init__") or not (is_plain and code.co_qualname.startswith(_CREATE)):
        raise TypeError(f"expected the constructor of {cls.__name__} to only set its fields")
    lines = [f"def {_CREATE}():", f" def __init__(self, {', '.join(names)}):"]
    lines += ["  set_class(self, '__class__', twin)"]
    lines += [f"  self.{name} = {name}" for name in names]
    lines += ["  self.__class__ = cls", " return __init__"]
    bases = getattr(cls, "__orig_bases__", ())  # such as Generic[T]
    scope: dict[str, Any] = {
        "cls": cls,
        "set_class": object.__setattr__,
        "twin": types.new_class(
            cls.__name__, bases, exec_body=lambda ns: ns.update(__slots__=names)
        ),
    }
    exec("\n".join(lines), scope)  # noqa: S102 (the names of fields are identifiers)
    init = scope[_CREATE]()
    init.__defaults__, init.__annotations__ = given.__defaults__, given.__annotations__
    init.__qualname__, init.__module__ = given.__qualname__, cls.__module__
    cls.__init__ = init  # type: ignore[method-assign]  # the signature is the same
    return cls
