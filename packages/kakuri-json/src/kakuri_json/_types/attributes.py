"""Attributes of a class that this package reads or sets.

`__json__` is the program's: how the class is encoded. `__kakuri_json__` is ours: what was compiled
for the class is kept on the class itself, so that it is freed with the class. A table that held
classes, or anything that refers to them, would keep classes that are created at run time.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

Encoder: TypeAlias = Callable[[Any], str | None]

NAME = "__kakuri_json__"
"""The attribute of a class that holds its Cache."""


class Options(TypedDict, total=False):
    """The keys of a class variable `__json__`; a plain dict will do, so no import is needed.

    tag: name of a field, written first, that tells the classes of a union apart.
    tag_value: what stands in it; the name of the class unless given.
    rename: JSON names of fields: a mapping, or a function from the field's name.
    omit_defaults: leave out fields that equal their default. Fields of one Literal are kept.
    unknown: "error" (unless given) refuses fields that the class doesn't have; "ignore" skips them.

    A subclass inherits its base's options.
    """

    tag: str
    tag_value: str
    rename: Mapping[str, str] | Callable[[str], str]
    omit_defaults: bool
    unknown: Literal["error", "ignore"]


def options_of(cls: type[Any]) -> Options:
    """Give the options of a class: its own over its bases'."""
    merged: Options = {}
    for base in reversed(cls.__mro__):
        merged.update(base.__dict__.get("__json__", {}))
    return merged


class Cache:
    """What is kept for one class.

    cls: the class; a subclass finds its base's cache, and has to make its own.
    write: prints an instance of exactly this class, or returns None.
    record: the shape of the class without type arguments.
    codecs: the codecs of types that this class is a part of.
    """

    __slots__ = ("cls", "codecs", "record", "write")

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.write: Encoder | None = None
        self.record: Any = None
        self.codecs: dict[int, Any] = {}


def cache_of(cls: type[Any]) -> Cache:
    """Return the cache of a class, a new one the first time."""
    cache = cls.__dict__.get(NAME)
    if cache is None or cache.cls is not cls:  # a copy of the class has a copy of the attribute
        cache = Cache(cls)
        type.__setattr__(cls, NAME, cache)
    found: Cache = cache
    return found
