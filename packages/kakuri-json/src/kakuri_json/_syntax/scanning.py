"""Finds the end of white space, of the plain part of a string, and of escapes.

Interpreted code uses regular expressions; code compiled by mypyc loops over the characters, which
is twenty times as fast. Everything else in the parser is the same code either way.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_extensions import i64  # an integer of C, which only mypyc needs

COMPILED: Final = not __file__.endswith(".py")
"""Whether this module was compiled by mypyc."""

PLAIN: Final = r"[ !#-\[\]-\U0010ffff]*+"
"""The characters of a string that stand for themselves: all except the quote, the backslash and
control characters. A class of allowed characters matches faster than a negated one."""
NOT_SPECIAL: Final = r'[^"\\\x00-\x1f]*+'
"""The same characters, as a class that compiles in 25 µs instead of some milliseconds, but matches
more slowly."""
LATIN_FIRST: Final = r"[ !#-\[\]-\xff]*+" + NOT_SPECIAL
"""The same characters, as two classes that compile in 50 µs. The first one matches Latin-1 as fast
as `PLAIN`; the second one matches the rest."""
ESCAPE: Final = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
"""One escape, including lone surrogates."""

_SPACE: Final = re.compile(r"[ \t\n\r]*+").match
_PLAIN: Final = re.compile(PLAIN).match
_MAX_ESCAPES: Final = 9999  # in one match
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]").search


def skip_space(text: str, position: "i64") -> "i64":
    """Return the position after white space."""
    if not COMPILED:
        return _SPACE(text, position).end()  # type: ignore[union-attr]  # it matches anywhere
    end: i64 = len(text)
    if position >= end:
        return position
    # The condition is at the end of the loop, so that the C compiler checks only once how many
    # bytes each character of the text takes.
    code: i64 = ord(text[position])
    while code <= 0x20:
        if code != 0x20 and code != 0x0A and code != 0x0D and code != 0x09:
            return position
        position += 1
        if position == end:
            return position
        code = ord(text[position])
        while code == 0x20:
            position += 1
            if position == end:
                return position
            code = ord(text[position])
    return position


def skip_plain(text: str, position: "i64") -> "i64":
    """Return the position of the next quote, backslash or control character, or the end."""
    if not COMPILED:
        return _PLAIN(text, position).end()  # type: ignore[union-attr]  # it matches anywhere
    end: i64 = len(text)
    if position >= end:
        return position
    code: i64 = ord(text[position])
    while code != 0x22 and code != 0x5C and code >= 0x20:
        position += 1
        if position == end:
            return position
        code = ord(text[position])
    return position


@cache
def _backslashes() -> "Callable[[str, i64], re.Match[str] | None]":
    # Compiled for the first escape: many documents have none.
    return re.compile(rf'(?>(?:\\["\\/bfnrtu]{PLAIN}){{0,{_MAX_ESCAPES}}})').match


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
            if after - position < 2 * _MAX_ESCAPES:  # the expression did not end early
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
    """Return whether any of the characters is a surrogate."""
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
