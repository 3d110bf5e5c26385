"""Every supported type, and the faults of values that do not match."""

import datetime as dt
import pickle
import re
import sys
import typing
from dataclasses import KW_ONLY, InitVar, dataclass, field, make_dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID

import annotated_types as at
import kakuri_json
import pytest
from kakuri_json import Fault, JSONError, LimitError, Limits, UnsupportedTypeError, ValidationError

T = TypeVar("T")


class Color(Enum):
    RED = "red"
    TWO = 2


class Level(IntEnum):
    LOW = 1


UserId = NewType("UserId", int)


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Loose(TypedDict, total=False):
    a: int


Odd = TypedDict("Odd", {"odd key'\n": int, "class": str})


@dataclass(frozen=True)
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)


@dataclass
class Box(Generic[T]):
    item: T
    more: list[T] = field(default_factory=list)


@dataclass
class IntBox(Box[int]):
    extra: bool = False


@dataclass
class Keywords:
    a: int
    _: KW_ONLY
    b: int = 2
    derived: int = field(init=False, default=7)


@dataclass
class Renamed:
    __json__: ClassVar = {"rename": lambda name: name.replace("_", "-")}
    first_name: str


@dataclass
class A:
    __json__: ClassVar = {"tag": "kind", "tag_value": "a"}
    x: int


@dataclass
class B:
    __json__: ClassVar = {"tag": "kind", "tag_value": "b", "unknown": "ignore"}
    y: str = ""


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Any, '{"a":[1]}', {"a": [1]}),
        (object, "null", None),
        (int, "12", 12),
        (float, "1.5", 1.5),
        (float, "1", 1.0),
        (bool, "true", True),
        (None, "null", None),
        (str, '"x"', "x"),
        (Color, '"red"', Color.RED),
        (Color, "2", Color.TWO),
        (Level, "1", Level.LOW),
        (Literal["a", 1, True] | None, "true", True),
        (Literal["a", 1, True], "1", 1),
        (Literal[10**17, 10**18], "1000000000000000000", 10**18),
        (Literal[10**17, 10**18], "100000000000000000", 10**17),
        (Literal[-(10**18)], "-1000000000000000000", -(10**18)),
        (Literal[Color.RED], '"red"', Color.RED),
        (UserId, "5", 5),
        (
            Optional[int],  # noqa: UP045
            "null",
            None,
        ),
        (int | None, "5", 5),
        (
            Union[int, str, list[int]],  # noqa: UP007
            "[1]",
            [1],
        ),
        (str | Color, '"red"', Color.RED),
        (int | float, "1.5", 1.5),
        (int | float, "1", 1),
        (list, "[1,null]", [1, None]),
        (list[int], "[1,2]", [1, 2]),
        (typing.Sequence[int], "[1,2]", [1, 2]),
        (tuple[int, ...], "[1,2]", (1, 2)),
        (tuple[int, str], '[1,"a"]', (1, "a")),
        (tuple[()], "[]", ()),
        (set[int], "[1,2]", {1, 2}),
        (frozenset[Color], '["red",2]', frozenset(Color)),
        (dict, '{"a":1}', {"a": 1}),
        (dict[str, int], '{"a":1}', {"a": 1}),
        (dict[Color, int], '{"red":1}', None),
        (typing.Mapping[Literal["a"], int], '{"a":1}', {"a": 1}),
        (dict[dt.date, int], '{"2026-01-31":1}', {dt.date(2026, 1, 31): 1}),
        (Movie, '{"title":"x"}', {"title": "x"}),
        (Movie, '{"year":1,"title":"x"}', {"title": "x", "year": 1}),
        (Loose, "{}", {}),
        (Odd, '{"odd key\'\\n":1,"class":"x"}', {"odd key'\n": 1, "class": "x"}),
        (Tree, '{"value":1,"children":[{"value":2}]}', Tree(1, [Tree(2)])),
        (Box[int], '{"item":1,"more":[2]}', Box(1, [2])),
        (Box[Box[str]], '{"item":{"item":"x"}}', Box(Box("x"))),
        (Box, '{"item":{"item":"x"}}', Box({"item": "x"})),
        (IntBox, '{"item":1,"extra":true}', IntBox(1, [], True)),
        (Keywords, '{"a":1,"b":3}', Keywords(1, b=3)),
        (Renamed, '{"first-name":"x"}', Renamed("x")),
        (A | B, '{"x":1,"kind":"a"}', A(1)),
        (A | B | None, '{"kind":"b","new":{}}', B()),
        (list[A | B], '[{"kind":"b"},{"kind":"a","x":1}]', [B(), A(1)]),
        (Decimal, '"1.50"', Decimal("1.50")),
        (
            dt.datetime,
            '"2026-01-02T03:04:05Z"',
            dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        ),
        (
            dt.datetime,
            '"2026-01-02t03:04:05.5-01:30"',
            dt.datetime(
                2026,
                1,
                2,
                3,
                4,
                5,
                500000,
                dt.timezone(-dt.timedelta(hours=1, minutes=30)),
            ),
        ),
        (bytes, '"/wA="', b"\xff\x00"),
        (UUID, '"00000000-0000-0000-0000-000000000005"', UUID(int=5)),
        (Annotated[int, at.Gt(1), at.Lt(5)], "4", 4),
        (Annotated[Annotated[str, at.MinLen(1)], at.MaxLen(2)], '"ab"', "ab"),
        (Annotated[int | None, at.Gt(1)], "null", None),
        (Annotated[float, at.Lt(5)], "4", 4.0),
        (Annotated[int, "a word that means nothing here", str], "4", 4),
    ],
)
def test_decode_of_each_type_returns_its_value(kind, text, value):
    if value is None and text != "null":
        with pytest.raises(UnsupportedTypeError, match="expected hashable keys with a string form"):
            kakuri_json.decode(text, type=kind)
        return
    for _ in range(2):
        result = kakuri_json.decode(text, type=kind)
        assert (result, type(result)) == (value, type(value))
    assert kakuri_json.decode(kakuri_json.dumps(value, indent=1), type=kind) == value
    assert kakuri_json.convert(kakuri_json.loads(text), type=kind) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (int, '"512"', "expected an integer, got '512'"),
        (int, "1.0", "expected an integer, got 1.0"),
        (int, "true", "expected an integer, got true"),
        (float, '"1"', "expected a number, got '1'"),
        (float, "1" + "0" * 400, "expected a number, got an integer of 1329 bits"),
        (bool, "1", "expected true or false, got 1"),
        (str, "null", "expected a string, got null"),
        (None, "0", "expected null, got 0"),
        (Color, '"blue"', "expected one of 'red', 2, got 'blue'"),
        (Color, "2.0", "expected one of 'red', 2, got 2.0"),
        (Literal[1], "true", "expected 1, got true"),
        (int | None, '"x"', "expected an integer or null, got 'x'"),
        (list[int], "{}", "expected an array, got an object"),
        (dict[str, int], "[]", "expected an object, got an array"),
        (tuple[int, str], "[1]", "expected an array of 2, got 1"),
        (set[int], "[1,1]", "expected every item once, got an item again"),
        (set, "[[]]", "expected items that can be in a set, got arrays or objects"),
        (Tree, "[]", "expected an object, got an array"),
        (A | B, "3", "expected an object, got 3"),
        (Decimal, "1.5", "expected a decimal number in a string, got 1.5"),
        (Decimal, '"NaN"', "expected a decimal number in a string, got 'NaN'"),
        (
            dt.datetime,
            '"2026-01-02T03:04:05"',
            "expected a date and time with offset (RFC 3339), got '2026-01-02T03:04:05'",
        ),
        (
            dt.datetime,
            '"2026-02-30T03:04:05Z"',
            "expected a date and time with offset (RFC 3339), got '2026-02-30T03:04:05Z'",
        ),
        (
            dt.datetime,
            '"2016-12-31T23:59:60Z"',
            (
                "expected a date and time with offset (RFC 3339) without a leap second,"
                " got '2016-12-31T23:59:60Z'"
            ),
        ),
        (dt.date, '"2026-13-01"', "expected a date like '2026-01-31', got '2026-13-01'"),
        (bytes, '"/wB="', "expected bytes in base64 (RFC 4648), got '/wB='"),
        (UUID, '"5"', "expected a UUID, got '5'"),
        (Annotated[int, at.Ge(1)], "0", "expected an integer of at least 1, got 0"),
        (Annotated[int, at.Interval(ge=1, le=9)], "10", "expected an integer from 1 to 9, got 10"),
        (
            Annotated[int, at.Interval(gt=1, lt=9)],
            "9",
            "expected an integer above 1 and below 9, got 9",
        ),
        (
            Annotated[int, at.MultipleOf(3)],
            "4",
            "expected an integer that is a multiple of 3, got 4",
        ),
        (Annotated[str, at.Len(2, 3)], '"x"', "expected a string of length 2 to 3, got 'x'"),
        (
            Annotated[list[int], at.MaxLen(1)],
            "[1,2]",
            "expected an array of length 1 or less, got an array",
        ),
        (
            Annotated[str, at.Predicate(str.isupper)],
            '"x"',
            "expected a string for which str.isupper holds, got 'x'",
        ),
        (Annotated[int, at.Ge(1)], '"x"', "expected an integer of at least 1, got 'x'"),
        (str, '["' + "x" * 100 + '"]', "expected a string, got an array"),
        (int, '"' + "x" * 100 + '"', "expected an integer, got '" + "x" * 60 + "'…"),
    ],
)
def test_decode_of_wrong_value_names_what_was_expected(kind, text, message):
    for _ in range(2):
        with pytest.raises(ValidationError) as caught:
            kakuri_json.decode(text, type=kind)
        assert caught.value.faults == (Fault("$", message, 1, 1),)


def test_fault_has_path_line_and_column():
    text = '{"odd key": [1,\n {"value": "x", "children": [{"value": 1, "kids": 2}, {}]}]}'
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(text, type=dict[str, list[Tree | int]])
    assert [(fault.path, fault.line, fault.column) for fault in caught.value.faults] == [
        ("$['odd key'][1].value", 2, 12),
        ("$['odd key'][1].children[0].kids", 2, 51),
        ("$['odd key'][1].children[1].value", 2, 55),
    ]
    assert str(caught.value).splitlines()[0] == (
        "$['odd key'][1].value: expected an integer, got 'x' (line 2, column 12)"
    )


def test_fault_of_converted_value_has_no_position():
    with pytest.raises(ValidationError) as caught:
        kakuri_json.convert({"value": "x"}, type=Tree)
    assert caught.value.faults == (Fault("$.value", "expected an integer, got 'x'"),)


@dataclass
class Careful:
    n: int

    def __post_init__(self):
        self.n += 1


def test_constructor_is_not_called_with_faulty_fields():
    text = "[" + ",".join('{"n":"x"}' for _ in range(200)) + "]"
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(text, type=list[Careful])
    assert len(caught.value.faults) == 100


@pytest.mark.parametrize("kind", [A | None, A | B | None])
def test_predicate_on_optional_class_is_not_applied_to_null(kind):
    positive = Annotated[kind, at.Predicate(lambda value: value.x > 0)]
    assert kakuri_json.decode("null", type=positive) is None
    assert kakuri_json.decode('{"kind":"a","x":1}', type=positive) == A(1)
    with pytest.raises(ValidationError, match="lambda"):
        kakuri_json.decode('{"kind":"a","x":0}', type=positive)


def test_predicate_on_tagged_union_is_applied():
    kind = Annotated[A | B, at.Predicate(lambda value: value != A(2))]
    assert kakuri_json.decode('{"kind":"a","x":1}', type=kind) == A(1)
    with pytest.raises(ValidationError, match="for which"):
        kakuri_json.decode('{"kind":"a","x":2}', type=kind)


def test_convert_of_keys_that_are_not_text_is_a_fault():
    for key in (1, 1.5, None, ("a",)):
        for kind in (dict[str, int], Tree):
            with pytest.raises(ValidationError):
                kakuri_json.convert({key: 1}, type=kind)


class Unprintable:
    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f"Unprintable({self.number!r})"


def test_value_whose_repr_raises_is_named_by_its_class():
    value = Unprintable(10**5000)  # more digits than int prints
    with pytest.raises(ValidationError, match=r"expected an integer, got <.*Unprintable object"):
        kakuri_json.convert(value, int)
    for encoded in (value, {value: 1}, [{10**5000: 1}]):
        with pytest.raises(kakuri_json.EncodeError, match="expected a"):
            kakuri_json.dumps(encoded)


def test_long_keys_are_shortened_in_paths():
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode('{"' + "k" * 1000 + '":"x"}', type=dict[str, int])
    assert caught.value.faults[0].path == "$['" + "k" * 100 + "…']"


def test_convert_accepts_dates_and_tuples():
    day = dt.date(2026, 1, 1)
    assert kakuri_json.convert({"a": day, "b": (1, 2)}, type=dict[str, dt.date | list[int]]) == {
        "a": day,
        "b": [1, 2],
    }


class Name(str):
    __slots__ = ()


class Huge(int):
    pass


@pytest.mark.parametrize(
    ("value", "kind", "got"),
    [
        (Name("a"), str, "got 'a' (Name)"),
        (Huge(3), int, "got 3 (Huge)"),
        (Huge(10**5000), int, "got an integer of 16610 bits"),
    ],
    ids=["str", "int", "huge"],
)
def test_fault_of_a_value_of_a_subclass_names_the_class(value, kind, got):
    with pytest.raises(ValidationError, match=re.escape(got)):
        kakuri_json.convert(value, type=kind)


def test_validation_error_has_at_most_100_faults():
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(
            "[" + ",".join("x" * 0 + '"x"' for _ in range(5000)) + "]", type=list[int]
        )
    assert len(caught.value.faults) == 100


@pytest.mark.parametrize("kind", [A, A | B])
def test_unknown_tag_is_a_fault_with_its_position(kind):
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode('{"kind":"c","x":1}', type=kind)
    expected = "'a'" if kind is A else "one of 'a', 'b'"
    assert caught.value.faults == (Fault("$.kind", f"expected {expected}, got 'c'", 1, 9),)


@dataclass
class _Init:
    a: InitVar[int]
    b: int = 1


@dataclass
class _SameNames:
    __json__: ClassVar = {"rename": {"a": "b"}}
    a: int
    b: int


@dataclass
class _Unresolved:
    a: "Nowhere"  # noqa: F821


@pytest.mark.parametrize(
    "kind",
    [
        complex,
        dict[int, int],
        Tree | Box,
        type,
        typing.Callable,
        _SameNames,
        _Unresolved,
        _Init,
        list[int] | tuple[str, str],
        tuple[*tuple[int, ...], str],
        list[*tuple[int, ...]],
        Annotated[int, at.MinLen(1)],
        Annotated[str, at.MultipleOf(2)],
        Annotated[list[int], at.Ge(1)],
        dict[str, int] | Tree,
        dict[str, int] | Annotated[dict[str, str], at.MinLen(1)],
        A | Annotated[A, 1] | Tree,
        Enum("E", {"X": (1, 2)}),
    ],
    ids=str,
)
def test_type_without_json_form_raises_unsupported_type_error(kind):
    for _ in range(2):
        with pytest.raises(UnsupportedTypeError):
            kakuri_json.decode("{}", type=kind)
    assert issubclass(UnsupportedTypeError, TypeError)


ALIASES = """
type Name = str
type Either = A | B
type Pair[T] = tuple[T, T]
type Chain = int | list[Chain]
type Endless = Endless
type Undefined = Nowhere
type Failing = 1 / 0
"""


def test_alias_of_the_type_statement_is_decoded():
    if sys.version_info < (3, 12):
        with pytest.raises(SyntaxError):
            compile(ALIASES, "aliases", "exec")
        return
    names = {"A": A, "B": B}
    exec(ALIASES, names)
    assert kakuri_json.decode('"x"', type=names["Name"]) == "x"
    assert kakuri_json.decode('{"kind":"a","x":1}', type=names["Either"]) == A(1)
    assert kakuri_json.decode("[1,2]", type=names["Pair"][int]) == (1, 2)
    for name, message in (
        ("Chain", "to refer to itself only through a class"),
        ("Endless", "to refer to itself only through a class"),
        ("Undefined", "__value__ of Undefined"),
        ("Failing", "division by zero"),
    ):
        for kind in (names[name], make_dataclass("Holder", [("field", names[name])])):
            with pytest.raises(UnsupportedTypeError, match=message):
                kakuri_json.decode("1", type=kind)


@pytest.mark.parametrize("frames", [0, 700])
def test_recursive_type_is_bounded_by_max_depth_only(frames):
    def called_from(frames, work):
        return work() if frames == 0 else called_from(frames - 1, work)

    def levels(tree):
        count = 1
        while tree.children:
            tree, count = tree.children[0], count + 1
        return count

    def text(depth):
        return '{"value":1,"children":[' * (depth - 1) + '{"value":1}' + "]}" * (depth - 1)

    def value(depth):
        value: Any = {"value": 1}
        for _ in range(depth - 1):
            value = {"value": 1, "children": [value]}
        return value

    decode, convert = kakuri_json.decode, kakuri_json.convert
    for depth, limits in ((256, Limits()), (5000, Limits(max_depth=10_000))):
        for read, data in ((decode, text(depth)), (convert, value(depth))):
            tree = called_from(frames, partial(read, data, type=Tree, limits=limits))
            assert levels(tree) == depth
    for work in (
        lambda: decode(text(257), type=Tree),
        lambda: convert(value(257), type=Tree),
        lambda: decode(text(20_000), type=Tree, limits=Limits(max_depth=10_000)),
    ):
        with pytest.raises(LimitError) as caught:
            called_from(frames, work)
        assert caught.value.limit == "max_depth"


def test_pickled_error_is_restored():
    for data, kind in (("[1,]", int), ('"x"', int), ("[" * 600, int)):
        with pytest.raises(JSONError) as caught:
            kakuri_json.decode(data, type=kind)
        again = pickle.loads(pickle.dumps(caught.value))
        assert str(again) == str(caught.value)
        assert vars(again) == vars(caught.value)


def test_time_without_offset_does_not_fit_bounds_with_one():
    bound = at.Gt(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(ValidationError, match="expected a date and time"):
        kakuri_json.convert(bound.gt.replace(tzinfo=None), Annotated[dt.datetime, bound])


class Unhashable(Enum):
    ONE = "one"
    TWO = "two"

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass
class HasUnhashable:
    required: Unhashable
    optional: Unhashable | None = None
    several: list[Unhashable] = field(default_factory=list)


def test_enum_without_hash_is_decoded_and_encoded_in_unions_and_lists():
    value = HasUnhashable(Unhashable.ONE, Unhashable.TWO, [Unhashable.ONE])
    data = kakuri_json.encode(value)
    assert data == b'{"required":"one","optional":"two","several":["one"]}'
    assert kakuri_json.decode(data, type=HasUnhashable) == value
    assert kakuri_json.decode('"one"', type=Unhashable | None) is Unhashable.ONE
    with pytest.raises(UnsupportedTypeError, match="expected hashable keys"):
        kakuri_json.decode("{}", type=dict[Unhashable, int])
