"""The compiler from .proto files to message classes: `python -m kakuri_protobuf compile`."""

from kakuri_protobuf.compiler._compile import compile_file, compile_text

__all__ = ["compile_file", "compile_text"]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
