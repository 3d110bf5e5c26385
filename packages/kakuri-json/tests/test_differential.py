"""The standard library and orjson return the same values and reject the same documents.

The intended differences:

| document                     | json     | orjson   | ours    |
| NaN, Infinity                | accepts  | rejects  | rejects |
| a byte order mark, in bytes  | accepts  | rejects  | rejects |
| UTF-16, UTF-32               | accepts  | rejects  | rejects |
| a lone surrogate, escaped    | accepts  | rejects  | rejects |
| a key twice                  | the last | the last | rejects |
| a number beyond a double     | inf      | rejects  | rejects |
| an integer beyond 64 bits    | exact    | a float  | exact   |
| depth                        | a crash  | 1024     | 512     |
"""

import contextlib
import json
import math

import kakuri_json
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import JSONError, JSONSyntaxError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)
PIECES = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"a"',
    '"b"',
    '"',
    "\\",
    "\\u0061",
    "\\ud800",
    "\\udc00",
    "1",
    "-",
    "0",
    ".5",
    "e1",
    "E+",
    "e",
    ".",
    "1.5e",
    ":}",
    ",]",
    '"a":1',
    '"a":1"b"',
    "true",
    "nul",
    "null",
    " ",
    "\n",
    "é",
    "\U0001f600",
    "\x01",
    "NaN",
    "1e999",
    "//",
    "'",
    "\ufeff",
]


class _Refused(Exception):
    pass


def _no_constants(name):
    raise _Refused


def _no_duplicates(pairs):
    if len(dict(pairs)) != len(pairs):
        raise _Refused
    return dict(pairs)


def _no_infinity(text):
    number = float(text)
    if math.isinf(number):
        raise _Refused
    return number


def strict_json(text):
    try:
        value = json.loads(
            text,
            parse_constant=_no_constants,
            object_pairs_hook=_no_duplicates,
            parse_float=_no_infinity,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (_Refused, ValueError):
        raise _Refused from None
    return value


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_loads_accepts_the_documents_that_json_accepts(text):
    try:
        expected = strict_json(text)
    except _Refused:
        expected = _Refused
    try:
        value = kakuri_json.loads(text)
    except JSONError as error:
        assert expected is _Refused
        if isinstance(error, JSONSyntaxError):
            check_place(error, text)
    else:
        assert value == expected
        assert repr(value) == repr(expected)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["7", "-12", '"a"', '""', "0", "12345678901234567890"]) | st.just("1"),
        min_size=30,
        max_size=60,
    ).map(sorted),
    st.sampled_from(PIECES),
    st.integers(0, 200),
)
def test_loads_of_long_array_returns_items_as_of_short_ones(items, piece, place):
    text = f"[{','.join(items)}]"
    for document in (text, text[:place] + piece + text[place:]):
        try:
            expected = strict_json(document)
        except _Refused:
            expected = _Refused
        value = _Refused
        try:
            value = kakuri_json.loads(document)
        except JSONSyntaxError as error:
            check_place(error, document)
        assert repr(value) == repr(expected)


def _position(text):
    try:
        kakuri_json.loads(text)
    except JSONSyntaxError as error:
        return error.position
    return None


def check_place(error, text):
    assert 0 <= error.position <= len(text)
    before = text[: error.position]
    assert error.line == before.count("\n") + 1
    assert error.column == len(before) - (before.rfind("\n") + 1) + 1
    # The text before this position is valid, or only incomplete.
    assert _position(before) in (None, len(before))


@settings(max_examples=100, deadline=None)
@given(values, st.booleans(), st.sampled_from([None, 1, 4]))
def test_loads_of_generated_value_returns_what_json_returns(value, escape, indent):
    text = json.dumps(value, ensure_ascii=escape, indent=indent)
    for data in (text, text.encode()):
        parsed = kakuri_json.loads(data)
        assert parsed == value
        assert repr(parsed) == repr(value)
    assert kakuri_json.dumps(value, indent=indent) == json.dumps(
        value, ensure_ascii=False, indent=indent, separators=(",", ":" if indent is None else ": ")
    )


@settings(max_examples=100, deadline=None)
@given(values)
def test_dumps_of_generated_value_is_parsed_as_the_same_value(value):
    data = kakuri_json.encode(value)
    parsed = kakuri_json.loads(data)
    assert repr(parsed) == repr(value)
    assert kakuri_json.encode(parsed) == data
    assert strict_json(data.decode()) == value


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=12)
    | st.lists(st.sampled_from([*'[]{},:"\\1-0.e ', "é", "tru", "e"]), max_size=10)
    .map("".join)
    .map(str.encode)
)
def test_loads_of_mutated_bytes_agrees_with_orjson(data):
    try:
        expected = orjson.loads(data)
    except ValueError:
        expected = _Refused
    value = _Refused
    with contextlib.suppress(JSONError):
        value = kakuri_json.loads(data, duplicate_keys="last")
    assert value == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_is_parsed_exactly_and_printed_shortest(number):
    text = kakuri_json.dumps(number)
    assert text == repr(number)
    assert kakuri_json.loads(text).hex() == number.hex()
    assert kakuri_json.loads(f"{number:.40e}").hex() == number.hex()
