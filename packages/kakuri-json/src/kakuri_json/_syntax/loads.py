"""Parses documents into plain values."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from kakuri_json._errors import JSONSyntaxError, LimitError
from kakuri_json._limits import Limits, exceeded, limits_or_default
from kakuri_json._syntax.diagnosis import set_byte_position, syntax_error
from kakuri_json._syntax.parser import parse
from kakuri_json._syntax.scanning import COMPILED

if COMPILED:
    from kakuri_json._syntax.bytes_parser import parse_bytes  # interpreted, it would be slow

if TYPE_CHECKING:
    from _typeshed import SupportsRead

Data: TypeAlias = str | bytes | bytearray | memoryview

_BOMS = (
    (b"\xef\xbb\xbf", "a byte order mark"),
    (b"\xff\xfe", "UTF-16 or UTF-32"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
)


def loads(
    data: Data,
    *,
    limits: Limits | None = None,
    duplicate_keys: Literal["error", "last"] = "error",
) -> Any:
    """Parse a document into None, bool, int, float, str, list and dict (RFC 8259).

    Integers stay integers, of any size up to `max_digits`; numbers with a fraction or an exponent
    become floats. Deep documents do not use up the interpreter's stack.

        >>> loads('{"id": "wl-1", "args": [1, 2.5, null]}')
        {'id': 'wl-1', 'args': [1, 2.5, None]}
        >>> loads(b"[1, 2}")
        Traceback (most recent call last):
        kakuri_json.JSONSyntaxError: expected ',' or ']', got '}' at line 1, column 6
            [1, 2}
                 ^

    Args:
        data: The document; bytes must be UTF-8 without a byte order mark.
        limits: Bounds on the document; None for the defaults.
        duplicate_keys: "error" rejects an object with a duplicate key, "last" keeps the last value.

    Returns:
        The value of the document.

    Raises:
        JSONSyntaxError: The document is not valid JSON; has the position.
        LimitError: The document exceeds one of the limits.
    """
    if duplicate_keys not in ("error", "last"):
        raise ValueError(f"expected duplicate_keys 'error' or 'last', got {duplicate_keys!r}")
    limits = limits_or_default(limits)
    last_key_wins = duplicate_keys == "last"
    if COMPILED:
        if isinstance(data, (bytearray, memoryview)):
            data = bytes(data)
        if type(data) in (str, bytes) and len(data) <= limits.max_length:
            try:
                encoded = data.encode() if isinstance(data, str) else data
                return parse_bytes(encoded, limits, last_key_wins=last_key_wins)
            except UnicodeError:
                pass  # read_text explains it
            except (JSONSyntaxError, LimitError) as error:
                if isinstance(data, bytes):
                    set_byte_position(error, data.decode(), len(data))
                raise
    text = read_text(data, limits)
    try:
        return parse(text, limits, last_key_wins=last_key_wins)
    except (JSONSyntaxError, LimitError) as error:
        if not isinstance(data, str):
            set_byte_position(error, text)
        raise


def load(
    file: "SupportsRead[bytes]",
    *,
    limits: Limits | None = None,
    duplicate_keys: Literal["error", "last"] = "error",
) -> Any:
    """Parse the document in a file like `loads`.

    At most one byte more than `max_length` is read. To decode a document to a type, use
    `decode(path.read_bytes(), T)`.

    Args:
        file: A file opened in binary mode, because JSON is UTF-8 regardless of the locale.
        limits: As in `loads`.
        duplicate_keys: As in `loads`.

    Returns:
        The value of the document.

    Raises:
        JSONSyntaxError: As in `loads`.
        LimitError: As in `loads`.
        TypeError: The file was opened in text mode, or the argument is a path.
    """
    limits = limits_or_default(limits)
    if not hasattr(file, "read"):
        raise TypeError(f"expected a file opened in binary mode, got {type(file).__name__}")
    parts: list[bytes] = []
    missing = limits.max_length + 1
    while missing > 0:
        part = file.read(missing)
        if not isinstance(part, bytes):
            got = type(part).__name__  # type: ignore[unreachable]  # callers without type checker
            raise TypeError(f"expected a file opened in binary mode, got {got} from its read()")
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return loads(b"".join(parts), limits=limits, duplicate_keys=duplicate_keys)


def read_text(data: Data, limits: Limits) -> str:
    """Return the text of a document.

    Raises:
        JSONSyntaxError: The bytes are not UTF-8, or the str has a lone surrogate, which UTF-8
            cannot represent.
        LimitError: The document is too long.
        TypeError: The document is neither a str nor bytes-like.
    """
    if isinstance(data, (bytearray, memoryview)):
        data = bytes(data)
    elif not isinstance(data, (str, bytes)):
        name = type(data).__name__  # type: ignore[unreachable]  # callers without type checker
        raise TypeError(f"expected str, bytes, bytearray or memoryview, got {name}")
    if len(data) > limits.max_length:
        raise exceeded(limits, "max_length")
    if isinstance(data, bytes):
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(data, error) from None
    if not data.isascii():
        try:
            data.encode()
        except UnicodeEncodeError as error:
            message = ("a Unicode character", f"the lone surrogate {ord(data[error.start]):#06x}")
            raise syntax_error(data, error.start, *message) from None
    return data


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> JSONSyntaxError:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _byte_error(data, 0, "UTF-8 without a byte order mark", name)
    zero = data.find(0, 0, 4)
    if 0 <= zero < error.start:
        return _byte_error(data, zero, "UTF-8", "a zero byte (UTF-16 or UTF-32?)")
    got = f"the byte {data[error.start]:#04x}"
    return _byte_error(data, error.start, "UTF-8", f"{got} ({error.reason})")


def _byte_error(data: bytes, position: int, expected: str, got: str) -> JSONSyntaxError:
    before = data[:position].decode()  # everything before the first wrong byte is UTF-8
    error = syntax_error(before, len(before), expected, got)
    error.position = position
    return error
