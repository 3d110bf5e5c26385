"""The general parser: one pass over the text, without recursion (RFC 8259 section 2).

Open containers are kept in lists, so depth costs memory instead of stack. If the text is not valid
JSON, `diagnosis` examines it again to explain the error, so the parser keeps no state for error
messages.

The code is interpreted, or compiled to C by mypyc, and written to be fast either way.
"""

from typing import TYPE_CHECKING, Any, Final

from kakuri_json._limits import Limits
from kakuri_json._syntax.diagnosis import (
    explain_end,
    explain_key,
    explain_separator,
    explain_value,
    limit_error,
    syntax_error,
)
from kakuri_json._syntax.numbers import MACHINE_DIGITS, read_number
from kakuri_json._syntax.runs import read_run
from kakuri_json._syntax.scanning import skip_plain, skip_space
from kakuri_json._syntax.strings import read_escaped

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

MAX_GUESSED: Final = 1024
"""Maximum number of keys remembered for guessing; when it is exceeded, all are forgotten."""
LONGEST_GUESS: Final = 128
"""Maximum length of a guessed key with colon and white space, so that wrong guesses are cheap."""


def parse(text: str, limits: Limits, *, last_key_wins: bool) -> Any:
    """Return the value of a document.

    Raises:
        JSONSyntaxError: The document is not valid JSON; the position counts characters.
        LimitError: The document exceeds a limit; the position counts characters.
    """
    value, position = parse_value(text, 0, limits, 0, last_key_wins=last_key_wins)
    position = skip_space(text, position)
    if position != len(text):
        raise explain_separator(text, position, "nothing after the document")
    return value


def parse_value(  # noqa: C901 - one loop over local variables is fastest
    text: str, position: "i64", limits: Limits, outside: "i64", *, last_key_wins: bool
) -> tuple[Any, "i64"]:
    """Return the value that begins at a position, and the position after it.

    Args:
        text: The document.
        position: Where the value begins, or white space before it.
        limits: Bounds on the document.
        outside: Number of open containers around the value.
        last_key_wins: Whether an object may have duplicate keys; the last value is kept.

    Raises:
        JSONSyntaxError: The value is not valid JSON; the position counts characters.
        LimitError: The value exceeds a limit; the position counts characters.
    """
    # The containers around the current one, and the keys of those that are objects.
    outer: list[Any] = []
    outer_keys: list[str] = []
    # Objects of one kind have the same keys in the same order, so the next key is guessed. For each
    # key: its text up to the value, and the number of the key that followed it last time.
    keys: list[str] = [""]
    key_texts: list[str] = ['"":']
    following: list[int] = [0]
    numbers: dict[str, int] = {"": 0}
    last: i64 = 0
    guess: i64 = 0
    key_text = ""
    items: list[Any] = []
    members: dict[str, Any] = {}
    in_object = False
    key = ""
    value: Any = None
    depth: i64 = 0
    max_depth: i64 = limits.max_depth - outside
    max_digits: i64 = limits.max_digits
    may_run = max_digits >= MACHINE_DIGITS
    start: i64 = 0
    end: i64 = 0
    code: i64 = 0
    key_follows = False
    try:
        while True:
            code = ord(text[position])
            if code <= 0x20:
                position = skip_space(text, position)
                code = ord(text[position])
            if key_follows:
                start = position
                guess = following[last]
                key_text = key_texts[guess]
                if text[start : start + len(key_text)] == key_text:
                    key = keys[guess]
                    position += len(key_text)
                else:
                    if code != _QUOTE:
                        raise explain_key(text, position, after_comma=bool(members))
                    position = skip_plain(text, start + 1)
                    if ord(text[position]) == _QUOTE:
                        key = text[start + 1 : position]
                        position += 1
                    else:
                        key, position = read_escaped(text, start + 1, position)
                    guess = -1
                if key in members and not last_key_wins:
                    raise syntax_error(
                        text, start, "every key of an object once", f"{key[:60]!r} again"
                    )
                if guess < 0:
                    if ord(text[position]) != _COLON:
                        position = skip_space(text, position)
                        if ord(text[position]) != _COLON:
                            raise explain_separator(text, position, "':' after the key")
                    position = skip_space(text, position + 1)
                    number = numbers.get(key)
                    if number is None:
                        if len(keys) > MAX_GUESSED:
                            keys, key_texts, following = [""], ['"":'], [0]
                            numbers, last = {"": 0}, 0
                        number = len(keys)
                        numbers[key] = number
                        keys.append(key)
                        key_texts.append("")
                        following.append(0)
                    else:
                        key = keys[number]  # one copy of each is enough
                    guess = number
                    if position - start <= LONGEST_GUESS:
                        key_texts[guess] = text[start:position]
                        following[last] = guess
                    else:
                        following[last] = 0
                last = guess
                code = ord(text[position])
                if code <= 0x20:
                    position = skip_space(text, position)
                    code = ord(text[position])
                key_follows = False

            if code == _QUOTE:
                start = position + 1
                position = skip_plain(text, start)
                if ord(text[position]) == _QUOTE:
                    value = text[start:position]
                    position += 1
                else:
                    value, position = read_escaped(text, start, position)
            elif code == _OPEN_OBJECT or code == _OPEN_ARRAY:  # noqa: SIM109 - mypyc would make a tuple
                if depth >= max_depth:
                    raise limit_error(text, position, limits, "max_depth")
                depth += 1
                if in_object:
                    outer.append(members)
                    outer_keys.append(key)
                else:
                    outer.append(items)
                position = skip_space(text, position + 1)
                if code == _OPEN_OBJECT:
                    in_object = True
                    members = {}
                    if ord(text[position]) != _CLOSE_OBJECT:
                        key_follows = True
                        continue
                    value = members
                else:
                    in_object = False
                    items = []
                    if ord(text[position]) != _CLOSE_ARRAY:
                        continue
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
            elif code == _T and text[position : position + 4] == "true":
                value = True
                position += 4
            elif code == _F and text[position : position + 5] == "false":
                value = False
                position += 5
            elif code == _N and text[position : position + 4] == "null":
                value = None
                position += 4
            else:
                value, end = read_number(text, position, max_digits, limits)
                if end == position:
                    raise explain_value(text, position, after_comma=not in_object and bool(items))
                position = end

            # A value is complete, and perhaps the containers around it.
            while depth:
                if in_object:
                    members[key] = value
                else:
                    items.append(value)
                code = ord(text[position])
                if code <= 0x20:
                    position = skip_space(text, position)
                    code = ord(text[position])
                if code == _COMMA:
                    position += 1
                    key_follows = in_object
                    if may_run and not in_object and not len(items) & 15:
                        if ord(text[position]) <= 0x20:
                            position = skip_space(text, position)
                        end = read_run(text, position, items)
                        if end < 0:
                            may_run = False  # one of the strings may have a fault
                        else:
                            position = end
                    break
                if in_object:
                    if code != _CLOSE_OBJECT:
                        raise explain_separator(text, position, "',' or '}'")
                    if len(members) > limits.max_keys:
                        raise limit_error(text, position, limits, "max_keys")
                    value = members
                else:
                    if code != _CLOSE_ARRAY:
                        raise explain_separator(text, position, "',' or ']'")
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
                return value, position
    except IndexError:
        raise explain_end(text, in_object=in_object, key_follows=key_follows) from None
