"""Everything printed can be read again as the same value; nothing else is printed."""

import copy
import datetime as dt
import decimal
import enum
import pickle
import uuid
import zoneinfo
from collections import OrderedDict, UserDict
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import kakuri_json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import EncodeError, JSONError, LimitError


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Name(enum.StrEnum):
    RED = "red"
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1


class Wide(enum.IntFlag):
    A = 1
    B = 8


class Lying(int):
    def __int__(self):
        return 99

    def __index__(self):
        return 98

    def __str__(self):
        return "97"

    def __repr__(self):
        return "96"


class LyingFloat(float):
    def __float__(self):
        return 99.0

    def __repr__(self):
        return "98.0"


class LyingText(str):
    __slots__ = ()

    def __str__(self):
        return "lie"

    def __eq__(self, other):
        return isinstance(other, LyingText)

    __hash__ = str.__hash__


class LyingUUID(uuid.UUID):
    def __str__(self):
        return "lie"


class LyingDate(dt.date):
    def isoformat(self):
        return "lie"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Lying(5), "5"),
        (Lying(-(2**50)), str(-(2**50))),
        (LyingFloat(1.5), "1.5"),
        (LyingText("x"), '"x"'),
        (Number.ONE, "1"),
        (Perm.R | Perm.X, "5"),
        (Perm(0), "0"),
        (Wide.A | Wide.B, "9"),
        (LyingUUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (LyingDate(2026, 1, 2), '"2026-01-02"'),
        ({LyingText("x"): 1}, '{"x":1}'),
    ],
    ids=repr,
)
def test_dumps_of_builtin_subclass_prints_the_builtin_value(value, text):
    @dataclass
    class Holder:
        field: Any

    assert kakuri_json.dumps(value) == text
    assert kakuri_json.dumps([value]) == f"[{text}]"
    assert kakuri_json.dumps(Holder(value)) == f'{{"field":{text}}}'
    assert kakuri_json.canonical(value) == text.encode()


class Plain(enum.Enum):
    NONE = None
    ONE = 1


def test_items_of_a_set_are_sorted_by_their_text():
    assert kakuri_json.dumps({None, True, 3, "a"}) == '["a",3,null,true]'


ONE = uuid.UUID(int=1)
DAY = dt.date(2026, 1, 2)


@pytest.mark.parametrize(
    "value",
    [
        {"red": 1, Color.RED: 2},
        {"a": 1, LyingText("a"): 2},
        {ONE: 1, str(ONE): 2},
        {DAY: 1, DAY.isoformat(): 2},
        {b"a": 1, "YQ==": 2},
        {decimal.Decimal(1): 1, "1": 2},
        OrderedDict({Color.RED: 1, "red": 2}),
        UserDict({Color.RED: 1, "red": 2}),
        {Color.RED, "red"},
        {ONE, str(ONE)},
        {1, "1", decimal.Decimal("1.5"), "1.5"},
        {Plain.NONE, None},
        {None, 1, Plain.ONE},
        {(1,), 1, Plain.ONE},
    ],
    ids=repr,
)
@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"sort_keys": True}], ids=str)
def test_dumps_of_keys_or_items_with_the_same_json_form_raises_encode_error(value, options):
    for around in (value, [value], {"a": [value]}):
        with pytest.raises(EncodeError, match="with the same JSON form"):
            kakuri_json.dumps(around, **options)
    with pytest.raises(EncodeError):
        kakuri_json.canonical(value)


def test_equal_keys_of_different_objects_keep_their_text():
    one, other = decimal.Decimal("1.0"), decimal.Decimal("1.00")
    text = kakuri_json.dumps([{one: 1}, {other: 2}, {Name.RED: 3}, {"red": 4}, {Color.RED: 5}])
    assert text == '[{"1.0":1},{"1.00":2},{"red":3},{"red":4},{"red":5}]'


@pytest.mark.parametrize(
    "value",
    [
        decimal.Decimal("1E+1000000"),
        decimal.Decimal("1E-1000000"),
        decimal.Decimal("9" * 1001),
        decimal.Decimal("0." + "1" * 1001),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
        decimal.Decimal("-Infinity"),
        dt.datetime(2026, 1, 1),  # noqa: DTZ001
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=1))),
    ],
    ids=lambda value: str(value)[:20],
)
def test_encode_of_value_that_decode_would_reject_raises_encode_error(value):
    @dataclass
    class Holder:
        field: type(value)

    for one in (value, [value], {"a": value}, Holder(value)):
        with pytest.raises(EncodeError):
            kakuri_json.encode(one)


@pytest.mark.parametrize(
    "value",
    [
        decimal.Decimal("1E+999999"),
        decimal.Decimal("1E-999999"),
        decimal.Decimal("9" * 1000),
        decimal.Decimal("-0.00"),
        decimal.Decimal("0E-10"),
        dt.datetime.min.replace(tzinfo=dt.UTC),
        dt.datetime.max.replace(tzinfo=dt.UTC),
        dt.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Asia/Kathmandu")),
        dt.datetime(2026, 7, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=-23, minutes=-59))),
        dt.date.min,
        Perm.R | Perm.W | Perm.X,
        Perm(0),
        Wide.A,
    ],
    ids=lambda value: str(value)[:20],
)
def test_encoded_value_is_decoded_to_the_same_value(value):
    again = kakuri_json.decode(kakuri_json.encode(value), type=type(value))
    assert (again, type(again)) == (value, type(value))
    if isinstance(value, decimal.Decimal):
        assert again.as_tuple() == value.as_tuple()


@pytest.mark.parametrize("text", ["8", "-1", "1.0", "true", '"R"', "null"])
def test_decode_of_unknown_flags_is_a_fault(text):
    with pytest.raises(kakuri_json.ValidationError, match=r"expected a combination of 4 \(R\)"):
        kakuri_json.decode(text, type=Perm)


def test_schema_of_flags_has_bounds():
    assert kakuri_json.schema(Perm)["maximum"] == 7


def test_encode_of_more_bytes_than_loads_accepts_raises_limit_error(monkeypatch):
    monkeypatch.setattr("kakuri_json._encode.dumps._MAX_LENGTH", 8)
    assert kakuri_json.encode("aaaaaa") == b'"aaaaaa"'
    with pytest.raises(LimitError):
        kakuri_json.encode("ééé\N{GRINNING FACE}")


region = "eu"


@dataclass
class Defaults:
    __json__: ClassVar = {"omit_defaults": True}
    id: str
    zero: float = 0.0
    price: decimal.Decimal = decimal.Decimal("1.0")
    pair: tuple[Any, ...] = (1, 0.0)
    when: dt.datetime = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    flag: bool = False
    count: int = 0
    text: str = ""
    color: Color = Color.RED
    region: str = field(default_factory=lambda: region)
    names: list[str] = field(default_factory=list)
    table: dict[str, float] = field(default_factory=dict)
    tags: frozenset[str] = field(default_factory=frozenset)
    made_zero: float = field(default_factory=float)
    maybe: "Defaults | None" = None
    any: Any = 1


values = st.builds(
    Defaults,
    st.just("a"),
    zero=st.sampled_from([0.0, -0.0, 1.0]),
    price=st.sampled_from([decimal.Decimal("1.0"), decimal.Decimal("1.00"), decimal.Decimal(1)]),
    pair=st.sampled_from([(1, 0.0), (True, 0.0), (1.0, 0.0), (1, -0.0)]),
    when=st.sampled_from([
        dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    ]),
    flag=st.booleans(),
    count=st.sampled_from([0, 1]),
    text=st.sampled_from(["", "x"]),
    color=st.sampled_from(Color),
    region=st.sampled_from(["eu", "us"]),
    names=st.sampled_from([[], ["a"]]),
    table=st.sampled_from([{}, {"a": 1.0}]),
    tags=st.sampled_from([frozenset(), frozenset("a")]),
    made_zero=st.sampled_from([0.0, -0.0]),
    any=st.sampled_from([1, True, 1.0, None]),
)  # fmt: skip


def _exact(value):
    return repr(vars(value)), value.when.isoformat()


@settings(max_examples=300, deadline=None)
@given(values, st.none() | values)
def test_omitted_defaults_are_restored_when_decoded(value, inner):
    global region
    value.maybe = inner
    region = "us"  # what a factory makes may change between writing and reading
    try:
        for data in (kakuri_json.encode(value), kakuri_json.dumps(value, indent=1)):
            again = kakuri_json.decode(data, type=Defaults)
            assert _exact(again) == _exact(value)
    finally:
        region = "eu"


@dataclass(frozen=True)
class Sparse:
    __json__: ClassVar = {"omit_defaults": True}

    a: str | None = None
    b: int = 0
    c: str = "c"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Sparse(), b"{}"),
        (Sparse(a="x"), b'{"a":"x"}'),
        (Sparse(b=1), b'{"b":1}'),
        (Sparse(c="}"), b'{"c":"}"}'),
        (Sparse("{", 2, ""), b'{"a":"{","b":2,"c":""}'),
        (Sparse(a='"', b=3), b'{"a":"\\"","b":3}'),
    ],
)
def test_record_whose_first_field_may_be_omitted_has_commas_between_fields_only(value, text):
    assert kakuri_json.encode(value) == text
    assert kakuri_json.decode(text, type=Sparse) == value
    assert kakuri_json.encode([value, value]) == b"[" + text + b"," + text + b"]"


def test_omit_defaults_omits_fields_that_are_the_same_as_their_default():
    assert kakuri_json.encode(Defaults("a")) == b'{"id":"a","region":"eu"}'
    assert kakuri_json.dumps(Defaults("a"), indent=0) == '{\n"id": "a",\n"region": "eu"\n}'


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
keys = (
    texts
    | st.sampled_from([*Color, *Name])
    | st.uuids()
    | st.dates()
    | st.decimals(-9, 9, places=1)
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.decimals()
    | st.datetimes(timezones=st.just(dt.UTC) | st.none())
    | st.binary(max_size=3)
    | st.sampled_from([*Color, *Number, Perm(3), Lying(3), LyingFloat(2.0), 1j, "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(anything, st.sampled_from([{}, {"indent": 1}, {"sort_keys": True}]))
def test_loads_accepts_everything_that_dumps_returns(value, options):
    try:
        text = kakuri_json.dumps(value, **options)
    except JSONError:
        return
    parsed = kakuri_json.loads(text)
    assert kakuri_json.dumps(parsed, **options) == text
    assert kakuri_json.loads(text.encode()) == parsed


def _errors():
    calls = [
        lambda: kakuri_json.loads("[1,]"),
        lambda: kakuri_json.loads(b"\xff"),
        lambda: kakuri_json.loads("[" * 600),
        lambda: kakuri_json.decode('{"a":1}', type=dict[str, str]),
        lambda: kakuri_json.convert([1, "a"], type=list[str]),
        lambda: kakuri_json.dumps(float("nan")),
        lambda: kakuri_json.decode("1", type=complex),
    ]
    for call in calls:
        with pytest.raises(JSONError) as caught:
            call()
        yield caught.value
    for name in kakuri_json.__all__:
        cls = getattr(kakuri_json, name)
        if isinstance(cls, type) and issubclass(cls, Exception):
            yield (
                cls(())
                if cls is kakuri_json.ValidationError
                else cls("message")
                if cls
                not in (
                    kakuri_json.JSONSyntaxError,
                    kakuri_json.LimitError,
                )
                else cls("message", location=kakuri_json._errors.Location(1, 2, 3, "text", 0))
            )


@pytest.mark.parametrize("error", list(_errors()), ids=lambda error: type(error).__name__)
def test_error_survives_pickle_and_copies(error):
    error.add_note("a note")
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, 6)]
    for again in (*copies, copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert (str(again), repr(again), vars(again)) == (str(error), repr(error), vars(error))
        assert again.args == error.args


class Access(enum.Flag):
    ALL = 3


class Mode(enum.IntFlag):
    A = 1


class First(enum.Enum):
    A = "a"


class Second(enum.Enum):
    A = "a"


def test_flag_with_members_of_several_bits_only_is_decoded():
    assert kakuri_json.decode(kakuri_json.encode(Access.ALL), type=Access) == Access.ALL
    with pytest.raises(JSONError, match=r"expected a combination of 3 \(ALL\), got 4"):
        kakuri_json.decode("4", type=Access)


def test_flag_with_unknown_bits_is_not_encoded():
    with pytest.raises(EncodeError, match="expected a combination of members"):
        kakuri_json.encode(Mode(8))


def test_flag_in_a_union_with_numbers_is_tried_first():
    for kind in (int | Access, Access | float):
        assert kakuri_json.decode("3", type=kind) is Access.ALL
        assert kakuri_json.decode("4", type=kind) == 4


class Nothing(enum.Enum):
    A = None


class Nil(enum.Enum):
    A = None


@pytest.mark.parametrize(
    "kind",
    [
        First | Second, Literal["a"] | First, Access | Number, Access | Mode | None, Nothing | Nil,
    ],
    ids=str,
)  # fmt: skip
def test_union_of_enums_with_a_value_in_common_is_unsupported(kind):
    with pytest.raises(kakuri_json.UnsupportedTypeError, match="different JSON values of enums"):
        kakuri_json.decode("1", type=kind)


@dataclass
class Started:
    __json__: ClassVar = {"omit_defaults": True}
    kind: Literal["started", "restarted"] = "started"


@dataclass
class Stopped:
    __json__: ClassVar = {"omit_defaults": True}
    kind: Literal["stopped"] = "stopped"


def test_field_that_may_be_omitted_does_not_distinguish_classes():
    assert kakuri_json.encode(Started()) == b"{}"
    with pytest.raises(kakuri_json.UnsupportedTypeError, match="expected a tag"):
        kakuri_json.decode("{}", type=Started | Stopped)
