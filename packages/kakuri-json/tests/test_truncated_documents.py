"""Documents that are cut off or have one wrong character: a typed decoder reports what `loads` does."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from kakuri_json import JSONSyntaxError, ValidationError, decode, dumps, loads, schema


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


def test_document_truncated_anywhere_has_the_error_of_loads():
    assert decode(DOCUMENT.encode(), type=Drawing).matrix == [[1, 2], [], [3]]
    for size in range(len(DOCUMENT)):
        for end in ("", " "):
            text = (DOCUMENT[:size] + end).encode()
            expected = error_of(lambda text=text: loads(text))
            assert error_of(lambda text=text: decode(text, type=Drawing)) == expected, text


@pytest.mark.parametrize("character", ["]", "}", ",", ":", "'", "x", "\x00", "1", '"', "\\", "/"])
def test_document_with_an_extra_character_has_the_error_of_loads(character):
    for position in range(len(DOCUMENT) + 1):
        text = (DOCUMENT[:position] + character + DOCUMENT[position:]).encode()
        expected = syntax_error_of(lambda text=text: loads(text))
        if expected is not None:
            # A value of another type may be found before the wrong character.
            found = syntax_error_of(lambda text=text: decode(text, type=Drawing))
            assert found in (expected, ""), text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[0" + "1" * 40 + "]", repr("0" + "1" * 19)),
        ('{"' + "k" * 80 + '":1,"' + "k" * 80 + '":2}', repr("k" * 60) + " again"),
    ],
)
def test_syntax_error_shows_the_beginning_of_long_text(text, shown):
    for call in (lambda: loads(text), lambda: decode(text, type=dict[str, int] | list[int])):
        assert error_of(call).partition(" at line")[0].endswith(f"got {shown}")


@dataclass(frozen=True)
class Patterned:
    plain: Annotated[str, re.compile("a+")]
    flagged: Annotated[str, re.compile("a+", re.IGNORECASE)]


def test_pattern_with_flags_is_checked_and_not_in_the_schema():
    assert decode('{"plain": "aa", "flagged": "AA"}', type=Patterned).flagged == "AA"
    for text in ('{"plain": "AA", "flagged": "AA"}', '{"plain": "a", "flagged": "b"}'):
        with pytest.raises(ValidationError):
            decode(text, type=Patterned)
    text = dumps(schema(Patterned))
    assert text.count('"pattern":') == 1
    assert text.index('"plain":') < text.index('"pattern":') < text.index('"flagged":')
