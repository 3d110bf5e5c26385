"""Reads runs of integers or strings in an array, many items in one step."""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kakuri_json._syntax.scanning import (
    COMPILED,
    ESCAPE,
    PLAIN,
    skip_escapes,
    skip_plain,
    skip_space,
)
from kakuri_json._syntax.strings import unescape_all

if TYPE_CHECKING:
    from mypy_extensions import i64

_QUOTE: Final = 0x22
_COMMA: Final = 0x2C
_BACKSLASH: Final = 0x5C
_MAX_ITEMS: Final = 4096
"""Maximum number of items in a run; `re` keeps about 100 bytes for each."""
_LONG: Final = 2**16
"""Maximum length of a run in characters."""

_INTEGERS: Final = re.compile(
    rf"(?:-?+(?!0[0-9])[0-9]{{1,18}}+, ?+){{8,{_MAX_ITEMS}}}(?=-?+[0-9])",
).match


@cache
def _strings() -> "tuple[Callable[..., re.Match[str] | None], Callable[..., list[str]]]":
    # Compiled on first use: many documents need no such expressions, and compiling them takes
    # longer than parsing a small document.
    string = rf"{PLAIN}(?>(?:{ESCAPE}{PLAIN}){{0,999}})"
    run = re.compile(rf'(?:"{string}",[ \t\n\r]*+){{8,{_MAX_ITEMS}}}(?=")')
    return run.match, re.compile(rf'"({string})"').findall


def read_run(text: str, position: "i64", items: list[Any]) -> "i64":
    """Append many short integers, or many strings, of an array to its items in one step.

    The kind of the last item decides which of the two are read. The last item of a run may be left
    to the caller, who reads it like any other item.

    Returns:
        The position after the items that were read, the same position if there are none, or -1 if
        the escapes of a string are not valid.
    """
    kind = type(items[-1])
    if kind is int:
        run = _INTEGERS(text, position)
        if run is not None:
            items.extend(map(int, text[position : run.end()].rstrip(", ").split(",")))
            return run.end()
    elif kind is str:
        bodies, end = (_scan_strings if COMPILED else _match_strings)(text, position)
        try:
            items.extend(unescape_all(bodies))
        except ValueError:
            return -1
        return end
    return position


def _match_strings(text: str, position: "i64") -> tuple[list[str], "i64"]:
    """Return the bodies of strings that are followed by another one, and its position."""
    match, find_all = _strings()
    run = match(text, position, position + _LONG)
    if run is None:
        return [], position
    return find_all(text, position, run.end()), run.end()


def _scan_strings(text: str, position: "i64") -> tuple[list[str], "i64"]:
    """Do the same as `_match_strings`, character by character; only faster in compiled code."""
    bodies: list[str] = []
    length: i64 = len(text)
    stop: i64 = min(length, position + _LONG)
    while position < stop and ord(text[position]) == _QUOTE:
        start: i64 = position + 1
        end: i64 = skip_plain(text, start)
        if end < length and ord(text[end]) == _BACKSLASH:
            end = skip_escapes(text, end)
        if end + 1 >= length or ord(text[end]) != _QUOTE or ord(text[end + 1]) != _COMMA:
            break
        bodies.append(text[start:end])
        position = skip_space(text, end + 2)
    return bodies, position
