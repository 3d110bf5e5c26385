"""Tables of text: columns that are aligned, and cut only on a terminal."""

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kakuri._invocation import Invocation, width_of
from kakuri._text import cell_width, cut

_GAP = 3
_MIN_WIDTH = 8
"""Minimum width of a column that is cut."""

STATE_COLORS = {
    "running": "green", "ready": "green", "ok": "green", "succeeded": "dim", "pending": "yellow",
    "warn": "yellow", "failed": "red", "FAIL": "red", "unavailable": "red", "skip": "dim",
}  # fmt: skip


class Column(NamedTuple):
    """A column: its heading, and whether it may be cut to the width of the terminal."""

    title: str
    may_be_cut: bool = False
    is_colored: bool = False


def print_table(
    invocation: Invocation,
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    must_fit: bool = False,
) -> None:
    """Print rows below the headings; the arguments are those of `table_lines`."""
    width = width_of(sys.stdout)
    for line in table_lines(invocation, columns, list(rows), width, must_fit=must_fit):
        invocation.out(line)


def table_lines(
    invocation: Invocation,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    must_fit: bool = False,
) -> list[str]:
    """Return the lines of a table; columns that are empty in every row are left out.

    Args:
        invocation: Decides whether to use colour.
        columns: The columns.
        rows: Their texts.
        width: Width of the terminal in cells; None for no limit. Columns that may not be cut can
            exceed it.
        must_fit: Whether to cut lines at the width.
    """
    if width is not None:  # first, because a server may send a message of a million characters
        longest = max(width, _MIN_WIDTH)
        rows = [
            [cut(text, longest) if column.may_be_cut else text
             for text, column in zip(row, columns, strict=True)]
            for row in rows
        ]  # fmt: skip
    used = [
        index for index in range(len(columns))
        if index == 0 or not rows or any(row[index] for row in rows)
    ]  # fmt: skip
    widths = {
        index: max(len(columns[index].title), *(cell_width(row[index]) for row in rows))
        if rows else len(columns[index].title)
        for index in used
    }  # fmt: skip
    if width is not None:
        _shrink(widths, [index for index in used if columns[index].may_be_cut], width)
        if must_fit:
            widths = _fitted(widths, width)
    titles = (cut(columns[index].title, column_width).ljust(column_width)
              for index, column_width in widths.items())  # fmt: skip
    lines = [(" " * _GAP).join(titles).rstrip()]
    for row in rows:
        cells = []
        for index, column_width in widths.items():
            text = cut(row[index], column_width)
            padding = " " * (column_width - cell_width(text))
            if columns[index].is_colored:
                color = STATE_COLORS.get(row[index].split(" ")[0])
                text = invocation.styled(text, color)
            cells.append(text + padding)
        lines.append((" " * _GAP).join(cells).rstrip())
    return lines


def _shrink(widths: dict[int, int], may_be_cut: list[int], width: int) -> None:
    """Shorten the widest column that may be cut until the line fits."""
    excess = sum(widths.values()) + _GAP * (len(widths) - 1) - width
    while excess > 0 and may_be_cut:
        widest = max(may_be_cut, key=lambda index: widths[index])
        if widths[widest] <= _MIN_WIDTH:
            return
        widths[widest] -= 1
        excess -= 1


def _fitted(widths: dict[int, int], width: int) -> dict[int, int]:
    """Return the widths of the columns, or parts of columns, that a line has room for."""
    found = {}
    for index, column_width in widths.items():
        if width > 0:
            found[index] = min(column_width, width)
        width -= column_width + _GAP
    return found
