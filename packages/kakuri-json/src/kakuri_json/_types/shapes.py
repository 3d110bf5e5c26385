"""Shapes: what a type asks of a JSON value, read once from the type's annotations."""

import enum
import functools
import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """A condition on a value.

    holds: whether a value meets it.
    words: what it asks for, as a part of an error message.
    description: the same in the words of the program, which take the place of all others.
    pattern: the expression for a whole text, if it has no flags.
    of_text, of_times: whether it is about text only, about dates with times only.
    """

    holds: Callable[[Any], bool]
    words: str
    description: str | None = None
    pattern: str | None = None
    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    of_text: bool = False
    of_times: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value of one simple kind."""

    kind: Literal["string", "integer", "number", "boolean", "null"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values: an Enum, or Literals. Each row: the JSON value and what it becomes."""

    rows: tuple[tuple[Any, Any], ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Flags:
    """A combination of the members of a Flag, written as an integer."""

    cls: type[enum.Flag]

    @property
    def known(self) -> int:
        """Every bit that a member has."""
        return functools.reduce(operator.or_, (member._value_ for member in self.cls), 0)


@dataclass(frozen=True, slots=True)
class Text:
    """A value that is written as a string of some format."""

    format: Literal["datetime", "date", "decimal", "bytes", "uuid"]


@dataclass(frozen=True, slots=True)
class Sequence:
    """An array of equal items; build is list, tuple, set or frozenset."""

    item: "Shape"
    build: type[Any]


@dataclass(frozen=True, slots=True)
class FixedTuple:
    """An array with a type for each place."""

    items: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """An object with any keys."""

    key: "Shape"
    value: "Shape"


@dataclass(frozen=True, slots=True)
class Constrained:
    """A value with conditions on it."""

    inner: "Shape"
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """One of several shapes; tagged maps tags to the records that they announce."""

    members: tuple["Shape", ...]
    tag: str | None = None
    tagged: dict[Any, "Record"] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record.

    omit_default: whether the field is not written while it has its default.
    """

    name: str
    json_name: str
    shape: "Shape"
    required: bool
    default: Any = None
    default_factory: Callable[[], Any] | None = None
    omit_default: bool = False


@dataclass(slots=True, eq=False)
class Record:
    """An object with named fields: a dataclass or a TypedDict. May contain itself.

    tags: names of what can tell it apart in a union, and the values that stand there.
    generated_init: whether its constructor is the one that dataclasses write, and no other.
    """

    cls: type[Any]
    is_dict: bool
    fields: tuple[Field, ...] = ()
    tag: str | None = None
    tag_value: str = ""
    tags: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    ignore_unknown: bool = False
    generated_init: bool = True
    by_json_name: dict[str, Field] = field(default_factory=dict)


Shape: TypeAlias = (
    Anything
    | Scalar
    | Choice
    | Flags
    | Text
    | Sequence
    | FixedTuple
    | Mapping
    | Constrained
    | Union
    | Record
)


def is_string(shape: Shape) -> bool:
    """Tell whether values of a shape are plain strings, with or without conditions on them."""
    return shape == Scalar("string") or (isinstance(shape, Constrained) and is_string(shape.inner))


def depth_of(shape: Shape, inside: tuple[Record, ...] = ()) -> int:
    """Return how deep arrays and objects of a shape are nested; `sys.maxsize` if without end."""
    match shape:
        case Constrained():
            return depth_of(shape.inner, inside)
        case Sequence():
            return min(sys.maxsize, 1 + depth_of(shape.item, inside))
        case Mapping():
            return min(sys.maxsize, 1 + depth_of(shape.value, inside))
        case FixedTuple(items=parts):
            return min(sys.maxsize, 1 + _deepest(parts, inside))
        case Union(members=parts):
            return _deepest(parts, inside)
        case Record():
            if shape in inside:
                return sys.maxsize
            parts = tuple(field.shape for field in shape.fields)
            return min(sys.maxsize, 1 + _deepest(parts, (*inside, shape)))
        case Anything():
            return sys.maxsize
    return 0


def _deepest(shapes: tuple[Shape, ...], inside: tuple[Record, ...]) -> int:
    return max((depth_of(shape, inside) for shape in shapes), default=0)
