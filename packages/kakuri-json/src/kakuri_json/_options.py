"""What a class says about its own spelling in JSON."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict


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
