"""Describes types as JSON Schema (draft 2020-12)."""

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from kakuri_json._encode import values
from kakuri_json._encode.printer import print_value
from kakuri_json._errors import JSONError
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._portable_patterns import portable
from kakuri_json._syntax.parser import parse
from kakuri_json._types.annotations import shape_of
from kakuri_json._types.docstrings import class_summary, field_descriptions
from kakuri_json._types.shapes import (
    Anything,
    Choice,
    Constrained,
    Constraint,
    Field,
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

if TYPE_CHECKING:
    from typing_extensions import TypeForm

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FORMATS: dict[str, dict[str, str]] = {
    "datetime": {"format": "date-time"},
    "date": {"format": "date"},
    "decimal": {"pattern": r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"},
    "bytes": {"contentEncoding": "base64"},
    "uuid": {"format": "uuid"},
}
_BOUNDS = {
    "ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}  # fmt: skip
_SIZES = {"string": "Length", "array": "Items", "object": "Properties"}


def schema(type: "TypeForm[Any]") -> dict[str, Any]:  # noqa: A002
    """Return the JSON Schema of the documents that `decode` accepts for a type.

    Each class is described once, under `$defs`. Conditions that JSON Schema cannot express (a
    predicate, the length of bytes, some regular expressions) are omitted. Descriptions come from
    the docstrings of classes: the first paragraph, and the section `Attributes`.

    Args:
        type: The type, as for `decode`.

    Returns:
        A schema of draft 2020-12.

    Raises:
        UnsupportedTypeError: The type has no JSON form.
    """
    schemas = Schemas()
    described = {"$schema": _DIALECT} | schemas.decoded(type)
    if schemas.definitions:
        described["$defs"] = schemas.definitions
    return described


class Schemas:
    """The JSON Schemas of several types that share definitions, as in an OpenAPI document.

        schemas = Schemas("#/components/schemas/")
        body = schemas.decoded(Order)
        response = schemas.encoded(list[Order])
        document["components"] = {"schemas": schemas.definitions}

    Attributes:
        definitions: The schema of each class, by name. If two classes have the same name, or a
            class is both decoded and encoded, a number is appended to the name.
    """

    def __init__(self, prefix: str = "#/$defs/") -> None:
        """Create an empty collection.

        Args:
            prefix: The beginning of references: the location of the definitions in the document.

        Raises:
            TypeError: The prefix is not a str.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"expected prefix as str, got {type(prefix).__name__}")
        self._prefix = prefix
        self.definitions: dict[str, dict[str, Any]] = {}
        self._decoded = _Describer(self, is_encoded=False)
        self._encoded = _Describer(self, is_encoded=True)

    def decoded(self, type: "TypeForm[Any]") -> dict[str, Any]:  # noqa: A002
        """Return the schema of the documents that `decode` accepts for a type.

        Raises:
            UnsupportedTypeError: The type has no JSON form.
        """
        return self._decoded.describe(shape_of(type))

    def encoded(self, type: "TypeForm[Any]") -> dict[str, Any]:  # noqa: A002
        """Return the schema of the documents that `encode` writes for a type.

        Fields that are always written are required, null is left out where it is never written, and
        unknown fields are allowed, because a later version may write more fields.

        Raises:
            UnsupportedTypeError: The type has no JSON form.
        """
        return self._encoded.describe(shape_of(type))

    def _add(self, record: Record) -> tuple[str, dict[str, Any]]:
        """Add a definition; return the reference to it, and its schema, which is still empty."""
        name = base = record.cls.__name__
        number = 1
        while name in self.definitions:
            number += 1
            name = f"{base}{number}"
        self.definitions[name] = described = {"type": "object", "title": base}
        return self._prefix + name, described


class _Describer:
    """Describes shapes as they are decoded, or as they are encoded."""

    def __init__(self, schemas: Schemas, *, is_encoded: bool) -> None:
        self._schemas = schemas
        self._is_encoded = is_encoded
        self._references: dict[Record, str] = {}

    def describe(self, shape: Shape) -> dict[str, Any]:
        match shape:
            case Anything():
                return {}
            case Scalar():
                return {"type": shape.kind}
            case Choice():
                values = [encoded for encoded, _ in shape.rows]
                return {"const": values[0]} if len(values) == 1 else {"enum": values}
            case Flags():
                return {"type": "integer", "minimum": 0, "maximum": shape.known}
            case Text():
                return {"type": "string"} | _FORMATS[shape.format]
            case Sequence():
                unique = {"uniqueItems": True} if shape.build in (set, frozenset) else {}
                return {"type": "array", "items": self.describe(shape.item)} | unique
            case FixedTuple():
                count = len(shape.items)
                if not count:
                    return {"type": "array", "maxItems": 0}
                items = [self.describe(item) for item in shape.items]
                return {"type": "array", "prefixItems": items, "items": False, "minItems": count}
            case Mapping():
                names = self.describe(shape.key)
                keys = {} if names == {"type": "string"} else {"propertyNames": names}
                return {"type": "object", "additionalProperties": self.describe(shape.value)} | keys
            case Constrained():
                inside = self.describe(shape.inner)
                return _constrain(inside, shape.constraints, of_text=isinstance(shape.inner, Text))
            case Union():
                members = [self.describe(member) for member in shape.members]
                return {"anyOf" if shape.tag is None else "oneOf": members}
            case Record():
                return {"$ref": self._define(shape)}

    def _define(self, record: Record) -> str:
        if record in self._references:
            return self._references[record]
        reference, described = self._schemas._add(record)  # noqa: SLF001
        self._references[record] = reference
        if (summary := class_summary(record.cls)) is not None:
            described["description"] = summary
        descriptions = field_descriptions(record.cls)
        properties = {}
        for item in record.fields:
            properties[item.json_name] = self._property(item)
            if item.name in descriptions:
                properties[item.json_name]["description"] = descriptions[item.name]
        required = [
            item.json_name
            for item in record.fields
            if (not item.omit_default if self._is_encoded and not record.is_dict else item.required)
        ]
        if record.tag is not None:
            properties = {record.tag: {"const": record.tag_value}} | properties
            required = [record.tag, *required]
        described["properties"] = properties
        described["required"] = required
        if not record.ignore_unknown and not self._is_encoded:
            described["additionalProperties"] = False
        return reference

    def _property(self, item: Field) -> dict[str, Any]:
        shape = item.shape
        if self._is_encoded and item.omit_default and item.default_factory is None:
            shape = _without_null(shape) if item.default is None else shape
        described = self.describe(shape)
        if item.required or item.default_factory is not None or not _accepts(shape, item.default):
            return described
        if self._is_encoded and not item.omit_default:
            return described
        try:
            text = print_value(item.default, DEFAULT_LIMITS, lambda: values)
        except JSONError:  # a default without a JSON form is omitted
            return described
        return described | {"default": parse(text, DEFAULT_LIMITS, last_key_wins=False)}


def _without_null(shape: Shape) -> Shape:
    if not isinstance(shape, Union):
        return shape
    members = tuple(member for member in shape.members if member != Scalar("null"))
    return members[0] if len(members) == 1 else replace(shape, members=members)


def _accepts(shape: Shape, default: Any) -> bool:
    """Return whether documents may contain a default; some defaults only mean an absent field."""
    if default is None:
        null = Scalar("null")
        return isinstance(shape, Anything) or (isinstance(shape, Union) and null in shape.members)
    if isinstance(shape, Constrained):
        return all(constraint.holds(default) for constraint in shape.constraints)
    return True


def _constrain(
    described: dict[str, Any], constraints: tuple[Constraint, ...], *, of_text: bool
) -> dict[str, Any]:
    """Add constraints to a schema; with `of_text`, they apply to what a string encodes."""
    for constraint in constraints:
        keywords: dict[str, Any] = {}
        for name, keyword in _BOUNDS.items():
            bound = getattr(constraint, name)
            if type(bound) is int or (type(bound) is float and isfinite(bound)):
                keywords[keyword] = bound
        suffix = None if of_text else _SIZES.get(described.get("type", ""))
        for name, keyword in (("min_length", "min"), ("max_length", "max")):
            if getattr(constraint, name) is not None and suffix is not None:
                keywords[keyword + suffix] = getattr(constraint, name)
        if constraint.pattern is not None:
            if (pattern := portable(constraint.pattern)) is not None:
                keywords["pattern"] = pattern
            if constraint.text_format is not None:
                keywords["format"] = constraint.text_format
        if constraint.description is not None:
            keywords["description"] = constraint.description
        # A schema has each keyword once; a second one needs a schema of its own.
        described = (
            described | keywords
            if not described.keys() & keywords.keys()
            else ({"allOf": [described, keywords]})
        )
    return described
