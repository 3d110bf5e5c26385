"""The compiler from .proto files to message classes: `python -m kakuri_protobuf compile`."""

from kakuri_protobuf.compiler._compile import compile_file, compile_text

__all__ = ["compile_file", "compile_text"]
