"""Finds the end of white space, of the plain part of a string, and of a number.

Interpreted, a regular expression finds the end; compiled by mypyc, a loop over the characters does,
twenty times as fast. Everything else in the parser is the same code either way.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_extensions import i64  # an integer of C, which only mypyc needs

COMPILED: Final = not __file__.endswith(".py")
"""Whether this module was compiled by mypyc."""

PLAIN: Final = r"[ !#-\[\]-\U0010ffff]*+"
"""The characters of a string that stand for themselves: all but the quote, the backslash and
control characters. A class of what is allowed matches up to four times as fast as one of what is
not."""
ESCAPE: Final = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
"""One escape; surrogates may be alone."""

_SPACE: Final = re.compile(r"[ \t\n\r]*+").match
_PLAIN: Final = re.compile(PLAIN).match
_MOST: Final = 9999
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]").search
_NUMBER: Final = re.compile(
    # The empty group takes part in the match only if the number is not an integer.
    r"-?(?:0|[1-9][0-9]*+)(?:(?:\.[0-9]++(?:[eE][-+]?[0-9]++|)|[eE][-+]?[0-9]++)()|)"
).match


def skip_space(text: str, position: "i64") -> "i64":
    """Return the position after white space."""
    if not COMPILED:
        return _SPACE(text, position).end()  # type: ignore[union-attr]  # it matches anywhere
    end: i64 = len(text)
    while position < end:
        code = ord(text[position])
        if code > 0x20 or (code != 0x20 and code != 0x0A and code != 0x0D and code != 0x09):
            break
        position += 1
    return position


def skip_plain(text: str, position: "i64") -> "i64":
    """Return the position of the next quote, backslash or control character, or the end."""
    if not COMPILED:
        return _PLAIN(text, position).end()  # type: ignore[union-attr]  # it matches anywhere
    end: i64 = len(text)
    while position < end:
        code = ord(text[position])
        if code <= 0x5C and (code == 0x22 or code == 0x5C or code < 0x20):
            break
        position += 1
    return position


@cache
def _backslashes() -> "Callable[[str, i64], re.Match[str] | None]":
    # Compiled for the first escape, as `_strings` is.
    return re.compile(rf'(?>(?:\\["\\/bfnrtu]{PLAIN}){{0,{_MOST}}})').match


def skip_escapes(text: str, position: "i64") -> "i64":
    r"""Return the position of the first character that is neither plain nor part of an escape.

    Whether four digits follow `\u` is not checked, and the position may be beyond the end.

    Args:
        text: The document.
        position: Where an escape may begin.
    """
    if not COMPILED:
        while True:
            after: i64 = _backslashes()(text, position).end()  # type: ignore[union-attr]  # as above
            if after - position < 2 * _MOST:  # the expression did not end early
                return after
            position = after
    end: i64 = len(text) - 1
    while position < end and ord(text[position]) == 0x5C:
        code = ord(text[position + 1])
        if code == 0x75:
            position += 6
        elif code in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
            position += 2
        else:
            break
        position = skip_plain(text, position)
    return position


def has_surrogate(text: str) -> bool:
    """Return whether one of the characters is half of a pair of surrogates."""
    if not COMPILED:
        return _SURROGATE(text) is not None
    position: i64 = 0
    end: i64 = len(text)
    while position < end:
        code = ord(text[position])
        if code >= 0xD800 and code <= 0xDFFF:
            return True
        position += 1
    return False


def skip_digits(text: str, position: "i64") -> "i64":
    """Return the position after digits (RFC 8259 section 6)."""
    end: i64 = len(text)
    while position < end:
        code = ord(text[position])
        if code < 0x30 or code > 0x39:
            break
        position += 1
    return position


def skip_number(text: str, position: "i64") -> "i64":
    """Return the position after the number that begins here, or the same position without one.

    For a number with a fraction or an exponent the position is negative. The caller checks what
    follows: `01` ends after its zero.
    """
    if not COMPILED:
        token = _NUMBER(text, position)
        if token is None:
            return position
        return token.end() if token.lastindex is None else -token.end()
    start: i64 = position
    end: i64 = len(text)
    if text[position] == "-":
        position += 1
    digits: i64 = skip_digits(text, position)
    if digits == position:
        return start
    position = position + 1 if text[position] == "0" else digits
    if position == end:
        return position
    integer = True
    if text[position] == ".":
        digits = skip_digits(text, position + 1)
        if digits == position + 1:
            return position
        position = digits
        integer = False
    if position < end and (text[position] == "e" or text[position] == "E"):
        sign: i64 = position + 1
        if sign < end and (text[sign] == "-" or text[sign] == "+"):
            sign += 1
        digits = skip_digits(text, sign)
        if digits > sign:
            position = digits
            integer = False
    return position if integer else -position


_INTEGERS: Final = re.compile(
    r"(?:-?+(?!0[0-9])[0-9]{1,18}+,){8,4096}(?=-?+[0-9])",
).match


@cache
def _strings() -> "Callable[[str, i64], re.Match[str] | None]":
    # Many documents need no such expression, and compiling it takes longer than reading them.
    return re.compile(rf'(?:"{PLAIN}",){{8,4096}}(?=")').match


def read_run(text: str, position: "i64", items: list[Any]) -> "i64":
    """Append many short integers, or many plain strings, of an array to its items at once.

    The kind of the last item decides which of the two are read. The last one of a run is left to
    the caller, which reads it like any other item.

    Returns:
        The position after the items that were read, or the same position if there are none.
    """
    kind = type(items[-1])
    if kind is int:
        run = _INTEGERS(text, position)
        if run is not None:
            items.extend(map(int, text[position : run.end() - 1].split(",")))
            return run.end()
    elif kind is str:
        run = _strings()(text, position)
        if run is not None:
            items.extend(text[position + 1 : run.end() - 2].split('","'))
            return run.end()
    return position
