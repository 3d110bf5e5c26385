"""Decides which patterns of constraints can be embedded in a codec's expression.

An embedded pattern needs no second match. It is only safe if it can't match the quote that ends the
string, an escape, or a control character. So only a plain subset is embedded: literals, positive
classes, groups, alternatives and quantifiers. All other patterns are checked after the match. The
embedded group is atomic; if it wrongly rejects a string, the general path decodes the document.
"""

import math
import re
from collections.abc import Callable

_QUANTIFIER = re.compile(r"\{[0-9]*(?:,[0-9]*)?\}").match
_CLASS_ITEM = re.compile(r"(?:\\([dw])|(\\?[^\w\s\\\[\]]|[A-Za-z0-9_])(?:-([A-Za-z0-9]))?)").match
_SPECIAL = frozenset('.^$"\\[]')
_FORBIDDEN = frozenset({0x22, 0x5C, *range(0x20)})


# A class, an escape, a quantifier, the beginning of a group, or any other character.
_TOKEN = re.compile(
    r"\[(?:\\.|[^\\\]])*\]|\\.|(?:[*+?]|\{(?P<exactly>[0-9]*)(?:,(?P<maximum>[0-9]*))?\})[?+]?"
    r"|\(\?[:>]|.",
    re.DOTALL,
)

_MAX_EMBEDDED = 100
"""Length in characters of a pattern above which a cache is cheaper than matching each time."""

_MAX_CACHED = 256
"""Maximum number of strings cached for a constraint, and maximum length of each in characters."""


def cached(holds: Callable[[str], bool]) -> tuple[set[str], Callable[[str], bool]]:
    """Return the set of strings that recently passed a test, and a function that applies the test.

    Strings such as names of images are often repeated, and a lookup is twenty times as fast as a
    match. The set is cleared when it is full.
    """
    recent: set[str] = set()

    def passes(text: str) -> bool:
        if not holds(text):
            return False
        if len(text) <= _MAX_CACHED:
            if len(recent) >= _MAX_CACHED:
                recent.clear()
            recent.add(text)
        return True

    return recent, passes


def embed(pattern: str) -> str | None:
    """Return the pattern as an atomic group without captures; None if it can't be embedded."""
    if len(pattern) > _MAX_EMBEDDED:
        return None
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        end: int | None = position + 1
        if character == "(":
            if pattern.startswith("(?", position):
                if not pattern.startswith("(?:", position):
                    return None
                end = position + 3
            parts.append("(?:")
        elif pattern.startswith(")?", position) and pattern[position + 2 :][:1] not in ("?", "+"):
            end = position + 2
            parts.append("|)")  # means the same as ")?", and the matcher keeps no count
        elif character == "[":
            end = _skip_class(pattern, position)
            if end is None:
                return None
            parts.append(pattern[position:end])
        elif character == "\\":
            escaped = pattern[position + 1 : position + 2]
            if escaped not in ("d", "w") and (escaped.isalnum() or escaped in ("", '"', "\\", "_")):
                return None
            end = position + 2
            parts.append(pattern[position:end])
        elif character == "{":
            quantifier = _QUANTIFIER(pattern, position)
            if quantifier is None:
                return None
            end = quantifier.end()
            parts.append(quantifier[0])
        elif character in _SPECIAL or not character.isprintable():
            return None
        else:
            parts.append(character)
        assert end is not None
        position = end
    return f"(?>{''.join(parts)})"


def longest_match(embedded: str) -> float:
    """Return the maximum length of a string that an embedded pattern matches, or infinity."""
    # For each open group: the length of the longest complete alternative, of the current
    # alternative without its last item, and of that item.
    groups: list[list[float]] = [[0, 0, 0]]
    for token in _TOKEN.finditer(embedded):
        group = groups[-1]
        match token[0][0]:
            case "(":
                groups.append([0, 0, 0])
            case ")":
                groups.pop()
                groups[-1][1] += groups[-1][2]
                groups[-1][2] = max(group[0], group[1] + group[2])
            case "|":
                groups[-1] = [max(group[0], group[1] + group[2]), 0, 0]
            case "*" | "+":
                group[2] *= math.inf if group[2] else 0
            case "?":
                pass
            case "{" if token["exactly"] == "" and token["maximum"] is None:
                group[2] = math.inf  # {} is two characters for `re`, and may be repeated
            case "{":
                maximum = token["exactly"] if token["maximum"] is None else token["maximum"]
                group[2] *= int(maximum) if maximum else math.inf if group[2] else 0
            case _:
                group[1:] = [group[1] + group[2], 1]
    ((ended, before, last),) = groups
    return max(ended, before + last)


def _skip_class(pattern: str, position: int) -> int | None:
    position += 1
    first = True
    while not pattern.startswith("]", position):
        item = _CLASS_ITEM(pattern, position)
        if item is None or (first and item[0].startswith("^")):
            return None
        first = False
        if item[2]:
            low = ord(item[2][-1])
            high = ord(item[3]) if item[3] else low
            if not _FORBIDDEN.isdisjoint(range(low, high + 1)):
                return None
        position = item.end()
        if not item[3] and pattern.startswith("-", position) and pattern[position + 1 :][:1] != "]":
            return None  # a range whose end is not plain
    return None if first else position + 1
