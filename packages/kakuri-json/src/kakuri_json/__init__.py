"""RFC 8259 JSON: a strict parser and serializer, and codecs compiled from dataclasses."""

from kakuri_json._api import convert, decode, dumps, encode, loads
from kakuri_json._canonical import canonical
from kakuri_json._errors import (
    Fault,
    JSONError,
    JSONSyntaxError,
    LimitError,
    StructureError,
    UnprintableError,
    UnsupportedTypeError,
)
from kakuri_json._incremental import Event, EventKind, IncrementalParser
from kakuri_json._limits import Limits
from kakuri_json._lines import decode_lines
from kakuri_json._options import Options
from kakuri_json._schema import schema
from kakuri_json._version import __version__

__all__ = [
    "Event",
    "EventKind",
    "Fault",
    "IncrementalParser",
    "JSONError",
    "JSONSyntaxError",
    "LimitError",
    "Limits",
    "Options",
    "StructureError",
    "UnprintableError",
    "UnsupportedTypeError",
    "__version__",
    "canonical",
    "convert",
    "decode",
    "decode_lines",
    "dumps",
    "encode",
    "loads",
    "schema",
]
