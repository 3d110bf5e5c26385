"""Parses the bytes of a document: the parser of `loads` in a compiled wheel.

The bytes of UTF-8 all have the same size, and most strings are ASCII, so this takes less time than
decoding the document and reading its characters. Values and errors are those of the general parser,
which programs without the wheel use. Only a fault needs the text of the document.

Interpreted, it returns the same, more slowly than the general parser; the tests compare both.
"""

from typing import TYPE_CHECKING, Any, Final

from kakuri_json._errors import JSONError
from kakuri_json._limits import Limits
from kakuri_json._syntax.diagnosis import (
    explain_end,
    explain_key,
    explain_separator,
    explain_value,
    limit_error,
    syntax_error,
)
from kakuri_json._syntax.numbers import read_number
from kakuri_json._syntax.runs import read_run
from kakuri_json._syntax.scanning import skip_plain
from kakuri_json._syntax.strings import read_escaped, unescape

if TYPE_CHECKING:
    from mypy_extensions import i64


_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_COLON: Final = 0x3A
_COMMA: Final = 0x2C
_MINUS: Final = 0x2D
_POINT: Final = 0x2E
_ZERO: Final = 0x30
_NINE: Final = 0x39
_OPEN_ARRAY: Final = 0x5B
_CLOSE_ARRAY: Final = 0x5D
_OPEN_OBJECT: Final = 0x7B
_CLOSE_OBJECT: Final = 0x7D
_T: Final = 0x74
_F: Final = 0x66
_N: Final = 0x6E
_SMALL_E: Final = 0x65
_BIG_E: Final = 0x45
_EMPTY: Final = b'"":'

_MAX_GUESSED: Final = 1024
"""Maximum number of keys remembered for guessing; beyond it, all are forgotten."""
_LONGEST_GUESS: Final = 128
"""Maximum length of a guessed key, with colon and white space, so that a wrong guess is cheap."""
_HUGE: Final = 2**62
"""More than any document has; fits into 64 bits."""
_MACHINE_DIGITS: Final = 18
"""Digits of a number that always fit into 64 bits."""


def parse_bytes(  # noqa: C901 - one loop over local variables is fastest
    data: bytes, limits: Limits, *, last_key_wins: bool
) -> Any:
    """Return the value of a document.

    Args:
        data: The document.
        limits: Bounds on the document.
        last_key_wins: Whether an object may have a key twice.

    Raises:
        UnicodeDecodeError: The document is not UTF-8. A syntax error does not matter then.
        JSONSyntaxError: The document is not valid JSON; the position counts characters.
        LimitError: The document exceeds a limit; the position counts characters.
    """
    text = data.decode("latin-1")  # a character for each byte
    # The containers around the current one, and the keys of those that are objects.
    outer: list[Any] = []
    outer_keys: list[str] = []
    # Objects of one kind have the same keys in the same order, so the next key is guessed. For each
    # key: how it was written, up to its value, and the numbers of the two keys last seen after it.
    keys: list[str] = [""]
    spellings: list[bytes] = [_EMPTY]
    following: list[int] = [0]
    earlier: list[int] = [0]
    numbers: dict[str, int] = {"": 0}
    last: i64 = 0
    guess: i64 = 0
    items: list[Any] = []
    members: dict[str, Any] = {}
    in_object = False
    key = ""
    value: Any = None
    depth: i64 = 0
    max_depth: i64 = min(limits.max_depth, _HUGE)
    max_keys: i64 = min(limits.max_keys, _HUGE)
    max_digits: i64 = min(limits.max_digits, _HUGE)
    # Runs of strings are read from the text, where only ASCII has the right characters.
    may_run = max_digits >= _MACHINE_DIGITS and text.isascii()
    start: i64 = 0
    position: i64 = 0
    end: i64 = 0
    code: i64 = 0
    key_follows = False
    try:
        while True:
            code = data[position]
            if code <= 0x20:
                position = _skip_space(data, position)
                code = data[position]
            if key_follows:
                start = position
                guess = following[last]
                position = _skip_spelling(data, start, spellings[guess])
                if position < 0:
                    guess = earlier[last]
                    position = _skip_spelling(data, start, spellings[guess])
                    if position >= 0:
                        earlier[last] = following[last]
                        following[last] = guess
                if position >= 0:
                    key = keys[guess]
                else:
                    if code != _QUOTE:
                        raise explain_key(*_at(data, start), after_comma=bool(members))
                    key, position = _read_string(data, text, start + 1)
                    guess = -1
                if key in members and not last_key_wins:
                    raise syntax_error(
                        *_at(data, start), "every key of an object once", f"{key[:60]!r} again"
                    )
                if guess < 0:
                    if data[position] != _COLON:
                        position = _skip_space(data, position)
                        if data[position] != _COLON:
                            raise explain_separator(*_at(data, position), "':' after the key")
                    position = _skip_space(data, position + 1)
                    number = numbers.get(key)
                    if number is None:
                        if len(keys) > _MAX_GUESSED:
                            keys, spellings, following, earlier = [""], [_EMPTY], [0], [0]
                            numbers, last = {"": 0}, 0
                        guess = len(keys)
                        numbers[key] = guess
                        keys.append(key)
                        spellings.append(_EMPTY)
                        following.append(0)
                        earlier.append(0)
                    else:
                        guess = number
                        key = keys[guess]  # one copy of each is enough
                    if position - start <= _LONGEST_GUESS:
                        if _skip_spelling(data, start, spellings[guess]) != position:
                            spellings[guess] = data[start:position]
                        earlier[last] = following[last]
                        following[last] = guess
                last = guess
                code = data[position]
                if code <= 0x20:
                    position = _skip_space(data, position)
                    code = data[position]
                key_follows = False

            if code == _QUOTE:
                value, end = _read_string(data, text, position + 1)
            elif code == _OPEN_OBJECT or code == _OPEN_ARRAY:  # noqa: SIM109 - mypyc would make a tuple
                if depth >= max_depth:
                    raise limit_error(*_at(data, position), limits, "max_depth")
                position = _skip_space(data, position + 1)
                if code == _OPEN_OBJECT:
                    if data[position] != _CLOSE_OBJECT:
                        depth += 1
                        if in_object:
                            outer.append(members)
                            outer_keys.append(key)
                        else:
                            outer.append(items)
                        in_object = True
                        members = {}
                        key_follows = True
                        continue
                    value = {}
                else:
                    if data[position] != _CLOSE_ARRAY:
                        depth += 1
                        if in_object:
                            outer.append(members)
                            outer_keys.append(key)
                        else:
                            outer.append(items)
                        in_object = False
                        items = []
                        continue
                    value = []
                end = position + 1
            elif code == _T:
                value = True
                end = _skip_spelling(data, position, b"true")
            elif code == _F:
                value = False
                end = _skip_spelling(data, position, b"false")
            elif code == _N:
                value = None
                end = _skip_spelling(data, position, b"null")
            else:
                value, end = _read_number(data, text, position, max_digits, limits)
            if end <= position:
                raise explain_value(*_at(data, position), after_comma=not in_object and bool(items))
            position = end

            # A value is complete, and possibly the containers around it.
            while depth:
                if in_object:
                    members[key] = value
                else:
                    items.append(value)
                code = data[position]
                if code <= 0x20:
                    position = _skip_space(data, position)
                    code = data[position]
                if code == _COMMA:
                    position += 1
                    key_follows = in_object
                    if not in_object and may_run and not len(items) & 15:
                        if data[position] <= 0x20:
                            position = _skip_space(data, position)
                        end = read_run(text, position, items)
                        if end < 0:
                            may_run = False  # one of the strings may have a fault
                        else:
                            position = end
                    break
                if in_object:
                    if code != _CLOSE_OBJECT:
                        raise explain_separator(*_at(data, position), "',' or '}'")
                    if len(members) > max_keys:
                        raise limit_error(*_at(data, position), limits, "max_keys")
                    value = members
                else:
                    if code != _CLOSE_ARRAY:
                        raise explain_separator(*_at(data, position), "',' or ']'")
                    value = items
                position += 1
                depth -= 1
                around = outer.pop()
                if type(around) is dict:
                    members = around
                    key = outer_keys.pop()
                    in_object = True
                else:
                    items = around
                    in_object = False
            else:
                position = _skip_space(data, position)
                if position != len(data):
                    raise explain_separator(*_at(data, position), "nothing after the document")
                return value
    except IndexError:
        # Other positions are beyond the end.
        in_string = position < len(data)
        raise explain_end(
            data.decode(), in_object=in_object, key_follows=key_follows, in_string=in_string
        ) from None


def _at(data: bytes, position: "i64") -> tuple[str, int]:
    """Return the document, and the number of its characters before a position."""
    text = data.decode()
    if len(text) == len(data):
        return text, position
    if position < len(data) // 2:
        return text, len(data[:position].decode())
    return text, len(text) - len(data[position:].decode())


def _skip_space(data: bytes, position: "i64") -> "i64":
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


def _skip_spelling(data: bytes, position: "i64", spelling: bytes) -> "i64":
    """Return the position after a spelling, or -1 if the document has something else there."""
    size: i64 = len(spelling)
    if len(data) - position < size:
        return -1
    index: i64 = 0
    while index < size:
        if data[position] != spelling[index]:
            return -1
        index += 1
        position += 1
    return position


def _read_string(data: bytes, text: str, start: "i64") -> tuple[str, "i64"]:
    """Return the string whose first character is at a position, and the position after it."""
    bits: i64 = 0
    position: i64 = start
    code: i64 = data[position]
    # Whether a character is a letter is hard to predict for a processor; that it is plain is not.
    while code != _QUOTE and code != _BACKSLASH and code >= 0x20:
        bits |= code
        position += 1
        code = data[position]
    if code == _QUOTE:
        body = text[start:position] if bits < 0x80 else data[start:position].decode()
        return body, position + 1
    return _read_special(data, text, start, position, bits)


def _read_special(
    data: bytes, text: str, start: "i64", position: "i64", bits: "i64"
) -> tuple[str, "i64"]:
    """Read a string that has escapes, or a fault.

    Args:
        data: The document.
        text: A character for each byte of it.
        start: The position after the opening quote.
        position: The position of its first byte that is not plain.
        bits: All bits of the bytes before it.
    """
    end: i64 = len(data)
    code: i64 = 0
    while position < end:
        code = data[position]
        if code == _BACKSLASH:
            position += 1
            if position == end or data[position] not in b'"\\/bfnrtu':
                break
        elif code == _QUOTE or code < 0x20:
            break
        bits |= code
        position += 1
    if code == _QUOTE and position < end:
        body = text[start:position] if bits < 0x80 else data[start:position].decode()
        try:
            return unescape(body), position + 1
        except ValueError:
            pass
    whole, at = _at(data, start)
    return read_escaped(whole, at, skip_plain(whole, at))  # raises the error


def _read_number(
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
    last: i64 = first + _MACHINE_DIGITS
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
        return read_number(*_at(data, start), max_digits, limits)  # raises the error
    if position == first:
        return None, start
    if position > first + 1 and data[first] == _ZERO:
        return 0, first + 1
    return -number if is_negative else number, position
