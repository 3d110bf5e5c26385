"""The schema of a type accepts what decode accepts."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, TypedDict

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
def test_schema_of_simple_type_has_its_keywords(kind, described):
    Draft202012Validator.check_schema(kakuri_json.schema(kind))
    assert (
        kakuri_json.schema(kind)
        == {"$schema": "https://json-schema.org/draft/2020-12/schema"} | described
    )


def test_schema_of_decimal_accepts_only_numbers():
    validator = Draft202012Validator(kakuri_json.schema(Decimal))
    assert validator.is_valid("1.50")
    assert not validator.is_valid("x")


@dataclass(frozen=True)
class Shout:
    pattern: str = r"[A-Z]+\Z"
    format: str = "shout"


@dataclass
class Base:
    """A base.

    Attributes:
        size: The size,
            on two lines.
        other: Not a field.
    """

    size: int


@dataclass
class Documented(Base):
    """A class with a summary
    on two lines.

    A paragraph that schemas leave out.

    Attributes:
        text: The text.
        leaf: The leaf.

    Example:
        text: Not a description.
    """

    __json__: ClassVar = {"omit_defaults": True}
    text: Annotated[str, Shout()] | None = None
    leaf: Leaf | None = None
    empty: Annotated[str, at.MinLen(1)] = ""
    items: list[str] = field(default_factory=list)
    number: int | None = 5


class Options(TypedDict, total=False):
    a: int


def test_schema_has_descriptions_from_docstrings():
    described = kakuri_json.schema(Documented)["$defs"]
    documented = described["Documented"]
    assert documented["description"] == "A class with a summary on two lines."
    assert documented["properties"]["size"]["description"] == "The size, on two lines."
    assert documented["properties"]["leaf"]["description"] == "The leaf."
    assert "description" not in documented["properties"]["empty"]
    assert "description" not in described["Leaf"]
    assert "description" not in kakuri_json.schema(Branch)["$defs"]["Branch"]


def test_schema_of_text_has_format_and_portable_pattern():
    text = kakuri_json.schema(Annotated[str, Shout()])
    assert text["pattern"] == "^(?:[A-Z]+$)$"
    assert text["format"] == "shout"


def test_schema_omits_pattern_that_is_not_portable():
    assert "pattern" not in kakuri_json.schema(Annotated[str, Shout("(?>a)")])


def test_schema_omits_default_that_documents_may_not_have():
    assert (
        "default"
        not in kakuri_json.schema(Documented)["$defs"]["Documented"]["properties"]["empty"]
    )


def test_encoded_schema_requires_what_is_written_and_leaves_null_out():
    schemas = kakuri_json.Schemas("#/components/schemas/")
    assert schemas.encoded(Documented) == {"$ref": "#/components/schemas/Documented"}
    described = schemas.definitions["Documented"]
    assert described["required"] == ["size"]
    assert "additionalProperties" not in described
    properties = described["properties"]
    assert properties["text"] == {
        "type": "string", "pattern": "^(?:[A-Z]+$)$", "format": "shout", "description": "The text.",
    }  # fmt: skip
    assert properties["leaf"]["$ref"] == "#/components/schemas/Leaf"
    assert properties["number"] == {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5}
    assert schemas.definitions["Leaf"]["required"] == ["type", "name", "size"]
    schemas.encoded(Options)
    assert schemas.definitions["Options"]["required"] == []


def test_schemas_define_class_once_for_each_direction():
    schemas = kakuri_json.Schemas()
    assert schemas.decoded(list[Leaf])["items"] == schemas.decoded(Leaf) == {"$ref": "#/$defs/Leaf"}
    assert schemas.encoded(Leaf) == schemas.encoded(Leaf) == {"$ref": "#/$defs/Leaf2"}
    assert list(schemas.definitions) == ["Leaf", "Leaf2"]


def test_prefix_of_schemas_that_is_not_text_raises_type_error():
    with pytest.raises(TypeError, match="expected prefix as str, got NoneType"):
        kakuri_json.Schemas(None)
