"""Finds where in a document the values at given paths begin. Only faults need it."""

import re

from kakuri_json._convert import Path
from kakuri_json._source import line_and_column
from kakuri_json._strings import read_escaped

_TOKEN = re.compile(r'[ \t\n\r:,]*+(?:"([^"\\]*+)(["\\])|([\[{])|([\]}])|([^\s\[\]{},:"]++))').match


def locate(text: str, paths: set[Path]) -> dict[Path, tuple[int, int]]:
    """Give line and column of the value at each path of a valid document.

    A path that the document doesn't have gets the place of its nearest container.
    """
    wanted = {path[:end] for path in paths for end in range(len(path) + 1)}
    places: dict[Path, int] = {}
    path: list[str | int] = []
    in_object: list[bool] = []
    position = 0
    expects_key = False
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
            _note(places, wanted, path, start)
        elif token[3]:
            _note(places, wanted, path, token.start(3))
            in_object.append(token[3] == "{")
            path.append("" if token[3] == "{" else 0)
            expects_key = token[3] == "{"
            continue
        else:
            _note(places, wanted, path, token.start(5))
        # A value is complete.
        if in_object:
            if in_object[-1]:
                expects_key = True
            else:
                step = path[-1]
                assert isinstance(step, int)
                path[-1] = step + 1
    found: dict[Path, tuple[int, int]] = {}
    for wanted_path in paths:
        end = len(wanted_path)
        while wanted_path[:end] not in places:
            end -= 1
        found[wanted_path] = line_and_column(text, places[wanted_path[:end]])
    return found


def _note(places: dict[Path, int], wanted: set[Path], path: list[str | int], position: int) -> None:
    here = tuple(path)
    if here in wanted:
        places[here] = position
