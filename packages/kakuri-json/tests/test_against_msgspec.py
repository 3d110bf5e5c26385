"""Generated types: msgspec accepts the same documents and returns the same values."""

# ruff: noqa: UP045 - these spellings are what is tested

import dataclasses
import json
from dataclasses import field, make_dataclass
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NotRequired, Optional, TypedDict, TypeVar

import kakuri_json
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import JSONError, UnsupportedTypeError

T = TypeVar("T")
U = TypeVar("U")


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(Enum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Box(Generic[T]):
    value: T
    more: list[T] = field(default_factory=list)


@dataclasses.dataclass
class Pair(Generic[T, U]):
    one: Box[T]
    other: dict[str, U | None]


@dataclasses.dataclass
class Listed(Box[list[T]], Generic[T]):
    last: T | None = None


class Entry(TypedDict, Generic[T]):
    key: T
    note: NotRequired[T]


simple = st.sampled_from(
    [int, float, bool, str, None, Any, Color, Level, Literal["a", "b"], Literal[1, 2]]
)
constrained = st.sampled_from([
    Annotated[int, msgspec.Meta(ge=0, le=3)],
    Annotated[str, msgspec.Meta(max_length=2)],
    Annotated[str, msgspec.Meta(pattern="^[ab]*$")],
    Annotated[list[int], msgspec.Meta(max_length=2)],
])  # fmt: skip


@st.composite
def dataclass_of(draw, inner):
    names = draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=3))
    optional = draw(st.integers(0, len(names)))
    fields = [
        (name, draw(inner)) if number < optional else (name, Optional[draw(inner)], None)
        for number, name in enumerate(names)
    ]
    return make_dataclass("Made", fields, frozen=draw(st.booleans()), slots=draw(st.booleans()))


kinds = st.recursive(
    simple | constrained,
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),
        inner.map(lambda one: tuple[one, ...]),
        st.tuples(inner, inner).map(lambda pair: tuple[pair[0], pair[1]]),
        inner.map(lambda one: dict[str, one]),
        inner.map(lambda one: Optional[one]),
        inner.map(lambda one: Box[one]),
        inner.map(lambda one: Listed[one]),
        inner.map(lambda one: Entry[one]),
        st.tuples(inner, inner).map(lambda pair: Pair[pair[0], pair[1]]),
        dataclass_of(inner),
    ),
    max_leaves=4,
)
names = st.sampled_from(
    ["a", "b", "c", "d", "value", "more", "one", "other", "last", "key", "note"]
)
values = st.recursive(
    st.sampled_from([None, True, 0, 1, 2, -1, 5, 1.5, 2.0, "", "a", "b", "abc", "red", "blue"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def fitting(kind):  # noqa: C901 - one line for each kind of type
    """A strategy of values that a type should accept."""
    if kind is Any:
        return values
    origin, arguments = getattr(kind, "__origin__", None), getattr(kind, "__args__", ())
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        parts = {item.name: fitting(item.type) for item in dataclasses.fields(kind)}
        return st.fixed_dictionaries(parts)
    if kind in (None, type(None)):
        return st.none()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from([member.value for member in kind])
    if hasattr(kind, "__metadata__"):
        return st.sampled_from([0, 3, "", "ab", [1, 2], []])
    simple_values = {
        int: st.integers(-9, 9),
        float: st.floats(-9, 9),
        bool: st.booleans(),
        str: st.text("ab", max_size=2),
    }
    if kind in simple_values:
        return simple_values[kind]
    if str(kind).startswith("typing.Literal"):
        return st.sampled_from(arguments)
    if origin is list or (origin is tuple and arguments[-1] is ...):
        return st.lists(fitting(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(fitting, arguments)).map(list)
    if origin is dict:
        return st.dictionaries(names, fitting(arguments[1]), max_size=3)
    if origin is Box:
        return st.fixed_dictionaries(
            {"value": fitting(arguments[0])},
            optional={"more": st.lists(fitting(arguments[0]), max_size=2)},
        )
    if origin is Listed:
        listed = st.lists(fitting(arguments[0]), max_size=2)
        return st.fixed_dictionaries(
            {"value": listed},
            optional={"last": fitting(arguments[0]), "more": st.lists(listed, max_size=2)},
        )
    if origin is Entry:
        return st.fixed_dictionaries(
            {"key": fitting(arguments[0])}, optional={"note": fitting(arguments[0])}
        )
    if origin is Pair:
        one = st.fixed_dictionaries({"value": fitting(arguments[0])})
        return st.fixed_dictionaries(
            {"one": one, "other": st.dictionaries(names, fitting(arguments[1]), max_size=2)}
        )
    return st.one_of(*map(fitting, arguments))  # a union


@st.composite
def cases(draw):
    kind = draw(kinds)
    value = draw(fitting(kind) | fitting(kind) | values)
    return kind, json.dumps(value).encode()


@settings(max_examples=100, deadline=None)
@given(cases())
def test_decode_of_generated_type_agrees_with_msgspec(case):
    kind, data = case
    try:
        theirs = msgspec.json.Decoder(kind, strict=True)
    except TypeError:
        return  # a union that msgspec has no rule for
    try:
        expected = [theirs.decode(data)]
    except msgspec.ValidationError:
        expected = []
    try:
        got = [kakuri_json.decode(data, type=kind)]
    except UnsupportedTypeError:
        raise
    except JSONError:
        got = []
    if expected and not got:
        # Decided otherwise: a field that is not known is a fault, and 2.0 is not an integer.
        with pytest.raises(
            JSONError, match=r"expected (one of|no (other )?fields)|, got -?[0-9]+\.0|again"
        ):
            kakuri_json.decode(data, type=kind)
    else:
        assert got == expected
        # Equal are 1, 1.0 and True as well; their texts differ.
        assert kakuri_json.dumps(got, sort_keys=True) == kakuri_json.dumps(expected, sort_keys=True)
