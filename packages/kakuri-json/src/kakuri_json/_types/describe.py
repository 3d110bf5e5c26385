"""Describes shapes and values for the messages of faults."""

import re
from collections.abc import Iterable
from typing import Any

from kakuri_json._types.formats import READERS
from kakuri_json._types.shapes import (
    Anything,
    Choice,
    Constrained,
    FixedTuple,
    Flags,
    Mapping,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
)

_LONGEST = 60
_LONGEST_STEP = 100
"""Characters of a key that a path shows, because the peer decides how long keys are."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*").fullmatch
_SIMILARITY = 0.6  # from 0 to 1: 'imgae' is like 'image', 'runtime' like 'runtime_class'
_WORDS = {None: "null", True: "true", False: "false"}
_KINDS = {
    "string": "a string", "integer": "an integer", "number": "a number",
    "boolean": "true or false", "null": "null",
}  # fmt: skip


def describe(shape: Shape) -> str:
    """Describe the values of a shape, to follow `expected`: `an integer`."""
    match shape:
        case Anything():
            return "a value"
        case Scalar():
            return _KINDS[shape.kind]
        case Choice():
            rows = [shorten(value) for value, _ in shape.rows]
            return rows[0] if len(rows) == 1 else f"one of {', '.join(rows)}"
        case Flags():
            members = [*shape.cls] or shape.cls.__members__.values()
            names = " + ".join(f"{member._value_} ({member.name})" for member in members)
            return f"a combination of {names}"
        case Text():
            return READERS[shape.format][0]
        case Sequence():
            return "an array"
        case FixedTuple():
            return f"an array of {len(shape.items)}"
        case Mapping() | Record():
            return "an object"
        case Constrained():
            for constraint in shape.constraints:
                if constraint.description is not None:
                    return constraint.description
            required = " and ".join(constraint.requirement for constraint in shape.constraints)
            return f"{describe(shape.inner)} {required}"
        case Union():
            return " or ".join(dict.fromkeys(describe(member) for member in shape.members))


def suggest(key: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown key: a similar known key, if there is one."""
    if not isinstance(key, str) or len(key) > _LONGEST:
        return ""
    from difflib import get_close_matches  # noqa: PLC0415 (only this error needs it)

    spelled = {name.lower(): name for name in known}
    found = get_close_matches(key.lower(), spelled, n=1, cutoff=_SIMILARITY)
    return f"; did you mean {shorten(spelled[found[0]])}?" if found else ""


def shorten(value: Any) -> str:
    """Return a short text for a value in a message."""
    if type(value) is str:
        text = repr(value[:_LONGEST])
        return text if len(value) <= _LONGEST else f"{text}…"
    if value is None or type(value) is bool:
        return _WORDS[value]
    if isinstance(value, int) and value.bit_length() > 200:
        # Converting a large integer to digits takes too long.
        return f"an integer of {value.bit_length()} bits"
    if type(value) is dict:
        return "an object"
    if type(value) is list or type(value) is tuple:
        return "an array"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001
        # `__repr__` can raise anything, and integers above the digit limit raise ValueError.
        text = object.__repr__(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    # A value of a subclass may look like one of the builtin class.
    is_subclass = isinstance(value, str | int | float) and type(value) not in (int, float)
    return f"{text} ({type(value).__name__})" if is_subclass else text


def path_text(steps: Iterable[Any]) -> str:
    """Return the text of a path of keys and indexes, like `$.items[3].name`."""
    parts = ["$"]
    for step in steps:
        if not isinstance(step, str):  # a value that was not JSON may have keys of any kind
            parts.append(f"[{shorten(step)}]")
        else:
            key = str.__str__(step)  # methods of a subclass do not count
            shown = key if len(key) <= _LONGEST_STEP else f"{key[:_LONGEST_STEP]}…"
            parts.append(f".{shown}" if _NAME(shown) else f"[{shown!r}]")
    return "".join(parts)
