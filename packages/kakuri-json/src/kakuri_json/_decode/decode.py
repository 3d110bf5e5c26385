"""Decodes documents and parsed values into validated instances of types."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from kakuri_json._decode.codec import BY_IDENTITY, Codec, codec_of
from kakuri_json._decode.compile_decoder import NO_MATCH
from kakuri_json._decode.conversion import Conversion, LocatedFault, Path, ValueCursor
from kakuri_json._decode.convert import convert_value
from kakuri_json._decode.text_cursor import LARGE, TextCursor
from kakuri_json._errors import Fault, JSONSyntaxError, LimitError, Location, ValidationError
from kakuri_json._limits import MAX_FAULTS, Limits, check_count, limits_or_default
from kakuri_json._syntax.diagnosis import lines_and_columns, set_byte_position
from kakuri_json._syntax.loads import Data, read_text
from kakuri_json._types.annotations import shape_of
from kakuri_json._types.describe import path_text

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
Chunks: TypeAlias = Iterable[bytes] | bytes | bytearray | memoryview

MAX_LINE = 2**20
"""Default limit of a line in bytes."""

_MAX_FAST = 2**20
"""Maximum size in bytes of a document that is tried with compiled expressions; far below every
limit."""


@overload
def decode(data: Data, *, limits: Limits | None = None) -> Any: ...
@overload
def decode(data: Data, type: "TypeForm[T]", *, limits: Limits | None = None) -> T: ...
def decode(data: Data, type: Any = object, *, limits: Limits | None = None) -> Any:  # noqa: A002
    """Parse a document and convert it to a type, validating everything that the type requires.

    The first call for a type reads its annotations and compiles a codec, which takes about a
    millisecond. The codec is stored on the class and freed with it. Documents in the usual layout
    (fields in declaration order, no white space) are then read by a single regular expression, and
    all others by the general parser, with the same result. Thread-safe.

        >>> @dataclass
        ... class Workload:
        ...     id: str
        ...     memory_mb: int = 512
        >>> decode(b'{"id": "wl-1"}', Workload)
        Workload(id='wl-1', memory_mb=512)
        >>> decode(b'{"id": 1, "memory_mb": "64", "cpus": 2}', Workload)
        Traceback (most recent call last):
        kakuri_json.ValidationError: $.id: expected a string, got 1 (line 1, column 8)
        $.memory_mb: expected an integer, got '64' (line 1, column 24)
        $.cpus: expected one of 'id', 'memory_mb', got 'cpus' (line 1, column 38)

    Args:
        data: The document; bytes must be UTF-8 without a byte order mark.
        type: A dataclass, a TypedDict, or any other type that the README lists, such as
            `list[Workload]` or `A | B`. By default, any value is accepted, as by `loads`.
        limits: Bounds on the document; None for the defaults.

    Returns:
        An instance of the type. Values are not coerced: `"512"`, `1.0` and `true` are not
        integers.

    Raises:
        JSONSyntaxError: The document is not valid JSON; has the position.
        LimitError: The document exceeds one of the limits.
        ValidationError: The document does not match the type; has the path and position of every
            fault, up to 100.
        UnsupportedTypeError: The type has no JSON form.
    """
    if data.__class__ is bytes and len(data) <= _MAX_FAST:
        try:
            codec = BY_IDENTITY[id(type)]()
        except KeyError:
            codec = None
        if codec is not None and (
            limits is None or limits is codec.accepted or codec.is_within(limits_or_default(limits))
        ):
            read = codec.first  # CPython 3.11 loads a slot faster than it looks for a method there
            try:
                value = read(data.decode())
            except ValueError:  # not UTF-8, or rejected by a class; the general path reports it
                value = NO_MATCH
            if value is not NO_MATCH:
                return value
            return _decode(codec, data, limits_or_default(limits), tried=True)
    return _decode(codec_of(type), data, limits_or_default(limits), tried=False)


def _decode(codec: Codec, data: Data, limits: Limits, *, tried: bool) -> Any:
    text = read_text(data, limits)
    if len(data) <= _MAX_FAST and codec.is_within(limits):
        value = codec.read(text, tried=tried)
        if value is not NO_MATCH:
            return value
    try:
        return decode_slowly(codec, text, limits)
    except (JSONSyntaxError, LimitError) as error:
        if not isinstance(data, str):
            set_byte_position(error, text)
        raise


def decode_slowly(codec: Codec, text: str, limits: Limits) -> Any:
    """Decode a document value by value, with the position of every fault.

    Raises:
        JSONSyntaxError: The document is not valid JSON; the position counts characters.
        LimitError: The document exceeds a limit; the position counts characters.
        ValidationError: The document does not match the type. After MAX_FAULTS faults, the rest of
            the document is not read, so it may also have syntax errors.
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


def _validation_error(faults: list[LocatedFault], text: str | None = None) -> ValidationError:
    if text is None:
        return ValidationError(
            tuple(Fault(_path_text(path), message) for path, message, _ in faults)
        )
    positions = [0 if fault.position is None else fault.position for fault in faults]
    located = lines_and_columns(text, positions)
    return ValidationError(
        tuple(
            Fault(_path_text(fault.path), fault.message, *located[position])
            for fault, position in zip(faults, positions, strict=True)
        )
    )


def convert(value: object, type: "TypeForm[T]", *, limits: Limits | None = None) -> T:  # noqa: A002
    """Convert a value that is already parsed to a type, with the same checks as `decode`.

    Dates, times and decimals may also be native objects, as in a parsed TOML file.

    Args:
        value: None, bool, int, float, str, and lists and dicts of them.
        type: The type, as for `decode`.
        limits: Bounds on the value; None for the defaults.

    Returns:
        An instance of the type.

    Raises:
        LimitError: The value is nested too deeply.
        ValidationError: The value does not match the type.
        UnsupportedTypeError: The type has no JSON form.
    """
    limits = limits_or_default(limits)
    conversion = Conversion(ValueCursor(value, limits), limits)
    result: T = convert_value(conversion, shape_of(type))
    if conversion.faults:
        raise _validation_error(conversion.faults)
    return result


def _path_text(path: Path) -> str:
    steps: list[Any] = []
    while path:
        path, step = path
        steps.append(step)
    return path_text(reversed(steps))


@overload
def decode_lines(
    chunks: Chunks, *, max_line: int = MAX_LINE, limits: Limits | None = None
) -> Iterator[Any]: ...
@overload
def decode_lines(
    chunks: Chunks,
    type: "TypeForm[T]",
    *,
    max_line: int = MAX_LINE,
    limits: Limits | None = None,
) -> Iterator[T]: ...
def decode_lines(
    chunks: Chunks,
    type: Any = object,  # noqa: A002
    *,
    max_line: int = MAX_LINE,
    limits: Limits | None = None,
) -> Iterator[Any]:
    r"""Decode one document from each line.

    A line ends with LF; a CR before it counts as white space. The LF of the last line may be
    missing. An empty line is an error, because it contains no document. The iterator ends at the
    first error.

        >>> chunks = [b'{"id": "wl-1"}\n{"i', b'd": "wl-2"}\n']
        >>> list(decode_lines(chunks, dict[str, str]))
        [{'id': 'wl-1'}, {'id': 'wl-2'}]

    Args:
        chunks: The bytes of all lines, or an iterable of chunks, split anywhere, such as a list or
            a file opened in binary mode.
        type: The type of each document, as for `decode`.
        max_line: Maximum length of a line in bytes. At most one line and one chunk are held in
            memory.
        limits: Bounds on each document; None for the defaults.

    Yields:
        The value of each line.

    Raises:
        JSONSyntaxError: As in `decode`, with the number of the line in the stream.
        ValidationError: As in `decode`, with the number of the line in the stream.
        LimitError: As in `decode`, or a line is longer than `max_line`.
        UnsupportedTypeError: The type has no JSON form.
        TypeError: A chunk is not bytes, or an argument has the wrong type.
    """
    check_count(max_line, "max_line")
    for number, line in enumerate(split_lines(chunks, max_line), 1):
        try:
            value = decode(line, type, limits=limits)
        except (JSONSyntaxError, LimitError) as error:
            if error.line is not None:
                error.line = number
            raise
        except ValidationError as error:
            faults = tuple(fault._replace(line=number) for fault in error.faults)
            raise ValidationError(faults) from None
        yield value


def split_lines(chunks: Chunks, max_line: int) -> Iterator[bytes]:
    """Yield each line without its LF.

    Raises:
        LimitError: A line is longer than max_line bytes.
        TypeError: A chunk is not bytes, or the chunks are not iterable.
    """
    whole = isinstance(chunks, (str, bytes, bytearray, memoryview))
    try:
        parts: Iterator[Any] = iter((chunks,) if whole else chunks)  # items of bytes are numbers
    except TypeError:
        got = type(chunks).__name__
        raise TypeError(f"expected bytes or chunks of bytes, got {got}") from None
    number = 1
    held: list[bytes] = []
    length = 0
    for chunk in parts:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected bytes or chunks of bytes, got {type(chunk).__name__}")
        *lines, rest = bytes(chunk).split(b"\n")
        for line in lines:
            held.append(line)
            if length + len(line) > max_line:
                raise _too_long(max_line, number)
            yield b"".join(held)
            number += 1
            held = []
            length = 0
        if rest:
            held.append(rest)
            length += len(rest)
            if length > max_line:
                raise _too_long(max_line, number)
    if held:
        yield b"".join(held)


def _too_long(max_line: int, number: int) -> LimitError:
    message = f"expected a line of at most {max_line} bytes, got more"
    begin = Location(0, number, 1)
    return LimitError(message, limit="max_line", maximum=max_line, location=begin)
