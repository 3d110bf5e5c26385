"""Makes message classes from a table of fields, as the corpora and protoc's descriptors have them."""

import enum
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any

import kakuri_protobuf as kp

KINDS = {
    "int32": kp.Int32,
    "int64": kp.Int64,
    "uint32": kp.UInt32,
    "uint64": kp.UInt64,
    "sint32": kp.SInt32,
    "sint64": kp.SInt64,
    "fixed32": kp.Fixed32,
    "fixed64": kp.Fixed64,
    "sfixed32": kp.SFixed32,
    "sfixed64": kp.SFixed64,
    "float": kp.Float,
    "double": kp.Double,
    "bool": bool,
    "string": str,
    "bytes": bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSetItem:
    """An extension in a MessageSet."""

    type_id: Annotated[kp.Int32, 2, kp.Required]
    message: Annotated[bytes, 3, kp.Required]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSet:
    """The wire format of a MessageSet, an option of proto2 that predates extensions."""

    item: Annotated[tuple[MessageSetItem, ...], 1, kp.Group] = ()


class SchemaClasses:
    """Dataclasses for the messages of a schema; `messages` by full name."""

    def __init__(self, schema: dict[str, Any], *, is_proto2: bool) -> None:
        self._schema = schema
        self._is_proto2 = is_proto2
        self.enums = {name: self._enum(name, members) for name, members in schema["enums"].items()}
        # Messages of other files, which the schema does not describe, keep their bytes unread.
        self.enums["google.protobuf.NullValue"] = kp.Enum("NullValue", {"NULL_VALUE": 0})
        self.messages: dict[str, type[Any]] = {}
        for name, message in schema["messages"].items():
            if not message["map_entry"]:
                self._message(name)

    def _enum(self, name: str, members: dict[str, int]) -> Any:
        base = enum.IntEnum if self._is_proto2 else kp.Enum
        return base(name.rpartition(".")[2], members)

    def _message(self, name: str) -> Any:
        """Return a class whose annotations are filled in once all classes exist."""
        if name in self.messages:
            return self.messages[name]
        if name.endswith(".MessageSetCorrect"):
            self.messages[name] = MessageSet
            return MessageSet
        described = self._schema["messages"].get(name, {"fields": []})
        local: dict[str, Any] = {}
        fields: list[Any] = []
        for one in described["fields"]:
            attribute = attribute_of(one["name"])
            default = self._default(one)
            fields.append((attribute, f"local[{attribute!r}]", default))
        fields.append(("unknown_fields", "local['unknown_fields']", field(default=b"")))
        cls = make_dataclass(name.rpartition(".")[2], fields, frozen=True, slots=True, kw_only=True)
        self.messages[name] = cls
        for one in described["fields"]:
            attribute = attribute_of(one["name"])
            local[attribute] = self._annotation(one)
        local["unknown_fields"] = Annotated[bytes, kp.Unknown]
        cls.__annotations__ = {key: local[key] for key in cls.__annotations__}
        return cls

    def _entry(self, one: dict[str, Any]) -> dict[str, Any] | None:
        described = self._schema["messages"].get(one.get("message", ""))
        return described if described is not None and described["map_entry"] else None

    def _default(self, one: dict[str, Any]) -> Any:
        if self._entry(one):
            return field(default_factory=dict)
        if one.get("repeated"):
            return field(default=())
        if one.get("presence"):
            return field(default=None)
        if one["type"] == "enum":
            return field(default=self.enums[one["enum"]](0))
        return field(default=kp_zero(one["type"]))

    def _annotation(self, one: dict[str, Any]) -> Any:
        entry = self._entry(one)
        if entry is not None:
            key, value = (self._type(part) for part in entry["fields"])
            return Annotated[Mapping[key, value], one["number"]]
        hint, marks = self._type(one), []
        if one["type"] == "group":
            marks.append(kp.Group)
        if one.get("repeated"):
            if not one.get("packed"):
                marks.append(kp.Unpacked)
            hint = tuple[hint, ...]
        elif one.get("required"):
            marks.append(kp.Required)
        elif one.get("presence"):
            hint = hint | None
        if one.get("oneof"):
            marks.append(kp.OneOf(one["oneof"]))
        return Annotated[hint, one["number"], *marks]

    def _type(self, one: dict[str, Any]) -> Any:
        if one["type"] in ("message", "group"):
            return self._message(one["message"])
        if one["type"] == "enum":
            return self.enums[one["enum"]]
        return KINDS[one["type"]]


def attribute_of(name: str) -> str:
    """Return the attribute for a field: Python reserves some names, and mangles others."""
    return (
        name.replace("__", "u_", 1)
        if name.startswith("__")
        else name + "_" * keyword.iskeyword(name)
    )


def kp_zero(kind: str) -> Any:
    """Return the zero of a scalar kind."""
    zeros = {"string": "", "bytes": b"", "bool": False, "float": 0.0, "double": 0.0}
    return zeros.get(kind, 0)
