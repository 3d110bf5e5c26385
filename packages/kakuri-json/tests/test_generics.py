"""Type variables are substituted at any depth, with a scope for each class of an MRO."""

# ruff: noqa: F821, PT014, UP007, UP044, UP045 - these spellings are what is tested

import collections.abc
import dataclasses
import sys
import textwrap
import types
import typing
from dataclasses import dataclass
from enum import Enum, Flag, IntEnum, StrEnum
from typing import (
    Annotated,
    Any,
    Generic,
    NotRequired,
    Optional,
    Self,
    TypedDict,
    TypeVar,
    Union,
)

import annotated_types as at
import kakuri_json
import pytest
import typing_extensions
from kakuri_json import UnsupportedTypeError, ValidationError

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
Bounded = TypeVar("Bounded", bound=int)
Either = TypeVar("Either", int, str)
Defaulted = typing_extensions.TypeVar("Defaulted", default=int)
DefaultedByOther = typing_extensions.TypeVar("DefaultedByOther", default=list[T])


@dataclass
class Box(Generic[T]):
    value: T


@dataclass
class OtherBox(Generic[U]):
    value: U


@dataclass
class SameVariable(Generic[T]):
    box: Box[list[T]]


@dataclass
class Deep(Generic[T]):
    box: Annotated[Box[dict[str, list[T | None]]], "words"]


@dataclass
class InTuple(Generic[T, U]):
    pair: tuple[Box[T], OtherBox[U]]
    row: tuple[T, ...]


@dataclass
class Swapped(InTuple[U, T], Generic[T, U]):
    own: T


@dataclass
class Child(Box[list[U]], Generic[U]):
    other: U


@dataclass
class GrandChild(Child[int]):
    last: str


@dataclass
class Shadowed(Box[int], Generic[T]):
    other: T


@dataclass
class Left(Generic[T]):
    left: T


@dataclass
class Right(Generic[T]):
    right: T


@dataclass
class Diamond(Left[int], Right[str]):
    pass


@dataclass
class Plain(GrandChild):
    """Has no generic bases of its own, and must not use those of its base."""


@dataclass
class Tree(Generic[T]):
    value: T
    children: "list[Tree[T]]"


@dataclass
class Swinging(Generic[T, U]):
    value: T
    next: "Swinging[U, T] | None" = None


@dataclass
class Limited(Generic[Bounded]):
    value: Bounded


@dataclass
class OneOf(Generic[Either]):
    value: Either


@dataclass
class WithDefault(Generic[Defaulted]):
    value: Defaulted


@dataclass
class WithDefaults(Generic[T, DefaultedByOther]):
    value: T
    other: DefaultedByOther


class Entry(TypedDict, Generic[T]):
    key: T
    note: NotRequired[list[T]]


class IntEntry(Entry[int]):
    extra: str


class Wrapped(Entry[list[T]], Generic[T]):
    own: T


class Color(Enum):
    RED = "red"


CASES = [
    (Box[int], {"value": 1}, {"value": "a"}),
    (Box[Color], {"value": "red"}, {"value": "blue"}),
    (Box[Box[int]], {"value": {"value": 1}}, {"value": {"value": "a"}}),
    (Box[OtherBox[Box[str]]], {"value": {"value": {"value": ""}}}, {"value": {"value": {"value": 1}}}),
    (SameVariable[int], {"box": {"value": [1]}}, {"box": {"value": ["a"]}}),
    (SameVariable[list[str]], {"box": {"value": [["a"]]}}, {"box": {"value": ["a"]}}),
    (Deep[int], {"box": {"value": {"a": [1, None]}}}, {"box": {"value": {"a": ["b"]}}}),
    (InTuple[int, str], {"pair": [{"value": 1}, {"value": ""}], "row": [1]}, {"pair": [{"value": ""}, {"value": 1}], "row": []}),
    (Swapped[int, str], {"pair": [{"value": ""}, {"value": 1}], "row": [""], "own": 1}, {"pair": [{"value": 1}, {"value": ""}], "row": [], "own": 1}),
    (Child[int], {"value": [1], "other": 2}, {"value": ["a"], "other": 2}),
    (GrandChild, {"value": [1], "other": 2, "last": ""}, {"value": [1], "other": "a", "last": ""}),
    (Plain, {"value": [1], "other": 2, "last": ""}, {"value": ["a"], "other": 2, "last": ""}),
    (Shadowed[str], {"value": 1, "other": "a"}, {"value": "a", "other": "a"}),
    (Shadowed[str], {"value": 1, "other": "a"}, {"value": 1, "other": 1}),
    (Diamond, {"left": 1, "right": ""}, {"left": "", "right": ""}),
    (Diamond, {"left": 1, "right": ""}, {"left": 1, "right": 1}),
    (Tree[int], {"value": 1, "children": [{"value": 2, "children": []}]}, {"value": 1, "children": [{"value": "", "children": []}]}),
    (Swinging[int, str], {"value": 1, "next": {"value": "a", "next": {"value": 2}}}, {"value": 1, "next": {"value": 2}}),
    (Limited, {"value": 1}, {"value": "a"}),
    (Limited[bool], {"value": True}, {"value": 1}),
    (OneOf, {"value": 1}, {"value": 1.5}),
    (OneOf[str], {"value": ""}, {"value": 1}),
    (WithDefault, {"value": 1}, {"value": "a"}),
    (WithDefault[str], {"value": "a"}, {"value": 1}),
    (WithDefaults[int], {"value": 1, "other": [1]}, {"value": 1, "other": ["a"]}),
    (WithDefaults[int, str], {"value": 1, "other": ""}, {"value": 1, "other": [1]}),
    (Box[Annotated[int, at.Ge(3)]], {"value": 3}, {"value": 2}),
    (Box[Optional[int]], {"value": None}, {"value": ""}),
    (Box[Union[int, list[str]]], {"value": ["a"]}, {"value": [1]}),
    (Box[dict[str, tuple[int, str]]], {"value": {"a": [1, ""]}}, {"value": {"a": [1]}}),
    (Entry[int], {"key": 1}, {"key": ""}),
    (Entry[int], {"key": 1, "note": [1]}, {"key": 1, "note": [""]}),
    (IntEntry, {"key": 1, "extra": ""}, {"key": "", "extra": ""}),
    (Wrapped[int], {"key": [1], "own": 2}, {"key": 1, "own": 2}),
    (Wrapped[int], {"key": [1], "own": 2}, {"key": [1], "own": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "good", "bad"), CASES, ids=lambda one: str(one)[:60])
def test_type_arguments_are_checked_inside_containers(kind, good, bad):
    for around in (kind, list[kind], Box[kind]):
        wrap = {kind: lambda one: one, Box[kind]: lambda one: {"value": one}}
        wrapped = wrap.get(around, lambda one: [one])
        for _ in range(2):
            value = kakuri_json.decode(kakuri_json.encode(wrapped(good)), type=around)
            assert kakuri_json.loads(kakuri_json.encode(value))
            assert kakuri_json.convert(wrapped(good), type=around) == value
            with pytest.raises(ValidationError):
                kakuri_json.decode(kakuri_json.encode(wrapped(bad)), type=around)
    kakuri_json.schema(kind)


def test_generic_class_without_arguments_accepts_any_value():
    for value in (1, "a", None, [1]):
        assert kakuri_json.decode(kakuri_json.dumps({"value": value}), type=Box) == Box(value)


@dataclass
class Growing(Generic[T]):
    value: T
    next: "Growing[list[T]] | None" = None


Ts = typing.TypeVarTuple("Ts")


@dataclass
class Variadic(Generic[typing.Unpack[Ts]]):
    value: tuple[typing.Unpack[Ts]]


@pytest.mark.parametrize("kind", [Growing[int], Growing, Variadic[int, str], Box[complex]], ids=str)
def test_generic_class_that_grows_without_end_is_unsupported(kind):
    for _ in range(2):
        with pytest.raises(UnsupportedTypeError):
            kakuri_json.decode('{"value":1}', type=kind)


@dataclass
class Hooked(Generic[T]):
    value: T

    def __init_subclass__(cls, **options):
        """Like many hooks, do not call that of Generic, which sets `__parameters__`."""


@dataclass
class UnderHook(Hooked[list[U]], Generic[U]):
    own: U


@dataclass
class WithoutGeneric(Hooked[list[U]]):
    own: U


@pytest.mark.parametrize("kind", [UnderHook, WithoutGeneric])
def test_parameters_of_a_class_whose_base_hides_the_hook_of_generic_are_its_own(kind):
    assert kakuri_json.decode('{"value":[1],"own":2}', type=kind[int]) == kind([1], 2)
    for text in ('{"value":[""],"own":2}', '{"value":[1],"own":""}'):
        with pytest.raises(ValidationError):
            kakuri_json.decode(text, type=kind[int])


NEW_SYNTAX = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

@dataclass
class Box[T]:
    value: T

@dataclass
class Page[T, U]:
    box: Box[list[T]]
    alias: Pairs[U]

@dataclass
class Sub[T](Page[int, T]):
    own: T

class Entry[T](TypedDict):
    key: T

type Pairs[T] = list[tuple[T, T]]
type Maybe[T] = Box[T] | None

type Red = Literal["red"]
type Blue = Literal["blue"]

@dataclass
class Apple:
    color: Red

@dataclass
class Plum:
    color: Annotated[Blue, "ripe"]
    size: int = 1

@dataclass
class Bounded[T: Nowhere]:
    value: T

@dataclass
class Constrained[T: (int, 1 / 0)]:
    value: T

@dataclass
class Hooked[T]:
    value: T
    def __init_subclass__(cls, **options):
        pass

@dataclass
class UnderHook[U](Hooked[list[U]]):
    own: U
"""
NEW_DEFAULTS = """
from dataclasses import dataclass

@dataclass
class Default[T = Nowhere]:
    value: T

@dataclass
class Other[T = 1 / 0]:
    value: T
"""


def test_type_parameters_of_pep_695_are_substituted():
    if sys.version_info < (3, 12):
        with pytest.raises(SyntaxError):
            compile(NEW_SYNTAX, "new", "exec")
        return
    for source in (NEW_SYNTAX, NEW_SYNTAX.replace("from __future__ import annotations", "")):
        if source is not NEW_SYNTAX:
            source = source.replace("alias: Pairs[U]", "alias: 'Pairs[U]'")
        module = type(sys)(f"new_syntax_{len(source)}")
        sys.modules[module.__name__] = module
        exec(compile(textwrap.dedent(source), "new", "exec", dont_inherit=True), module.__dict__)
        for kind, good, bad in (
            (module.Page[int, str], {"box": {"value": [1]}, "alias": [["a", "b"]]}, {"box": {"value": [""]}, "alias": []}),
            (module.Page[int, str], {"box": {"value": [1]}, "alias": []}, {"box": {"value": [1]}, "alias": [["a", 1]]}),
            (module.Sub[str], {"box": {"value": [1]}, "alias": [["", ""]], "own": ""}, {"box": {"value": [1]}, "alias": [], "own": 1}),
            (module.Entry[int], {"key": 1}, {"key": ""}),
            (module.Maybe[int], {"value": 1}, {"value": ""}),
            (list[module.Pairs[int]], [[[1, 2]]], [[[1, ""]]]),
            (module.Apple | module.Plum, {"color": "blue", "size": 2}, {"color": "red", "size": 2}),
            (module.Bounded[int], {"value": 1}, {"value": ""}),
            (module.UnderHook[int], {"value": [1], "own": 1}, {"value": [1], "own": ""}),
            (module.UnderHook[int], {"value": [1], "own": 1}, {"value": [""], "own": 1}),
        ):  # fmt: skip
            kakuri_json.decode(kakuri_json.encode(good), type=kind)
            with pytest.raises(ValidationError):
                kakuri_json.decode(kakuri_json.encode(bad), type=kind)
        for kind in (module.Bounded, module.Constrained):
            with pytest.raises(UnsupportedTypeError, match="of T that can be evaluated"):
                kakuri_json.decode('{"value":1}', type=kind)


def test_invalid_default_of_a_type_parameter_raises_only_without_argument():
    if sys.version_info < (3, 13):
        with pytest.raises(SyntaxError):
            compile(NEW_DEFAULTS, "new", "exec")
        return
    module = type(sys)("new_defaults")
    sys.modules[module.__name__] = module
    exec(NEW_DEFAULTS, module.__dict__)
    for kind in (module.Default, module.Other):
        assert kakuri_json.decode('{"value":1}', type=kind[int]) == kind(1)
        with pytest.raises(UnsupportedTypeError, match="__default__ of T"):
            kakuri_json.decode('{"value":1}', type=kind)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (list, "[1]", [1]),
        (dict, '{"a":1}', {"a": 1}),
        (set, "[1]", {1}),
        (frozenset, "[1]", frozenset({1})),
        (tuple, "[1,2]", (1, 2)),
        (typing.Sequence, "[1]", [1]),
        (typing.MutableSequence, "[1]", [1]),
        (typing.Iterable, "[1]", [1]),
        (typing.Collection, "[1]", [1]),
        (typing.AbstractSet, "[1]", frozenset({1})),
        (typing.MutableSet, "[1]", {1}),
        (typing.Mapping, '{"a":1}', {"a": 1}),
        (typing.MutableMapping, '{"a":1}', {"a": 1}),
        (tuple[()], "[]", ()),
        (Any | int, '"a"', "a"),
    ],
    ids=str,
)
def test_typing_alias_without_arguments_accepts_any_value(kind, text, value):
    holder = dataclasses.make_dataclass("Holder", [("field", kind)])
    result = kakuri_json.decode(text, type=kind)
    assert (type(result), result) == (type(value), value)
    assert kakuri_json.decode(f'{{"field":{text}}}', type=holder) == holder(value)


class Empty(Enum):
    pass


class OfNaN(Enum):
    NAN = float("nan")


class Broken(TypedDict):
    a: "int | Nowhere"


ByName = TypeVar("ByName", bound="Nowhere")
Unhashable = typing.NewType("Unhashable", dict[list, int])


def _dataclass(annotation):
    return dataclasses.make_dataclass("Made", [("a", annotation)])


@pytest.mark.parametrize(
    "kind",
    [
        Empty, OfNaN, Broken, ByName, Unhashable, typing.Union, typing.Optional, typing.Literal,
        typing.Annotated, typing.Generic, typing.ClassVar, typing.Final, typing.Callable,
        typing.Callable[[int], int], type, type[int], type[int], typing.Self,
        typing.Literal[b"a"], typing.Literal[Empty], typing.NoReturn, T | complex,
        "int", "list[int]", 1, [], {}, (), ..., complex,
        dict[int, int], dict[bytes | int, int], list[...], list["Nowhere"],
        _dataclass("1 +"), _dataclass("x.y"), _dataclass("int | 'a'"), _dataclass("[]"),
        _dataclass("1/0"), _dataclass("Nowhere"), _dataclass(Empty),
        Flag("NoFlags", []), Enum("Odd", {"A": (1, 2)}), Enum("Bytes", {"A": b""}), Box["Nowhere"],
    ],
    ids=lambda kind: str(kind)[:40],
)  # fmt: skip
def test_invalid_type_raises_only_unsupported_type_error(kind):
    for use in (
        lambda: kakuri_json.decode("1", type=kind),
        lambda: kakuri_json.convert(1, type=kind),
        lambda: kakuri_json.schema(kind),
    ):
        with pytest.raises(UnsupportedTypeError):
            use()


class Connection:
    """A class without a JSON form."""


class Source(typing.Protocol[T]):
    def get(self) -> T: ...


Later = TypeVar("Later", bound="Item")
Either = TypeVar("Either", "Item", int)


@dataclass
class Item:
    x: int


@dataclass
class Rows(collections.abc.Iterable[T]):
    rows: list[T]

    def __iter__(self):
        return iter(self.rows)


@dataclass
class Constant(Source[T]):
    value: T

    def get(self):
        return self.value


@dataclass
class Id(Generic[T]):
    text: str
    parent: "Id[Connection] | None" = None


@dataclass
class Opened(Id[typing.Callable[[int], str]]):
    at: int = 0


@dataclass
class Of(Generic[Later]):
    item: Later


@dataclass
class OfEither(Generic[Either]):
    item: Either


@dataclass
class Event(Generic[T]):
    kind: T


@dataclass
class Closed(Event[typing.Literal["closed"]]):
    pass


@dataclass
class Failed(Event[typing.Literal["failed"]]):
    pass


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Rows[int], '{"rows":[1]}', '{"rows":["a"]}'),
        (Constant[int], '{"value":1}', '{"value":"a"}'),
        (Id[Connection], '{"text":"a","parent":{"text":"b"}}', '{"text":1}'),
        (Opened, '{"text":"a","at":1}', '{"text":"a","at":"b"}'),
        (Of, '{"item":{"x":1}}', '{"item":{"x":"a"}}'),
        (OfEither, '{"item":{"x":1}}', '{"item":"a"}'),
        (Closed | Failed, '{"kind":"failed"}', '{"kind":"other"}'),
    ],
    ids=str,
)
def test_generic_base_bound_or_argument_of_any_kind_is_accepted(kind, good, bad):
    value = kakuri_json.decode(good, type=kind)
    assert kakuri_json.decode(kakuri_json.encode(value), type=kind) == value
    with pytest.raises(ValidationError):
        kakuri_json.decode(bad, type=kind)


Bound = TypeVar("Bound", bound=Connection)
P = typing.ParamSpec("P")


class Pool(Generic[Bound]):
    pass


class Calls(Generic[P, T]):
    pass


class Many(Generic[typing.Unpack[typing.TypeVarTuple("Ts")]]):
    pass


@dataclass
class Size(Pool, Calls[[int], str], Many[int, str]):
    n: int


@dataclass
class Limit(Generic[Bound]):
    n: int


@pytest.mark.parametrize("kind", [Size, Limit])
def test_type_parameter_that_no_field_needs_may_be_of_any_kind(kind):
    assert kakuri_json.decode(kakuri_json.encode(kind(1)), type=kind) == kind(1)


def test_argument_without_json_form_is_unsupported_where_a_field_needs_it():
    with pytest.raises(UnsupportedTypeError, match="Connection"):
        kakuri_json.decode("{}", type=Box[Connection])


def _made(name="x", **options):
    return dataclasses.make_dataclass("Made", [(name, int)], namespace={"__json__": options})


def test_invalid_json_name_is_reported_by_its_class_and_value():
    expected = r"^expected text as the JSON names of <class '.*Made'>, got '\\ud800'$"
    with pytest.raises(UnsupportedTypeError, match=expected):
        kakuri_json.decode("{}", type=_made(rename={"x": "\ud800"}))


@pytest.mark.parametrize(
    "kind",
    [
        dict[str], types.GenericAlias(list, (int, str)), Enum("Half", {"A": "\ud800"}),
        typing.Literal["\ud800"], _made(rename={"x": "\ud800"}), _made(tag="\ud800"),
        _made(tag="t", tag_value="\ud800"), _made(rename=lambda name: 1 / len(name[1:])),
        Enum("Endless", {"A": float("inf")}),
    ],
    ids=ascii,
)  # fmt: skip
def test_type_that_cannot_be_written_raises_only_unsupported_type_error(kind):
    for text in ("1", "{}", '{"x":1}'):
        with pytest.raises(UnsupportedTypeError):
            kakuri_json.decode(text, type=kind)


@dataclass
class Linked(Generic[T]):
    value: T
    next: Self | None = None
    others: list[Self] = dataclasses.field(default_factory=list)


@dataclass
class Named(Linked[int]):
    name: str = ""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Linked[str], Linked("a", Linked("b"), [Linked("c")])),
        (Named, Named(1, Named(2, name="n"), [Named(3)])),
    ],
)
def test_self_in_a_field_is_the_class_that_is_decoded(kind, value):
    assert kakuri_json.decode(kakuri_json.encode(value), type=kind) == value


def test_self_in_a_field_keeps_the_arguments_of_a_generic_class():
    with pytest.raises(ValidationError, match=r"\$\.next\.value: expected an integer"):
        kakuri_json.decode(b'{"value":1,"next":{"value":"a"}}', type=Linked[int])


def test_self_outside_a_class_is_unsupported():
    with pytest.raises(UnsupportedTypeError):
        kakuri_json.decode(b"1", type=list[Self])


class Level(IntEnum):
    LOW = 1


class Rank(IntEnum):
    LOW = 1


class Word(StrEnum):
    A = "a"


class OtherWord(StrEnum):
    A = "a"


@dataclass
class EqualArguments:
    integer: Box[typing.Literal[1]]
    boolean: Box[typing.Literal[True]]
    level: Box[typing.Literal[Level.LOW]]
    rank: Box[typing.Literal[Rank.LOW]]
    text: Box[typing.Literal["a"]]
    word: Box[typing.Literal[Word.A]]
    other: Box[typing.Literal[OtherWord.A]]


def test_type_arguments_whose_values_are_equal_are_different_types():
    expected = [1, True, Level.LOW, Rank.LOW, "a", Word.A, OtherWord.A]
    value = EqualArguments(*map(Box, expected))
    for _ in range(2):
        decoded = kakuri_json.decode(kakuri_json.encode(value), type=EqualArguments)
        boxes = [getattr(decoded, field.name) for field in dataclasses.fields(decoded)]
        assert [(type(box.value), box.value) for box in boxes] == [
            (type(each), each) for each in expected
        ]


Hashed = TypeVar("Hashed", bound=typing.Hashable)
Untagged = TypeVar("Untagged", Item, Box[int])


@dataclass
class Table(Generic[Hashed, T]):
    rows: dict[Hashed, T]


@dataclass
class Unique(Generic[Hashed]):
    items: frozenset[Hashed] = frozenset()


@dataclass
class Positive(Generic[T]):
    value: Annotated[T, at.Gt(0)]
    others: Annotated[list[T], at.MaxLen(2)] = dataclasses.field(default_factory=list)


@dataclass
class Chosen(Generic[Untagged]):
    value: Untagged


@dataclass
class Tables(Generic[Hashed]):
    table: Table[Hashed, Unique[Hashed]]


@dataclass
class Same(Generic[T]):
    value: T | Item | list[int]


@pytest.mark.parametrize(
    ("kind", "value", "bad"),
    [
        (Table[str, int], Table({"a": 1}), '{"rows":{"a":"b"}}'),
        (Table[Color, int], Table({Color.RED: 1}), '{"rows":{"a":1}}'),
        (Unique[str], Unique(frozenset("a")), '{"items":[1]}'),
        (Positive[int], Positive(1, [2]), '{"value":0}'),
        (Positive[int], Positive(1), '{"value":1,"others":[1,2,3]}'),
        (Chosen[Item], Chosen(Item(1)), '{"value":{"value":1}}'),
        (Tables[str], Tables(Table({"a": Unique(frozenset("b"))})), '{"table":{"rows":{"a":1}}}'),
        (Same[Item], Same(Item(1)), '{"value":{"x":"a"}}'),
        (Same[list[int]], Same([1]), '{"value":["a"]}'),
        (dict[Any, int], {"a": 1}, '{"a":"b"}'),
        (dict[object, Any], {"a": 1}, "[]"),
    ],
    ids=str,
)
def test_type_that_is_only_decodable_with_its_arguments_is_encoded(kind, value, bad):
    for _ in range(2):
        assert kakuri_json.decode(kakuri_json.encode(value), type=kind) == value
        assert kakuri_json.decode(kakuri_json.encode(value, indent=1), type=kind) == value
    with pytest.raises(ValidationError):
        kakuri_json.decode(bad, type=kind)


def test_constraint_on_a_type_variable_without_argument_is_unsupported():
    kakuri_json.encode(Positive(1))
    with pytest.raises(UnsupportedTypeError, match="expected a constraint that fits"):
        kakuri_json.decode('{"value":0}', type=Positive)


Message = typing_extensions.TypeAliasType("Message", "Open | Close | None")
Node = typing_extensions.TypeAliasType("Node", "Inner[T] | None", type_params=(T,))
Grown = typing_extensions.TypeAliasType("Grown", "Growing[list[T]] | None", type_params=(T,))
ByDefault = typing_extensions.TypeVar("ByDefault", default="Item")


@dataclass
class Open:
    kind: typing.Literal["open"] = "open"
    reply: Message = None


@dataclass
class Close:
    kind: typing.Literal["close"] = "close"
    replies: list[Message] = dataclasses.field(default_factory=list)


@dataclass
class Inner(Generic[T]):
    value: T
    left: "Node[T]" = None


@dataclass
class Growing(Generic[T]):
    value: "Grown[T]" = None


@dataclass
class OfDefault(Generic[ByDefault]):
    value: ByDefault


@pytest.mark.parametrize(
    ("kind", "value", "bad"),
    [
        (Message, Close(replies=[Open(reply=Close()), None]), '{"kind":"other"}'),
        (list[Message], [Open(), None], "[1]"),
        (Open, Open(reply=Close()), '{"kind":"open","reply":{"kind":"other"}}'),
        (Node[int], Inner(1, Inner(2)), '{"value":1,"left":{"value":"a"}}'),
        (OfDefault, OfDefault(Item(1)), '{"value":1}'),
    ],
    ids=str,
)
def test_alias_may_contain_a_class_that_contains_the_alias(kind, value, bad):
    assert kakuri_json.decode(kakuri_json.encode(value), type=kind) == value
    with pytest.raises(ValidationError):
        kakuri_json.decode(bad, type=kind)


def test_alias_that_grows_without_end_is_unsupported():
    with pytest.raises(UnsupportedTypeError, match="deeper or endlessly"):
        kakuri_json.decode("null", type=Grown[int])
