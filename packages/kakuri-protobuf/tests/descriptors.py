"""What protoc says of a .proto file, and the official library's classes for it."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc
from kakuri_protobuf._fields import Label, schema_of
from kakuri_protobuf._kinds import Kind
from kakuri_protobuf.compiler._names import class_attributes, class_name

PROTOS = Path(__file__).parent / "protos"

TYPES = {
    1: Kind.DOUBLE, 2: Kind.FLOAT, 3: Kind.INT64, 4: Kind.UINT64, 5: Kind.INT32, 6: Kind.FIXED64,
    7: Kind.FIXED32, 8: Kind.BOOL, 9: Kind.STRING, 10: Kind.GROUP, 11: Kind.MESSAGE,
    12: Kind.BYTES, 13: Kind.UINT32, 14: Kind.ENUM, 15: Kind.SFIXED32, 16: Kind.SFIXED64,
    17: Kind.SINT32, 18: Kind.SINT64,
}  # fmt: skip
"""FieldDescriptorProto.Type."""


def messages_of(files):
    """Return protoc's descriptors of messages by full name, each with its file."""
    found = {}

    def visit(message, prefix, file):
        full_name = f"{prefix}.{message.name}".removeprefix(".")
        found[full_name] = message, file
        for nested in message.nested_type:
            visit(nested, full_name, file)

    for file in files.file:
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
    (name,) = class_attributes([one.name], ()).values()
    return name, one.number, kind, label, is_packed, oneof, key


@cache
def descriptor_set(name: str) -> descriptor_pb2.FileDescriptorSet:
    """Return the descriptors of a file of this directory and of what it imports."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "set"
        arguments = [f"-I{PROTOS}", f"--descriptor_set_out={out}", "--include_imports", name]
        assert protoc.main(["protoc", *arguments]) == 0
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


@cache
def official_class(name: str, message: str) -> Any:
    """Return the official library's class of a message."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_set(name).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(message))


def compared(module: Any, files: descriptor_pb2.FileDescriptorSet) -> int:
    """Check a compiled module's classes against protoc's descriptors; return how many there are."""
    found = messages_of(files)
    count = 0
    for full_name, (message, file) in found.items():
        name = full_name.removeprefix(f"{file.package}.").replace(".", "")
        cls = getattr(module, class_name(name), None)
        if message.options.map_entry or cls is None:
            continue
        count += 1
        ours = [
            (one.name, one.number, one.kind, one.label, one.is_packed, one.oneof, one.key)
            for one in schema_of(cls).fields
        ]
        theirs = [expected_field(one, message, file, found) for one in message.field]
        assert ours == sorted(theirs, key=lambda one: one[1])
    return count
