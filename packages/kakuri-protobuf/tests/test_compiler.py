"""The compiler gives the tables that protoc gives, and says where a file is wrong."""

import dataclasses
import sys
import types
import typing

import kakuri_protobuf
import pytest
from kakuri_protobuf import ProtoSyntaxError
from kakuri_protobuf.compiler import compile_file, compile_text

from .conftest import PROTOS
from .descriptors import compared, descriptor_set


@pytest.mark.parametrize("name", ["everything", "legacy"])
def test_compiled_fields_equal_those_of_protoc(name, request):
    assert compared(request.getfixturevalue(name), descriptor_set(f"{name}.proto")) >= 3


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
    (HEAD + "package .a;", 2, 9, "expected the name of a package, got '.'"),
    (HEAD + "message A { repeated A a = 1 [packed = true]; }", 2, 24, "on a repeated scalar field"),
    (HEAD + "message A { repeated int32 a = 1 [packed = x]; }", 2, 28, "expected true or false"),
    (HEAD + "enum E { A = 0; } service S { rpc a (E) returns (E); }", 2, 35,
     "expected a message, got the enum 'E'"),
    ("message A { optional int32 a = 1 [default = 1.5]; }", 1, 28, "expected an integer from"),
    ("message A { optional uint32 a = 1 [default = -1]; }", 1, 29, "from 0 to 4294967295 as default"),
    ("message A { optional bool a = 1 [default = 1]; }", 1, 27, "true or false as default for 'a'"),
    ("message A { optional string a = 1 [default = 1]; }", 1, 29, "a string as default for 'a'"),
    ("message A { optional float a = 1 [default = x]; }", 1, 28, "a number as default for 'a'"),
    ("message A { repeated int32 a = 1 [default = 1]; }", 1, 28, "expected no default for 'a'"),
    ("message A { optional A a = 1 [default = 1]; }", 1, 24, "expected no default for 'a'"),
    ("enum E { F = 0; } message A { optional E a = 1 [default = G]; }", 1, 42,
     "expected a value of enum 'E' for 'a', got 'G'"),
    ("message A { string a = 1; }", 1, 20, "expected 'optional', 'required' or 'repeated'"),
    (HEAD + "message A { " * 70, 2, 781, "at most 64 levels"),
    (HEAD + "message A { int32 a = 99999999999999999999; }", 2, 19, "expected a number from 1"),
    (HEAD + "message AB { message C {} } message A { message BC {} }", 2, 49, "would both be class ABC"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "message"), WRONG)
def test_invalid_file_raises_proto_syntax_error_with_line_and_column(text, line, column, message):
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


def test_packed_false_is_accepted_on_any_field_as_protoc_does():
    text = HEAD + "message A { repeated string a = 1 [packed = false]; A b = 2 [packed = false]; }"
    assert "a: Annotated[tuple[str, ...], 1] = ()" in compile_text(text, "a.proto")


def test_messages_may_have_the_names_that_a_compiled_module_uses():
    names = ["Enum", "Method", "OneOf", "Annotated", "Mapping", "Int32", "Unpacked", "None"]
    messages = [
        f"message {name} {{ oneof x {{ int32 a = 1; {name} b = 2; }} map<string, {name}> c = 3;"
        " repeated int32 d = 4 [packed = false]; E e = 5; }"
        for name in names
    ]
    service = "service Default { rpc Do (Enum) returns (Method); }"
    text = HEAD + "\n".join(["enum E { A = 0; }", *messages, service])
    module = types.ModuleType("compiled_names")
    sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile_text(text, "names.proto"), module.__dict__)
    for name in names:
        cls = getattr(module, f"{name}_")
        message = cls(b=cls(a=1), c={"k": cls()}, d=(1,))
        assert kakuri_protobuf.decode(kakuri_protobuf.encode(message), type=cls) == message
    assert module.Default_.Do.path == "/Default/Do"


def compiled(text, **options):
    """Return the module of a .proto file."""
    module = types.ModuleType("compiled_names")
    sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile_text(HEAD + text, "names.proto", **options), module.__dict__)
    return module


def test_fields_hide_nothing_that_the_class_refers_to():
    names = ["E", "M", "dict", "field", "str", "tuple", "Int32", "Annotated", "OneOf", "float"]
    fields = "".join(f"int32 {name} = {number};" for number, name in enumerate(names, 20))
    text = f"""
    enum E {{ A = 0; B = 1; }}
    message M {{
      {fields} E e = 1; map<int32, string> map = 2; repeated string many = 3; M m = 4;
      oneof x {{ double d = 5; E f = 6; }}
    }}
    """
    module = compiled(text)
    cls = module.M
    message = cls(E_=1, M_=2, dict_=3, e=module.E.B, map={1: "x"}, many=("y",), m=cls(), d=1.0)
    assert kakuri_protobuf.decode(kakuri_protobuf.encode(message), type=cls) == message


def test_methods_hide_none_of_the_messages_that_the_service_refers_to():
    service = """
    service Echo {
      rpc Ping (Ping) returns (Pong); rpc Pong (Ping) returns (Pong); rpc Method (Ping) returns (Ping);
    }
    """
    module = compiled("message Ping {} message Pong {}" + service)
    assert [module.Echo.Ping_, module.Echo.Pong_, module.Echo.Method_] == [
        kakuri_protobuf.Method("/Echo/Ping", module.Ping, module.Pong),
        kakuri_protobuf.Method("/Echo/Pong", module.Ping, module.Pong),
        kakuri_protobuf.Method("/Echo/Method", module.Ping, module.Ping),
    ]


def test_names_that_would_be_the_same_in_python_stay_distinct():
    module = compiled(
        """
        message M { int32 from = 1; int32 from_ = 2; int32 __x = 3; int32 u__x = 4;
                    int32 unknown_fields = 5; }
        enum E { name_ = 0; name = 1; _A = 2; uA = 3; u_A = 4; real = 5; }
        """,
        keep_unknown=True,
    )
    numbers = {"from__": 1, "from_": 2, "u__x_": 3, "u__x": 4, "unknown_fields_": 5}
    data = kakuri_protobuf.encode(module.M(**numbers))
    assert data == b"\x08\x01\x10\x02\x18\x03\x20\x04\x28\x05"
    assert {value.name: value.value for value in module.E} == {
        "name_": 0, "name__": 1, "u_A_": 2, "uA": 3, "u_A": 4, "real_": 5,
    }  # fmt: skip


def test_service_with_the_class_of_a_message_raises_proto_syntax_error():
    text = HEAD + "message A { message B {} } service AB {}"
    with pytest.raises(ProtoSyntaxError, match=r"AB would be a message or an enum, too"):
        compile_text(text, "a.proto")


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


def test_field_with_debug_redact_is_left_out_of_repr():
    source = compile_text(
        'syntax = "proto3"; message Login { string user = 1; '
        "string password = 2 [debug_redact = true]; "
        "map<string, string> tokens = 3 [debug_redact = true]; "
        "string note = 4 [debug_redact = false]; }",
        "login.proto",
    )
    assert 'password: Annotated[str, 2] = field(default="", repr=False)' in source
    assert "field(default_factory=dict, repr=False)" in source
    assert 'note: Annotated[str, 4] = ""' in source
