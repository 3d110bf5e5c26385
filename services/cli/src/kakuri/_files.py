"""Files of workloads: kakuri.toml, or the same document as JSON.

    set = "shop"
    [workload.web]
    image = "nginx:1.27"
    memory = "256MiB"
    cpu = 0.5

`memory` and `cpu` are written with units; every other key is a field of the API's workload. A
document with an `id` is a single workload, as the API has it. All faults of a file are reported
together, each with its path and line.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kakuri_json import JSONError, ValidationError, convert, loads
from kakuri_workload import (
    DEFAULT_CPU_MILLICORES,
    DEFAULT_MEMORY_MB,
    DEFAULT_RUNTIME_CLASS,
    WORKLOAD_ID,
    Workload,
)

from kakuri._exits import UsageError
from kakuri._sources import lines_of, read_text_argument, unreadable
from kakuri._text import parse_cpu, parse_size

SET_LABEL = "kakuri-set"
"""The label of all workloads of a file with a `set`, by which `apply --prune` finds them."""

WITH_UNITS: dict[str, tuple[str, Callable[[str], int], str]] = {
    "memory": ("memory_mb", parse_size, "a size like '256MiB'"),
    "cpu": ("cpu_millicores", parse_cpu, "cores like 0.5 or '500m'"),
}
_TOP = {"set", "workload"}
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(
    r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a file, and where."""

    file: str
    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        at = f"{self.file}:{self.line}" if self.line else self.file
        return f"{at}: {self.path}: {self.message}"


class FileFaults(UsageError):
    """Every fault of the files."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Manifest:
    """The workloads of one or several files."""

    workloads: dict[str, dict[str, Any]]
    set_name: str | None = None


def read_manifest(sources: tuple[str, ...]) -> Manifest:
    """Return the workloads of files, directories and standard input (`-`).

    Raises:
        FileFaults: The files are not valid; it has every fault.
        UsageError: A file can't be read.
    """
    workloads: dict[str, dict[str, Any]] = {}
    sets: set[str] = set()
    faults: list[Fault] = []
    for name, text in _texts(sources):
        document = _parsed(name, text)
        reader = _Reader(name, text, is_toml=not text.lstrip().startswith("{"))
        found, set_name = reader.read(document)
        faults += sorted(reader.faults, key=lambda fault: fault.line or 0)
        sets |= {set_name} if set_name else set()
        for workload_id, workload in found.items():
            if workload_id in workloads:
                faults.append(reader.fault(("workload", workload_id), "is in another file as well"))
            workloads[workload_id] = workload
    if len(sets) > 1:
        faults.append(Fault(", ".join(sources), "$.set", f"expected one set, got {sorted(sets)}"))
    if faults:
        raise FileFaults(faults)
    return Manifest(workloads, next(iter(sets), None))


def _texts(sources: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for source in sources:
        if not source:
            raise UsageError("expected a file or a directory, got an empty path")
        path = Path(source)
        if source != "-" and path.is_dir():
            paths = sorted(file for file in path.iterdir() if file.suffix in (".toml", ".json"))
            if not paths:
                raise UsageError(f"{source}: expected *.toml or *.json files in it, got none")
        else:
            paths = [path]
        for file in paths:
            name = "standard input" if source == "-" else str(file)
            try:
                yield name, read_text_argument(str(file))
            except (OSError, ValueError) as error:
                raise unreadable(name, error) from error


def _parsed(name: str, text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return loads(text)
        except JSONError as error:
            raise UsageError(f"{name}: {error}") from error
    from kakuri._toml import parse_toml  # noqa: PLC0415 (not for JSON)

    try:
        return parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


class _Reader:
    """Reads the document of one file, and collects its faults."""

    def __init__(self, name: str, text: str, *, is_toml: bool) -> None:
        self._name = name
        self._lines = _toml_lines(text) if is_toml else _json_lines(text)
        self.faults: list[Fault] = []

    def fault(self, path: tuple[str, ...], message: str, shown: str | None = None) -> Fault:
        """Return a fault with the line of the path, or of the nearest table that contains it."""
        line = None
        for end in range(len(path), 0, -1):
            line = self._lines.get(path[:end])
            if line is not None:
                break
        return Fault(self._name, shown or "$" + "".join(f".{key}" for key in path), message, line)

    def read(self, document: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], str | None]:
        """Return the valid workloads, and the name of the set."""
        if "id" in document and "workload" not in document:  # a workload as the API has it
            workload_id = str(document["id"])
            fields = {key: value for key, value in document.items() if key != "id"}
            found = self._read_workload(workload_id, fields, ())
            return ({workload_id: found} if found else {}), None
        for key in document.keys() - _TOP:
            self.faults.append(self.fault((key,), f"expected set or workload, got {key!r}"))
        set_name = document.get("set")
        if set_name is not None and not (
            isinstance(set_name, str) and re.fullmatch(WORKLOAD_ID, set_name)
        ):
            message = f"expected 1 to 63 characters a-z, 0-9 and '-', got {set_name!r}"
            self.faults.append(self.fault(("set",), message))
            set_name = None
        tables = document.get("workload", {})
        if not isinstance(tables, dict) or not tables:
            message = "expected at least one table [workload.NAME]"
            self.faults.append(self.fault(("workload",), message))
            return {}, set_name
        workloads = {}
        for workload_id, fields in tables.items():
            path = ("workload", workload_id)
            if not isinstance(fields, dict):
                self.faults.append(self.fault(path, f"expected a table, got {fields!r}"))
                continue
            workload = self._read_workload(workload_id, fields, path)
            if workload is not None:
                if set_name:
                    workload.setdefault("labels", {})[SET_LABEL] = set_name
                workloads[workload_id] = workload
        return workloads, set_name

    def _read_workload(
        self, workload_id: str, given: dict[str, Any], path: tuple[str, ...]
    ) -> dict[str, Any] | None:
        before = len(self.faults)
        fields: dict[str, Any] = {"id": workload_id}
        for key, value in given.items():
            if key == "id":
                self.faults.append(self.fault((*path, key), "the name of the table is the id"))
            elif key in WITH_UNITS:
                name = WITH_UNITS[key][0]
                try:
                    fields[name] = _quantity(key, given)
                except ValueError as error:
                    self.faults.append(self.fault((*path, key), str(error)))
            else:
                fields[key] = value
        self._check(fields, given, path)
        return fields if len(self.faults) == before else None

    def _check(self, fields: dict[str, Any], given: dict[str, Any], path: tuple[str, ...]) -> None:
        """Check the fields by the rules of the API; missing ones have its defaults."""
        complete = {
            "runtime_class": DEFAULT_RUNTIME_CLASS,
            "memory_mb": DEFAULT_MEMORY_MB,
            "cpu_millicores": DEFAULT_CPU_MILLICORES,
            **fields,
        }
        try:
            convert(complete, Workload)
        except ValidationError as error:
            for fault in error.faults:
                steps = tuple(re.findall(r"\.([A-Za-z_][\w-]*)|\['([^']*)'\]", fault.path))
                names = tuple(first or second for first, second in steps)
                if names[:1] == ("id",):
                    names = ()
                shown = "$" + "".join(f".{key}" for key in path) + fault.path[1:]
                message = _explained(names, given, fault.message)
                self.faults.append(self.fault((*path, *names), message, shown))


def _quantity(key: str, given: dict[str, Any]) -> int:
    """Return the value of a key in WITH_UNITS, in the unit of its field in the API."""
    name, parse, expected = WITH_UNITS[key]
    value = given[key]
    if name in given:
        raise ValueError(f"expected one of {key} and {name}, got both")
    if isinstance(value, str):
        return parse(value)
    if key == "cpu" and type(value) in (int, float):
        return parse(f"{value:.3f}" if isinstance(value, float) else str(value))
    raise ValueError(f"expected {expected}, got {value!r}")


def _explained(names: tuple[str, ...], given: dict[str, Any], message: str) -> str:
    """Return a fault's message; for a command line in one string, add how to write it as a list."""
    if names not in (("command",), ("args",)) or not isinstance(given.get(names[0]), str):
        return message
    value = given[names[0]]
    if re.search(r"[\"'\\]", value) or not value.strip():
        return f"expected a list of strings, got {value!r}"
    words = ", ".join(f'"{word}"' for word in value.split())
    return f"expected a list of strings, got {value!r}: write [{words}]"


def _toml_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every table and key of a TOML document; keys in inline tables excepted."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    quote = ""
    for number, line in enumerate(lines_of(text), 1):
        if quote:
            quote = "" if line.count(quote) % 2 else quote
            continue
        if match := _HEADER.fullmatch(line):
            table = _parts(match[1])
            lines.setdefault(table, number)
        elif match := _KEY.match(line):
            lines.setdefault((*table, *_parts(match[1])), number)
            for mark in ('"""', "'''"):
                if line.count(mark) % 2:
                    quote = mark
    return lines


def _parts(text: str) -> tuple[str, ...]:
    return tuple(one or two or three for one, two, three in _PART.findall(text))


def _json_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every member of a valid JSON document, by the keys that lead to it."""
    lines: dict[tuple[str, ...], int] = {}
    path: list[str] = []
    key: str | None = None
    number = 1
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"\s*(:?)|[{}\n]', text):
        symbol = match[0]
        if symbol == "\n":
            number += 1
        elif symbol == "{":
            path.append(key or "")
            key = None
        elif symbol == "}":
            path.pop()
        elif match[2]:
            key = match[1]
            lines.setdefault((*path[1:], key), number)
            number += symbol.count("\n")
    return lines
