"""The syntax tree of a .proto file."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Position(NamedTuple):
    """The position of a token; line and column count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class FieldNode:
    """A field, a group, or a member of a oneof.

    Attributes:
        label: "optional", "required", "repeated" or "".
        type: The name of a scalar, or of a message or enum as written; "map" for maps.
        key, value: the types of a map.
        is_group: Whether it is a group, whose message `type` names.
    """

    name: str
    number: int
    label: str
    type: str
    position: Position
    key: str = ""
    value: str = ""
    oneof: str = ""
    is_group: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_map(self) -> bool:
        """Whether it is a map, and not a field whose type is a message named `map`."""
        return bool(self.key)


@dataclass(slots=True)
class EnumNode:
    """An enum with its values in the order of the file."""

    name: str
    position: Position
    values: list[tuple[str, int, Position]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    full_name: str = ""


@dataclass(slots=True)
class MessageNode:
    """A message with its nested declarations."""

    name: str
    position: Position
    fields: list[FieldNode] = field(default_factory=list)
    messages: list["MessageNode"] = field(default_factory=list)
    enums: list[EnumNode] = field(default_factory=list)
    oneofs: list[tuple[str, Position]] = field(default_factory=list)
    reserved_numbers: list[tuple[int, int]] = field(default_factory=list)
    reserved_names: set[str] = field(default_factory=set)
    full_name: str = ""


@dataclass(slots=True)
class MethodNode:
    """A method of a service; the types are as written."""

    name: str
    position: Position
    request: str
    response: str
    client_streams: bool
    server_streams: bool


@dataclass(slots=True)
class ServiceNode:
    """A service with its methods in the order of the file."""

    name: str
    position: Position
    methods: list[MethodNode] = field(default_factory=list)


@dataclass(slots=True)
class FileNode:
    """A whole file.

    Attributes:
        name: Name of the file, for errors.
        syntax: "proto2" or "proto3".
        imports: Names of imported files with their positions; `True` for public ones.
    """

    name: str
    syntax: str = "proto2"
    package: str = ""
    imports: list[tuple[str, bool, Position]] = field(default_factory=list)
    messages: list[MessageNode] = field(default_factory=list)
    enums: list[EnumNode] = field(default_factory=list)
    services: list[ServiceNode] = field(default_factory=list)
