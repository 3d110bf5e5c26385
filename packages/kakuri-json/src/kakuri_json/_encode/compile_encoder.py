"""Compiles dataclasses into functions that print them: one f-string each.

The function checks the class of every field, and all strings together: if their concatenation is
printable and has neither quotes nor backslashes, nothing needs an escape. Otherwise, it returns
None, and the general printer prints the value.
"""

import datetime as dt
from collections import abc
from typing import Any, TypeAlias

from kakuri_json._encode.values import EXACT, is_default
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._syntax.strings import escape_each, only_strings, quote, quote_all
from kakuri_json._types.annotations import record_of
from kakuri_json._types.attributes import Encoder
from kakuri_json._types.formats import (
    native_class,
    write_bytes,
    write_date_time,
    write_decimal,
)
from kakuri_json._types.shapes import (
    Choice,
    Constrained,
    Field,
    Mapping,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
    is_string,
)

_FORMATS: dict[str, Encoder] = {
    "datetime": write_date_time,
    "date": dt.date.isoformat,
    "decimal": write_decimal,
    "bytes": write_bytes,
    "uuid": str,
}
_LARGE = 10**18
"""Integers below this bound have fewer digits than the default limit."""


_Encoders: TypeAlias = dict[Record, Encoder | None]
"""The functions of records that occur more than once; None while a function is being compiled."""


class _NotPlain(Exception):
    """The shape has no f-string: it contains itself, or any value."""


def compile_encoder(cls: type[Any]) -> Encoder:
    """Return a function that prints instances of a dataclass, or returns None if it can't.

    The function raises ValueError for an integer with too many digits.
    """
    try:
        return _record(record_of(cls), {})
    except _NotPlain:
        return lambda _: None


def _value(shape: Shape, encoders: _Encoders) -> Encoder:
    match shape:
        case Constrained():
            return _value(shape.inner, encoders)
        case Scalar():
            return _SCALARS[shape.kind]
        case Choice():
            return _choice(shape)
        case Text():
            return _text(native_class(shape.format), _FORMATS[shape.format])
        case Union():
            return _union(shape, encoders)
        case Sequence(build=build) if build in (list, tuple) and is_string(shape.item):
            return _strings(build)
        case Sequence(build=build) if build in (list, tuple):
            return _sequence(build, _value(shape.item, encoders))
        case Mapping() if is_string(shape.key) and is_string(shape.value):
            return _members
        case Mapping() if is_string(shape.key):
            return _dictionary(_value(shape.value, encoders))
        case Record() if not shape.is_dict:
            write = encoders[shape] if shape in encoders else _record(shape, encoders)
            if write is not None:
                return write
    raise _NotPlain


_SCALARS: dict[str, Encoder] = {
    "string": lambda value: quote(value) if value.__class__ is str else None,
    "integer": lambda value: (
        str(value) if value.__class__ is int and -_LARGE < value < _LARGE else None
    ),
    "number": lambda value: (
        repr(value) if value.__class__ is float and value - value == 0 else None
    ),
    "boolean": lambda value: (
        {True: "true", False: "false"}[value] if value.__class__ is bool else None
    ),
    "null": lambda value: "null" if value is None else None,
}


def _choice(shape: Choice) -> Encoder:
    # An Enum that defines `__eq__` has no hash.
    if not all(type(text) is str and isinstance(value, abc.Hashable) for text, value in shape.rows):
        raise _NotPlain
    texts = {decoded: quote(encoded) for encoded, decoded in shape.rows}
    kinds = {type(decoded) for _, decoded in shape.rows}
    return lambda value: texts.get(value) if value.__class__ in kinds else None


def _text(cls: type[Any], write: Encoder) -> Encoder:
    def write_text(value: Any) -> str | None:
        text = write(value) if value.__class__ is cls else None
        return None if text is None else f'"{text}"'

    return write_text


def _union(shape: Union, encoders: _Encoders) -> Encoder:
    writers = [_value(member, encoders) for member in shape.members]

    def write_any(value: Any) -> str | None:
        for write in writers:
            text = write(value)
            if text is not None:
                return text
        return None

    return write_any


def _sequence(build: type[Any], write: Encoder) -> Encoder:
    def write_sequence(value: Any) -> str | None:
        if value.__class__ is not build:
            return None
        texts = [write(item) for item in value]
        return None if None in texts else f"[{','.join(texts)}]"  # type: ignore[arg-type]

    return write_sequence


def _strings(build: type[Any]) -> Encoder:
    def write_strings(value: Any) -> str | None:
        if value.__class__ is not build or not only_strings(value):
            return None
        return f"[{quote_all(value)}]"

    return write_strings


def _dict_of(value: Any) -> dict[Any, Any] | None:
    """Return a mapping as a dict, such as a frozen one; None for other values."""
    if value.__class__ is dict:
        return value
    if not isinstance(value, abc.Mapping) or hasattr(value, "__dataclass_fields__"):
        return None
    pairs = list(value.items())
    members = dict(pairs)
    return members if len(members) == len(pairs) else None


def _members(value: Any) -> str | None:
    """Print an object of strings."""
    members = _dict_of(value)
    if members is None or len(members) > DEFAULT_LIMITS.max_keys:
        return None
    keys, values = list(members), list(members.values())
    if not (only_strings(keys) and only_strings(values)):
        return None
    pairs = zip(escape_each(keys), escape_each(values), strict=True)
    return "{" + ",".join(map('"%s":"%s"'.__mod__, pairs)) + "}"


def _dictionary(write: Encoder) -> Encoder:
    def write_dictionary(value: Any) -> str | None:
        members = _dict_of(value)
        if members is None or len(members) > DEFAULT_LIMITS.max_keys:
            return None
        texts = []
        for key, item in members.items():
            text = write(item)
            if key.__class__ is not str or text is None:
                return None
            texts.append(f"{quote(key)}:{text}")
        return f"{{{','.join(texts)}}}"

    return write_dictionary


def _record(record: Record, encoders: _Encoders) -> Encoder:
    encoders[record] = None
    constants: dict[str, Any] = {"cls": record.cls}
    source = _source(record, encoders, constants)
    exec(source, constants)  # noqa: S102 - names of fields are identifiers
    write: Encoder = constants["write"]
    encoders[record] = write
    return write


def _source(record: Record, encoders: _Encoders, constants: dict[str, Any]) -> str:
    """Return the source of a record's function, and add the values that it names to `constants`."""
    fields = {f"v{number}": item for number, item in enumerate(record.fields)}
    required = {name: item for name, item in fields.items() if not item.omit_default}
    lines = ["if value.__class__ is not cls: return None"]
    lines += [f"{name} = value.{item.name}" for name, item in fields.items()]
    if len(fields) > len(required) + 1:  # a check of one member is as quick in its statement
        # Most records have their defaults in all these members.
        omitted = [(item, name) for name, item in fields.items() if name not in required]
        checks = [_is_default_object(item, name, constants) for item, name in omitted]
        lines.append(f"if {' and '.join(checks)}:")
        statements = _Statements(record, encoders, constants).printing(required)
        lines += [f"    {line}" for line in statements]
    lines += _Statements(record, encoders, constants).printing(fields)
    return "\n    ".join(["def write(value):", *lines])


class _Statements:
    """The statements that print some fields of a record."""

    def __init__(self, record: Record, encoders: _Encoders, constants: dict[str, Any]) -> None:
        self.record = record
        self.encoders = encoders
        self.constants = constants
        self.lines: list[str] = []
        self.conditions: list[str] = []
        self.texts: list[str] = []
        self.integers: list[str] = []

    def printing(self, fields: dict[str, Field]) -> list[str]:
        """Return the statements; `fields` are those to print, by the variable with the value."""
        record = self.record
        tag = None if record.tag is None else f"{quote(record.tag)}:{quote(record.tag_value)}"
        pieces = [] if tag is None else [_literal(tag)]
        # If the first field may be absent, each field has a leading comma, and the first one is
        # removed.
        first = next(iter(fields.values()), None)
        cuts_comma = tag is None and first is not None and first.omit_default
        for name, item in fields.items():
            pieces.append(self._field(item, name, first=not (pieces or cuts_comma)))
        lines = []
        if self.conditions:
            lines.append(f"if not ({' and '.join(self.conditions)}): return None")
        if self.texts:
            lines.append(f"text = f'{''.join(f'{{{name}}}' for name in self.texts)}'")
            lines.append(
                """if '"' in text or '\\\\' in text or not text.isprintable(): return None"""
            )
        lines += self.lines
        if cuts_comma:
            lines.append(f"text = f'{''.join(pieces)}'")
            lines.append("text = f'{{{text[1:]}}}'")
        else:
            lines.append(f"text = f'{{{{{''.join(pieces)}}}}}'")
        if self.integers:
            small = " and ".join(f"{-_LARGE} < {name} < {_LARGE}" for name in self.integers)
            # A short text can't contain a number that is too long.
            lines.append(
                f"if len(text) > {DEFAULT_LIMITS.max_digits} and not ({small}): return None"
            )
        return [*lines, "return text"]

    def _field(self, item: Field, name: str, *, first: bool) -> str:
        """Return the part of the f-string for a field, and add the conditions on its value."""
        key = _literal(f"{'' if first else ','}{quote(item.json_name)}:")
        if item.omit_default:
            piece = self._conditional(item, name, key)
            return f"{{{piece}}}"
        return key + self._inline(item.shape, name)

    def _conditional(self, item: Field, name: str, key: str) -> str:
        """Return the variable for the text of a field that is omitted if it has its default."""
        part = name.replace("v", "p")
        default_is_none = _defaults_to_none(item)
        absent = _absent(item, name, self.constants)
        shape = item.shape
        if isinstance(shape, Union) and default_is_none:
            others = [member for member in shape.members if member != Scalar("null")]
            shape = others[0] if len(others) == 1 else shape
        kind = _kind(shape)
        if kind == "string":
            self.conditions.append(f"({absent} or {name}.__class__ is str)")
            # Formatting None takes longer than any other part of a short text.
            self.texts.append(f'{name} or ""' if default_is_none else name)
            text = f'"{{{name}}}"'
        elif kind == "integer":
            self.conditions.append(f"({absent} or {name}.__class__ is int)")
            self.integers.append(f"({name} or 0)" if default_is_none else name)
            text = f"{{{name}}}"
        else:
            write = _constant(_value(shape, self.encoders), self.constants)
            self.lines += [
                f"if {absent}: {part} = ''",
                "else:",
                f"    {part} = {write}({name})",
                f"    if {part} is None: return None",
                f"    {part} = f'{key}{{{part}}}'",
            ]
            return part
        self.lines.append(f"{part} = '' if {absent} else f'{key}{text}'")
        return part

    def _inline(self, shape: Shape, name: str) -> str:
        """Return the part of the f-string for a value, and add the conditions on it."""
        kind = _kind(shape)
        if kind == "string":
            self.conditions.append(f"{name}.__class__ is str")
            self.texts.append(name)
            return f'"{{{name}}}"'
        if kind == "integer":
            self.conditions.append(f"{name}.__class__ is int")
            self.integers.append(name)
            return f"{{{name}}}"
        if isinstance(shape, Choice) and shape.name is not None and _plain(shape):
            cls = _constant(type(shape.rows[0][1]), self.constants)
            self.conditions.append(f"{name}.__class__ is {cls}")
            return f'"{{{name}._value_}}"'
        part = name.replace("v", "p")
        write = _constant(_value(shape, self.encoders), self.constants)
        self.lines.append(f"{part} = {write}({name})")
        self.lines.append(f"if {part} is None: return None")
        return f"{{{part}}}"


def _constant(value: Any, constants: dict[str, Any]) -> str:
    """Add a value to the constants and return its name."""
    name = f"c{len(constants)}"
    constants[name] = value
    return name


def _defaults_to_none(item: Field) -> bool:
    return item.default is None and item.default_factory is None


def _is_default_object(item: Field, name: str, constants: dict[str, Any]) -> str:
    """Return the fastest expression that is true only for defaults.

    It may be false for a value that equals the default and is another object.
    """
    if item.default_factory is None and item.default is not None:
        return f"{name} is {_constant(item.default, constants)}"
    return _absent(item, name, constants)


def _absent(item: Field, name: str, constants: dict[str, Any]) -> str:
    """Return the fastest expression that checks whether a value is its default."""
    if _defaults_to_none(item):
        return f"{name} is None"
    if item.default_factory in (list, dict, str, int):
        empty = _constant(item.default_factory, constants)
        return f"not {name} and {name}.__class__ is {empty}"
    default = _constant(item.default, constants)
    if item.default_factory is None and type(item.default) in EXACT:
        cls = f"{name}.__class__ is {_constant(type(item.default), constants)}"
        return f"({name} is {default} or {cls} and {name} == {default})"
    otherwise = f"{_constant(is_default, constants)}({_constant(item, constants)}, {name})"
    if item.default_factory is not None:
        return otherwise
    return f"({name} is {default} or {otherwise})"


def _kind(shape: Shape) -> str | None:
    if isinstance(shape, Constrained):
        return _kind(shape.inner)
    return shape.kind if isinstance(shape, Scalar) else None


def _plain(shape: Choice) -> bool:
    return all(type(text) is str and quote(text) == f'"{text}"' for text, _ in shape.rows)


def _literal(text: str) -> str:
    """Return a str escaped for an f-string in single quotes."""
    escaped = text.replace("\\", r"\\").replace("'", r"\'")
    return escaped.replace("{", "{{").replace("}", "}}")
