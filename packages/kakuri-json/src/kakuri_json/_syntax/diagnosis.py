"""Explains why the parser found no token at a position. Never runs for valid documents."""

import re
from collections.abc import Iterable

from kakuri_json._errors import JSONSyntaxError, LimitError, Location
from kakuri_json._limits import Limits, exceeded

# Compiled on the first error, because most programs never report one.
_NUMBER_PARTS = r"(-?)(0|[1-9][0-9]*+)?(\.)?([0-9]++)?([eE][-+]?)?([0-9]++)?"
_NON_NUMBER = r"[-+]?(?:NaN|nan|Infinity|infinity|Inf|inf)\b"
_WORD = r"[A-Za-z_][A-Za-z0-9_]{0,19}"
_NUMBER_BEFORE = r"-?[0-9][-+0-9.eE]*\Z"
_LONGEST_NUMBER = 60
_COMMENTS = ("//", "/*", "#")
_END = "the end of the document"
_EXCERPT_BEFORE = 60
_EXCERPT_AFTER = 20


def syntax_error(text: str, position: int, expected: str, got: str) -> JSONSyntaxError:
    """Return the error for a position in the text."""
    message = f"expected {expected}, got {got}"
    return JSONSyntaxError(message, expected=expected, got=got, location=_locate(text, position))


def limit_error(text: str, position: int, limits: Limits, name: str) -> LimitError:
    """Return the error for a limit that the text exceeds at a position."""
    return exceeded(limits, name, _locate(text, position))


def _locate(text: str, position: int) -> Location:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    start = max(position - column + 1, position - _EXCERPT_BEFORE)
    end = text.find("\n", position, position + _EXCERPT_AFTER)
    excerpt = text[start : position + _EXCERPT_AFTER if end < 0 else end]
    printable = "".join(c if c.isprintable() else " " for c in excerpt).rstrip()
    return Location(position, line, column, printable, position - start)


def lines_and_columns(text: str, positions: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Return the line and column, both from 1, of each position, in one pass over the text."""
    found: dict[int, tuple[int, int]] = {}
    line, before = 1, 0
    for position in sorted(set(positions)):
        line += text.count("\n", before, position)
        found[position] = (line, position - text.rfind("\n", 0, position))
        before = position
    return found


def set_byte_position(
    error: JSONSyntaxError | LimitError, text: str, size: int | None = None
) -> None:
    """Change the position of an error from characters of the text to its bytes.

    Args:
        error: The error.
        text: The document.
        size: Its size in bytes, if known, so that bytes can be counted from the nearer end.
    """
    position = error.position
    if position is None or text.isascii():
        return
    if size is not None and position > len(text) // 2:
        error.position = size - len(text[position:].encode())
    else:
        error.position = len(text[:position].encode())


def _character_at(text: str, position: int) -> str:
    if position >= len(text):
        return _END
    character = text[position]
    if character in "\"'":
        return f"the quote {character}"
    if character.isprintable():
        return repr(character)
    return f"the character U+{ord(character):04X}"


def explain_end(
    text: str, *, in_object: bool, key_follows: bool, in_string: bool | None = None
) -> JSONSyntaxError:
    """Return the error for a document that ends too early.

    Args:
        text: The document.
        in_object: Whether the innermost open container is an object.
        key_follows: Whether that object's next key, or the colon after a key, has to follow.
        in_string: Whether a string is open; None if unknown.
    """
    if in_string is None:
        # Everything before the end was parsed, so backslashes only occur in strings.
        plain = text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text
        in_string = plain.count('"') % 2 == 1
    last = text.rstrip(" \t\n\r")[-1:]
    if in_string:
        expected = "a closing quote"
    elif last == "{":
        expected = "a key or '}'"
    elif last == "[":
        expected = "a value or ']'"
    elif key_follows and last != ":":
        expected = "a key" if last == "," else "':' after the key"
    elif last in ("", ",", ":"):
        expected = "a value"
    else:
        expected = "',' or '}'" if in_object else "',' or ']'"
    return syntax_error(text, len(text), expected, _END)


def explain_value(text: str, position: int, *, after_comma: bool) -> JSONSyntaxError:
    """Return the error for a position, after white space, where no value begins."""
    rest = text[position : position + 16]
    if position == 0 and rest.startswith("\ufeff"):
        return syntax_error(text, position, "UTF-8 without a byte order mark", "a byte order mark")
    if rest.startswith("\x00"):
        return syntax_error(text, position, "a value in UTF-8", "a zero byte (UTF-16 or UTF-32?)")
    non_number = re.match(_NON_NUMBER, rest)
    if non_number:
        return syntax_error(text, position, "a finite number", repr(non_number[0]))
    if rest[:1] in tuple("-0123456789"):
        return _explain_number(text, position)
    if rest.startswith("+"):
        return syntax_error(text, position, "a number without a plus sign", "'+'")
    if rest.startswith("."):
        return syntax_error(text, position, "a digit before the decimal point", "'.'")
    if rest.startswith("'"):
        return syntax_error(text, position, "a string in double quotes", "a single quote")
    if rest.startswith(_COMMENTS):
        return syntax_error(text, position, "a value", "a comment")
    if rest.startswith("]") and after_comma:
        return syntax_error(text, position, "a value", "']' after a trailing comma")
    word = re.compile(_WORD).match(text, position)
    got = repr(word[0]) if word else _character_at(text, position)
    return syntax_error(text, position, "a value", got)


def _explain_number(text: str, start: int) -> JSONSyntaxError:
    parts = re.compile(_NUMBER_PARTS).match(text, start)
    assert parts is not None
    position = start
    if parts[2] is None:
        position = parts.end(1)
        return syntax_error(
            text, position, "a digit after the minus sign", _character_at(text, position)
        )
    if parts[2] == "0" and parts[3] is None and parts[4] is not None:
        return syntax_error(
            text, start, "a number without leading zeros", repr(text[start : start + 20])
        )
    if parts[3] and not parts[4]:
        position = parts.end(3)
        return syntax_error(
            text, position, "a digit after the decimal point", _character_at(text, position)
        )
    if parts[5] and not parts[6]:
        position = parts.end(5)
        return syntax_error(
            text, position, "a digit in the exponent", _character_at(text, position)
        )
    position = parts.end()
    return syntax_error(text, position, "the end of the number", _character_at(text, position))


def explain_key(text: str, position: int, *, after_comma: bool) -> JSONSyntaxError:
    """Return the error for a position, after white space, where no key begins."""
    if text.startswith("}", position) and after_comma:
        return syntax_error(text, position, "a key", "'}' after a trailing comma")
    if text.startswith("'", position):
        return syntax_error(text, position, "a key in double quotes", "a single quote")
    if text.startswith(_COMMENTS, position):
        return syntax_error(text, position, "a key", "a comment")
    word = re.compile(_WORD).match(text, position)
    return syntax_error(
        text,
        position,
        "a key in double quotes",
        repr(word[0]) if word else _character_at(text, position),
    )


def explain_separator(text: str, position: int, expected: str) -> JSONSyntaxError:
    """Return the error for a position where a separator is missing."""
    if text.startswith(_COMMENTS, position):
        return syntax_error(text, position, expected, "a comment")
    number = re.search(_NUMBER_BEFORE, text[max(0, position - _LONGEST_NUMBER) : position])
    if number and text[position : position + 1] in tuple("0123456789.eE+-"):
        return _explain_number(text, position - len(number[0]))
    return syntax_error(text, position, expected, _character_at(text, position))


_HEX = r"[0-9a-fA-F]{4}"


def explain_string(text: str, position: int) -> JSONSyntaxError:
    """Return the error for the first invalid position in a string."""
    if position >= len(text):
        return syntax_error(text, len(text), "a closing quote", _END)
    if text[position] != "\\":
        code = ord(text[position])
        return syntax_error(
            text, position, f"the escape \\u{code:04x}", f"the control character U+{code:04X}"
        )
    if text.startswith("\\u", position):
        if re.compile(_HEX).match(text, position + 2):
            got = f"the lone surrogate {text[position : position + 6]}"
            return syntax_error(text, position, "a pair of surrogates", got)
        return syntax_error(
            text,
            position,
            "four hexadecimal digits after \\u",
            repr(text[position + 2 : position + 6]),
        )
    expected = 'one of the escapes \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u'
    if position + 1 >= len(text):
        return syntax_error(text, len(text), expected, _END)
    return syntax_error(text, position, expected, repr(text[position : position + 2]))
