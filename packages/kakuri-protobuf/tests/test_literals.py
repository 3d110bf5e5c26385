"""Strings, numbers, names and values of options in .proto files."""

import math
from dataclasses import dataclass
from typing import Annotated

import kakuri_protobuf as kp
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
        (r"\u1234", "\u1234".encode()), (r"\uFFFD", "\ufffd".encode()), (r"\x9f", b"\x9f"),
        (r"\U0010FFFF", "\U0010ffff".encode()),
    ],
)  # fmt: skip
def test_escape_sequence_stands_for_its_bytes(escape, value):
    assert string(f'"{escape}"') == value
    assert string(f"'a{escape}z'") == b"a" + value + b"z"


@pytest.mark.parametrize("escape", [r"\U00110000", r"\UFFFFFFFF", r"\u12", r"\x", r"\q", r"\8"])
def test_escape_sequence_without_a_meaning_raises_proto_syntax_error(escape):
    with pytest.raises(ProtoSyntaxError, match="expected an escape sequence"):
        string(f'"{escape}"')


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("7", 7), ("017", 15), ("0x1F", 31), ("0X1f", 31), ("10", 10), ("00", 0)],
)
def test_integer_is_decimal_octal_or_hexadecimal(text, value):
    assert reader(text).integer("a number") == value
    assert reader(f"-{text}").integer("a number", is_signed=True) == -value


@pytest.mark.parametrize("text", ["-1", "08", "1.0", "x", "'1'", "{", "", "_1"])
def test_other_text_is_not_an_unsigned_integer(text):
    with pytest.raises(ProtoSyntaxError, match="expected a number, got"):
        reader(text).integer("a number")


@pytest.mark.parametrize("text", ["0x1" + 5000 * "0", "0" + 6000 * "7", "9" * 4000, "9" * 5000])
def test_integer_that_no_field_can_hold_raises_proto_syntax_error(text):
    message = 'syntax = "proto2"; message A { optional int64 a = 1 [default = %s]; }'
    for source in (message % text, message.replace("= 1 [", f"= {text} [") % 1):
        with pytest.raises(ProtoSyntaxError, match=", got"):
            compile_text(source, "a.proto")


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


@pytest.mark.parametrize("text", ["nan", "-nan"])
def test_option_nan_is_a_float(text):
    found = {}
    reader(f"a = {text} ;").option(found)
    assert math.isnan(found["a"])


@pytest.mark.parametrize("text", ["inf", "-inf", "+inf"])
def test_option_inf_is_a_float(text):
    found = {}
    reader(f"a = {text} ;").option(found)
    assert found == {"a": float(text)}


@pytest.mark.parametrize("text", ["a = -b", "a = ;", "a 1", "= 1", "a. = 1", "a = { b: 1"])
def test_option_that_is_not_valid_raises_proto_syntax_error(text):
    with pytest.raises(ProtoSyntaxError, match="expected"):
        reader(f"{text} ;").option({})


def test_tokens_know_their_line_and_column():
    tokens = tokenize('a /* b\n c */ "d"\n\n  1.5e3', "f")
    assert [(each.kind, each.text, *each.position) for each in tokens] == [
        ("word", "a", 1, 1), ("string", '"d"', 2, 7), ("float", "1.5e3", 4, 3), ("end", "", 4, 8),
    ]  # fmt: skip


def test_default_limits_match_the_documentation():
    assert (Limits().size, Limits().depth, Limits().elements) == (67_108_864, 100, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    a: Annotated[kp.Int32, 1] = 0
    b: Annotated[str, 2] = ""
    c: Annotated[tuple[kp.Int32, ...], 3] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Annotated[Inner | None, 1] = None
    last: Annotated[kp.Int32, 536_870_911] = 0


def test_message_that_comes_in_parts_has_the_fields_of_all_of_them():
    parts = [Inner(a=1, b="x"), Inner(c=(1, 2)), Inner(b="y", c=(3,)), Inner()]
    data = b"".join(kp.encode(Outer(inner=part)) for part in parts)
    assert kp.decode(data, type=Outer) == Outer(inner=Inner(a=1, b="y", c=(1, 2, 3)))


def test_largest_number_of_a_field_is_written_and_read():
    assert kp.decode(kp.encode(Outer(last=7)), type=Outer) == Outer(last=7)


@pytest.mark.parametrize("number", [1, 15, 16, 17, 2047, 2048, 536_870_911])
@pytest.mark.parametrize("content", ["08 01", "11 0102030405060708", "1a 02 6162", "25 01020304"])
def test_unknown_group_is_skipped_for_any_number(number, content):
    start, end = (kp._wire.write_varint(number << 3 | kind) for kind in (3, 4))
    inside = kp._wire.write_varint(16 << 3 | 3) + kp._wire.write_varint(16 << 3 | 4)
    group = start + bytes.fromhex(content) + inside + end
    known = kp.encode(Inner(a=5))
    if number > 3:
        assert kp.decode(group + known, type=Inner) == Inner(a=5)
        with pytest.raises(kp.DecodeError):
            kp.decode(group[: -len(end)] + known, type=Inner)


@pytest.mark.parametrize(
    "body",
    [
        "option a = 1;", "option (a.b).c = 1;", "extend A { optional int32 z = 200; }",
        "extend .A { optional int32 z = 200; }", "reserved 5, 7 to 9, 500 to max;",
        "reserved 'x', 'y';", "extensions 200 to max;", "extensions 200 to 300 [a = 1];",
        "message option { }", "optional int32 option = 1;", "optional int32 extend = 1;",
        "optional int32 reserved = 1; optional int32 extensions = 2; optional int32 map = 3;",
        "enum reserved { B = 0; }", "oneof extend { int32 oneof = 1; }",
    ],
)  # fmt: skip
def test_keyword_begins_a_statement_or_is_a_name(body):
    text = 'syntax = "proto2"; message A { %s extensions 100 to 300; }'
    overlaps = "extensions 200" in body
    source = text % body if not overlaps else text.replace(" extensions 100 to 300;", "") % body
    assert "class A" in compile_text(source, "a.proto")
    if not body.endswith("}"):
        with pytest.raises(ProtoSyntaxError):
            compile_text(source.replace(body, body.rstrip(";")), "a.proto")


@pytest.mark.parametrize("number", ["5", "7", "9", "500", "536870911"])
def test_reserved_number_raises_proto_syntax_error_and_its_neighbors_do_not(number):
    text = 'syntax = "proto3"; message A { reserved 5, 7 to 9, 500 to max; int32 a = %s; }'
    with pytest.raises(ProtoSyntaxError, match="reserved"):
        compile_text(text % number, "a.proto")
    for free in ("4", "6", "10", "499"):
        assert "class A" in compile_text(text % free, "a.proto")


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152])
def test_length_of_content_is_written_in_as_many_bytes_as_it_needs(size):
    text = "x" * size
    data = kp.encode(Inner(a=-1, b=text))
    assert kp.decode(data, type=Inner) == Inner(a=-1, b=text)
    nested = kp.encode(Outer(inner=Inner(b=text), last=1))
    assert kp.decode(nested, type=Outer) == Outer(inner=Inner(b=text), last=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    data: Annotated[bytes, 1] = b""
    more: Annotated[tuple[bytes, ...], 2] = ()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_written_as_they_are(kind):
    written = Raw(data=kind(b"a\0b"), more=(kind(b""), kind(b"c")))
    assert kp.decode(kp.encode(written), type=Raw) == Raw(data=b"a\0b", more=(b"", b"c"))
