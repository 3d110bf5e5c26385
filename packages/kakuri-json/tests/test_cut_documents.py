"""Documents that are cut off or have one wrong character: a typed decoder reports what `loads` does."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from kakuri_json import JSONSyntaxError, ValidationError, decode, loads


@dataclass(frozen=True)
class Point:
    x: int = 0
    name: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Circle:
    kind: str = field(default="circle")
    radius: float = 1.0


@dataclass(frozen=True)
class Drawing:
    points: list[Point]
    by_name: dict[str, Point]
    numbers: dict[str, int]
    matrix: list[list[int]]
    note: str | None
    anything: Any = None


DOCUMENT = (
    '{"points": [{"x": 1, "name": "a\\n", "tags": ["p", "q"]}, {"name": "b"}], '
    '"by_name": {"one": {"x": -2}, "two": {}}, "numbers": {"n": 10, "m": 2}, '
    '"matrix": [[1, 2], [], [3]], "note": null, "anything": {"k": [true, 1.5e3, "\\u00e9"]}}'
)


def error_of(call):
    with pytest.raises(JSONSyntaxError) as caught:
        call()
    return str(caught.value)


def syntax_error_of(call):
    """Return the syntax error that a call raises, "" for a validation error, or None."""
    try:
        call()
    except JSONSyntaxError as error:
        return str(error)
    except ValidationError:
        return ""
    return None


def test_document_that_is_cut_off_anywhere_has_the_error_of_loads():
    assert decode(DOCUMENT.encode(), type=Drawing).matrix == [[1, 2], [], [3]]
    for size in range(len(DOCUMENT)):
        for end in ("", " "):
            text = (DOCUMENT[:size] + end).encode()
            expected = error_of(lambda text=text: loads(text))
            assert error_of(lambda text=text: decode(text, type=Drawing)) == expected, text


@pytest.mark.parametrize("character", ["]", "}", ",", ":", "'", "x", "\x00", "1", '"', "\\", "/"])
def test_document_with_a_character_too_many_has_the_error_of_loads(character):
    for position in range(len(DOCUMENT) + 1):
        text = (DOCUMENT[:position] + character + DOCUMENT[position:]).encode()
        expected = syntax_error_of(lambda text=text: loads(text))
        if expected is not None:
            # A value of another type may be found before the wrong character.
            found = syntax_error_of(lambda text=text: decode(text, type=Drawing))
            assert found in (expected, ""), text
