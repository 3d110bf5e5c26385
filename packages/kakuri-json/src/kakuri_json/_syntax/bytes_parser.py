"""Parses the bytes of a document: the parser of `loads` in a compiled wheel.

Bytes all have the same size, and most strings are ASCII, so this is faster than decoding the
document and reading its characters. Values and errors are the same as those of the general parser,
which is used without a compiled wheel. The document is only decoded as a whole to report an error.

The main loop is repeated from `parser`, because in a loop for both types, compiled code would
create an object for each character. tests/test_bytes_parser.py compares the values and errors of
both parsers. When interpreted, this parser is slower.
"""

from typing import TYPE_CHECKING, Any, Final

from kakuri_json._limits import Limits
from kakuri_json._syntax.byte_tokens import (
    read_number_in_bytes,
    read_string,
    read_strings,
    skip_expected,
    skip_space_in_bytes,
    text_until,
)
from kakuri_json._syntax.diagnosis import (
    explain_end,
    explain_key,
    explain_separator,
    explain_value,
    limit_error,
    syntax_error,
)
from kakuri_json._syntax.numbers import MACHINE_DIGITS
from kakuri_json._syntax.parser import LONGEST_GUESS, MAX_GUESSED
from kakuri_json._syntax.runs import read_run

if TYPE_CHECKING:
    from mypy_extensions import i64


_QUOTE: Final = 0x22
_COLON: Final = 0x3A
_COMMA: Final = 0x2C
_OPEN_ARRAY: Final = 0x5B
_CLOSE_ARRAY: Final = 0x5D
_OPEN_OBJECT: Final = 0x7B
_CLOSE_OBJECT: Final = 0x7D
_T: Final = 0x74
_F: Final = 0x66
_N: Final = 0x6E
_EMPTY: Final = b'"":'

_HUGE: Final = 2**62
"""A length that no document reaches; fits into 64 bits."""


def parse_bytes(  # noqa: C901 - one loop over local variables is fastest
    data: bytes, limits: Limits, *, last_key_wins: bool
) -> Any:
    """Return the value of a document.

    Args:
        data: The document.
        limits: Bounds on the document.
        last_key_wins: Whether an object may have duplicate keys; the last value is kept.

    Raises:
        UnicodeDecodeError: The document is not UTF-8. This takes precedence over syntax errors.
        JSONSyntaxError: The document is not valid JSON; the position counts characters.
        LimitError: The document exceeds a limit; the position counts characters.
    """
    text = data.decode("latin-1")  # a character for each byte
    # The containers around the current one, and for each object its pending key.
    outer: list[Any] = []
    outer_keys: list[str] = []
    # Objects of one kind have the same keys in the same order, so the next key is guessed. For each
    # key: its text up to the value, and the numbers of the two keys last seen after it.
    keys: list[str] = [""]
    key_texts: list[bytes] = [_EMPTY]
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
    may_run = max_digits >= MACHINE_DIGITS
    start: i64 = 0
    position: i64 = 0
    end: i64 = 0
    code: i64 = 0
    key_follows = False
    try:
        while True:
            code = data[position]
            if code <= 0x20:
                position = skip_space_in_bytes(data, position)
                code = data[position]
            if key_follows:
                start = position
                guess = following[last]
                position = skip_expected(data, start, key_texts[guess])
                if position < 0:
                    guess = earlier[last]
                    position = skip_expected(data, start, key_texts[guess])
                    if position >= 0:
                        earlier[last] = following[last]
                        following[last] = guess
                if position >= 0:
                    key = keys[guess]
                else:
                    if code != _QUOTE:
                        raise explain_key(*text_until(data, start), after_comma=bool(members))
                    key, position = read_string(data, text, start + 1)
                    guess = -1
                if key in members and not last_key_wins:
                    raise syntax_error(
                        *text_until(data, start),
                        "every key of an object once",
                        f"{key[:60]!r} again",
                    )
                if guess < 0:
                    if data[position] != _COLON:
                        position = skip_space_in_bytes(data, position)
                        if data[position] != _COLON:
                            raise explain_separator(
                                *text_until(data, position), "':' after the key"
                            )
                    position = skip_space_in_bytes(data, position + 1)
                    number = numbers.get(key)
                    if number is None:
                        if len(keys) > MAX_GUESSED:
                            keys, key_texts, following, earlier = [""], [_EMPTY], [0], [0]
                            numbers, last = {"": 0}, 0
                        guess = len(keys)
                        numbers[key] = guess
                        keys.append(key)
                        key_texts.append(_EMPTY)
                        following.append(0)
                        earlier.append(0)
                    else:
                        guess = number
                        key = keys[guess]  # one copy of each is enough
                    if position - start <= LONGEST_GUESS:
                        if skip_expected(data, start, key_texts[guess]) != position:
                            key_texts[guess] = data[start:position]
                        earlier[last] = following[last]
                        following[last] = guess
                last = guess
                code = data[position]
                if code <= 0x20:
                    position = skip_space_in_bytes(data, position)
                    code = data[position]
                key_follows = False

            if code == _QUOTE:
                value, end = read_string(data, text, position + 1)
            elif code == _OPEN_OBJECT or code == _OPEN_ARRAY:  # noqa: SIM109 - mypyc would make a tuple
                if depth >= max_depth:
                    raise limit_error(*text_until(data, position), limits, "max_depth")
                is_object = code == _OPEN_OBJECT
                position = skip_space_in_bytes(data, position + 1)
                if data[position] != (_CLOSE_OBJECT if is_object else _CLOSE_ARRAY):
                    depth += 1
                    if in_object:
                        outer.append(members)
                        outer_keys.append(key)
                    else:
                        outer.append(items)
                    if is_object:
                        members = {}
                    else:
                        items = []
                    in_object = is_object
                    key_follows = is_object
                    continue
                value = {} if is_object else []
                end = position + 1
            elif code == _T:
                value = True
                end = skip_expected(data, position, b"true")
            elif code == _F:
                value = False
                end = skip_expected(data, position, b"false")
            elif code == _N:
                value = None
                end = skip_expected(data, position, b"null")
            else:
                value, end = read_number_in_bytes(data, text, position, max_digits, limits)
            if end <= position:
                raise explain_value(
                    *text_until(data, position), after_comma=not in_object and bool(items)
                )
            position = end

            # A value is complete, and perhaps the containers around it.
            while depth:
                if in_object:
                    members[key] = value
                else:
                    items.append(value)
                code = data[position]
                if code <= 0x20:
                    position = skip_space_in_bytes(data, position)
                    code = data[position]
                if code == _COMMA:
                    position += 1
                    key_follows = in_object
                    if not in_object and may_run and not len(items) & 15:
                        if data[position] <= 0x20:
                            position = skip_space_in_bytes(data, position)
                        if data[position] == _QUOTE:
                            end = read_strings(data, text, position, items)
                        else:
                            end = read_run(text, position, items)
                        if end < 0:
                            may_run = False  # one of the strings may have a fault
                        else:
                            position = end
                    break
                if in_object:
                    if code != _CLOSE_OBJECT:
                        raise explain_separator(*text_until(data, position), "',' or '}'")
                    if len(members) > max_keys:
                        raise limit_error(*text_until(data, position), limits, "max_keys")
                    value = members
                else:
                    if code != _CLOSE_ARRAY:
                        raise explain_separator(*text_until(data, position), "',' or ']'")
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
                position = skip_space_in_bytes(data, position)
                if position != len(data):
                    raise explain_separator(
                        *text_until(data, position), "nothing after the document"
                    )
                return value
    except IndexError:
        # Other positions are beyond the end.
        in_string = position < len(data)
        raise explain_end(
            data.decode(), in_object=in_object, key_follows=key_follows, in_string=in_string
        ) from None
