"""Strict RFC 8259: what is accepted, what is rejected, and the messages."""

import sys
from typing import Any

import kakuri_json
import pytest
from kakuri_json import JSONError, JSONSyntaxError, LimitError, Limits


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        (" true ", True),
        ("false", False),
        ("0", 0),
        ("-0", 0),
        ("-12", -12),
        ("12345678901234567890123", 12345678901234567890123),
        ("1.5", 1.5),
        ("1e2", 100.0),
        ("1E-2", 0.01),
        ("123e-10000000", 0.0),
        ('""', ""),
        ('"a\\u00e9\\n\\/\\"\\\\\\b\\f\\r\\t"', 'aé\n/"\\\b\f\r\t'),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\x7f\u2028\U0010ffff"', "\x7f\u2028\U0010ffff"),
        ("[]", []),
        ("[ ]", []),
        ("{}", {}),
        ("{ }", {}),
        ('\t{"a" : [1 , {"b":[ ]}] ,\r\n"c":{}}\n', {"a": [1, {"b": []}], "c": {}}),
        ("[[[]],[{}]]", [[[]], [{}]]),
    ],
)
def test_loads_of_valid_document_returns_its_value(text, value):
    for data in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
        parsed = kakuri_json.loads(data)
        assert parsed == value
        assert type(parsed) is type(value)


def test_loads_of_minus_zero_keeps_its_sign_as_a_float():
    assert str(kakuri_json.loads("-0.0")) == "-0.0"


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "expected a value, got the end of the document"),
        ("  ", 2, "expected a value, got the end of the document"),
        ("NaN", 0, "expected a finite number, got 'NaN'"),
        ("[Infinity]", 1, "expected a finite number, got 'Infinity'"),
        ("-Infinity", 0, "expected a finite number, got '-Infinity'"),
        ("[1 // x", 3, "expected ',' or ']', got a comment"),
        ("/* x */ 1", 0, "expected a value, got a comment"),
        ("# x", 0, "expected a value, got a comment"),
        ('{/* x */"a":1}', 1, "expected a key, got a comment"),
        ('{"a":1, // x', 8, "expected a key, got a comment"),
        ('{"a":1,\n# x', 8, "expected a key, got a comment"),
        ("['a']", 1, "expected a string in double quotes, got a single quote"),
        ("{'a':1}", 1, "expected a key in double quotes, got a single quote"),
        ("[1,]", 3, "expected a value, got ']' after a trailing comma"),
        ('{"a":1,}', 7, "expected a key, got '}' after a trailing comma"),
        ("01", 0, "expected a number without leading zeros, got '01'"),
        ("[-01]", 1, "expected a number without leading zeros, got '-01]'"),
        ("\ufeff1", 0, "expected UTF-8 without a byte order mark, got a byte order mark"),
        ('"\\ud800"', 1, "expected a pair of surrogates, got the lone surrogate \\ud800"),
        ('"\\udc00x"', 1, "expected a pair of surrogates, got the lone surrogate \\udc00"),
        ('"\\ud800\\ud800"', 1, "expected a pair of surrogates, got the lone surrogate \\ud800"),
        ('"a\ud800"', 2, "expected a Unicode character, got the lone surrogate 0xd800"),
        ('{"a":1,"\\u0061":2}', 7, "expected every key of an object once, got 'a' again"),
        ("[1e400]", 1, "expected a number within the range of a double, got 1e400"),
        ("-1e400", 0, "expected a number within the range of a double, got -1e400"),
        ("+1", 0, "expected a number without a plus sign, got '+'"),
        (".5", 0, "expected a digit before the decimal point, got '.'"),
        ("1.", 2, "expected a digit after the decimal point, got the end of the document"),
        ("-", 1, "expected a digit after the minus sign, got the end of the document"),
        ("1e", 2, "expected a digit in the exponent, got the end of the document"),
        ("1.5.2", 3, "expected the end of the number, got '.'"),
        ("True", 0, "expected a value, got 'True'"),
        ("nul", 0, "expected a value, got 'nul'"),
        ("[1 2]", 3, "expected ',' or ']', got '2'"),
        ('{"a" 1}', 5, "expected ':' after the key, got '1'"),
        ('{"a":1 "b"}', 7, "expected ',' or '}', got the quote \""),
        ("{a:1}", 1, "expected a key in double quotes, got 'a'"),
        ("{1:1}", 1, "expected a key in double quotes, got '1'"),
        ("1 2", 2, "expected nothing after the document, got '2'"),
        ("]", 0, "expected a value, got ']'"),
        ("[}", 1, "expected a value, got '}'"),
        ('"a', 2, "expected a closing quote, got the end of the document"),
        ('"a\n"', 2, "expected the escape \\u000a, got the control character U+000A"),
        (
            '"\\x"',
            1,
            "expected one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u, got '\\\\x'",
        ),
        ('"\\u12g4"', 1, "expected four hexadecimal digits after \\u, got '12g4'"),
        ("[", 1, "expected a value or ']', got the end of the document"),
        ("{", 1, "expected a key or '}', got the end of the document"),
        ("[1", 2, "expected ',' or ']', got the end of the document"),
        ("[1,", 3, "expected a value, got the end of the document"),
        ('{"a"', 4, "expected ':' after the key, got the end of the document"),
        ('{"a":', 5, "expected a value, got the end of the document"),
        ('{"a":1', 6, "expected ',' or '}', got the end of the document"),
        ('{"a":1,', 7, "expected a key, got the end of the document"),
        ('{"a', 3, "expected a closing quote, got the end of the document"),
        ("[1\x0b]", 2, "expected ',' or ']', got the character U+000B"),
        ("[1\xa0]", 2, "expected ',' or ']', got the character U+00A0"),
    ],
)
def test_loads_of_invalid_document_raises_syntax_error(text, position, message):
    with pytest.raises(JSONSyntaxError) as caught:
        kakuri_json.loads(text)
    error = caught.value
    assert (error.position, error.message) == (position, message)
    assert error.message == f"expected {error.expected}, got {error.got}"
    assert (error.line, error.column) == (
        text.count("\n", 0, position) + 1,
        position - text.rfind("\n", 0, position),
    )


@pytest.mark.parametrize(
    ("data", "position", "message"),
    [
        (b"\xef\xbb\xbf1", 0, "expected UTF-8 without a byte order mark, got a byte order mark"),
        (b"\xff\xfe1\0", 0, "expected UTF-8 without a byte order mark, got UTF-16 or UTF-32"),
        (b"\xfe\xff\0001", 0, "expected UTF-8 without a byte order mark, got UTF-16"),
        (b"1\0", 1, "expected nothing after the document, got the character U+0000"),
        (b"\0001", 0, "expected a value in UTF-8, got a zero byte (UTF-16 or UTF-32?)"),
        (b'["\xe9"]', 2, "expected UTF-8, got the byte 0xe9 (invalid continuation byte)"),
        (b'"\xc0\xaf"', 1, "expected UTF-8, got the byte 0xc0 (invalid start byte)"),
        (b'"\xed\xa0\x80"', 1, "expected UTF-8, got the byte 0xed (invalid continuation byte)"),
    ],
)
def test_loads_of_other_encodings_raises_syntax_error(data, position, message):
    with pytest.raises(JSONSyntaxError) as caught:
        kakuri_json.loads(data)
    assert (caught.value.position, caught.value.message) == (position, message)


def test_error_position_counts_bytes_and_column_counts_characters():
    text = '{"é":1,\n"€": ?}'
    for data, position in ((text, 13), (text.encode(), 16)):
        with pytest.raises(JSONSyntaxError) as caught:
            kakuri_json.loads(data)
        assert (caught.value.position, caught.value.line, caught.value.column) == (position, 2, 6)


def test_error_quotes_the_line_with_a_caret():
    with pytest.raises(JSONSyntaxError) as caught:
        kakuri_json.loads('{\n  "memory": 5l2\n}')
    assert str(caught.value) == (
        "expected ',' or '}', got 'l' at line 2, column 14\n"
        '      "memory": 5l2\n'
        "                 ^"
    )


def test_error_quotes_a_part_of_a_long_line():
    with pytest.raises(JSONSyntaxError) as caught:
        kakuri_json.loads("[" + "1," * 50_000 + "x" + ",1" * 50_000)
    assert max(map(len, str(caught.value).splitlines())) < 100


def test_duplicate_keys_last_keeps_the_last_value():
    assert kakuri_json.loads('{"a":1,"a":2}', duplicate_keys="last") == {"a": 2}


def test_loads_of_neither_str_nor_bytes_raises_type_error():
    with pytest.raises(TypeError, match="expected str, bytes, bytearray or memoryview, got int"):
        kakuri_json.loads(1)


SMALL = Limits(max_depth=3, max_digits=5, max_length=40, max_keys=2)


@pytest.mark.parametrize(
    ("text", "limit", "position"),
    [
        ("[[[[]]]]", "max_depth", 3),
        ('{"a":[{"b":{}}]}', "max_depth", 11),
        ("[123456]", "max_digits", 1),
        ("1.23456", "max_digits", 0),
        ('{"a":1,"b":2,"c":3}', "max_keys", 18),
        ('"' + "x" * 40 + '"', "max_length", None),
    ],
)
def test_loads_beyond_each_limit_raises_limit_error(text, limit, position):
    with pytest.raises(LimitError) as caught:
        kakuri_json.loads(text, limits=SMALL)
    error = caught.value
    assert (error.limit, error.maximum, error.position) == (limit, getattr(SMALL, limit), position)


def test_loads_within_each_limit_returns_the_value():
    assert kakuri_json.loads('[[[12345]],{"a":-1,"b":2}]', limits=SMALL)


def test_loads_applies_the_default_limits():
    deep = Limits().max_depth
    assert kakuri_json.loads("[" * deep + "]" * deep)
    for text in ("[" * (deep + 1), "9" * 4301, "0." + "1" * 10**6, '{"a":' * 100_000):
        with pytest.raises(LimitError):
            kakuri_json.loads(text)


def test_loads_of_more_digits_than_the_interpreter_converts_raises_limit_error():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(LimitError) as caught:
            kakuri_json.loads("9" * 700)
    finally:
        sys.set_int_max_str_digits(before)
    assert (caught.value.limit, caught.value.maximum) == ("max_digits", 640)


def test_hostile_document_takes_no_more_steps_than_the_limit_allows():
    def lines_run(size):
        count = 0

        def trace(frame, event, arg):
            nonlocal count
            # Not what others run in between, such as callbacks of the garbage collector.
            if not frame.f_globals["__name__"].startswith("kakuri_json"):
                return None
            count += 1
            return trace

        data = b"[" * size
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            kakuri_json.loads(data)
        except JSONError:
            pass
        finally:
            sys.settrace(before)
        return count

    lines_run(1000)  # fills the caches
    assert lines_run(2_500_000) == lines_run(250_000) < 20_000


def test_loads_from_deep_call_stack_raises_no_recursion_error():
    def call(depth):
        return call(depth - 1) if depth else parse()

    def parse():
        try:
            return kakuri_json.dumps(kakuri_json.loads("[" * 500 + "]" * 500))
        except JSONError as error:  # pragma: no cover - must not happen
            return error

    limit = sys.getrecursionlimit()
    used = 0
    frame = sys._getframe()
    while frame is not None:
        used += 1
        frame = frame.f_back
    assert call(limit - used - 60) == "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    ("text", "got", "column"),
    [
        ('"\\', "the end of the document", 3),
        ('["a\\', "the end of the document", 5),
        ('"a\\q"', "'\\\\q'", 3),
        ('"\\u12', "'12'", 2),
        ('"\\u12G4"', "'12G4'", 2),
        ('"\\ud800"', "the lone surrogate \\ud800", 2),
        ('"\\udc00x"', "the lone surrogate \\udc00", 2),
        ('"\\ud800\\u0041"', "the lone surrogate \\ud800", 2),
    ],
)
def test_error_of_invalid_escape_has_its_position(text, got, column):
    with pytest.raises(JSONSyntaxError) as caught:
        kakuri_json.loads(text)
    assert (caught.value.got, caught.value.column) == (got, column)


def misspelled(word):
    for place, letter in enumerate(word):
        for other in ("x", letter.upper(), '"'):
            yield word[:place] + other + word[place + 1 :]
    yield word[:-1]
    yield word + word[-1]


@pytest.mark.parametrize(
    "spelling",
    [spelling for word in ("true", "false", "null") for spelling in misspelled(word)] + ["fault"],
)
@pytest.mark.parametrize("around", ["{}", "[{}]", "[1, {}]", '{{"a":{}}}'])
def test_loads_of_misspelled_literal_raises_syntax_error(spelling, around):
    text = around.format(spelling)
    with pytest.raises(JSONSyntaxError):
        kakuri_json.loads(text)
    with pytest.raises(JSONSyntaxError):
        kakuri_json.decode(text, type=Any)


WHOLE = ' {"a" : [1, {"b" : true} , [ ] ] , "c" : {"d" : "e", "f" : { } } } '


@pytest.mark.parametrize("kind", [Any, dict[str, Any], dict[str, list[Any] | dict[str, Any]]])
@pytest.mark.parametrize("end", range(len(WHOLE) - 2))
def test_truncated_document_raises_the_same_error_with_and_without_a_type(kind, end):
    with pytest.raises(JSONSyntaxError) as by_loads:
        kakuri_json.loads(WHOLE[:end])
    with pytest.raises(JSONSyntaxError) as by_decode:
        kakuri_json.decode(WHOLE[:end], type=kind)
    assert str(by_decode.value) == str(by_loads.value)
