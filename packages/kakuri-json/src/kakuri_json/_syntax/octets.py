"""Parses valid documents from their bytes: what `loads` of a compiled wheel tries first.

The bytes of UTF-8 all have the same size, and most strings are ASCII, so this takes less time than
decoding the document and reading its characters. Faults are not explained here: any exception means
that the general parser must read the document, which finds the first fault and its position.

Interpreted, it returns the same, more slowly than the general parser; the tests compare both.
"""

from typing import TYPE_CHECKING, Any, Final

from kakuri_json._limits import Limits
from kakuri_json._syntax.numbers import read_number
from kakuri_json._syntax.runs import read_run
from kakuri_json._syntax.strings import unescape

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
_MACHINE_DIGITS: Final = 18
"""Digits of a number that always fit into 64 bits."""


def parse_bytes(  # noqa: C901 - one loop over local variables is fastest
    data: bytes, limits: Limits, *, last_key_wins: bool
) -> Any:
    """Return the value of a valid document.

    Args:
        data: The document.
        limits: Bounds on the document.
        last_key_wins: Whether an object may have a key twice.

    Raises:
        ValueError: The document may be invalid, or exceed a limit.
        IndexError: As ValueError.
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
    max_depth: i64 = limits.max_depth
    max_keys: i64 = limits.max_keys
    max_digits: i64 = limits.max_digits
    # Runs of strings are read from the text, where only ASCII has the right characters.
    may_run = max_digits >= _MACHINE_DIGITS and text.isascii()
    keys_read: i64 = 0
    keys_held: i64 = 0
    start: i64 = 0
    position: i64 = 0
    end: i64 = 0
    code: i64 = 0
    key_follows = False
    while True:
        code = data[position]
        if code <= 0x20:
            position = _skip_space(data, position)
            code = data[position]
        if key_follows:
            start = position
            keys_read += 1
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
                    raise ValueError("expected a key")
                key, position = _read_string(data, text, start + 1)
                if data[position] != _COLON:
                    position = _skip_space(data, position)
                    if data[position] != _COLON:
                        raise ValueError("expected a colon")
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
            value, position = _read_string(data, text, position + 1)
        elif code == _OPEN_OBJECT or code == _OPEN_ARRAY:  # noqa: SIM109 - mypyc would make a tuple
            if depth >= max_depth:
                raise ValueError("too deep")
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
            position += 1
        elif code == _T:
            value = True
            position = _skip_spelling(data, position, b"true")
        elif code == _F:
            value = False
            position = _skip_spelling(data, position, b"false")
        elif code == _N:
            value = None
            position = _skip_spelling(data, position, b"null")
        else:
            value, position = _read_number(data, text, position, max_digits, limits)
        if position < 0:
            raise ValueError("expected a value")

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
                        raise ValueError("expected escapes")
                    position = end
                break
            if in_object:
                end = len(members)
                if code != _CLOSE_OBJECT or end > max_keys:
                    raise ValueError("expected the end of an object")
                keys_held += end
                value = members
            else:
                if code != _CLOSE_ARRAY:
                    raise ValueError("expected the end of an array")
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
            # Each object has all the keys that were read unless one of them was repeated.
            if _skip_space(data, position) != len(data) or (
                keys_held != keys_read and not last_key_wins
            ):
                raise ValueError("expected the end")
            return value


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
    is_plain = True
    code: i64 = data[position]
    while True:
        while code != _QUOTE and code != _BACKSLASH and code >= 0x20:
            bits |= code
            position += 1
            code = data[position]
        if code != _BACKSLASH:
            break
        is_plain = False
        code = data[position + 1]
        # The characters of "\\/bfnrtu.
        if not (
            code == 0x75
            or code == 0x6E
            or code == 0x2F
            or code == 0x22
            or code == 0x5C
            or code == 0x74
            or code == 0x72
            or code == 0x62
            or code == 0x66
        ):
            raise ValueError("expected an escape")
        position += 2
        code = data[position]
    if code != _QUOTE:
        raise ValueError("expected a quote")
    body = text[start:position] if bits < 0x80 else data[start:position].decode()
    return body if is_plain else unescape(body), position + 1


def _read_number(
    data: bytes, text: str, start: "i64", max_digits: "i64", limits: Limits
) -> tuple[Any, "i64"]:
    """Return the number that begins at a position, and the position after it or -1."""
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
        value, position = read_number(text, start, max_digits, limits)
        return value, position if position > start else -1
    if position == first or (position > first + 1 and data[first] == _ZERO):
        return None, -1
    return -number if is_negative else number, position
