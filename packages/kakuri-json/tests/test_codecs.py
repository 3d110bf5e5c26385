"""Compiled expressions and the general path return the same for every document."""

import dataclasses
import datetime as dt
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import annotated_types as at
import kakuri_json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import Fault, JSONError, JSONSyntaxError, LimitError, Limits, ValidationError
from kakuri_json._decode.codec import MAX_LEARNED, Codec, codec_of
from kakuri_json._decode.compile_decoder import NO_MATCH
from kakuri_json._decode.decode import decode_slowly
from kakuri_json._encode import values
from kakuri_json._encode.dumps import encoder_of
from kakuri_json._encode.printer import print_value
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._syntax.diagnosis import set_byte_position


@dataclass(frozen=True, slots=True)
class Words:
    pattern: str
    description: str


class Color(Enum):
    RED = "red"
    BLUE = 'b"lue'
    ONE = 1
    NONE = None


class Plain(Enum):
    A = "a"
    B = "b-c"


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: Annotated[int, at.Interval(gt=-5, le=2**40)] = 3


@dataclass
class Loose:
    __json__: ClassVar = {"rename": {"id_": "id"}, "omit_defaults": True}
    id_: Annotated[str, Words("[a-z][-a-z0-9]{0,8}", "a name")]
    tags: list[str] = field(default_factory=list)
    reason: str | None = None
    count: int = 0
    code: int | None = None


@dataclass(frozen=True)
class Everything:
    text: str
    flag: bool
    number: float
    color: Color
    plain: Plain
    kind: Literal["a", "b", 3]
    maybe: str | None
    point: Point
    points: list[Point]
    pair: tuple[int, str]
    row: tuple[float, ...]
    names: frozenset[str]
    table: dict[str, Point | None]
    when: dt.datetime
    price: Decimal
    raw: bytes
    uuid: UUID
    sized: Annotated[list[int], at.Len(0, 3)]
    even: Annotated[int, at.MultipleOf(2)]
    lower: Annotated[str, at.Predicate(str.islower)]
    short: Annotated[str, at.MinLen(1), at.MaxLen(4)]
    outer: Point | None = None
    nested: list[list[str]] = field(default_factory=list)


@dataclass
class Sized:
    """Has two optional members, so its encoder has a branch for both having their defaults."""

    __json__: ClassVar = {"omit_defaults": True}
    size: int
    unit: str = "MB"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """No field is required, so any of them may be the first one after a comma."""

    a: int = 1
    b: str | None = None
    c: Point = Point(0)


TYPES = (
    Point,
    Loose,
    Everything,
    Late,
    list[Point],
    dict[str, int],
    Point | None,
    tuple[int, Late],
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
numbers = st.integers() | st.integers(-10, 10)
points = st.builds(Point, numbers, st.integers(-4, 2**40))
loose = st.builds(
    Loose,
    st.from_regex("[a-z][-a-z0-9]{0,8}", fullmatch=True),
    st.lists(texts, max_size=3),
    st.none() | texts,
    numbers,
    st.none() | numbers,
)
everything = st.builds(
    Everything,
    text=texts,
    flag=st.booleans(),
    number=st.floats(allow_nan=False, allow_infinity=False),
    color=st.sampled_from(Color),
    plain=st.sampled_from(Plain),
    kind=st.sampled_from(["a", "b", 3]),
    maybe=st.none() | texts,
    point=points,
    points=st.lists(points, max_size=3),
    pair=st.tuples(numbers, texts),
    row=st.lists(st.floats(-1e9, 1e9), max_size=3).map(tuple),
    names=st.frozensets(texts, max_size=3),
    table=st.dictionaries(texts, st.none() | points, max_size=3),
    when=st.datetimes(timezones=st.just(dt.UTC)),
    price=st.decimals(allow_nan=False, allow_infinity=False, places=2),
    raw=st.binary(max_size=6),
    uuid=st.uuids(),
    sized=st.lists(numbers, max_size=3),
    even=numbers.map(lambda n: n * 2),
    lower=st.from_regex("[a-z]{1,3}", fullmatch=True),
    short=st.text("abé\n", min_size=1, max_size=4),
    outer=st.none() | points,
    nested=st.lists(st.lists(texts, max_size=2), max_size=2),
)
late = st.builds(Late, numbers, st.none() | texts, points)
VALUES = {
    Point: points,
    Loose: loose,
    Everything: everything,
    Late: late,
    list[Point]: st.lists(points, max_size=3),
    dict[str, int]: st.dictionaries(texts, numbers, max_size=3),
    Point | None: st.none() | points,
    tuple[int, Late]: st.tuples(numbers, late),
}


ANYWHERE = [
    '"', ",", "0", "1", "null", "}", "]", " ", "\\", "a", "", "-", ".5", "e9", "\x01", "é",
    "{", "[", ":", "true", '"x":1,', ',"x":1',
]  # fmt: skip
# A number that ends too soon, separators that are missing, doubled or of the other kind.
BEHIND_A_VALUE = [
    "", ",", ",,", ":", ":}", "}", "]", "}}", "]]", '"', "'", "e", "1e", ".", "1.5e", "1.", "e+",
    "-", "0", "00", "x", "\\", "//", "nul", "{", "[", '"a"', '"a":', " ", "\n,", ", }", "\x00",
]  # fmt: skip
_BEHIND = re.compile(r'(?<=["0-9a-z\]}])[,:}\]]?')


@st.composite
def mutations(draw, text):
    """Text with one position changed: anywhere, or after a value or a key."""
    ends = [match.span() for match in _BEHIND.finditer(text)]
    if ends and draw(st.booleans()):
        place, end = draw(st.sampled_from(ends))
        piece = draw(st.sampled_from(BEHIND_A_VALUE))
        place -= draw(st.integers(0, min(place, 2)))
        return text[:place] + piece + text[end:]
    place = draw(st.integers(0, len(text)))
    end = draw(st.integers(place, min(len(text), place + 3)))
    return text[:place] + draw(st.sampled_from(ANYWHERE)) + text[end:]


@st.composite
def documents(draw):
    """A type, and a document of one of its values in any layout, valid or nearly so."""
    kind = draw(st.sampled_from(TYPES))
    value = json.loads(kakuri_json.dumps(draw(VALUES[kind])))
    value = draw(st.just(value) | st.builds(_shuffled, st.just(value), st.randoms()))
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 0, 2])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")])),
    )
    for _ in range(draw(st.integers(0, 2))):
        text = draw(mutations(text))
    return kind, text.encode()


def _shuffled(value, random):
    if isinstance(value, list):
        return [_shuffled(item, random) for item in value]
    if isinstance(value, dict):
        items = [(key, _shuffled(item, random)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)
    return value


def _outcome(function):
    try:
        value = function()
    except ValidationError as error:
        return tuple(error.faults)
    except JSONError as error:
        return type(error), str(error)
    return value, repr(value)


def _slowly(codec, data):
    text = data.decode()
    try:
        return decode_slowly(codec, text, DEFAULT_LIMITS)
    except (JSONSyntaxError, LimitError) as error:
        set_byte_position(error, text)
        raise


@settings(max_examples=120, deadline=None)
@given(documents())
def test_decode_by_expression_and_by_general_path_agree(document):
    kind, data = document
    slow = _outcome(lambda: _slowly(Codec(codec_of(kind).shape, kind), data))
    assert _outcome(lambda: kakuri_json.decode(data, type=kind)) == slow
    # And again, now that the layout may have been learned; and as text.
    assert _outcome(lambda: kakuri_json.decode(data, type=kind)) == slow
    if not isinstance(slow[0], type):
        assert _outcome(lambda: kakuri_json.decode(data.decode(), type=kind)) == slow


@settings(max_examples=100, deadline=None)
@given(documents())
def test_codec_after_learning_returns_what_the_general_path_returned(document):
    kind, data = document
    codec = Codec(codec_of(kind).shape, kind)
    text = data.decode()
    before = codec.read(text)
    slow = _outcome(lambda: _slowly(codec, data))
    after = codec.read(text)
    for value in (before, after):
        assert value is NO_MATCH or (value, repr(value)) == slow


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TYPES).flatmap(lambda kind: VALUES[kind]))
def test_compiled_encoder_agrees_with_printer(value):
    text = kakuri_json.dumps(value)
    assert text == print_value(value, DEFAULT_LIMITS, lambda: values)
    assert json.loads(text) == kakuri_json.loads(text)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_decode_of_encoded_value_returns_equal_value(data):
    kind = data.draw(st.sampled_from(TYPES))
    value = data.draw(VALUES[kind])
    assert kakuri_json.decode(kakuri_json.encode(value), type=kind) == value


@settings(max_examples=150, deadline=None)
@given(documents())
def test_decode_of_invalid_json_raises_the_same_error_as_loads(document):
    kind, data = document
    parsed = _outcome(lambda: kakuri_json.loads(data))
    if isinstance(parsed[0], type):
        assert _outcome(lambda: kakuri_json.decode(data, type=kind)) == parsed


@st.composite
def large_documents(draw):
    """A type, and a document of many of its values, one in another layout or not valid."""
    kind, odd = draw(documents().filter(lambda document: document[0] in LARGE_ITEMS))
    usual = kakuri_json.dumps(draw(VALUES[kind]))
    items = [usual] * (2500 // len(usual) + 1)
    items[draw(st.integers(0, len(items))) : 0] = [odd.decode()]
    if draw(st.booleans()):
        return list[kind], f"[{','.join(items)}]"
    members = [f'"{number}":{item}' for number, item in enumerate(items)]
    if draw(st.booleans()):
        members.append(draw(st.sampled_from(members)))
    return dict[str, kind], f"{{{','.join(members)}}}"


LARGE_ITEMS = (Point, Loose, Late, list[Point], dict[str, int], Point | None)
WITHOUT_RUNS = Limits(max_length=2**25)


@settings(max_examples=150, deadline=None)
@given(large_documents())
def test_decode_in_runs_and_item_by_item_agree(document):
    kind, text = document
    one_by_one = _outcome(lambda: kakuri_json.decode(text, type=kind, limits=WITHOUT_RUNS))
    for _ in range(2):
        assert _outcome(lambda: kakuri_json.decode(text, type=kind)) == one_by_one
    codec = codec_of(kind)
    assert _outcome(lambda: decode_slowly(codec, text, DEFAULT_LIMITS)) == one_by_one


@settings(max_examples=100, deadline=None)
@given(documents())
def test_decode_and_convert_agree_on_parsed_values(document):
    kind, data = document
    try:
        parsed = kakuri_json.loads(data)
    except JSONError:
        return
    decoded = _outcome(lambda: kakuri_json.decode(data, type=kind))
    converted = _outcome(lambda: kakuri_json.convert(parsed, type=kind))
    if isinstance(decoded[0], Fault):
        decoded = tuple((path, message.replace("got more", "got")) for path, message, *_ in decoded)
        converted = tuple(
            (path, re.sub(r"(array of \d+, got) \d+", r"\1", message))
            for path, message, *_ in converted
        )
        decoded = tuple(
            (path, re.sub(r"(array of \d+, got) \d+", r"\1", message)) for path, message in decoded
        )
    assert decoded == converted


def learned(kind, *spellings):
    """Return a codec that has learned the layouts of these documents."""
    codec = Codec(codec_of(kind).shape, kind)
    for spelling in spellings:
        codec.read(spelling)
        codec.learn(spelling)
    return codec


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Late, '{"a":7"b":"z","c":{"x":1}}', "expected ',' or '}', got the quote \""),
        (Late, '{"a":7,"b":"z"c":{"x":1}}', "expected ',' or '}', got 'c'"),
        (Late, '{"a":7,"b":"z,"c":{"x":1}}', "expected ',' or '}', got 'c'"),
        (Point, '{"x":3"y":4}', "expected ',' or '}', got the quote \""),
        (Point, '{"x":1.5e}', "expected a digit in the exponent, got '}'"),
        (Point, '{"x":1.5e,"y":1}', "expected a digit in the exponent, got ','"),
        (Point, '{"x":1e', "expected a digit in the exponent, got the end of the document"),
        (Point, '{"x":1.}', "expected a digit after the decimal point, got '}'"),
        (Point, '{"x":-}', "expected a digit after the minus sign, got '}'"),
        (Point, '{"x":01}', "expected a number without leading zeros, got '01}'"),
        (Point, '{"x":1,"y":}', "expected a value, got '}'"),
        (Point, '{"x":}', "expected a value, got '}'"),
        (Point, '{"x":1,}', "expected a key, got '}' after a trailing comma"),
        (Point, '{"x":1,,"y":2}', "expected a key in double quotes, got ','"),
        (Point, '{"x":1:"y":2}', "expected ',' or '}', got ':'"),
        (Point, '{"x":1 "y":2}', "expected ',' or '}', got the quote \""),
        (list[float], "[1.5e]", "expected a digit in the exponent, got ']'"),
        (list[float], "[1e,2]", "expected a digit in the exponent, got ','"),
        (list[float], "[1.5e+]", "expected a digit in the exponent, got ']'"),
        (list[float], "[1.5.2]", "expected the end of the number, got '.'"),
        (list[int], "[1 2]", "expected ',' or ']', got '2'"),
        (list[int], "[1,,2]", "expected a value, got ','"),
        (list[int], "[1,2,]", "expected a value, got ']' after a trailing comma"),
        (list[int], "[1,2", "expected ',' or ']', got the end of the document"),
        (list[str], '["a""b"]', "expected ',' or ']', got the quote \""),
        (list[str], '["a,"b"]', "expected ',' or ']', got 'b'"),
        (dict[str, int], '{"a":1"b":2}', "expected ',' or '}', got the quote \""),
        (dict[str, int], '{"a":1e}', "expected a digit in the exponent, got '}'"),
        (dict[str, int], '{"a" 1}', "expected ':' after the key, got '1'"),
        (float, "1e", "expected a digit in the exponent, got the end of the document"),
        (float, "1.5e", "expected a digit in the exponent, got the end of the document"),
        (int, "1e", "expected a digit in the exponent, got the end of the document"),
    ],
)
def test_decode_of_invalid_text_after_a_value_raises_syntax_error(kind, text, message):
    for _ in range(2):
        with pytest.raises(JSONSyntaxError) as caught:
            kakuri_json.decode(text, type=kind)
        assert caught.value.message == message
    with pytest.raises(JSONSyntaxError):
        kakuri_json.loads(text)


def test_learned_layout_does_not_match_document_without_a_quote():
    kind = Late
    spellings = ['{"c": {"x": 1}, "b": "z", "a": 7}', '{"b":"z","a":7}', '{ "a":7,"b":"\\n" }']
    codec = learned(kind, *spellings)
    assert len(codec._readers) == 4
    for spelling in spellings:
        assert codec.read(spelling) is not NO_MATCH
        for place in range(len(spelling)):
            for end in (place + 1, place + 2):
                broken = spelling[:place] + spelling[end:]
                outcome = _outcome(lambda broken=broken: kakuri_json.loads(broken))
                if isinstance(outcome[0], type):
                    assert codec.read(broken) is NO_MATCH


HOSTILE = [
    None,
    True,
    1,
    10**30,
    -(10**5000),
    1.5,
    float("nan"),
    float("inf"),
    "",
    'x","y":"',
    "\ud800",
    "\n",
    "\\",
    b"x",
    [],
    {},
    object(),
    Color.RED,
    Point(1),
    dt.datetime(2026, 1, 1),  # noqa: DTZ001
    Decimal("NaN"),
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_compiled_encoder_agrees_with_printer_on_values_of_unexpected_classes(value):
    for good in (Point(1), Loose("a"), Sized(1), Sized(1, note="x"), Late()):
        for name in [item.name for item in dataclasses.fields(good)]:
            odd = dataclasses.replace(good)
            object.__setattr__(odd, name, value)
            assert _outcome(lambda odd=odd: kakuri_json.dumps(odd)) == _outcome(
                lambda odd=odd: print_value(odd, DEFAULT_LIMITS, lambda: values)
            )


def test_dataclass_has_compiled_encoder():
    kakuri_json.dumps(Point(1))
    kakuri_json.dumps(Loose("a"))
    kakuri_json.dumps(Sized(1))
    equal = "".join(["M", "B"])  # not the same object as the default
    for value in (Point(1), Loose("a"), Sized(1), Sized(1, equal), Sized(1, equal, "x")):
        assert encoder_of(type(value))(value) == kakuri_json.dumps(value)


def test_usual_and_learned_layouts_are_read_by_expressions():
    codec = Codec(codec_of(Point).shape, Point)
    assert codec.read('{"x":1,"y":2}') == Point(1, 2)
    assert codec.read('{"x":1}') == Point(1)
    for spelling in ('{"y":2,"x":1}', ' {\n"x": 1, "y" :5}', '{"y": 2, "x": 1}'):
        assert codec.read(spelling) is NO_MATCH
        codec.learn(spelling)
        assert codec.read(spelling) == kakuri_json.decode(spelling, type=Point)


def test_codec_learns_a_bounded_number_of_layouts():
    codec = Codec(codec_of(Everything).shape, Everything)
    names = [item.name for item in dataclasses.fields(Everything)]
    codec.read("{}")
    for turn in range(20):
        order = names[turn:] + names[:turn]
        codec.learn(" " * turn + json.dumps(dict.fromkeys(order)))
    assert len(codec._readers) <= 1 + MAX_LEARNED


def test_decode_of_long_integer_uses_the_general_path():
    assert kakuri_json.decode(f'{{"x":{10**30}}}', type=Point) == Point(10**30)
    with pytest.raises(kakuri_json.LimitError):
        kakuri_json.decode('{"x":' + "9" * 5000 + "}", type=Point)


def test_value_error_of_post_init_is_a_fault():
    @dataclass
    class Even:
        n: int

        def __post_init__(self):
            if self.n % 2:
                raise ValueError(f"expected an even number, got {self.n}")

    assert kakuri_json.decode('{"n":2}', type=Even) == Even(2)
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode('{"n":3}', type=Even)
    assert caught.value.faults[0].message == "expected an even number, got 3"


class Frozen(dict):
    """A mapping of another class than dict."""


class Repeats(dict):
    """A mapping with one key twice."""

    def items(self):
        return [("a", 1), ("a", 2)]


@dataclass
class Mapped:
    __json__: ClassVar = {"omit_defaults": True}
    names: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize("cls", [dict, Frozen, MappingProxyType])
def test_field_of_any_mapping_has_a_compiled_encoder(cls):
    for names, counts in (({}, {}), ({"a": 'b"'}, {"c": 3})):
        value = Mapped(cls(names), cls(counts))
        assert encoder_of(Mapped)(value) == print_value(value, DEFAULT_LIMITS, lambda: values)


def test_mapping_that_repeats_a_key_is_left_to_the_printer():
    assert encoder_of(Mapped)(Mapped(counts=Repeats(a=1))) is None
    with pytest.raises(kakuri_json.EncodeError, match="key"):
        kakuri_json.dumps(Mapped(counts=Repeats(a=1)))
