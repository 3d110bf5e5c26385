"""Strings, numbers, names and values of options in .proto files."""

import pytest
from kakuri_protobuf import Limits, ProtoSyntaxError
from kakuri_protobuf.compiler import compile_text
from kakuri_protobuf.compiler._lexer import string_value, tokenize
from kakuri_protobuf.compiler._token_reader import TokenReader


def string(literal):
    return string_value(tokenize(literal, "f")[0], "f")


def reader(text):
    return TokenReader(tokenize(text, "f"), "f")


@pytest.mark.parametrize(
    ("escape", "value"),
    [
        (r"\a", b"\x07"), (r"\b", b"\x08"), (r"\f", b"\x0c"), (r"\n", b"\n"), (r"\r", b"\r"),
        (r"\t", b"\t"), (r"\v", b"\x0b"), (r"\\", b"\\"), (r"\'", b"'"), (r"\"", b'"'),
        (r"\?", b"?"), (r"\x41", b"A"), (r"\xf", b"\x0f"), (r"\xff", b"\xff"), (r"\101", b"A"),
        (r"\0", b"\0"), (r"\377", b"\xff"), (r"\777", b"\xff"), (r"\1018", b"A8"),
        (r"\u00e9", "é".encode()), (r"\U0001F600", "😀".encode()),
        (r"\U0010FFFF", "\U0010ffff".encode()),
    ],
)  # fmt: skip
def test_escape_sequence_stands_for_its_bytes(escape, value):
    assert string(f'"{escape}"') == value
    assert string(f"'a{escape}z'") == b"a" + value + b"z"


@pytest.mark.parametrize("escape", [r"\U00110000", r"\UFFFFFFFF", r"\u12", r"\x", r"\q", r"\8"])
def test_escape_sequence_without_a_meaning_is_refused(escape):
    with pytest.raises(ProtoSyntaxError, match="expected an escape sequence"):
        string(f'"{escape}"')


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("7", 7), ("017", 15), ("0x1F", 31), ("0X1f", 31), ("10", 10), ("00", 0)],
)
def test_integer_is_decimal_octal_or_hexadecimal(text, value):
    assert reader(text).integer("a number") == value
    assert reader(f"-{text}").integer("a number", is_signed=True) == -value


@pytest.mark.parametrize("text", ["-1", "08", "1.0", "x", ""])
def test_other_text_is_not_an_unsigned_integer(text):
    with pytest.raises(ProtoSyntaxError, match="expected a number, got"):
        reader(text).integer("a number")


@pytest.mark.parametrize("number", [-(2**31), -1, 2**31 - 1])
def test_number_of_an_enum_has_32_bits(number):
    text = 'syntax = "proto2"; enum E { A = %d; }'
    assert f"A = {number}" in compile_text(text % number, "e.proto")
    outside = number + 1 if number > 0 else -(2**31) - 1
    with pytest.raises(ProtoSyntaxError, match="expected a number of 32 bits"):
        compile_text(text % outside, "e.proto")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a = 1", {"a": 1}), ("a = -1", {"a": -1}), ("a = +1", {"a": 1}), ("a = 1.5", {"a": 1.5}),
        ("a = -1.5", {"a": -1.5}), ("a = -inf", {"a": float("-inf")}), ("a = true", {"a": True}),
        ("a = false", {"a": False}), ("a = b.c", {"a": "b.c"}), ("a = 'x' \"y\"", {"a": b"xy"}),
        ("a.b = 1", {"a.b": 1}), ("(a.b).c = 1", {"(a.b).c": 1}), ("(.a) = 1", {"(.a)": 1}),
        ("a = { b: { c: '}' } d: 1 }", {"a": None}), ("a = {}", {"a": None}),
        ("(a).b.(c) = 017", {"(a).b.(c)": 15}),
    ],
)  # fmt: skip
def test_option_has_its_name_and_value(text, options):
    found = {}
    tokens = reader(f"{text} ;")
    tokens.option(found)
    assert found == options
    assert tokens.accept(";")


@pytest.mark.parametrize("text", ["a = -b", "a = ;", "a 1", "= 1", "a. = 1", "a = { b: 1"])
def test_option_that_is_not_valid_is_refused(text):
    with pytest.raises(ProtoSyntaxError, match="expected"):
        reader(f"{text} ;").option({})


def test_tokens_know_their_line_and_column():
    tokens = tokenize('a /* b\n c */ "d"\n\n  1.5e3', "f")
    assert [(each.kind, each.text, *each.position) for each in tokens] == [
        ("word", "a", 1, 1), ("string", '"d"', 2, 7), ("float", "1.5e3", 4, 3), ("end", "", 4, 8),
    ]  # fmt: skip


def test_default_limits_are_the_documented_ones():
    assert (Limits().size, Limits().depth, Limits().elements) == (67_108_864, 100, 1_000_000)
