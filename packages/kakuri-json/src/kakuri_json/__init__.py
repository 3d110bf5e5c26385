"""RFC 8259 JSON: a strict parser and serializer, and codecs compiled from dataclasses.

Names are imported on first use, so that a program only loads the modules it needs.
"""

from importlib import import_module
from sys import modules

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_json._decode.decode import convert, decode, decode_lines
    from kakuri_json._encode.canonical import canonical
    from kakuri_json._encode.dumps import dump, dumps, encode
    from kakuri_json._errors import (
        EncodeError,
        Fault,
        JSONError,
        JSONSyntaxError,
        LimitError,
        UnsupportedTypeError,
        ValidationError,
    )
    from kakuri_json._limits import Limits
    from kakuri_json._schema import Schemas, schema
    from kakuri_json._syntax.incremental import Event, EventKind, IncrementalParser
    from kakuri_json._syntax.loads import load, loads
    from kakuri_json._types.attributes import Options
    from kakuri_json._version import __version__

__all__ = [
    "EncodeError",
    "Event",
    "EventKind",
    "Fault",
    "IncrementalParser",
    "JSONError",
    "JSONSyntaxError",
    "LimitError",
    "Limits",
    "Options",
    "Schemas",
    "UnsupportedTypeError",
    "ValidationError",
    "__version__",
    "canonical",
    "convert",
    "decode",
    "decode_lines",
    "dump",
    "dumps",
    "encode",
    "load",
    "loads",
    "schema",
]

_MODULES = {
    "_decode.decode": ("convert", "decode", "decode_lines"),
    "_encode.canonical": ("canonical",),
    "_encode.dumps": ("dump", "dumps", "encode"),
    "_errors": (
        "EncodeError",
        "Fault",
        "JSONError",
        "JSONSyntaxError",
        "LimitError",
        "UnsupportedTypeError",
        "ValidationError",
    ),
    "_limits": ("Limits",),
    "_syntax.incremental": ("Event", "EventKind", "IncrementalParser"),
    "_syntax.loads": ("load", "loads"),
    "_types.attributes": ("Options",),
    "_schema": ("Schemas", "schema"),
    "_version": ("__version__",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


# Names from before the first release.
_FORMER_NAMES = {"StructureError": "ValidationError", "UnprintableError": "EncodeError"}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name in _FORMER_NAMES:
            from warnings import warn  # noqa: PLC0415 (only here)

            warn(f"{name} is now {_FORMER_NAMES[name]}", DeprecationWarning, stacklevel=2)
            return __getattr__(_FORMER_NAMES[name])
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
