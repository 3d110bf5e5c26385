"""What protoc says of a .proto file, and the official library's classes for it."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PROTOS = Path(__file__).parent / "protos"


@cache
def descriptor_set(name: str) -> descriptor_pb2.FileDescriptorSet:
    """Return the descriptors of a file of this folder and of what it imports."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
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
