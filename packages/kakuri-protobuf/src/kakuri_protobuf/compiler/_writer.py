"""Generates the Python module of a resolved file."""

from typing import Any

from kakuri_protobuf._errors import ProtoSyntaxError
from kakuri_protobuf.compiler._names import class_attributes, class_name, enum_attributes
from kakuri_protobuf.compiler._resolver import SCALARS, Scope, all_messages, expected_default
from kakuri_protobuf.compiler._tree import (
    EnumNode,
    FieldNode,
    FileNode,
    MessageNode,
    MethodNode,
    ServiceNode,
)

_ALIASES = {
    "int32": "Int32",
    "int64": "Int64",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "sint32": "SInt32",
    "sint64": "SInt64",
    "fixed32": "Fixed32",
    "fixed64": "Fixed64",
    "sfixed32": "SFixed32",
    "sfixed64": "SFixed64",
    "float": "Float",
    "double": "Double",
    "bool": "bool",
    "string": "str",
    "bytes": "bytes",
}
_ZEROS = {"bool": "False", "string": '""', "bytes": 'b""', "float": "0.0", "double": "0.0"}


class Writer:
    """Collects the lines and imports of a module."""

    def __init__(self, file: FileNode, scope: Scope, *, keep_unknown: bool) -> None:
        self._file = file
        self._scope = scope
        self._keep_unknown = keep_unknown
        self._imports: set[str] = set()
        self._used: set[str] = set()
        self._is_enum_needed = False
        self._is_mapping_needed = False
        self._is_field_needed = False
        self._names: dict[str, str] = {}

    def write(self) -> str:
        """Return the module's source.

        Raises:
            ProtoSyntaxError: A name can't be resolved, or two names would be the same in Python.
        """
        order = self._needed()
        names = self._names = self._class_names(order)
        body: list[str] = []
        for name in order:
            if name in self._scope.enums:
                body += self._enum(self._scope.enums[name][0], names[name])
        for name in order:
            if name in self._scope.messages:
                message, file = self._scope.messages[name]
                body += self._message(message, file, names[name])
        for service in self._file.services:
            if class_name(service.name) in names.values():
                text = f"class {class_name(service.name)} would be a message or an enum, too"
                raise ProtoSyntaxError(text, self._file.name, *service.position)
            body += self._service(service)
        return "\n".join([*self._head(), *body]) + "\n"

    # Which classes.

    def _needed(self) -> list[str]:
        """Return the full names of the file's own types and of the imported types they use."""
        order: dict[str, None] = {}
        waiting: list[str] = [enum.full_name for enum in self._file.enums]
        for message in all_messages(self._file.messages):
            waiting += [enum.full_name for enum in message.enums]
            waiting.append(message.full_name)
        for service in self._file.services:
            for method in service.methods:
                waiting += [
                    self._method_type(method.request, method),
                    self._method_type(method.response, method),
                ]
        waiting.reverse()
        while waiting:
            name = waiting.pop()
            if name in order:
                continue
            order[name] = None
            if name in self._scope.messages:
                message, file = self._scope.messages[name]
                for node in message.fields:
                    resolved = self._resolve(node, message, file)
                    if resolved is not None:
                        waiting.append(resolved)
        return list(order)

    def _resolve(self, node: FieldNode, message: MessageNode, file: FileNode) -> str | None:
        """Return the full name of a field's message or enum; None for scalars."""
        name = node.value if node.is_map else node.type
        if name in SCALARS:
            return None
        return self._scope.resolve(name, message.full_name, node.position, file)

    def _method_type(self, name: str, method: MethodNode) -> str:
        """Return the full name of a method's request or response."""
        full_name = self._scope.resolve(name, self._file.package, method.position, self._file)
        if full_name not in self._scope.messages:
            raise ProtoSyntaxError(
                f"expected a message, got the enum {name!r}", self._file.name, *method.position
            )
        return full_name

    def _class_names(self, order: list[str]) -> dict[str, str]:
        """Return a class name for each full name: `Outer.Inner` becomes `OuterInner`."""
        names: dict[str, str] = {}
        owners: dict[str, str] = {}
        for full_name in order:
            node, file = self._scope.messages.get(full_name) or self._scope.enums[full_name]
            package = f"{file.package}." if file.package else ""
            parts = full_name.removeprefix(package).split(".")
            name = class_name("".join(part[0].upper() + part[1:] for part in parts))
            if name in owners:
                raise ProtoSyntaxError(
                    f"{full_name!r} and {owners[name]!r} would both be class {name}",
                    file.name,
                    *node.position,
                )
            owners[name] = full_name
            names[full_name] = name
        return names

    # The parts of the module.

    def _head(self) -> list[str]:
        source = self._file.name.replace("\\", "/").rpartition("/")[2]
        lines = [
            f'"""Messages of {source}. Generated by kakuri_protobuf; do not edit."""',
            "",
            "# ruff: noqa",
            "# fmt: off",
            "",
            "from __future__ import annotations",
            "",
        ]
        if self._is_mapping_needed:
            lines.append("from collections.abc import Mapping")
        has_messages = any(name in self._scope.messages for name in self._names)
        if self._is_field_needed:
            lines.append("from dataclasses import field")
        if self._is_enum_needed:
            lines.append("from enum import IntEnum")
        typing_names = ["TYPE_CHECKING"] if has_messages else []
        if self._is_annotated_needed():
            typing_names.append("Annotated")
        if typing_names:
            lines.append(f"from typing import {', '.join(typing_names)}")
        if self._imports:
            lines += ["", "from kakuri_protobuf import ("]
            lines += [f"    {name}," for name in sorted(self._imports)]
            lines.append(")")
        if has_messages:
            lines += [
                "",
                "if TYPE_CHECKING:",
                "    from dataclasses import dataclass",
                "else:  # the same decorator, which adds methods on first use instead of at import",
                "    from kakuri_protobuf import dataclass",
            ]
        return lines

    def _is_annotated_needed(self) -> bool:
        messages = [
            self._scope.messages[name] for name in self._names if name in self._scope.messages
        ]
        return any(message.fields or self._keep_unknown for message, _ in messages)

    def _enum(self, enum: EnumNode, name: str) -> list[str]:
        _, file = self._scope.enums[enum.full_name]
        base = "Enum"
        if file.syntax == "proto2":
            base = "IntEnum"
            self._is_enum_needed = True
        else:
            self._imports.add("Enum")
        lines = ["", "", f"class {name}({base}):", f'    """Enum {enum.full_name}."""', ""]
        attributes = enum_attributes(value for value, _, _ in enum.values)
        for value, number, _ in enum.values:
            lines.append(f"    {attributes[value]} = {number}")
        return lines

    def _message(self, message: MessageNode, file: FileNode, name: str) -> list[str]:
        lines = [
            "",
            "",
            "@dataclass(frozen=True, slots=True, kw_only=True)",
            f"class {name}:",
            f'    """Message {message.full_name}."""',
        ]
        if message.fields or self._keep_unknown:
            lines.append("")
        types = [self._resolve(node, message, file) for node in message.fields]
        classes = {self._names[name] for name in types if name is not None}
        taken = {"unknown_fields"} if self._keep_unknown else set()
        attributes = class_attributes((node.name for node in message.fields), classes, taken)
        for node in message.fields:
            lines.append(f"    {attributes[node.name]}: {self._field(node, message, file)}")
        if self._keep_unknown:
            self._imports.add("Unknown")
            lines.append('    unknown_fields: Annotated[bytes, Unknown] = b""')
        return lines

    def _field(self, node: FieldNode, message: MessageNode, file: FileNode) -> str:
        marks = [str(node.number)]
        default = ""
        resolved = self._resolve(node, message, file)
        is_message = resolved in self._scope.messages
        if is_message and node.options.get("packed") is True:
            raise ProtoSyntaxError(
                "expected 'packed' on a repeated scalar field", file.name, *node.position
            )
        if node.is_map:
            self._is_mapping_needed = self._is_field_needed = True
            hint = f"Mapping[{self._type(node.key, None)}, {self._type(node.value, resolved)}]"
            default = "field(default_factory=dict)"
        elif node.label == "repeated":
            hint = f"tuple[{self._type(node.type, resolved)}, ...]"
            default = "()"
            is_packable = not is_message and node.type not in ("string", "bytes")
            if is_packable and not node.options.get("packed", file.syntax == "proto3"):
                marks.append(self._import("Unpacked"))
        elif node.label == "required":
            hint = self._type(node.type, resolved)
            marks.append(self._import("Required"))
        elif node.label or node.oneof or is_message:
            hint = f"{self._type(node.type, resolved)} | None"
            default = "None"
        else:
            hint = self._type(node.type, resolved)
            default = self._zero(node.type, resolved)
        if node.is_group:
            marks.append(self._import("Group"))
        if node.oneof:
            marks.append(f'{self._import("OneOf")}("{node.oneof}")')
        if "default" in node.options:
            marks.append(f"{self._import('Default')}({self._default(node, resolved, file)})")
        if default and node.options.get("debug_redact", False):
            self._is_field_needed = True
            is_call = default.startswith("field(")
            arguments = default[len("field(") : -1] if is_call else f"default={default}"
            default = f"field({arguments}, repr=False)"  # a secret: kept out of logs
        written = f"Annotated[{hint}, {', '.join(marks)}]"
        return f"{written} = {default}" if default else written

    def _import(self, name: str) -> str:
        self._imports.add(name)
        return name

    def _type(self, name: str, resolved: str | None) -> str:
        if resolved is not None:
            return self._names[resolved]
        alias = _ALIASES[name]
        return alias if alias in ("bool", "str", "bytes") else self._import(alias)

    def _zero(self, name: str, resolved: str | None) -> str:
        if resolved is None:
            return _ZEROS.get(name, "0")
        return self._enum_value(resolved, self._scope.enums[resolved][0].values[0][0])

    def _enum_value(self, enum: str, value: str) -> str:
        """Return the source of a value of an enum."""
        attributes = enum_attributes(name for name, _, _ in self._scope.enums[enum][0].values)
        return f"{self._names[enum]}.{attributes[value]}"

    def _default(self, node: FieldNode, resolved: str | None, file: FileNode) -> str:
        """Return the source of a default of proto2."""
        value = node.options["default"]
        if resolved in self._scope.enums and node.label != "repeated":
            names = [name for name, _, _ in self._scope.enums[resolved][0].values]
            if value in names:
                return self._enum_value(resolved, value)
            expected = f"a value of enum {resolved!r}"
        else:
            is_one = resolved is None and node.label != "repeated" and not node.is_map
            expected = expected_default(SCALARS[node.type], value) if is_one else "no default"
            if not expected:
                return _literal(node.type, value)
        raise ProtoSyntaxError(
            f"expected {expected} for {node.name!r}, got {value!r}", file.name, *node.position
        )

    def _service(self, service: ServiceNode) -> list[str]:
        self._imports.add("Method")
        package = f"{self._file.package}." if self._file.package else ""
        lines = [
            "",
            "",
            f"class {class_name(service.name)}:",
            f'    """Service {package}{service.name}."""',
        ]
        if service.methods:
            lines.append("")
        types = [
            [
                self._names[self._method_type(name, method)]
                for name in (method.request, method.response)
            ]
            for method in service.methods
        ]
        attributes = class_attributes(
            (method.name for method in service.methods), {name for pair in types for name in pair}
        )
        for method, (request, response) in zip(service.methods, types, strict=True):
            streams = ", client_streams=True" if method.client_streams else ""
            streams += ", server_streams=True" if method.server_streams else ""
            path = f"/{package}{service.name}/{method.name}"
            name = attributes[method.name]
            kind = f"Method[{request}, {response}]"
            lines.append(f'    {name}: {kind} = Method("{path}", {request}, {response}{streams})')
        return lines


def _literal(kind: str, value: Any) -> str:
    """Return the source of a scalar default."""
    if kind == "string":
        return repr(value.decode("utf-8", "replace"))
    return f'float("{float(value)}")' if kind in ("float", "double") else repr(value)
