"""Finds where in a document the values at given paths begin. Only faults need it."""

import re
from collections.abc import Iterable

from kakuri_json._convert import Path
from kakuri_json._strings import read_escaped

_TOKEN = re.compile(r'[ \t\n\r:,]*+(?:"([^"\\]*+)(["\\])|([\[{])|([\]}])|([^\s\[\]{},:"]++))').match


def locate(text: str, paths: set[Path]) -> dict[Path, tuple[int, int]]:
    """Give line and column of the value at each path of a valid document.

    A path that the document doesn't have gets the place of its nearest container.
    """
    wanted = {path[:end] for path in paths for end in range(len(path) + 1)}
    deepest = max(map(len, paths))
    places: dict[Path, int] = {}
    path: list[str | int] = []
    in_object: list[bool] = []
    position = 0
    expects_key = False

    def note(place: int) -> None:
        if len(path) <= deepest and (here := tuple(path)) in wanted:
            places[here] = place

    while (token := _TOKEN(text, position)) is not None:
        position = token.end()
        if token[4]:
            path.pop()
            in_object.pop()
        elif token[1] is not None:
            start = token.start(1) - 1
            string = token[1]
            if token[2] == "\\":
                string, position = read_escaped(text, start + 1)
            if expects_key:
                path[-1] = string
                expects_key = False
                continue
            note(start)
        elif token[3]:
            note(token.start(3))
            in_object.append(token[3] == "{")
            path.append("" if token[3] == "{" else 0)
            expects_key = token[3] == "{"
            continue
        else:
            note(token.start(5))
        # A value is complete.
        if in_object:
            if in_object[-1]:
                expects_key = True
            else:
                step = path[-1]
                assert isinstance(step, int)
                path[-1] = step + 1
    nearest: dict[Path, int] = {}
    for wanted_path in paths:
        end = len(wanted_path)
        while wanted_path[:end] not in places:
            end -= 1
        nearest[wanted_path] = places[wanted_path[:end]]
    lines = _lines_and_columns(text, nearest.values())
    return {wanted_path: lines[position] for wanted_path, position in nearest.items()}


def _lines_and_columns(text: str, positions: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Give line and column, both from 1, of every position, in one walk over the text."""
    found: dict[int, tuple[int, int]] = {}
    line, before = 1, 0
    for position in sorted(set(positions)):
        line += text.count("\n", before, position)
        found[position] = (line, position - text.rfind("\n", 0, position))
        before = position
    return found
