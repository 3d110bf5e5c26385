r"""Translates Python's regular expressions to those of JSON Schema (ECMA-262).

Most expressions mean the same in both dialects. Exceptions are `\Z`, `$` (in Python, it also
matches before a final line feed), `\0`, `.` (in Python, it excludes fewer characters), `\s`, inline
flags and named groups. Python parses the expression, and this module prints it in a subset that
Python, browsers and Rust's regex crate interpret alike.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

# The standard library has no public API for parsed expressions.
_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001

_SYNTAX = frozenset("^$\\.*+?()[]{}|")
_CLASS_SYNTAX = frozenset("^\\[]-")
_SPACES = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""The characters that `\s` matches in Python; other languages differ, also from each other."""

_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",  # of ASCII alone outside of Python
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_SPACE": _SPACES,
    "CATEGORY_NOT_SPACE": r"\S",
}
_PLACES = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": "^",
    "AT_END": r"(?=\n?$)",
    "AT_END_STRING": "$",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}
_ASSERTIONS = {("ASSERT", 1): "?=", ("ASSERT", -1): "?<=",
               ("ASSERT_NOT", 1): "?!", ("ASSERT_NOT", -1): "?<!"}  # fmt: skip
_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})
"""The nodes that a quantifier can follow without a group."""


class _NotPortable(Exception):
    """The expression has no counterpart."""


def portable(pattern: str) -> str | None:
    r"""Return an ECMA-262 expression that matches the strings that `pattern` fully matches.

    `\d` and `\w` are kept, although they are limited to ASCII in ECMA-262.

    Args:
        pattern: A valid Python expression; its only flags may be inline flags.

    Returns:
        The expression with anchors; None if it uses a feature that ECMA-262 lacks, such as an
        atomic group.
    """
    parsed = _parser.parse(pattern)
    try:
        return f"^(?:{_sequence(parsed, parsed.state.flags)})$"
    except _NotPortable:
        return None


def _sequence(parsed: Iterable[Any], flags: int) -> str:
    return "".join(_item(str(code), argument, flags) for code, argument in parsed)


def _item(code: str, argument: Any, flags: int) -> str:
    match code:
        case "LITERAL":
            cases = _cases(argument, flags)
            return _character(argument, _SYNTAX) if len(cases) == 1 else f"[{''.join(cases)}]"
        case "NOT_LITERAL":
            return f"[^{''.join(_cases(argument, flags))}]"
        case "ANY":
            return r"[\s\S]" if flags & re.DOTALL else r"[^\n]"
        case "IN":
            return _class(argument, flags)
        case "BRANCH":
            return f"(?:{'|'.join(_sequence(part, flags) for part in argument[1])})"
        case "SUBPATTERN":
            _, added, removed, inner = argument
            return f"(?:{_sequence(inner, (flags | added) & ~removed)})"
        case "MAX_REPEAT" | "MIN_REPEAT":
            minimum, maximum, inner = argument
            repeated = _sequence(inner, flags)
            if len(inner) != 1 or str(inner[0][0]) not in _SINGLE:
                repeated = f"(?:{repeated})"
            lazy = "?" if code == "MIN_REPEAT" else ""
            return repeated + _quantifier(minimum, maximum) + lazy
        case "ASSERT" | "ASSERT_NOT":
            direction, inner = argument
            return f"({_ASSERTIONS[code, direction]}{_sequence(inner, flags)})"
        case "AT" if str(argument) in _PLACES and not flags & re.MULTILINE:
            return _PLACES[str(argument)]
    raise _NotPortable(code)


def _quantifier(minimum: int, maximum: Any) -> str:
    if str(maximum) == "MAXREPEAT":
        return {0: "*", 1: "+"}.get(minimum, f"{{{minimum},}}")
    if (minimum, maximum) == (0, 1):
        return "?"
    return f"{{{minimum}}}" if minimum == maximum else f"{{{minimum},{maximum}}}"


def _class(items: Iterable[Any], flags: int) -> str:
    parts, negation = [], ""
    for code, argument in items:
        match str(code):
            case "NEGATE":
                negation = "^"
            case "LITERAL":
                parts += _cases(argument, flags)
            case "RANGE":
                first, last = argument
                parts += _ranges(first, last, flags)
            case "CATEGORY":
                parts.append(_CATEGORIES[str(argument)])
    return f"[{negation}{''.join(parts)}]"


def _ranges(first: int, last: int, flags: int) -> Iterator[str]:
    yield f"{_character(first)}-{_character(last)}"
    if flags & re.IGNORECASE:
        _check_case(last)
        for letters in ("az", "AZ"):
            low, high = max(first, ord(letters[0])), min(last, ord(letters[1]))
            if low <= high:
                yield f"{chr(low).swapcase()}-{chr(high).swapcase()}"


def _cases(point: int, flags: int) -> list[str]:
    """Return a character for a class, in upper and lower case if the expression ignores case."""
    if not flags & re.IGNORECASE:
        return [_character(point)]
    _check_case(point)
    return [_character(ord(each)) for each in sorted({chr(point).lower(), chr(point).upper()})]


def _check_case(point: int) -> None:
    """Raise _NotPortable for a character with more than two case variants."""
    if point >= 0x80:
        raise _NotPortable


def _character(point: int, special: frozenset[str] = _CLASS_SYNTAX) -> str:
    character = chr(point)
    if character in special:
        return f"\\{character}"
    if 0x20 <= point < 0x7F or point > 0xFFFF:
        return character
    return f"\\u{point:04x}"
