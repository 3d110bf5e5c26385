"""The schema of a type accepts what decode accepts."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

import annotated_types as at
import kakuri_json
import pytest
from jsonschema import Draft202012Validator
from kakuri_json import ValidationError


@dataclass(frozen=True)
class Words:
    pattern: str
    description: str


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Leaf:
    __json__: ClassVar = {"tag": "type", "unknown": "ignore"}
    name: Annotated[str, Words("[a-z]+", "letters"), at.MaxLen(3)]
    size: Annotated[int, at.Interval(ge=1, lt=5)] = 1


@dataclass
class Branch:
    __json__: ClassVar = {"tag": "type"}
    items: Annotated[list["Leaf | Branch"], at.MaxLen(2)]
    pair: tuple[int, str | None] = (1, None)
    color: Color = Color.RED
    only: Literal["x"] = "x"
    table: dict[Color, float] | None = None
    names: frozenset[str] = frozenset()


GOOD = {"type": "Branch", "items": [{"type": "Leaf", "name": "abc", "new": 1}]}
CASES = [
    GOOD,
    {"type": "Leaf", "name": "abcd"},
    {"type": "Leaf", "name": "A"},
    {"type": "Leaf", "name": "a", "size": 5},
    {"type": "Leaf", "name": "a", "size": 0},
    {"type": "Leaf"},
    {"name": "a"},
    {"type": "Other", "name": "a"},
    {**GOOD, "extra": 1},
    {**GOOD, "pair": [1]},
    {**GOOD, "pair": [1, "a"]},
    {**GOOD, "pair": [1, 2]},
    {**GOOD, "pair": [1, "a", 2]},
    {**GOOD, "color": "blue"},
    {**GOOD, "color": "green"},
    {**GOOD, "only": "y"},
    {**GOOD, "table": {"red": 1.5}},
    {**GOOD, "table": {"green": 1.5}},
    {**GOOD, "table": None},
    {**GOOD, "names": ["a", "b"]},
    {**GOOD, "names": ["a", "a"]},
    {**GOOD, "items": [GOOD, GOOD, GOOD]},
    3,
]


def _accepts(value, kind):
    try:
        kakuri_json.convert(value, type=kind)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("value", CASES)
def test_schema_accepts_what_decode_accepts(value):
    described = kakuri_json.schema(Leaf | Branch)
    Draft202012Validator.check_schema(described)
    assert Draft202012Validator(described).is_valid(value) == _accepts(value, Leaf | Branch)


def test_schema_of_class_has_titles_defaults_and_constraints():
    described = kakuri_json.schema(Leaf)
    assert described == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/Leaf",
        "$defs": {
            "Leaf": {
                "type": "object",
                "title": "Leaf",
                "properties": {
                    "type": {"const": "Leaf"},
                    "name": {
                        "type": "string",
                        "pattern": "^(?:[a-z]+)$",
                        "description": "letters",
                        "maxLength": 3,
                    },
                    "size": {"type": "integer", "minimum": 1, "exclusiveMaximum": 5, "default": 1},
                },
                "required": ["type", "name"],
            }
        },
    }


@pytest.mark.parametrize(
    ("kind", "described"),
    [
        (Any, {}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (tuple[()], {"type": "array", "maxItems": 0}),
        (Annotated[bytes, at.MaxLen(3)], {"type": "string", "contentEncoding": "base64"}),
        (
            Annotated[dt.datetime, at.Ge(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))],
            {"type": "string", "format": "date-time"},
        ),
        (
            Annotated[float, at.Interval(ge=0.5, lt=float("inf"))],
            {"type": "number", "minimum": 0.5},
        ),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (
            Annotated[int, at.Ge(1), at.Ge(2)],
            {"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 2}]},
        ),
    ],
)
def test_schema_of_simple_type(kind, described):
    Draft202012Validator.check_schema(kakuri_json.schema(kind))
    assert (
        kakuri_json.schema(kind)
        == {"$schema": "https://json-schema.org/draft/2020-12/schema"} | described
    )


def test_schema_of_decimal_accepts_only_numbers():
    validator = Draft202012Validator(kakuri_json.schema(Decimal))
    assert validator.is_valid("1.50")
    assert not validator.is_valid("x")
