"""A document as text, and places in it: positions, lines, columns, excerpts."""

from collections.abc import Iterable
from typing import TypeAlias

from kakuri_json._errors import JSONSyntaxError, LimitError, Place
from kakuri_json._limits import Limits, exceeded

Data: TypeAlias = str | bytes | bytearray | memoryview

_EXCERPT_BEFORE = 60
_EXCERPT_AFTER = 20
_BOMS = (
    (b"\xef\xbb\xbf", "a byte order mark"),
    (b"\xff\xfe", "UTF-16 or UTF-32"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
)


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


def syntax_error(text: str, position: int, expected: str, got: str) -> JSONSyntaxError:
    """Make the error for a place in the text."""
    message = f"expected {expected}, got {got}"
    return JSONSyntaxError(message, expected=expected, got=got, place=_place(text, position))


def limit_error(text: str, position: int, limits: Limits, name: str) -> LimitError:
    """Make the error for a limit that the text exceeds at a place."""
    return exceeded(limits, name, _place(text, position))


def _place(text: str, position: int) -> Place:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    start = max(position - column + 1, position - _EXCERPT_BEFORE)
    end = text.find("\n", position, position + _EXCERPT_AFTER)
    excerpt = text[start : position + _EXCERPT_AFTER if end < 0 else end]
    printable = "".join(c if c.isprintable() else " " for c in excerpt).rstrip()
    return Place(position, line, column, printable, position - start)


def lines_and_columns(text: str, positions: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Return line and column, both from 1, of every position, in one walk over the text."""
    found: dict[int, tuple[int, int]] = {}
    line, before = 1, 0
    for position in sorted(set(positions)):
        line += text.count("\n", before, position)
        found[position] = (line, position - text.rfind("\n", 0, position))
        before = position
    return found


def in_bytes(error: JSONSyntaxError | LimitError, text: str) -> None:
    """Count an error's position in the bytes of the text instead of in its characters."""
    if error.position is not None and not text.isascii():
        error.position = len(text[: error.position].encode())
