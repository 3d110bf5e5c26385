"""Documents and parsed values to checked instances of types."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from kakuri_json._decode.codec import BY_IDENTITY, Codec, codec_of, no_codec
from kakuri_json._decode.compile_decoder import MISS
from kakuri_json._decode.conversion import Conversion, Found, Path, ValueCursor
from kakuri_json._decode.convert import convert_value
from kakuri_json._decode.text_cursor import LARGE, TextCursor
from kakuri_json._errors import Fault, JSONSyntaxError, LimitError, ValidationError
from kakuri_json._limits import DEFAULT_LIMITS, MAX_FAULTS, Limits
from kakuri_json._syntax.diagnosis import in_bytes, lines_and_columns
from kakuri_json._syntax.loads import Data, read_text
from kakuri_json._types.annotations import shape_of
from kakuri_json._types.describe import show

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
Chunks: TypeAlias = Iterable[bytes] | bytes | bytearray | memoryview

MAX_LINE = 2**20
"""Bytes of a line unless another limit is given."""

_MAX_FAST = 2**20
"""Bytes of a document that is tried with compiled expressions, far below every limit."""


def decode(data: Data, *, type: "TypeForm[T]", limits: Limits = DEFAULT_LIMITS) -> T:  # noqa: A002
    """Parse a document and convert it to a type, checking everything that the type says.

    Raises JSONSyntaxError and LimitError like loads; ValidationError, with every fault in its
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
        ValidationError: the document is not what the type asks for. After MAX_FAULTS faults the
            rest of the document is not read, so it may have syntax errors as well.
    """
    runs = len(text) >= LARGE and codec.is_within(limits)
    cursor = TextCursor(text, limits, codec.runs_of if runs else None)
    conversion = Conversion(cursor, limits)
    result = convert_value(conversion, codec.shape)
    if len(conversion.faults) < MAX_FAULTS:
        cursor.finish()
    if conversion.faults:
        raise _validation_error(conversion.faults, text)
    codec.learn(text)
    return result


def _validation_error(faults: list[Found], text: str | None = None) -> ValidationError:
    if text is None:
        return ValidationError(tuple(Fault(_spell(path), message) for path, message, _ in faults))
    positions = [0 if fault.position is None else fault.position for fault in faults]
    places = lines_and_columns(text, positions)
    return ValidationError(
        tuple(
            Fault(_spell(fault.path), fault.message, *places[position])
            for fault, position in zip(faults, positions, strict=True)
        )
    )


def convert(value: object, *, type: "TypeForm[T]", limits: Limits = DEFAULT_LIMITS) -> T:  # noqa: A002
    """Convert a value that is already parsed (of a TOML file, say) to a type, with all checks.

    Raises ValidationError, UnsupportedTypeError and LimitError like decode.
    """
    conversion = Conversion(ValueCursor(value, limits), limits)
    result: T = convert_value(conversion, shape_of(type))
    if conversion.faults:
        raise _validation_error(conversion.faults)
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


@overload
def decode_lines(chunks: Chunks, *, max_line: int = MAX_LINE) -> Iterator[Any]: ...
@overload
def decode_lines(
    chunks: Chunks, *, type: "TypeForm[T]", max_line: int = MAX_LINE
) -> Iterator[T]: ...
def decode_lines(
    chunks: Chunks,
    *,
    type: Any = object,  # noqa: A002
    max_line: int = MAX_LINE,
) -> Iterator[Any]:
    """Decode one document from each line.

    A line ends with LF; a CR before it counts as white space. The last one needs no end. An empty
    line is an error like any other line without a document. Nothing follows an error.

    Args:
        chunks: the bytes of all lines, or an iterable of parts of them, cut anywhere.
        type: the type of each document.
        max_line: bytes of the longest line, which are all that is ever held.

    Yields:
        The value of each line.

    Raises:
        JSONSyntaxError, ValidationError: as decode does, with the line's number in the stream.
        LimitError: as decode does, and for a line that is longer than max_line.
    """
    for number, line in enumerate(split_lines(chunks, max_line), 1):
        try:
            value = decode(line, type=type)
        except (JSONSyntaxError, LimitError) as error:
            if error.line is not None:
                error.line = number
            raise
        except ValidationError as error:
            raise ValidationError(
                tuple(fault._replace(line=number) for fault in error.faults)
            ) from None
        yield value


def split_lines(chunks: Chunks, max_line: int) -> Iterator[bytes]:
    """Yield the lines without their LF; LimitError for one that is longer than max_line bytes."""
    if isinstance(chunks, (bytes, bytearray, memoryview)):
        chunks = (bytes(chunks),)  # its items are numbers
    elif isinstance(chunks, str):  # type: ignore[unreachable]  # by callers without type checker
        raise TypeError("expected bytes or chunks of bytes, got str")
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            held.append(line)
            if length + len(line) > max_line:
                raise _too_long(max_line)
            yield b"".join(held)
            held = []
            length = 0
        if rest:
            held.append(rest)
            length += len(rest)
            if length > max_line:
                raise _too_long(max_line)
    if held:
        yield b"".join(held)


def _too_long(max_line: int) -> LimitError:
    return LimitError(
        f"expected a line of at most {max_line} bytes, got more", limit="max_line", maximum=max_line
    )
