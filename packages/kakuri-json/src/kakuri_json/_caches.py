"""What is kept for a class, on the class itself, so that it goes when the class goes.

A table of ours that held a class, or anything that refers to it, would keep classes that are made
at run time for ever.
"""

from collections.abc import Callable
from typing import Any

NAME = "__kakuri_json__"
"""The attribute of a class that holds its Cache."""


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
        self.write: Callable[[Any], str | None] | None = None
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
