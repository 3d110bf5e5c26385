"""The functions that programs call."""

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from kakuri_json._codecs import BY_IDENTITY, Codec, codec_of
from kakuri_json._convert import Conversion, Path
from kakuri_json._errors import Fault, JSONSyntaxError, LimitError, StructureError
from kakuri_json._expressions import MISS
from kakuri_json._limits import DEFAULT_LIMITS, Limits
from kakuri_json._locate import locate
from kakuri_json._parser import parse
from kakuri_json._printer import print_value
from kakuri_json._reading import shape_of
from kakuri_json._source import Data, in_bytes, read_text
from kakuri_json._writers import Writer, writer_of

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

_MAX_FAST = 2**20
"""Bytes of a document that is tried with compiled expressions, far below every limit."""


def loads(
    data: Data,
    *,
    limits: Limits = DEFAULT_LIMITS,
    duplicate_keys: Literal["error", "last"] = "error",
) -> Any:
    """Parse a document into None, bool, int, float, str, list and dict (RFC 8259).

    duplicate_keys: what to make of a key that an object has twice; "last" keeps the last value.
    Raises JSONSyntaxError for text that is no JSON, LimitError for a document beyond the limits.
    """
    text = read_text(data, limits)
    try:
        return parse(text, limits, last_key_wins=duplicate_keys == "last")
    except (JSONSyntaxError, LimitError) as error:
        if not isinstance(data, str):
            in_bytes(error, text)
        raise


def dumps(
    value: object,
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Print a value as a document: JSON values, dataclasses, enums, and whatever decode can make.

    indent: spaces for each level; None prints no white space at all.
    sort_keys: order keys by their characters.
    Raises UnprintableError for a value without JSON form, LimitError for one beyond the limits.
    """
    if indent is None and not sort_keys and limits is DEFAULT_LIMITS:
        return _compact(value)
    return print_value(value, limits, indent=indent, sort_key=str if sort_keys else None)


def encode(value: object) -> bytes:
    """Print a value as a compact document in UTF-8.

    Raises UnprintableError for a value without JSON form, LimitError for one beyond the limits.
    """
    return _compact(value).encode()


_writers: dict[type[Any], Writer | None] = {}


def _compact(value: object) -> str:
    """Print a value compactly, through its class's own writer if it has one."""
    cls = value.__class__
    try:
        write = _writers[cls]
    except KeyError:
        write = _writers[cls] = writer_of(cls) if dataclasses.is_dataclass(cls) else None
    if write is not None:
        try:
            text = write(value)
        except ValueError:  # the printer says which limit the integer exceeds
            text = None
        if text is not None and len(text) <= DEFAULT_LIMITS.max_length:
            return text
    return print_value(value, DEFAULT_LIMITS)


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
                return cast("T", value)
    return cast("T", _decode(codec_of(type), data, limits))


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


_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*").fullmatch


def _spell(path: Path) -> str:
    """Spell a path like `$.items[3].name`."""
    parts = ["$"]
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append(f".{step}" if _NAME(step) else f"[{step!r}]")
    return "".join(parts)
