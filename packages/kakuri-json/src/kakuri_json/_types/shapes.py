"""Shapes, which describe the JSON values of a type; read once from its annotations."""

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

    Attributes:
        holds: Returns whether a value meets it.
        requirement: Description for error messages, such as `from 1 to 5`.
        description: The program's own description, which replaces all others.
        pattern: The regular expression that the whole string must match, if it has no flags.
        text_format: The name of the string's format in schemas, in addition to the pattern.
        of_text: Whether it only applies to strings.
        of_times: Whether it only applies to datetimes.
    """

    holds: Callable[[Any], bool]
    requirement: str
    description: str | None = None
    pattern: str | None = None
    text_format: str | None = None
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
    """Any JSON value.

    Attributes:
        stands_for_variable: Whether it stands for a type variable without an argument; constraints
            on it are then not checked.
    """

    stands_for_variable: bool = False


@dataclass(frozen=True, slots=True)
class NoShape:
    """A type argument without a JSON form, which is only an error if a field needs it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, a number, a boolean or null."""

    kind: Literal["string", "integer", "number", "boolean", "null"]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One of several values: an Enum, or Literals.

    Attributes:
        rows: Pairs of a JSON value and the Python value that it stands for.
        name: Name of the Enum; None for Literals.
    """

    rows: tuple[tuple[Any, Any], ...]
    name: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and self._key() == other._key()

    def __hash__(self) -> int:
        # An Enum that defines `__eq__` has no hash.
        return hash((self.name, tuple(encoded for encoded, _ in self.rows)))

    def _key(self) -> Any:
        # 1 equals True, and a member of an IntEnum or StrEnum equals its value.
        return self.name, tuple(
            (type(encoded), encoded, type(decoded), decoded) for encoded, decoded in self.rows
        )


@dataclass(frozen=True, slots=True)
class Flags:
    """A combination of the members of a Flag, written as an integer."""

    cls: type[enum.Flag]

    @property
    def known(self) -> int:
        """All bits that any member has."""
        members = self.cls.__members__.values()  # iteration leaves out those of several bits
        return functools.reduce(operator.or_, (member._value_ for member in members), 0)


@dataclass(frozen=True, slots=True)
class Text:
    """A value that JSON represents as a string in some format."""

    format: Literal["datetime", "date", "decimal", "bytes", "uuid"]


@dataclass(frozen=True, slots=True)
class Sequence:
    """An array of items of one shape.

    Attributes:
        item: The shape of the items.
        build: list, tuple, set or frozenset.
    """

    item: "Shape"
    build: type[Any]


@dataclass(frozen=True, slots=True)
class FixedTuple:
    """An array of a fixed length, with a shape for each position."""

    items: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """An object with arbitrary keys of one shape, and values of another."""

    key: "Shape"
    value: "Shape"


@dataclass(frozen=True, slots=True)
class Constrained:
    """A value with conditions on it."""

    inner: "Shape"
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """One of several shapes.

    Attributes:
        members: The shapes.
        tag: Name of the field that distinguishes the records; None if there is at most one record.
        tagged: The records by the values of the tag.
    """

    members: tuple["Shape", ...]
    tag: str | None = None
    tagged: dict[Any, "Record"] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record.

    Attributes:
        name: Name in Python.
        json_name: Name in JSON.
        shape: The shape of its values.
        required: Whether it has no default.
        default: The default; meaningless with `default_factory`.
        default_factory: Creates the default.
        omit_default: Whether the field is omitted if its value is the default.
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
    """An object with named fields: a dataclass or a TypedDict. It may contain itself.

    Attributes:
        cls: The class.
        is_dict: Whether it is a TypedDict.
        fields: The fields in their order.
        tag: Name of the field that `__json__` adds; None without one.
        tag_value: Value of that field.
        tags: Names of fields that can distinguish it in a union, each with its possible values.
        ignore_unknown: Whether unknown fields are skipped instead of rejected.
        generated_init: Whether its constructor was generated by dataclasses.
        by_json_name: The fields by their names in JSON.
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
    """Return whether values of a shape are plain strings, with or without constraints."""
    return shape == Scalar("string") or (isinstance(shape, Constrained) and is_string(shape.inner))


def depth_of(shape: Shape, known: dict[Record, int] | None = None) -> int:
    """Return how deeply arrays and objects of a shape can nest; `sys.maxsize` if unbounded.

    Args:
        shape: The shape.
        known: The depths of the records visited so far; this call extends it.
    """
    known = {} if known is None else known
    match shape:
        case Constrained():
            return depth_of(shape.inner, known)
        case Sequence():
            return min(sys.maxsize, 1 + depth_of(shape.item, known))
        case Mapping():
            return min(sys.maxsize, 1 + depth_of(shape.value, known))
        case FixedTuple(items=parts):
            return min(sys.maxsize, 1 + _max_depth(parts, known))
        case Union(members=parts):
            return _max_depth(parts, known)
        case Record():
            if shape not in known:
                known[shape] = sys.maxsize  # the result if the record contains itself
                parts = tuple(field.shape for field in shape.fields)
                known[shape] = min(sys.maxsize, 1 + _max_depth(parts, known))
            return known[shape]
        case Anything():
            return sys.maxsize
    return 0


def _max_depth(shapes: tuple[Shape, ...], known: dict[Record, int]) -> int:
    return max((depth_of(shape, known) for shape in shapes), default=0)
