"""Describes types as JSON Schema (draft 2020-12)."""

from math import isfinite
from typing import TYPE_CHECKING, Any

from kakuri_json._encode import values
from kakuri_json._encode.printer import print_value
from kakuri_json._errors import JSONError
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._syntax.parser import parse
from kakuri_json._types.annotations import shape_of
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
    """Return the JSON Schema of what `decode` accepts for a type.

    Each class is described once, under `$defs`. A condition that JSON Schema cannot express (a
    predicate, the length of bytes) is omitted.

    Args:
        type: The type, as for `decode`.

    Returns:
        A schema of draft 2020-12.

    Raises:
        UnsupportedTypeError: The type has no JSON form.
    """
    definitions = _Definitions()
    described = {"$schema": _DIALECT} | definitions.describe(shape_of(type))
    if definitions.by_name:
        described["$defs"] = definitions.by_name
    return described


class _Definitions:
    """The classes that a type refers to, each with its schema."""

    def __init__(self) -> None:
        self.by_name: dict[str, dict[str, Any]] = {}
        self._names: dict[Record, str] = {}

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
                return {"$ref": f"#/$defs/{self._define(shape)}"}

    def _define(self, record: Record) -> str:
        if record in self._names:
            return self._names[record]
        name = base = record.cls.__name__
        number = 1
        while name in self.by_name:
            number += 1
            name = f"{base}{number}"
        self._names[record] = name
        described: dict[str, Any] = {"type": "object", "title": base}
        self.by_name[name] = described
        properties = {item.json_name: self._property(item) for item in record.fields}
        required = [item.json_name for item in record.fields if item.required]
        if record.tag is not None:
            properties = {record.tag: {"const": record.tag_value}} | properties
            required = [record.tag, *required]
        described["properties"] = properties
        described["required"] = required
        if not record.ignore_unknown:
            described["additionalProperties"] = False
        return name

    def _property(self, item: Field) -> dict[str, Any]:
        described = self.describe(item.shape)
        if item.required or item.default_factory is not None:
            return described
        try:
            text = print_value(item.default, DEFAULT_LIMITS, lambda: values)
        except JSONError:  # a default without a JSON form is omitted
            return described
        return described | {"default": parse(text, DEFAULT_LIMITS, last_key_wins=False)}


def _constrain(
    described: dict[str, Any], constraints: tuple[Constraint, ...], *, of_text: bool
) -> dict[str, Any]:
    """Add constraints to a schema; of_text: they apply to the value that a text represents."""
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
            keywords["pattern"] = f"^(?:{constraint.pattern})$"
        if constraint.description is not None:
            keywords["description"] = constraint.description
        # A schema has each keyword once; a second one needs a schema of its own.
        described = (
            described | keywords
            if not described.keys() & keywords.keys()
            else ({"allOf": [described, keywords]})
        )
    return described
