"""The compiler gives the tables that protoc gives, and says where a file is wrong."""

import dataclasses
import typing

import kakuri_protobuf
import pytest
from kakuri_protobuf import ProtoSyntaxError
from kakuri_protobuf._fields import Label, schema_of
from kakuri_protobuf._kinds import Kind
from kakuri_protobuf.compiler import compile_file, compile_text
from kakuri_protobuf.compiler._writer import attribute_name

from .conftest import PROTOS
from .descriptors import descriptor_set

TYPES = {
    1: Kind.DOUBLE, 2: Kind.FLOAT, 3: Kind.INT64, 4: Kind.UINT64, 5: Kind.INT32, 6: Kind.FIXED64,
    7: Kind.FIXED32, 8: Kind.BOOL, 9: Kind.STRING, 10: Kind.GROUP, 11: Kind.MESSAGE,
    12: Kind.BYTES, 13: Kind.UINT32, 14: Kind.ENUM, 15: Kind.SFIXED32, 16: Kind.SFIXED64,
    17: Kind.SINT32, 18: Kind.SINT64,
}  # fmt: skip
"""FieldDescriptorProto.Type."""


def messages_of(name):
    """Return protoc's descriptors of a file's messages by full name, with the file's syntax."""
    found = {}

    def visit(message, prefix, file):
        full_name = f"{prefix}.{message.name}"
        found[full_name] = message, file
        for nested in message.nested_type:
            visit(nested, full_name, file)

    for file in descriptor_set(f"{name}.proto").file:
        for message in file.message_type:
            visit(message, file.package, file)
    return found


def expected_field(one, message, file, found):
    """Return what our table should have for a field that protoc describes."""
    kind, key, label = TYPES[one.type], None, Label.IMPLICIT
    entry = found.get(one.type_name[1:]) if kind is Kind.MESSAGE else None
    if entry is not None and entry[0].options.map_entry:
        key, kind = TYPES[entry[0].field[0].type], TYPES[entry[0].field[1].type]
        label = Label.MAP
    elif one.label == 3:
        label = Label.REPEATED
    elif one.label == 2:
        label = Label.REQUIRED
    elif (
        file.syntax != "proto3" or one.HasField("oneof_index") or kind in (Kind.MESSAGE, Kind.GROUP)
    ):
        label = Label.OPTIONAL
    is_packed = label is Label.REPEATED and kind.is_packable
    if is_packed:
        declared = one.options.HasField("packed")
        is_packed = one.options.packed if declared else file.syntax == "proto3"
    oneof = None
    if one.HasField("oneof_index") and not one.proto3_optional:
        oneof = message.oneof_decl[one.oneof_index].name
    return attribute_name(one.name), one.number, kind, label, is_packed, oneof, key


@pytest.mark.parametrize("name", ["everything", "legacy"])
def test_compiled_fields_equal_those_of_protoc(name, request):
    module = request.getfixturevalue(name)
    found = messages_of(name)
    compiled = 0
    for full_name, (message, file) in found.items():
        class_name = full_name.removeprefix(f"{file.package}.").replace(".", "")
        cls = getattr(module, class_name, None)
        if message.options.map_entry or cls is None:
            continue
        compiled += 1
        ours = [
            (one.name, one.number, one.kind, one.label, one.is_packed, one.oneof, one.key)
            for one in schema_of(cls).fields
        ]
        theirs = [expected_field(one, message, file, found) for one in message.field]
        assert ours == sorted(theirs, key=lambda one: one[1])
    assert compiled >= 3


def test_imported_messages_that_nothing_uses_are_left_out(everything):
    assert everything.Point is not None
    assert not hasattr(everything, "Unused")


def test_enum_values_and_aliases_are_kept(everything):
    color = everything.Color
    assert {name: int(value) for name, value in color.__members__.items()} == {
        "RED": 0, "GREEN": 1, "VERT": 1, "BLUE": -2, "None_": 3,
    }  # fmt: skip


def test_services_are_methods_with_paths_and_streams(everything):
    assert everything.Greeter.Greet == kakuri_protobuf.Method(
        "/kakuri.test.Greeter/Greet", everything.Everything, everything.Empty
    )
    assert everything.Greeter.Follow == kakuri_protobuf.Method(
        "/kakuri.test.Greeter/Follow",
        everything.Empty,
        everything.Point,
        client_streams=True,
        server_streams=True,
    )


def test_defaults_of_proto2_are_metadata_and_absent_fields_are_none(legacy):
    hints = typing.get_type_hints(legacy.Legacy, include_extras=True)
    assert kakuri_protobuf.Default(legacy.Shape.SQUARE) in hints["shape"].__metadata__
    assert kakuri_protobuf.Default(float("-inf")) in hints["ratio"].__metadata__
    assert kakuri_protobuf.Default(b"\x01\xff") in hints["data"].__metadata__
    message = legacy.Legacy(id=1)
    assert message.name is None
    assert message.shape is None


def test_compiled_modules_are_the_same_each_time():
    path = PROTOS / "everything.proto"
    assert compile_file(path) == compile_file(path)


def test_classes_are_frozen_dataclasses_with_slots(everything):
    empty = everything.Empty()
    with pytest.raises(dataclasses.FrozenInstanceError):
        empty.unknown_fields = b"x"
    assert not hasattr(empty, "__dict__")


HEAD = 'syntax = "proto3";\n'
WRONG = [
    ('syntax = "proto4";', 1, 10, "expected 'proto2' or 'proto3' as syntax, got '\"proto4\"'"),
    ("message A {", 1, 12, "expected the type of a field|expected a type, got the end of the file"),
    (HEAD + "message A { string a = 1 }", 2, 26, "expected ';', got '}'"),
    (HEAD + "message A { string a = 0; }", 2, 20, "expected a number from 1 to 536870911"),
    (HEAD + "message A { string a = 19500; }", 2, 20, "outside 19000 to 19999, got 19500"),
    (HEAD + "message A { string a = 1; int32 b = 1; }", 2, 33, "number 1 is taken by 'a'"),
    (HEAD + "message A { string a = 1; int32 a = 2; }", 2, 33, "field 'a' is declared twice"),
    (HEAD + "message A { reserved 2; string a = 2; }", 2, 32, "number 2 is reserved"),
    (HEAD + 'message A { reserved "a"; string a = 2; }', 2, 34, "name 'a' is reserved"),
    (HEAD + "message A { B b = 1; }", 2, 15, "expected a type, got 'B', which is not declared"),
    (HEAD + "message A { required string a = 1; }", 2, 29, "expected a field of proto3, got required"),
    (HEAD + "message A { string a = 1 [default = 'x']; }", 2, 20, "of proto3, got a default"),
    (HEAD + "message A { map<double, string> a = 1; }", 2, 33, "expected integers, bool or string"),
    (HEAD + "message A { oneof x { } }", 2, 19, "expected a field in oneof 'x'"),
    (HEAD + "message A { oneof x { repeated int32 a = 1; } }", 2, 23, "a oneof without label"),
    (HEAD + "message A { string a = 1 [packed = true]; }", 2, 20, "'packed' on a repeated scalar"),
    (HEAD + "message A {} message A {}", 2, 22, "'A' is declared twice"),
    (HEAD + "enum E { A = 1; }", 2, 10, "expected the first value of an enum to be 0"),
    (HEAD + "enum E { }", 2, 6, "expected a value in enum 'E'"),
    (HEAD + "enum E { A = 0; B = 0; }", 2, 17, "'allow_alias' permits that"),
    (HEAD + "enum E { A = 0; A = 1; }", 2, 17, "value 'A' is declared twice"),
    (HEAD + "enum E { A = 0; B = 4294967296; }", 2, 17, "expected a number of 32 bits"),
    (HEAD + "service S { rpc a (B) returns (B); }", 2, 17, "expected a type, got 'B'"),
    (HEAD + "message A {} service S { rpc a (A) returns (A); rpc a (A) returns (A); }", 2, 53,
     "method 'a' is declared twice"),
    (HEAD + "/* no end", 2, 1, "expected the end of the comment"),
    (HEAD + 'option a = "no end\n";', 2, 12, "expected the end of the string"),
    (HEAD + "message A { string ä = 1; }", 2, 20, "expected a token, got 'ä'"),
    (HEAD + "\n\n  nonsense {}", 4, 3, "expected a declaration such as 'message'"),
    (HEAD + "option a = { b: 1", 2, 12, "expected the end of the option"),
    (HEAD + 'option a = "\\q";', 2, 12, "expected an escape sequence"),
    (HEAD + 'package a; package b;', 2, 12, "expected one package"),
    ("message A { string a = 1; }", 1, 20, "expected 'optional', 'required' or 'repeated'"),
    (HEAD + "message A { " * 70, 2, 781, "at most 64 levels"),
    (HEAD + "message A { int32 a = 99999999999999999999; }", 2, 19, "expected a number from 1"),
    (HEAD + "message AB { message C {} } message A { message BC {} }", 2, 49, "would both be class ABC"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "message"), WRONG)
def test_invalid_file_is_refused_with_line_and_column(text, line, column, message):
    with pytest.raises(ProtoSyntaxError) as caught:
        compile_text(text, "wrong.proto")
    assert any(part in caught.value.message for part in message.split("|")), caught.value.message
    assert (caught.value.file, caught.value.line, caught.value.column) == (
        "wrong.proto", line, column,
    )  # fmt: skip
    assert str(caught.value).startswith(f"wrong.proto:{line}:{column}: ")


def test_type_of_a_missing_import_names_the_file():
    text = HEAD + 'import "gone.proto";\nmessage A { gone.B b = 1; }'
    with pytest.raises(ProtoSyntaxError, match=r"not found: gone\.proto"):
        compile_text(text, "a.proto")


def test_missing_import_that_nothing_uses_is_ignored():
    text = HEAD + 'import "gone.proto";\nmessage A { string b = 1 [(gone.option) = true]; }'
    assert "class A:" in compile_text(text, "a.proto")


def test_keywords_are_names_of_fields_and_types():
    text = (
        HEAD
        + """
    message message { string message = 1; oneof oneof { int32 enum = 2; string option = 3; } }
    message Use { message reserved = 1; repeated message extensions = 2; map<int32, message> map = 3; }
    """
    )
    source = compile_text(text, "names.proto")
    assert "reserved: Annotated[Message | None, 1] = None" in source
    assert 'option: Annotated[str | None, 3, OneOf("oneof")] = None' in source
