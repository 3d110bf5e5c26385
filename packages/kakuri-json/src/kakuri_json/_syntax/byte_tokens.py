"""Reads the tokens of a document from its bytes, for `bytes_parser`.

ASCII strings are copied from a str with one character for each byte (Latin-1); all others are
decoded.

The loop that skips white space is repeated from `scanning`, because in a loop for both types,
compiled code would create an object for each character.
"""

from typing import TYPE_CHECKING, Any, Final

from kakuri_json._errors import JSONError
from kakuri_json._limits import Limits
from kakuri_json._syntax.numbers import MACHINE_DIGITS, read_number
from kakuri_json._syntax.scanning import skip_plain
from kakuri_json._syntax.strings import (
    pair_surrogates,
    read_escaped,
    unescape,
    unescape_each,
    unescape_slashes,
)

if TYPE_CHECKING:
    from mypy_extensions import i64


_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_SLASH: Final = 0x2F
_COMMA: Final = 0x2C
_MINUS: Final = 0x2D
_POINT: Final = 0x2E
_ZERO: Final = 0x30
_NINE: Final = 0x39
_SMALL_D: Final = 0x64
_SMALL_E: Final = 0x65
_BIG_E: Final = 0x45
_SMALL_U: Final = 0x75

# Flags of a string, in addition to the bits of its bytes.
_NOT_ASCII: Final = 0x80
_HAS_ESCAPE: Final = 0x100
_HAS_SLASH: Final = 0x200  # an escaped one
_HAS_UNIT: Final = 0x400  # of a pair of surrogates, or a character near them

_CHARACTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED: Final = [
    _CHARACTERS.get(chr(code), chr(code) if chr(code) in '"\\/' else "") for code in range(256)
]
"""For each byte except `u`, the character that it stands for after a backslash, if any."""
_MAX_PARTS: Final = 16
"""Maximum number of parts of a string that are joined, two for each escape. With more, all escapes
are replaced together."""
_LONG: Final = 2**16
"""Maximum size of a run of strings in bytes."""


def text_until(data: bytes, position: "i64") -> tuple[str, int]:
    """Return the document as text, and the number of characters before a position."""
    text = data.decode()
    if len(text) == len(data):
        return text, position
    if position < len(data) // 2:
        return text, len(data[:position].decode())
    return text, len(text) - len(data[position:].decode())


def skip_space_in_bytes(data: bytes, position: "i64") -> "i64":
    """Return the position after white space."""
    end: i64 = len(data)
    if position >= end:
        return position
    code: i64 = data[position]
    while code <= 0x20:
        if code != 0x20 and code != 0x0A and code != 0x0D and code != 0x09:
            return position
        position += 1
        if position == end:
            return position
        code = data[position]
        while code == 0x20:
            position += 1
            if position == end:
                return position
            code = data[position]
    return position


def skip_expected(data: bytes, position: "i64", expected: bytes) -> "i64":
    """Return the position after the expected bytes, or -1 if the document has others there."""
    size: i64 = len(expected)
    if len(data) - position < size:
        return -1
    index: i64 = 0
    while index < size:
        if data[position] != expected[index]:
            return -1
        index += 1
        position += 1
    return position


def read_string(data: bytes, text: str, start: "i64") -> tuple[str, "i64"]:
    """Return the string whose first character is at a position, and the position after it."""
    bits: i64 = 0
    position: i64 = start
    code: i64 = data[position]
    # Branch prediction works for "plain character", but not for "letter".
    while code != _QUOTE and code != _BACKSLASH and code >= 0x20:
        bits |= code
        position += 1
        code = data[position]
    if code == _QUOTE:
        body = text[start:position] if bits < _NOT_ASCII else data[start:position].decode()
        return body, position + 1
    return _read_special(data, text, start, position, bits)


def _read_special(
    data: bytes, text: str, start: "i64", position: "i64", bits: "i64"
) -> tuple[str, "i64"]:
    """Read a string that has escapes or is invalid.

    Args:
        data: The document.
        text: A character for each byte of it.
        start: The position after the opening quote.
        position: The position of the first byte that is not plain.
        bits: The bitwise OR of the bytes before it.
    """
    # A few escapes are replaced one by one.
    end: i64 = len(data) - 1
    begin: i64 = start
    parts: list[str] = []
    while position < end and data[position] == _BACKSLASH and len(parts) < _MAX_PARTS:
        character = _ESCAPED[data[position + 1]]
        if not character:
            break
        parts.append(text[begin:position] if bits < _NOT_ASCII else data[begin:position].decode())
        parts.append(character)
        position += 2
        begin = position
        bits = 0
        code: i64 = data[position]
        while code != _QUOTE and code != _BACKSLASH and code >= 0x20:
            bits |= code
            position += 1
            code = data[position]
        if code == _QUOTE:
            parts.append(
                text[begin:position] if bits < _NOT_ASCII else data[begin:position].decode()
            )
            return "".join(parts), position + 1

    try:
        position, bits = _skip_body(data, start)
    except IndexError:
        position = len(data)
    if position <= end and data[position] == _QUOTE:
        body = data[start:position].decode() if bits & _NOT_ASCII else text[start:position]
        try:
            return unescape(body), position + 1
        except ValueError:
            pass
    whole, begin = text_until(data, start)
    return read_escaped(whole, begin, skip_plain(whole, begin))  # raises the error


def _skip_body(data: bytes, position: "i64") -> tuple["i64", "i64"]:
    r"""Return the position of the first byte that is neither plain nor part of an escape.

    The second number is the bitwise OR of the bytes before it, with flags for the kinds of escapes.
    Whether four digits follow `\u` is not checked.
    """
    bits: i64 = 0
    while True:
        code: i64 = data[position]
        while code != _QUOTE and code != _BACKSLASH and code >= 0x20:
            bits |= code
            position += 1
            code = data[position]
        if code != _BACKSLASH:
            break
        code = data[position + 1]
        if code == _SMALL_U:
            bits |= _HAS_UNIT if data[position + 2] | 0x20 == _SMALL_D else _HAS_ESCAPE
        elif code == _SLASH:
            bits |= _HAS_SLASH
        elif _ESCAPED[code]:
            bits |= _HAS_ESCAPE
        else:
            break
        position += 2
    return position, bits


def read_strings(data: bytes, text: str, position: "i64", items: list[Any]) -> "i64":
    """Append many strings of an array to its items in one step, like `read_run`."""
    bodies: list[str] = []
    paired: list[int] = []
    found: i64 = 0
    end: i64 = len(data)
    stop: i64 = min(end, position + _LONG)
    while position < stop and data[position] == _QUOTE:
        start: i64 = position + 1
        try:
            after, bits = _skip_body(data, start)
        except IndexError:
            break
        if after + 1 >= end or data[after] != _QUOTE or data[after + 1] != _COMMA:
            break
        body = data[start:after].decode() if bits & _NOT_ASCII else text[start:after]
        if bits & _HAS_SLASH:
            body = unescape_slashes(body)
        if bits & _HAS_UNIT:
            paired.append(len(bodies))
        bodies.append(body)
        found |= bits
        position = skip_space_in_bytes(data, after + 2)
    if found < _HAS_ESCAPE:
        items.extend(bodies)
        return position
    try:
        texts = unescape_each(bodies)
        for index in paired:
            texts[index] = pair_surrogates(texts[index])
    except ValueError:
        return -1
    items.extend(texts)
    return position


def read_number_in_bytes(
    data: bytes, text: str, start: "i64", max_digits: "i64", limits: Limits
) -> tuple[Any, "i64"]:
    """Return the number that begins at a position, and the position after it.

    Without a number there, the position is the same. The caller checks what follows: `01` ends
    after its zero.
    """
    end: i64 = len(data)
    position: i64 = start
    is_negative = data[position] == _MINUS
    if is_negative:
        position += 1
    first: i64 = position
    number: i64 = 0
    code: i64 = data[position] if position < end else 0
    last: i64 = first + MACHINE_DIGITS
    while code <= _NINE and code >= _ZERO and position < last:
        number = number * 10 + (code - _ZERO)
        position += 1
        code = data[position] if position < end else 0
    is_integer = code != _POINT and code != _SMALL_E and code != _BIG_E
    if not is_integer or _ZERO <= code <= _NINE or position - start > max_digits:
        try:
            return read_number(text, start, max_digits, limits)
        except JSONError:
            pass
        return read_number(*text_until(data, start), max_digits, limits)  # raises the error
    if position == first:
        return None, start
    if position > first + 1 and data[first] == _ZERO:
        return 0, first + 1
    return -number if is_negative else number, position
