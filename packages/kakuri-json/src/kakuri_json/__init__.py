"""RFC 8259 JSON: a strict parser and serializer, and codecs compiled from dataclasses."""

from kakuri_json._api import convert, decode, dumps, encode, loads
from kakuri_json._errors import (
    Fault,
    JSONError,
    JSONSyntaxError,
    LimitError,
    StructureError,
    UnprintableError,
    UnsupportedTypeError,
)
from kakuri_json._limits import Limits
from kakuri_json._options import Options
from kakuri_json._version import __version__

__all__ = [
    "Fault",
    "JSONError",
    "JSONSyntaxError",
    "LimitError",
    "Limits",
    "Options",
    "StructureError",
    "UnprintableError",
    "UnsupportedTypeError",
    "__version__",
    "convert",
    "decode",
    "dumps",
    "encode",
    "loads",
]
