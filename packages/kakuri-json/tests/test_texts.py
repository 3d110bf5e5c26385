"""Lists and objects of many strings are read at once, with the same result as one by one."""

import json
import sys
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import annotated_types as at
import kakuri_json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import JSONError, JSONSyntaxError, LimitError, Limits, ValidationError
from kakuri_json._decode.string_batches import read_accepted, unescape_all
from kakuri_json._syntax.scanning import skip_plain
from kakuri_json._syntax.strings import quote, quote_all, read_escaped

ONE_BY_ONE = Limits(max_length=2**25)
SHALLOW = Limits(max_depth=3)


@dataclass(frozen=True, slots=True)
class Words:
    pattern: str
    max_length: int
    description: str


Text = Annotated[str, Words(r"[^\0]*", 8, "up to eight characters without NUL")]
Name = Annotated[str, Words("[^=\x00-\x1f]+", 12, "a name"), at.MinLen(1)]
Odd = Annotated[str, at.Predicate(lambda text: "x" not in text)]
KINDS = (list[str], list[Text], list[Odd], dict[str, str], dict[Name, Text], tuple[Text, ...])

characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\/\b\n\x00é\U0001f600')
texts = st.text(characters, max_size=10)
escapes = ['"', "\\", "/", "b", "n", "u0000", "u00e9", "ud83d\\ude00", "ud83d", "ude00", "u12", "x"]
# What may stand between the quotes of a string, good or bad.
bodies = st.lists(
    st.sampled_from(escapes).map("\\".__add__) | st.sampled_from(['"', "a", ",", "é", "\n"]),
    max_size=6,
).map("".join)


def outcome(function):
    try:
        return function()
    except ValidationError as error:
        return error.faults
    except JSONError as error:
        return type(error), str(error)


@st.composite
def documents(draw):
    """A type, and a document of many strings, some in another layout or not valid."""
    kind = draw(st.sampled_from(KINDS))
    spelled = st.builds(json.dumps, texts, ensure_ascii=st.booleans())
    items = draw(st.lists(spelled, min_size=1, max_size=20))
    items *= 2100 // len("".join(items)) + 1
    for _ in range(draw(st.integers(0, 3))):
        odd = draw(bodies.map('"{}"'.format) | st.sampled_from(["1", "null", "[]", '{"a":"b"}']))
        items.insert(draw(st.integers(0, len(items))), odd)
    separator = st.sampled_from([",", ",\n", " , "])
    is_object = kind.__origin__ is dict
    if is_object:
        colon = draw(st.sampled_from([":", ": "]))
        items = [f'"{number}\\n{number}"{colon}{item}' for number, item in enumerate(items)]
        if draw(st.booleans()):
            items = [item.replace("\\n", "-", 1) for item in items]
        if draw(st.booleans()):
            items.append(draw(st.sampled_from(items)))
    middle = draw(st.integers(0, len(items)))  # the layout may change in the middle
    parts = [draw(separator).join(part) for part in (items[:middle], items[middle:]) if part]
    text = draw(separator).join(parts)
    return kind, f"{{{text}}}" if is_object else f"[{text}]"


@settings(max_examples=100, deadline=None)
@given(documents())
def test_strings_read_at_once_equal_those_read_one_by_one(document):
    kind, text = document
    one_by_one = outcome(lambda: kakuri_json.decode(text, type=kind, limits=ONE_BY_ONE))
    for _ in range(2):
        assert outcome(lambda: kakuri_json.decode(text, type=kind)) == one_by_one
        assert outcome(lambda: kakuri_json.decode(text.encode(), type=kind)) == outcome(
            lambda: kakuri_json.decode(text.encode(), type=kind, limits=ONE_BY_ONE)
        )


@settings(max_examples=100, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=5))
def test_unescape_all_equals_unescaping_each_string(candidates):
    good = []
    refused = False
    for body in candidates:
        try:
            value, end = read_escaped(f'{body}"', 0, skip_plain(body, 0))
        except JSONSyntaxError as error:
            refused = refused or "surrogate" in str(error)
        else:
            if end == len(body) + 1:
                good.append((body, value))
    assert list(unescape_all([body for body, _ in good])) == [value for _, value in good]
    if refused:
        with pytest.raises(ValueError, match="surrogate"):
            unescape_all([*(body for body, _ in good), "\\ud83d"])


@pytest.mark.parametrize(
    "body",
    [
        r"\/", r"\\/", r"\\\/", r"\/\\", r"\\u0041", r"\\\u0041", r"\\ud83d", r"a\\\\n",
        r"é\n", r"世\n", r"😀\n", r"\\世", r"\\😀", r"世\u4e16\ud83d\ude00", r"\u00E9\u00e9\u0000",
        r"\ud83d\ude00\uD83D\uDE00", r"\ud7ff\ue000", r"\"\b\f\n\r\t", r"\n" * 9_999 + r"\/",
        r"\u0041" * 20_001,
    ],
)  # fmt: skip
def test_loads_of_escapes_agrees_with_json(body):
    assert kakuri_json.loads(f'["{body}","{body}a"]') == json.loads(f'["{body}","{body}a"]')


@pytest.mark.parametrize(
    ("body", "position", "got"),
    [
        (r"\n\a", 4, r"'\\a'"),
        (r"\n\v", 4, r"'\\v'"),
        (r"\n\x41", 4, r"'\\x'"),
        (r"\n\101", 4, r"'\\1'"),
        (r"\n\N{DIGIT ONE}", 4, r"'\\N'"),
        (r"\n\U0001f600", 4, r"'\\U'"),
        (r"\n\'", 4, '"'),
        ("\\n\\\n", 4, r"'\\\n'"),
        (r"\n\u12", 4, """'12"'"""),
        (r"\n\u12世1", 4, "'12世1'"),
        (r"\n\u00é1", 4, "'00é1'"),
        (r"\n\u 041", 4, "' 041'"),
        (r"\n\u", 4, """'"'"""),
        ("\\n\\u\\u0041", 4, r"'\\u00'"),
        ("\\n\t", 4, "U+0009"),
        (r"\ud83d\x41", 2, r"\ud83d"),
        (r"\x41\ud83d", 2, r"'\\x'"),
        (r"\ud83d\ude00\ude00", 14, r"\ude00"),
        (r"\n" * 20_000 + r"\q", 40_002, r"'\\q'"),
    ],
)
def test_loads_of_escape_that_only_python_has_raises_syntax_error(body, position, got):
    with pytest.raises(JSONSyntaxError) as caught:
        kakuri_json.loads(f'["{body}"')
    assert caught.value.position == position
    assert got in caught.value.got


@pytest.mark.parametrize(
    "bodies",
    [
        [r"\ud83d", r"\ude00"],
        [r"\ud83d", "a", r"\udc01"],
        [r"\ud83d\ude00", r"\udc01"],
        [r"\ud83d\ude00", r"a \udc01", "b"],
        ["a", r"\uD83D", "b"],
    ],
)
def test_unescape_all_of_lone_surrogate_raises_value_error(bodies):
    with pytest.raises(ValueError, match="surrogate"):
        unescape_all(bodies)


@given(st.lists(texts, max_size=5))
def test_quote_all_equals_quoting_each_string(many):
    assert quote_all(many) == ",".join(map(quote, many))


def test_quote_all_of_lone_surrogate_raises_encode_error():
    with pytest.raises(kakuri_json.EncodeError, match="lone surrogate 0xdc01"):
        quote_all(["a", "\n", "\udc01"])


@given(texts.map(lambda text: text * 200))
def test_quote_of_long_text_equals_that_of_short_parts(text):
    assert json.loads(quote(text)) == text
    assert quote(text) == f'"{"".join(quote(character)[1:-1] for character in text)}"'


@pytest.mark.parametrize("bad", range(9))
def test_read_accepted_ends_before_the_first_rejected_string(bad):
    texts = ["a"] * bad + ["bad"] + ["b"] * (8 - bad)
    accepted = read_accepted(texts, lambda some: None if "bad" in some else some)
    assert accepted == texts[:bad]


def calls(function):
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


TWENTY_THOUSAND = {
    "plain": ",".join(['"ab"'] * 20_000),
    "escapes": ",".join([r'"\n"'] * 20_000),
    "code points": ",".join([r'"\u00e9"'] * 20_000),
    "surrogates": ",".join([r'"\ud83d\ude00"'] * 20_000),
    "lines": ",\n".join(['"ab"'] * 20_000),
    "lines with escapes": ",\n".join([r'"\n"'] * 20_000),
    "some with escapes": ",".join(['"ab"', r'"a\"b"'] * 10_000),
    "separators change": ",\n".join(['"ab","ab"'] * 10_000),
    "the last refused": ",".join(['"ab"'] * 20_000 + [r'"\u0000"']),
    "the last a lone surrogate": ",".join([r'"\n"'] * 20_000 + [r'"\ud800"']),
    "the last a number": ",\n".join(['"ab"'] * 20_000 + ["1"]),
    "half refused": ",".join(['"ab"', r'"\u0000"'] * 10_000),
}


@pytest.mark.parametrize("name", TWENTY_THOUSAND)
def test_decode_of_list_of_strings_makes_no_call_for_each(name):
    data = f"[{TWENTY_THOUSAND[name]}]".encode()

    def read():
        return outcome(lambda: kakuri_json.decode(data, type=list[Text]))

    read()
    # Most of the cost of a refusal is locating its hundred faults.
    assert calls(read) < (25_000 if name == "half refused" else 2000)


def test_decode_of_many_short_runs_reads_the_whole_document():
    # A new run begins after each list, so the length of a run is doubled from the start again.
    text = "[" + '["ab","cd"],' * 1000 + "1]"
    with pytest.raises(ValidationError, match=r"\$\[1000\]: expected an array"):
        kakuri_json.decode(text, type=list[list[Text]])


@pytest.mark.parametrize("separator", [",", ",\n"])
@pytest.mark.parametrize("value", ["ab", "\\n"])
def test_decode_of_object_of_strings_makes_no_call_for_each_member(separator, value):
    members = (f'"{number}": "{value}"' for number in range(20_000))
    data = f"{{{separator.join(members)}}}".encode()
    assert calls(lambda: kakuri_json.decode(data, type=dict[Name, Text])) < 2000


def test_encode_of_strings_makes_no_call_for_each():
    kakuri_json.encode(Job("x", ("a",)))
    job = Job("x", ("\n", '"') * 10_000)
    assert calls(lambda: kakuri_json.encode(job)) < 200


@dataclass(frozen=True, slots=True)
class Job:
    __json__: ClassVar = {"tag": "type", "omit_defaults": True}
    name: str
    args: tuple[Text, ...] = ()
    env: dict[Name, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stop:
    __json__: ClassVar = {"tag": "type"}
    name: str


def test_decode_with_smaller_max_depth_uses_expressions():
    data = kakuri_json.encode(Job("x", ("a",) * 1000))
    kakuri_json.decode(data, type=Job)
    assert calls(lambda: kakuri_json.decode(data, type=Job, limits=SHALLOW)) < 100
    deep = b'{"type":"Job","name":"x","args":[[[[[["' + b"a" * 4000 + b'"]]]]]]}'
    with pytest.raises(LimitError, match="at most 3 levels of nesting"):
        kakuri_json.decode(deep, type=Job, limits=SHALLOW)


def test_decode_of_type_deeper_than_max_depth_uses_the_general_path():
    data = kakuri_json.encode([["a"]] * 1000)
    assert kakuri_json.decode(data, type=list[list[str]]) == [["a"]] * 1000
    with pytest.raises(LimitError, match="at most 1 level"):
        kakuri_json.decode(data, type=list[list[str]], limits=Limits(max_depth=1))


def test_tag_after_large_values_is_found_without_reading_them():
    data = b'{"name":"x","args":[' + b'"a",' * 9_999 + b'"a"],"type":"Job"}'
    assert kakuri_json.decode(data, type=Job | Stop) == Job("x", ("a",) * 10_000)
    assert calls(lambda: kakuri_json.decode(data, type=Job | Stop)) < 1500
