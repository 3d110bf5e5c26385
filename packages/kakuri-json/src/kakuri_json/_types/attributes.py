"""The class attributes that this package reads or sets.

The program sets `__json__`, which configures how the class is encoded. This package sets
`__kakuri_json__`, which holds everything compiled for the class, so that it is freed with the
class. A global table would keep classes that were created at run time alive.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

from kakuri_json._errors import UnsupportedTypeError

Encoder: TypeAlias = Callable[[Any], str | None]
"""Returns the text of a value, or None if only the general printer can print it."""

NAME = "__kakuri_json__"
"""The attribute of a class that holds its Cache."""


class Options(TypedDict, total=False):
    """The keys of the class variable `__json__`. A plain dict works as well, without an import.

    A subclass inherits the options of its bases.

    Attributes:
        tag: Name of an additional field, written first, that distinguishes the classes of a union.
        tag_value: Value of that field; by default the name of the class.
        rename: JSON names of fields: a mapping, or a function that takes the field's name.
        omit_defaults: Whether to omit fields whose value is the same as their default. A field
            whose type is a single Literal is always written.
        unknown: "error" (the default) rejects fields that the class does not have; "ignore" skips
            them.
    """

    tag: str
    tag_value: str
    rename: Mapping[str, str] | Callable[[str], str]
    omit_defaults: bool
    unknown: Literal["error", "ignore"]


_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "tag": ("a string", lambda value: isinstance(value, str)),
    "tag_value": ("a string", lambda value: isinstance(value, str)),
    "rename": (
        "a mapping or a function",
        lambda value: callable(value) or isinstance(value, Mapping),
    ),
    "omit_defaults": ("true or false", lambda value: isinstance(value, bool)),
    "unknown": ("'error' or 'ignore'", lambda value: value in ("error", "ignore")),
}
"""For each key of `__json__`: a description of valid values, and a check."""


def options_of(cls: type[Any]) -> Options:
    """Return the options of a class; its own override those of its bases.

    Raises:
        UnsupportedTypeError: A key is unknown, or its value is of the wrong kind.
    """
    merged: Options = {}
    for base in reversed(cls.__mro__):
        declared = base.__dict__.get("__json__", {})
        if not isinstance(declared, Mapping):
            raise UnsupportedTypeError(f"expected a dict as __json__ of {base!r}, got {declared!r}")
        for key, value in declared.items():
            if key not in _EXPECTED:
                known = ", ".join(map(repr, _EXPECTED))
                raise UnsupportedTypeError(
                    f"expected keys {known} in __json__ of {base!r}, got {key!r}"
                )
            expected, accepts = _EXPECTED[key]
            if not accepts(value):
                raise UnsupportedTypeError(
                    f"expected {expected} for {key!r} in __json__ of {base!r}, got {value!r}"
                )
        merged.update(declared)  # type: ignore[typeddict-item]  # checked above
    return merged


def no_encoder(value: object) -> None:
    """Return None: an Encoder for values whose class has none yet."""


class Cache:
    """Everything that was compiled for one class.

    Attributes:
        cls: The class. A subclass inherits this attribute from its base, but needs its own Cache.
        encode: Prints an instance of exactly this class; `no_encoder` until it is compiled.
        record: The shape of the class without type arguments.
        encoded_record: The record for encoding instances of the class.
        codecs: The codecs of types that this class is a part of.
    """

    __slots__ = ("cls", "codecs", "encode", "encoded_record", "record")

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.encode: Encoder = no_encoder
        self.encoded_record: Any = None
        self.record: Any = None
        self.codecs: dict[int, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # A class that is pickled by value, as cloudpickle and dill do, takes its attributes along.
        # Like a copy of the class, it gets a Cache of its own.
        return Cache, (type(None),)


def cache_of(cls: type[Any]) -> Cache:
    """Return the cache of a class; create it the first time."""
    cache = cls.__dict__.get(NAME)
    if cache is None or cache.cls is not cls:  # a copy of the class has a copy of the attribute
        cache = Cache(cls)
        type.__setattr__(cls, NAME, cache)
    found: Cache = cache
    return found
