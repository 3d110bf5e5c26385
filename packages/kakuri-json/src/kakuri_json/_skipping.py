"""Skips values of the wrong kind, checking only their grammar."""

import re
from functools import cache

_SPACE = r"[ \t\n\r]*+"
_PLAIN = r'[^"\\\x00-\x1f]*+'
_LEVELS = 4
"""Containers inside one another that the expression covers; it doubles with each of them."""


def _many(pattern: str) -> str:
    """Repeat a pattern, with memory for each thousand of matches instead of for each match."""
    return f"(?>(?:(?>(?:{pattern}){{1,1000}}))*)"


_ESCAPES = _many(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})' + _PLAIN)
_STRING = f'"{_PLAIN}{_ESCAPES}"'
_NUMBER = r"-?+(?!0[0-9])[0-9]++(?:\.[0-9]++|)(?:[eE][-+]?+[0-9]++|)"
_SCALAR = f"{_STRING}|{_NUMBER}|true|false|null"


def _container(value: str) -> str:
    """Return the expression of an array or an object with such values inside it."""
    # Each item takes the comma after it, if another item follows.
    item = rf"{value}{_SPACE}(?:,{_SPACE}(?!\])|(?=\]))"
    member = rf'{_STRING}{_SPACE}:{_SPACE}{value}{_SPACE}(?:,{_SPACE}(?=")|(?=\}}))'
    return rf"\[{_SPACE}{_many(item)}\]|\{{{_SPACE}{_many(member)}\}}"


@cache
def _expression() -> "re.Pattern[str]":
    value = f"(?>{_SCALAR})"
    for _ in range(_LEVELS - 1):
        value = f"(?>{_SCALAR}|{_container(value)})"
    return re.compile(_container(value))


def skip_value(text: str, position: int) -> int:
    """Return the position after the container that begins at a position.

    Its grammar is checked, but not that keys differ or that numbers are within limits.

    Returns:
        -1 if the container is not valid, or is nested too deeply for this.
    """
    match = _expression().match(text, position)
    return -1 if match is None else match.end()
