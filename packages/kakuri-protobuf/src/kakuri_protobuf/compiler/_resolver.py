"""Checks a parsed file, and resolves the names in it.

Source: protobuf.dev/programming-guides/proto3 and proto2. Scoping is as in C++: a name is looked up
from the innermost message outwards, and a leading dot makes it absolute.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kakuri_protobuf._errors import ProtoSyntaxError
from kakuri_protobuf._fields import MAX_NUMBER
from kakuri_protobuf._kinds import Kind
from kakuri_protobuf.compiler._tree import (
    EnumNode,
    FieldNode,
    FileNode,
    MessageNode,
    Position,
)

SCALARS = {kind.value: kind for kind in Kind if kind not in (Kind.ENUM, Kind.MESSAGE, Kind.GROUP)}
_KEYS = SCALARS.keys() - {"float", "double", "bytes"}
_RESERVED = (19_000, 19_999)


@dataclass(slots=True)
class Scope:
    """All messages and enums that a file can refer to, by full name.

    Attributes:
        missing: Names of imported files that were not found, for errors about unknown types.
    """

    messages: dict[str, tuple[MessageNode, FileNode]] = field(default_factory=dict)
    enums: dict[str, tuple[EnumNode, FileNode]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def add(self, file: FileNode) -> None:
        """Declare the messages and enums of a file.

        Raises:
            ProtoSyntaxError: A name is declared twice.
        """
        for message in file.messages:
            self._add_message(message, file.package, file)
        for enum in file.enums:
            self._add_enum(enum, file.package, file)

    def _add_message(self, message: MessageNode, parent: str, file: FileNode) -> None:
        message.full_name = self._claim(message.name, parent, message.position, file)
        self.messages[message.full_name] = message, file
        for nested in message.messages:
            self._add_message(nested, message.full_name, file)
        for enum in message.enums:
            self._add_enum(enum, message.full_name, file)

    def _add_enum(self, enum: EnumNode, parent: str, file: FileNode) -> None:
        enum.full_name = self._claim(enum.name, parent, enum.position, file)
        self.enums[enum.full_name] = enum, file

    def _claim(self, name: str, parent: str, position: Position, file: FileNode) -> str:
        full_name = f"{parent}.{name}" if parent else name
        if full_name in self.messages or full_name in self.enums:
            raise ProtoSyntaxError(f"{full_name!r} is declared twice", file.name, *position)
        return full_name

    def resolve(self, name: str, scope: str, position: Position, file: FileNode) -> str:
        """Return the full name of the message or enum that a name refers to.

        Raises:
            ProtoSyntaxError: There is no such type.
        """
        if name.startswith("."):
            candidates = [name[1:]]
        else:
            parts = scope.split(".") if scope else []
            candidates = [".".join([*parts[:end], name]) for end in range(len(parts), -1, -1)]
        for candidate in candidates:
            if candidate in self.messages or candidate in self.enums:
                return candidate
        hint = f"; not found: {', '.join(self.missing)}" if self.missing else ""
        raise ProtoSyntaxError(
            f"expected a type, got {name!r}, which is not declared{hint}", file.name, *position
        )


def check(file: FileNode) -> None:
    """Check everything that the grammar does not: numbers, names, labels and options.

    Raises:
        ProtoSyntaxError: The file violates a rule of its syntax.
    """
    for message in file.messages:
        _check_message(message, file)
    for enum in file.enums:
        _check_enum(enum, file)
    for service in file.services:
        names: set[str] = set()
        for method in service.methods:
            if method.name in names:
                raise _error(file, method.position, f"method {method.name!r} is declared twice")
            names.add(method.name)


def expected_default(kind: Kind, value: Any) -> str:
    """Describe the expected default if a value is not valid for a scalar kind; otherwise empty."""
    if kind is Kind.BOOL:
        return "" if isinstance(value, bool) else "true or false as default"
    if kind in (Kind.STRING, Kind.BYTES):
        return "" if isinstance(value, bytes) else "a string as default"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind.bounds is None:
        return "" if is_number else "a number as default"
    low, high = kind.bounds
    is_integer = is_number and isinstance(value, int) and low <= value <= high
    return "" if is_integer else f"an integer from {low} to {high} as default"


def all_messages(messages: list[MessageNode]) -> Iterator[MessageNode]:
    """Yield messages and the messages nested in them, outer ones first."""
    for message in messages:
        yield message
        yield from all_messages(message.messages)


def _error(file: FileNode, position: Position, message: str) -> ProtoSyntaxError:
    return ProtoSyntaxError(message, file.name, *position)


def _check_message(message: MessageNode, file: FileNode) -> None:
    numbers: dict[int, str] = {}
    names: set[str] = {name for name, _ in message.oneofs}
    for node in message.fields:
        _check_number(node, message, file)
        if node.number in numbers:
            raise _error(
                file, node.position, f"number {node.number} is taken by {numbers[node.number]!r}"
            )
        if node.name in names:
            raise _error(file, node.position, f"field {node.name!r} is declared twice")
        if node.name in message.reserved_names:
            raise _error(file, node.position, f"name {node.name!r} is reserved")
        numbers[node.number] = node.name
        names.add(node.name)
        _check_label(node, file)
    for oneof, position in message.oneofs:
        if all(node.oneof != oneof for node in message.fields):
            raise _error(file, position, f"expected a field in oneof {oneof!r}")
    for nested in message.messages:
        _check_message(nested, file)
    for enum in message.enums:
        _check_enum(enum, file)


def _check_number(node: FieldNode, message: MessageNode, file: FileNode) -> None:
    low, high = _RESERVED
    if not 1 <= node.number <= MAX_NUMBER or low <= node.number <= high:
        raise _error(
            file,
            node.position,
            f"expected a number from 1 to {MAX_NUMBER} and outside {low} to {high},"
            f" got {node.number}",
        )
    for first, last in message.reserved_numbers:
        if first <= node.number <= last:
            raise _error(file, node.position, f"number {node.number} is reserved")


def _check_label(node: FieldNode, file: FileNode) -> None:
    if file.syntax == "proto3":
        if node.label == "required" or node.is_group or "default" in node.options:
            what = "a group" if node.is_group else node.label or "a default"
            raise _error(file, node.position, f"expected a field of proto3, got {what}")
    elif not node.label and not node.oneof and not node.is_map:
        raise _error(
            file, node.position, "expected 'optional', 'required' or 'repeated' before the type"
        )
    if node.is_map:
        if node.key not in _KEYS:
            raise _error(
                file, node.position, f"expected integers, bool or string as keys, got {node.key}"
            )
        if node.label or node.oneof:
            raise _error(file, node.position, "expected a map without label and outside oneofs")
    packed = node.options.get("packed", False)
    if not isinstance(packed, bool):
        raise _error(file, node.position, f"expected true or false as 'packed', got {packed!r}")
    if packed and (node.label != "repeated" or node.type in ("string", "bytes") or node.is_group):
        raise _error(file, node.position, "expected 'packed' on a repeated scalar field")


def _check_enum(enum: EnumNode, file: FileNode) -> None:
    if file.syntax == "proto3" and enum.values[0][1] != 0:
        raise _error(file, enum.values[0][2], "expected the first value of an enum to be 0")
    names: set[str] = set()
    numbers: dict[int, str] = {}
    for name, number, position in enum.values:
        if name in names:
            raise _error(file, position, f"value {name!r} is declared twice")
        if number in numbers and enum.options.get("allow_alias") is not True:
            raise _error(
                file,
                position,
                f"number {number} is taken by {numbers[number]!r}; 'allow_alias' permits that",
            )
        names.add(name)
        numbers.setdefault(number, name)
