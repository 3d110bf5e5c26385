"""Each symbol of a .proto file is needed, and each word of the language may be a name."""

from dataclasses import dataclass
from typing import Annotated

import kakuri_protobuf as kp
import pytest
from kakuri_protobuf import DecodeError, ProtoSyntaxError
from kakuri_protobuf._wire import write_varint
from kakuri_protobuf.compiler import compile_text
from kakuri_protobuf.compiler._lexer import tokenize
from kakuri_protobuf.compiler._parser import MAX_DEPTH

PROTO2 = """
syntax = "proto2";
import "unused.proto";
package a.b;
option one = "x";
extend A { optional int32 z = 100; }
message A {
  option two = 1;
  reserved 5, 7 to 9;
  reserved "x";
  extensions 100 to 200 [three = 1];
  optional int32 a = 1 [packed = false, deprecated = true];
  map<string, int32> b = 2;
  oneof c { option four = 1; int32 d = 3; string e = 4; }
  repeated group F = 10 { optional int32 g = 1; }
  extend A { optional int32 y = 101; }
  message Inner { optional A a = 1; }
  enum E { option five = { x: 1 }; reserved 5; Z = 0 [six = 1]; Y = 1; }
}
service S {
  option seven = 1;
  rpc M (A) returns (stream A);
  rpc N (stream A) returns (A) { option (x.y) = 1; }
}
"""
NEEDED = frozenset('{}()<>[]=,;"')


def without_one_symbol():
    """Yield the file without one symbol, for each symbol of it."""
    lines = PROTO2.splitlines(keepends=True)
    for token in tokenize(PROTO2, "a.proto"):
        if token.kind == "symbol" and token.text in NEEDED:
            line, column = token.position
            before = "".join(lines[: line - 1]) + lines[line - 1][: column - 1]
            yield f"{line}:{column} {token.text}", before + " " + PROTO2[len(before) + 1 :]


SOURCES = dict(without_one_symbol())


def test_file_with_each_statement_is_compiled():
    assert "class A" in compile_text(PROTO2, "a.proto")


@pytest.mark.parametrize("place", SOURCES)
def test_file_that_lacks_one_symbol_raises_proto_syntax_error(place):
    with pytest.raises(ProtoSyntaxError, match="expected"):
        compile_text(SOURCES[place], "a.proto")


@pytest.mark.parametrize("after", [";", ";;"])
def test_empty_statement_is_allowed_wherever_a_statement_is(after):
    source = PROTO2.replace(";", ";" + after).replace(" {", f" {{ {after}", 4)
    assert "class A" in compile_text(source, "a.proto")


WORDS = [
    "syntax", "import", "package", "message", "enum", "service", "rpc", "returns", "stream", "to",
    "max", "oneof", "map", "extensions", "reserved", "extend", "option", "group",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_keyword_may_name_messages_fields_values_and_methods(word):
    source = f"""
    syntax = "proto3";
    message {word} {{ int32 {word} = 1; }}
    message A {{ .{word} first = 1; repeated .{word} {word} = 2; oneof {word}_ {{ int32 x = 3; }} }}
    enum E {{ {word}_ = 0; }}
    service S {{ rpc {word} (.{word}) returns ({word}); }}
    """
    compiled = compile_text(source, "a.proto")
    assert "class A" in compiled
    assert f'/S/{word}"' in compiled


@pytest.mark.parametrize("word", ["message", "enum", "oneof", "map", "reserved", "extensions"])
def test_keyword_may_be_the_type_of_a_field_without_label(word):
    source = f'syntax = "proto3"; message {word} {{ }} message A {{ {word} x = 1; }}'
    assert "class A" in compile_text(source, "a.proto")


def declared(levels):
    inside = "".join(f"message M{level} {{ " for level in range(levels))
    return f'syntax = "proto3"; {inside}{"}" * levels}'


def test_declarations_nest_as_deeply_as_allowed():
    for text in (declared(MAX_DEPTH), declared(3) + declared(MAX_DEPTH)[18:].replace("M", "N")):
        assert "class M0" in compile_text(text, "a.proto")
    with pytest.raises(ProtoSyntaxError, match="at most 64 levels"):
        compile_text(declared(MAX_DEPTH + 1), "a.proto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    a: Annotated[kp.Int32, 1] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    group: Annotated[Inner | None, 2, kp.Group] = None
    last: Annotated[kp.Int32, 3] = 0


VALUES = {0: b"\x96\x01", 1: bytes(8), 2: b"\3abc", 5: bytes(4)}


@pytest.mark.parametrize("number", [3, 15, 16, 17, 31, 32, 2047, 2048, 536_870_911])
@pytest.mark.parametrize("wire_type", VALUES)
def test_unknown_field_in_a_group_is_skipped_for_any_number(number, wire_type):
    unknown = write_varint(number << 3 | wire_type) + VALUES[wire_type]
    expected = Grouped(group=Inner(a=7), last=5)
    for content in (unknown + b"\x08\x07", b"\x08\x07" + unknown, unknown + b"\x08\x07" + unknown):
        data = b"\x13" + content + b"\x14\x18\x05"
        assert kp.decode(data, type=Grouped) == expected
        unknown_group = b"\x2b" + content + b"\x2c"
        assert kp.decode(unknown_group + data, type=Grouped) == expected
        for group in (data[: len(content) + 1], unknown_group[:-1]):
            with pytest.raises(DecodeError, match="expected the end of group"):
                kp.decode(group, type=Grouped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    group: Annotated["Nested | None", 1, kp.Group] = None
    many: Annotated[tuple["Nested", ...], 2, kp.Group] = ()
    last: Annotated[kp.Int32, 3] = 0


class CountedReads(bytes):
    reads = 0

    def __getitem__(self, place):
        self.reads += 1
        return super().__getitem__(place)


@pytest.mark.parametrize(
    ("start", "end"), [(b"\x0b", b"\x0c"), (b"\x13", b"\x14"), (b"\x2b", b"\x2c")]
)
def test_groups_that_nest_deeply_are_read_once(start, end):
    data = CountedReads(start * 90 + b"\x18\x01" * 1000 + end * 90)
    kp.decode(data, type=Nested)
    assert data.reads <= 3 * len(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("0b", "group: expected the end of group 1 at byte 1"),
        ("0b1801", "group: expected the end of group 1 at byte 3"),
        ("0b0b0c", "group: expected the end of group 1 at byte 3"),
        ("0b24", "group.4: expected a field, got the end of group 4 at byte 2"),
        (
            "0b18",
            "group.last: expected the rest of the field, got the end of the message at byte 2",
        ),
        ("0c", "group: expected a field, got the end of group 1 at byte 1"),
        ("00", "expected a field number of at least 1, got 0 at byte 1"),
    ],
)
def test_group_that_does_not_end_raises_decode_error_with_its_place(data, text):
    with pytest.raises(DecodeError) as caught:
        kp.decode(bytes.fromhex(data), type=Nested)
    assert str(caught.value).endswith(text)


@pytest.mark.parametrize("bits", range(1, 65))
def test_varint_at_each_power_of_two_is_written_and_read(bits):
    for value in ((1 << bits) - 1, 1 << bits - 1):
        data = write_varint(value)
        assert len(data) == max(1, -(-value.bit_length() // 7))
        assert kp._wire.read_varint(data + b"\x80", 0) == (value, len(data)) or len(data) == 1
        assert all(byte & 0x80 for byte in data[:-1])
        assert data[-1] < 0x80


@pytest.mark.parametrize(
    ("tag", "is_valid"),
    [
        ("fcffffff0f", True), ("ffffffff0f", True), ("8080808000", True), ("fcffffff1f", False), ("808080808000", False),
        ("ffffffffff0f", False),
    ],
)  # fmt: skip
def test_tag_has_32_bits_in_5_bytes(tag, is_valid):
    data = bytes.fromhex(tag)
    if is_valid:
        assert kp._wire.read_tag(data, 1)[1] == len(data)
        return
    with pytest.raises(DecodeError, match="a tag of at most 32 bits in 5 bytes"):
        kp._wire.read_tag(data + bytes(5), 1)


@pytest.mark.parametrize("wire_type", [6, 7])
@pytest.mark.parametrize("number", [1, 15, 16, 31])
def test_unknown_wire_type_in_a_group_raises_decode_error(number, wire_type):
    tag = write_varint(number << 3 | wire_type)
    for start, end in ((b"\x13", b"\x14"), (b"\x2b", b"\x2c")):
        with pytest.raises(DecodeError, match=f"a wire type from 0 to 5, got {wire_type}"):
            kp.decode(start + tag + b"\1" + end, type=Grouped)


@pytest.mark.parametrize(
    ("before", "after", "name"), [("", "", "Inner"), ("message B {", "}", "B.Inner")]
)
def test_group_of_an_extension_declares_a_message(before, after, name):
    text = f"""
        syntax = "proto2";
        message A {{ extensions 100 to 200; }}
        {before}
        extend A {{ optional group Inner = 100 {{ optional int32 value = 1; }} }}
        {after}
        message Use {{ optional {name} inner = 1; }}
    """
    source = compile_text(text, "a.proto")
    assert "Inner" in source
    assert "value" in source


@pytest.mark.parametrize("ranges", ["-5", "-5 to -1", "-5 to 3", "-5 to max", "1, -3 to -2, 7"])
def test_reserved_numbers_of_an_enum_may_be_negative(ranges):
    source = f'syntax = "proto3"; enum E {{ reserved {ranges}; Z = 0; }}'
    assert "class E" in compile_text(source, "a.proto")
