"""Protocol Buffers: the wire format, with frozen dataclasses as messages.

Names are imported on first use, so that a program only loads the modules it needs.
"""

from importlib import import_module
from sys import modules

from kakuri_protobuf._version import __version__

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_protobuf._async_codec import AsyncCodec
    from kakuri_protobuf._codecs import decode, encode
    from kakuri_protobuf._dataclass import dataclass
    from kakuri_protobuf._errors import (
        DecodeError,
        EncodeError,
        LimitError,
        ProtobufError,
        ProtoSyntaxError,
        UnsupportedTypeError,
    )
    from kakuri_protobuf._inspect import inspect
    from kakuri_protobuf._kinds import (
        Default,
        Double,
        Enum,
        Fixed32,
        Fixed64,
        Float,
        Group,
        Int32,
        Int64,
        OneOf,
        Required,
        SFixed32,
        SFixed64,
        SInt32,
        SInt64,
        UInt32,
        UInt64,
        Unknown,
        Unpacked,
    )
    from kakuri_protobuf._limits import Limits
    from kakuri_protobuf._method import Method

__all__ = [
    "AsyncCodec",
    "DecodeError",
    "Default",
    "Double",
    "EncodeError",
    "Enum",
    "Fixed32",
    "Fixed64",
    "Float",
    "Group",
    "Int32",
    "Int64",
    "LimitError",
    "Limits",
    "Method",
    "OneOf",
    "ProtoSyntaxError",
    "ProtobufError",
    "Required",
    "SFixed32",
    "SFixed64",
    "SInt32",
    "SInt64",
    "UInt32",
    "UInt64",
    "Unknown",
    "Unpacked",
    "UnsupportedTypeError",
    "__version__",
    "dataclass",
    "decode",
    "encode",
    "inspect",
]

_MODULES = {
    "_async_codec": ("AsyncCodec",),
    "_codecs": ("decode", "encode"),
    "_dataclass": ("dataclass",),
    "_errors": (
        "DecodeError",
        "EncodeError",
        "LimitError",
        "ProtoSyntaxError",
        "ProtobufError",
        "UnsupportedTypeError",
    ),
    "_inspect": ("inspect",),
    "_kinds": (
        "Default",
        "Double",
        "Enum",
        "Fixed32",
        "Fixed64",
        "Float",
        "Group",
        "Int32",
        "Int64",
        "OneOf",
        "Required",
        "SFixed32",
        "SFixed64",
        "SInt32",
        "SInt64",
        "UInt32",
        "UInt64",
        "Unknown",
        "Unpacked",
    ),
    "_limits": ("Limits",),
    "_method": ("Method",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import_module(f"{__name__}.{_HOMES[name]}")
        _publish()
        return globals()[name]


def _publish() -> None:
    """Bind the names of each loaded module here, so that tracebacks show the public name."""
    for name, home in _HOMES.items():
        value = getattr(modules.get(f"{__name__}.{home}"), name, None)
        if value is not None:
            globals()[name] = value
            if hasattr(value, "__qualname__") and value.__module__.startswith(f"{__name__}."):
                value.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
