"""Generate the manual page of kakuri.toml from the class and the module that read the file.

Each key's form and default come from the annotations of Workload, and its explanation from the
docstring there, so the page always matches what `kakuri verify` accepts.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from kakuri import __version__, _files
from kakuri_workload import (
    DEFAULT_CPU_MILLICORES,
    DEFAULT_MEMORY_MB,
    DEFAULT_RUNTIME_CLASS,
    MaxLength,
    Range,
    Text,
    Workload,
)

NAME = "kakuri.toml"

_API_DEFAULTS = {
    "memory_mb": str(DEFAULT_MEMORY_MB),
    "cpu_millicores": str(DEFAULT_CPU_MILLICORES),
    "runtime_class": f"the node's only class, or {DEFAULT_RUNTIME_CLASS}",
}
"""The API's defaults for fields that have none in Workload."""


def workload_keys() -> Iterator[tuple[str, str]]:
    """Yield each key of a workload in a file, and the text about it."""
    explained = explanations(Workload)
    hints = get_type_hints(Workload, include_extras=True)
    units = {name: (key, form) for key, (name, _, form) in _files.WITH_UNITS.items()}
    for each in fields(Workload):
        if each.name == "id":  # the name of the table
            continue
        if each.name in units:
            key, form = units[each.name]
            yield key, f"The same as {each.name}, as {form}."
        form = form_of(hints[each.name])
        yield each.name, f"{explained[each.name]} Expected: {form}. {_default_sentence(each)}"


def explanations(kind: type) -> Mapping[str, str]:
    """Return the texts of the section "Attributes" of a class's docstring, by name."""
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    entries = re.split(r"^    (?=\w+: )", section, flags=re.MULTILINE)[1:]
    named = (entry.partition(": ") for entry in entries)
    return {name: " ".join(text.split()) for name, _, text in named}


def form_of(annotation: Any) -> str:
    """Return the values that an annotation allows, as a phrase."""
    metadata = getattr(annotation, "__metadata__", ())
    if metadata:
        inner = get_args(annotation)[0]
        for each in metadata:
            match each:
                case Text():
                    return each.description
                case Range():
                    return f"an integer from {each.ge} to {each.le}"
                case MaxLength():
                    return f"{form_of(inner)}, at most {each.max_length}"
    options = [each for each in get_args(annotation) if each is not NoneType]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f'"{member.value}"' for member in annotation)
    if get_origin(annotation) is dict:
        return f"a table; each key is {form_of(options[0])}, each value {form_of(options[1])}"
    if get_origin(annotation) is tuple:
        return f"a list; each item is {form_of(options[0])}"
    if len(options) == 1:
        return form_of(options[0])
    raise TypeError(f"expected an annotation of a workload's field, got {annotation!r}")


def _default_sentence(each: "Field[Any]") -> str:
    if each.name in _API_DEFAULTS:
        return f"Default: {_API_DEFAULTS[each.name]}."
    if each.default is None:  # the explanation has the default, which depends on the image
        return "Optional."
    if each.default is MISSING and each.default_factory is MISSING:
        return "Required."
    if isinstance(each.default, Enum):
        return f'Default: "{each.default.value}".'
    return f"Default: {each.default if isinstance(each.default, int) else 'none'}."


def file_page() -> list[tuple[str, str]]:
    """Return the parts of the page in their order, each a macro of man(7) and its text.

    The macro `key` stands for a key and its explanation, which are separated by a line feed.
    """
    summary, example, *rest = (_files.__doc__ or "").strip().split("\n\n")
    id_form = form_of(get_type_hints(Workload, include_extras=True)["id"])
    set_text = (
        f"The name of the set of workloads in the file, stored in their label {_files.SET_LABEL}. "
        "apply --prune removes workloads of this set that are no longer in the file. Optional."
    )
    table_text = f"A workload. The name of the table is its id: {id_form}. At least one."
    parts = [
        (f'.TH "{NAME.upper()}" "5" "" "kakuri {__version__}" "File Formats"', ""),
        (".SH NAME", f"{NAME} - workloads for kakuri apply, diff, plan and verify"),
        (".SH SYNOPSIS", ""),
        ("example", inspect.cleandoc(example)),
        (".SH DESCRIPTION", summary),
        *((".PP", " ".join(paragraph.replace("`", "").split())) for paragraph in rest),
        (".SH KEYS OF THE FILE", ""),
        ("key", f"set\n{set_text}"),
        ("key", f"[workload.NAME]\n{table_text}"),
        (".SH KEYS OF A WORKLOAD", ""),
    ]
    parts += [("key", f"{key}\n{text}") for key, text in workload_keys()]
    parts.append((".SH SEE ALSO", "kakuri-apply(1), kakuri-plan(1), kakuri-verify(1)"))
    return parts
