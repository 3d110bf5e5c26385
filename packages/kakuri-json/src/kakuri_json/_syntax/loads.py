"""Documents to plain values."""

from typing import Any, Literal, TypeAlias

from kakuri_json._errors import JSONSyntaxError, LimitError
from kakuri_json._limits import DEFAULT_LIMITS, Limits, exceeded
from kakuri_json._syntax.diagnosis import in_bytes, syntax_error
from kakuri_json._syntax.parser import parse

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


def read_text(data: Data, limits: Limits) -> str:
    """Give the document's text.

    Raises JSONSyntaxError for bytes that are not UTF-8, and for what str can hold and UTF-8
    cannot (lone surrogates); LimitError for a document that is too long.
    """
    if isinstance(data, (bytearray, memoryview)):
        data = bytes(data)
    elif not isinstance(data, (str, bytes)):
        name = type(data).__name__  # type: ignore[unreachable]  # by callers without type checker
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
    # What stands before the first wrong byte is UTF-8.
    before = data[:position].decode()
    place = syntax_error(before, len(before), expected, got)
    place.position = position
    return place
