"""Documents and parsed values to checked instances of types."""

import re
from typing import TYPE_CHECKING, Any, TypeVar

from kakuri_json._codecs import BY_IDENTITY, Codec, codec_of, no_codec
from kakuri_json._conversion import Conversion, Found, Path
from kakuri_json._convert import convert_value
from kakuri_json._cursors import LARGE, TextCursor, ValueCursor
from kakuri_json._errors import Fault, JSONSyntaxError, LimitError, StructureError
from kakuri_json._expressions import MISS
from kakuri_json._limits import DEFAULT_LIMITS, MAX_FAULTS, Limits
from kakuri_json._reading import shape_of
from kakuri_json._source import Data, in_bytes, lines_and_columns, read_text
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
    if data.__class__ is bytes and len(data) <= _MAX_FAST:
        codec = BY_IDENTITY.get(id(type), no_codec)()
        if codec is not None and (limits is DEFAULT_LIMITS or codec.is_within(limits)):
            try:
                value = codec.first(data.decode())
            except ValueError:  # not UTF-8, or refused by a class: what follows says why
                value = MISS
            if value is not MISS:
                decoded: T = value
                return decoded
            result: T = _decode(codec, data, limits, tried=True)
            return result
    other: T = _decode(codec_of(type), data, limits, tried=False)
    return other


def _decode(codec: Codec, data: Data, limits: Limits, *, tried: bool) -> Any:
    text = read_text(data, limits)
    if len(data) <= _MAX_FAST and codec.is_within(limits):
        value = codec.read(text, tried=tried)
        if value is not MISS:
            return value
    try:
        return decode_slowly(codec, text, limits)
    except (JSONSyntaxError, LimitError) as error:
        if not isinstance(data, str):
            in_bytes(error, text)
        raise


def decode_slowly(codec: Codec, text: str, limits: Limits) -> Any:
    """Decode a document value by value, with the place of every fault.

    Raises:
        JSONSyntaxError, LimitError: with positions in characters.
        StructureError: the document is not what the type asks for. After MAX_FAULTS faults the
            rest of the document is not read, so it may have syntax errors as well.
    """
    runs = len(text) >= LARGE and codec.is_within(limits)
    cursor = TextCursor(text, limits, codec.runs_of if runs else None)
    conversion = Conversion(cursor, limits)
    result = convert_value(conversion, codec.shape)
    if len(conversion.faults) < MAX_FAULTS:
        cursor.finish()
    if conversion.faults:
        raise _structure_error(conversion.faults, text)
    codec.learn(text)
    return result


def _structure_error(faults: list[Found], text: str | None = None) -> StructureError:
    if text is None:
        return StructureError(tuple(Fault(_spell(path), message) for path, message, _ in faults))
    positions = [0 if fault.position is None else fault.position for fault in faults]
    places = lines_and_columns(text, positions)
    return StructureError(
        tuple(
            Fault(_spell(fault.path), fault.message, *places[position])
            for fault, position in zip(faults, positions, strict=True)
        )
    )


def convert(value: object, *, type: "TypeForm[T]", limits: Limits = DEFAULT_LIMITS) -> T:  # noqa: A002
    """Convert a value that is already parsed (of a TOML file, say) to a type, with all checks.

    Raises StructureError, UnsupportedTypeError and LimitError like decode.
    """
    conversion = Conversion(ValueCursor(value, limits), limits)
    result: T = convert_value(conversion, shape_of(type))
    if conversion.faults:
        raise _structure_error(conversion.faults)
    return result


_LONGEST_STEP = 100
"""Characters of a key that a path shows: the peer decides how long it is."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*").fullmatch


def _spell(path: Path) -> str:
    """Spell a path like `$.items[3].name`."""
    steps: list[Any] = []
    while path:
        path, step = path
        steps.append(step)
    parts = ["$"]
    for step in reversed(steps):
        if not isinstance(step, str):  # a value from elsewhere may have keys of any kind
            parts.append(f"[{show(step)}]")
        else:
            shown = step if len(step) <= _LONGEST_STEP else f"{step[:_LONGEST_STEP]}…"
            parts.append(f".{shown}" if _NAME(shown) else f"[{shown!r}]")
    return "".join(parts)
