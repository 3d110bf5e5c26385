"""Reads descriptions of classes and fields from docstrings in Google's style."""

import dataclasses
import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

_SECTION = re.compile(r"^(?:Args|Attributes|Example|Examples|Note|Raises|Returns|Yields):$")
_ATTRIBUTE = re.compile(r" {4}(\w+)(?: \([^)]*\))?: +(\S.*)")


def class_summary(cls: type[Any]) -> str | None:
    """Return the first paragraph of a class's own docstring; None if it has none."""
    doc = cls.__dict__.get("__doc__")
    if not isinstance(doc, str) or _is_generated(cls, doc):
        return None
    paragraph = cleandoc(doc).partition("\n\n")[0]
    return " ".join(paragraph.split()) or None


def field_descriptions(cls: type[Any]) -> dict[str, str]:
    """Return the descriptions of a class's fields, those of its bases included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        doc = base.__dict__.get("__doc__")
        if isinstance(doc, str):
            found.update(_attributes(cleandoc(doc)))
    return found


def _is_generated(cls: type[Any], doc: str) -> bool:
    """Return whether a docstring is the signature that dataclasses generates."""
    return dataclasses.is_dataclass(cls) and doc.startswith(f"{cls.__name__}(")


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the description of each entry of the section `Attributes`."""
    in_section, name, parts = False, "", list[str]()
    for line in [*doc.splitlines(), "Returns:"]:
        entry = _ATTRIBUTE.fullmatch(line) if in_section else None
        if name and (entry is not None or not line.startswith("        ")):
            yield name, " ".join(parts)
            name, parts = "", []
        if entry is not None:
            name, parts = entry[1], [entry[2]]
        elif name:
            parts.append(line.strip())
        if _SECTION.fullmatch(line):
            in_section = line == "Attributes:"
