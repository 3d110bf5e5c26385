"""What protoc and the official library make of api.proto."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import kakuri_cri
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

DIRECTORY = Path(kakuri_cri.__file__).parent


@cache
def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of api.proto."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "set"
        arguments = [f"-I{DIRECTORY}", f"--descriptor_set_out={out}", "api.proto"]
        assert protoc.main(["protoc", *arguments]) == 0
        (file,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return file


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """Return a pool with the messages of api.proto."""
    made = descriptor_pool.DescriptorPool()
    made.Add(file_descriptor())
    return made


@cache
def official_class(name: str) -> Any:
    """Return the official library's class of a message."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"runtime.v1.{name}"))
