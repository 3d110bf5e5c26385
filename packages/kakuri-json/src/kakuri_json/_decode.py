"""Documents and parsed values to checked instances of types."""

import re
from typing import TYPE_CHECKING, Any, TypeVar

from kakuri_json._codecs import BY_IDENTITY, Codec, codec_of
from kakuri_json._convert import Conversion, Path
from kakuri_json._errors import Fault, StructureError
from kakuri_json._expressions import MISS
from kakuri_json._limits import DEFAULT_LIMITS, Limits
from kakuri_json._loads import loads
from kakuri_json._locate import locate
from kakuri_json._reading import shape_of
from kakuri_json._source import Data, read_text
from kakuri_json._words import show

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

_MAX_FAST = 2**20
"""Bytes of a document that is tried with compiled expressions, far below every limit."""


def decode(data: Data, *, type: "TypeForm[T]", limits: Limits = DEFAULT_LIMITS) -> T:  # noqa: A002
    """Parse a document and convert it to a type, checking everything that the type says.

    Raises JSONSyntaxError and LimitError like loads; StructureError, with every fault in its
    place, for a document that is not what the type asks for; UnsupportedTypeError for a type
    that has no JSON form.
    """
    if limits is DEFAULT_LIMITS and data.__class__ is bytes and len(data) <= _MAX_FAST:
        codec = BY_IDENTITY.get(id(type))
        if codec is not None:
            try:
                value = codec.first(data.decode())
            except ValueError:  # not UTF-8, or refused by a class: what follows says why
                value = MISS
            if value is not MISS:
                decoded: T = value
                return decoded
    result: T = _decode(codec_of(type), data, limits)
    return result


def _decode(codec: Codec, data: Data, limits: Limits) -> Any:
    if limits is DEFAULT_LIMITS and len(data) <= _MAX_FAST:
        value = codec.read(read_text(data, limits))
        if value is not MISS:
            return value
    return _decode_slowly(codec, data, limits)


def _decode_slowly(codec: Codec, data: Data, limits: Limits) -> Any:
    parsed = loads(data, limits=limits)
    conversion = Conversion(limits)
    result = conversion.run(codec.shape, parsed)
    text = read_text(data, limits)
    if conversion.faults:
        places = locate(text, {path for path, _ in conversion.faults})
        raise StructureError(
            tuple(
                Fault(_spell(path), message, *places[path]) for path, message in conversion.faults
            )
        )
    codec.learn(text, parsed)
    return result


def convert(value: object, *, type: "TypeForm[T]", limits: Limits = DEFAULT_LIMITS) -> T:  # noqa: A002
    """Convert a value that is already parsed (of a TOML file, say) to a type, with all checks.

    Raises StructureError, UnsupportedTypeError and LimitError like decode.
    """
    conversion = Conversion(limits)
    result: T = conversion.run(shape_of(type), value)
    if conversion.faults:
        raise StructureError(
            tuple(Fault(_spell(path), message) for path, message in conversion.faults)
        )
    return result


_LONGEST_STEP = 100
"""Characters of a key that a path shows: the peer decides how long it is."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*").fullmatch


def _spell(path: Path) -> str:
    """Spell a path like `$.items[3].name`."""
    parts = ["$"]
    for step in path:
        if not isinstance(step, str):  # a value from elsewhere may have keys of any kind
            parts.append(f"[{show(step)}]")
        else:
            shown = step if len(step) <= _LONGEST_STEP else f"{step[:_LONGEST_STEP]}…"
            parts.append(f".{shown}" if _NAME(shown) else f"[{shown!r}]")
    return "".join(parts)
