"""The parser of bytes returns and raises the same as the general parser.

Only `loads` of a compiled wheel uses it; here the same code may run interpreted.
"""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import JSONError, Limits
from kakuri_json._syntax.bytes_parser import parse_bytes
from kakuri_json._syntax.diagnosis import set_byte_position
from kakuri_json._syntax.parser import parse

DEFAULT = Limits()
PIECES = [
    "[", "]", "{", "}", ",", ":", '"a"', '"b":', '{"a":1,', '"', "\\", "\\u0061", "\\ud83d",
    "\\udf0a", '"\\/"', "1", "-", "0", "-0", "01", ".5", "1.5e3", "e1", ".", "true", "nul", "null",
    "false", " ", "\n", "\x0b", "é", '"世"', "\U0001f600", "\x01", "1e999", "\ufeff",
    "123456789012345678", "1234567890123456789", "-99999999999999999999",
]  # fmt: skip


def compare(text, limits=DEFAULT, *, last_key_wins=False):
    """Return whether the document is valid, after comparing both parsers."""
    try:
        expected = parse(text, limits, last_key_wins=last_key_wins)
    except JSONError as error:
        fault = error
    else:
        value = parse_bytes(text.encode(), limits, last_key_wins=last_key_wins)
        assert repr(value) == repr(expected)  # 0 is not -0.0, and 1 is not True
        return True
    with pytest.raises(type(fault)) as caught:
        parse_bytes(text.encode(), limits, last_key_wins=last_key_wins)
    assert str(caught.value) == str(fault)
    assert caught.value.position == fault.position
    return False


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_parse_bytes_of_any_text_does_the_same_as_parse(text):
    compare(text)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text("aé\n", max_size=3), inner)
    ),
    max_leaves=40,
)


@settings(max_examples=200, deadline=None)
@given(_values, st.booleans(), st.sampled_from([None, 0, 2, "\t"]))
def test_parse_bytes_of_valid_document_returns_its_value(value, ensure_ascii, indent):
    assert compare(json.dumps(value, ensure_ascii=ensure_ascii, indent=indent))


@pytest.mark.parametrize(
    "text",
    [
        "0", "-0", "7 ", " [ ] ", " { } ", '""', '"a"', '[{"":1},{"":2}]', "[[],{},[{}],{\"a\":[]}]",
        '[{"a":1,"b":2},{"a":3,"c":4},{"a":5,"b":6},{"a":7,"c":8}]',
        '[{"a": 1},{"a":2},{"a":  3},{"a" :4},{"a"\n:\n5},{"a":6}]',
        '[{"ab":1},{"a":2},{"abc":3},{"ab":4}]', r'[{"a":1},{"\u0061":2},{"a":3},{"\u0061":4}]',
        '[{"é":1,"世":2},{"é":3,"世":4}]', '[{"user":{"id":1,"name":"x"},"id":2},{"id":3}]',
        '{"a":1' + " " * 200 + ',"b":' + " " * 200 + '2}', '[{"' + "k" * 500 + '":1}]',
        "[" + '"é\\n", ' * 50 + '"\\ud83c\\udf0a"]', "[" + '"\\/\\"", ' * 50 + '"end"]',
        "[" + "1, " * 50 + "2.5]", "[123456789012345678, -123456789012345678, 1234567890123456789]",
    ],
)  # fmt: skip
def test_parse_bytes_of_valid_document_returns_the_value_of_parse(text):
    assert compare(text)
    assert compare(f"  {text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "[", '{"a"', '{"a":', '{"a":1', "[1", '"a', '"\\', '"\\u00e', '"\\x"', "01", "-",
        "[1,]", '{"a":1,}', '{"a":1}x', "[}", '{"a"]', "tru", "[nulL]", "1e999", "[1 2]",
        '[{"a":1},{"a":2,"a":3}]', '{"a":{"b":1},"a":2}', r'{"a":1,"\u0061":2}',
        '["é", "é" 1]', '{"é":1,"é":2}', '["é\\x"]', '["é\\ud83c', '["é\x01', "[1é]", '["é", 1e999]', '["世" ',
        '["\\ud83c"]', '["\\udf0a"]', "[" + '"\\n",' * 40 + '"\\ud83c","b","c"]', '"\n"', "\ufeff1",
    ],
)  # fmt: skip
def test_parse_bytes_of_invalid_document_raises_the_error_of_parse(text):
    assert not compare(text)


@pytest.mark.parametrize("data", [b'"\xff"', b'{"\xc3":1}', b'"\xed\xa0\x80"', b"\xff"])
def test_parse_bytes_of_other_encodings_raises_unicode_error(data):
    with pytest.raises(UnicodeDecodeError):
        parse_bytes(data, DEFAULT, last_key_wins=False)


@pytest.mark.parametrize(
    ("text", "limits", "lower"),
    [
        ("[[[]]]", Limits(max_depth=3), Limits(max_depth=2)),
        ('{"a":{"b":{}}}', Limits(max_depth=3), Limits(max_depth=2)),
        ("[-12345, 1.2345, 123456]", Limits(max_digits=6), Limits(max_digits=5)),
        ('{"a":1,"b":2,"c":3}', Limits(max_keys=3), Limits(max_keys=2)),
    ],
)
def test_parse_bytes_has_the_limits_of_parse(text, limits, lower):
    assert compare(text, limits)
    assert not compare(text, lower)


def test_parse_bytes_with_permitted_repeated_key_keeps_the_last_value():
    assert compare('[{"a":1},{"a":2,"a":3}]', last_key_wins=True)


def test_parse_bytes_with_thousands_of_different_keys_returns_all():
    dice = random.Random(8259)
    value = [{f"key{dice.randrange(3000)}": n, "same": {"id": n}} for n in range(6000)]
    assert compare(json.dumps(value))


@pytest.mark.parametrize("letters", ["ab ", "aé世🌊"])
@pytest.mark.parametrize("escapes", range(20))
def test_parse_bytes_of_string_with_escapes_returns_its_characters(letters, escapes):
    dice = random.Random(escapes)
    spellings = [r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u00e9"]
    chosen = [dice.choice(spellings[: 9 if escapes % 2 else 8]) for _ in range(escapes)]
    body = "".join("".join(dice.choices(letters, k=dice.randrange(3))) + one for one in chosen)
    assert compare(f'{{"{body}":"{body}{letters}"}}')


@pytest.mark.parametrize("plain", ["a", "é世"])
@pytest.mark.parametrize("space", ["", "\n  "])
@pytest.mark.parametrize(
    "escape", ["", r"\/", r"\\/", r"\n", r"\u00e9", r"\ud83c\udf0a", r"\uD83C\uDF0A\/", r"\ud7ff"]
)
def test_parse_bytes_of_array_of_many_strings_returns_all(plain, space, escape):
    strings = [f'"{plain * (number % 3)}{escape}{number}"' for number in range(100)]
    assert compare(f"[{(',' + space).join(strings)}]")


@pytest.mark.parametrize("plain", ["a", "é世"])
@pytest.mark.parametrize(
    "end", [r'"\ud83c"]', r'" \udc01","b"]', r'"\u12","b"]', r'"\u\",\""]', '"\\', '"\\u', '"a', '"\n"']
)  # fmt: skip
def test_parse_bytes_with_fault_after_many_strings_raises_the_error_of_parse(plain, end):
    assert not compare("[" + f'"{plain}\\n", ' * 50 + end)


@pytest.mark.parametrize("before", [0, 100])
@pytest.mark.parametrize("after", [0, 100])
def test_parse_bytes_of_other_alphabets_counts_characters(before, after):
    text = "[" + '"世", ' * before + '"é" 1' + ', "世"' * after + "]"
    assert not compare(text)
    for size in (None, len(text.encode())):
        with pytest.raises(JSONError) as caught:
            parse(text, DEFAULT, last_key_wins=False)
        set_byte_position(caught.value, text, size)
        assert caught.value.position == len(("[" + '"世", ' * before + '"é" ').encode())
