"""Route patterns: segments, and the types of parameters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kakuri_http._errors import RouteError

Converter = Callable[[str], Any]

_NAME = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)(?:<([A-Za-z_][A-Za-z0-9_]*)>)?")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=@]*")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def _text(value: str) -> str:
    return value


def _integer(value: str) -> int:
    # One spelling for each number, so that a resource has only one path. Bounded before int() sees
    # it.
    if not _INTEGER.fullmatch(value):
        raise ValueError(f"expected an integer, got {value!r}")
    return int(value)


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError(f"expected an RFC 1123 label, got {value!r}")
    return value


CONVERTERS: Mapping[str, Converter] = {"str": _text, "int": _integer, "label": _label}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in a pattern; `type_name` is the name of its converter."""

    name: str
    type_name: str

    def __str__(self) -> str:
        """Return the parameter as it is written in patterns."""
        return f":{self.name}" if self.type_name == "str" else f":{self.name}<{self.type_name}>"


Segment = str | Parameter


def parse_pattern(pattern: str, converters: Mapping[str, Converter]) -> tuple[Segment, ...]:
    """Parse a pattern into segments: str for literals, and parameters.

    Raises:
        RouteError: A segment is neither a literal nor a parameter.
    """
    if not pattern.startswith("/"):
        raise RouteError(f"expected a pattern that starts with '/', got {pattern!r}")
    segments: list[Segment] = []
    names: set[str] = set()
    for text in pattern[1:].split("/"):
        if not text.startswith(":"):
            if not _LITERAL.fullmatch(text) or text in {".", ".."}:
                raise RouteError(f"expected an unencoded segment, got {text!r} in {pattern!r}")
            segments.append(text)
            continue
        match = _NAME.fullmatch(text)
        if match is None:
            raise RouteError(f"expected ':name' or ':name<type>', got {text!r} in {pattern!r}")
        name, type_name = match[1], match[2] or "str"
        if type_name not in converters:
            known = ", ".join(sorted(converters))
            raise RouteError(f"expected one of the types {known}, got {type_name!r}")
        if name in names:
            raise RouteError(f"expected each parameter once, got {name!r} again in {pattern!r}")
        names.add(name)
        segments.append(Parameter(name, type_name))
    return tuple(segments)
