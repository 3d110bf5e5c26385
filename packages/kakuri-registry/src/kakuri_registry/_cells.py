"""Converts lists, mappings and enums to cells of a table and back.

A list is stored as one line for each item, with backslash, newline and NUL escaped; a mapping as
the list of its keys and values in turn.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NoReturn, TypeAlias

from kakuri_workload import TRACE_ID, DesiredState, WorkloadState

Cell: TypeAlias = str | bytes | int | float | None
"""A value that SQLite can store."""

STATES = {state.value: state for state in WorkloadState}
DESIRED = {desired.value: desired for desired in DesiredState}
is_trace = re.compile(TRACE_ID).fullmatch
_UNESCAPES = {"\\\\": "\\", "\\n": "\n", "\\0": "\0"}
_TO_UNESCAPE = re.compile(r"\\(?s:.|$)")


class BadRow(ValueError):
    """A row is not a valid entry."""


def lines(items: Iterable[str]) -> str:
    """Return a list as text, one line for each item."""
    text = "\n".join(items := list(items))
    if text.count("\n") < len(items) and "\\" not in text and "\0" not in text:
        return text
    return "\n".join(map(escaped, items))


def flat(mapping: Mapping[str, str]) -> Iterable[str]:
    """Yield the keys and values of a mapping in turn."""
    for key, value in mapping.items():
        yield key
        yield value


def escaped(text: str) -> str:
    """Escape the characters with which `lines` separates items."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\0", "\\0")


def marked(text: str | None) -> str:
    """Return a str or None as an item of `lines`; a leading `=` distinguishes "" from None."""
    return "" if text is None else "=" + escaped(text)


def readable(column: str, cell: object) -> str:
    """Read a cell of text; text that UTF-8 can't encode is stored as bytes. Raises BadRow."""
    if isinstance(cell, bytes):
        with suppress(UnicodeDecodeError):
            return cell.decode("utf-8", "surrogatepass")
    if not isinstance(cell, str):
        raise BadRow(f"expected text in {column}, got {shorten(cell)}")
    return cell


def unknown(column: str, cell: str, members: Mapping[str, object]) -> NoReturn:
    """Raise BadRow for a value that is not in an enum."""
    raise BadRow(f"expected {', '.join(members)} in {column}, got {shorten(cell)}")


def read_lines(column: str, text: str) -> list[str]:
    """Parse the result of `lines`. Raises BadRow."""
    items = text.split("\n")
    if "\\" not in text:
        return items
    return [_TO_UNESCAPE.sub(lambda match: _unescaped(column, match[0]), item) for item in items]


def _unescaped(column: str, escape: str) -> str:
    if escape not in _UNESCAPES:
        raise BadRow(f"expected an escape in {column}, got {escape!r}")
    return _UNESCAPES[escape]


def read_mapping(column: str, text: str) -> dict[str, str]:
    """Parse a mapping from alternating keys and values. Raises BadRow."""
    items = read_lines(column, text)
    mapping = dict(zip(items[::2], items[1::2], strict=False))
    if 2 * len(mapping) != len(items):
        raise BadRow(f"expected keys and values in {column}, got {len(items)} lines")
    return mapping


def shorten(value: object) -> str:
    """Return a value for a message, shortened to a readable length."""
    text = repr(value[:64] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 80 else f"{text[:79]}…"
