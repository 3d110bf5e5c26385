"""Compiles the text of .proto files to the source of a Python module."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kakuri_protobuf._errors import ProtoSyntaxError
from kakuri_protobuf.compiler._parser import parse
from kakuri_protobuf.compiler._resolver import Scope, check
from kakuri_protobuf.compiler._tree import FileNode
from kakuri_protobuf.compiler._writer import Writer

MAX_FILE = 16 << 20
"""Maximum size of a .proto file in bytes; the largest in use have a few megabytes."""


def compile_text(
    text: str,
    file: str,
    *,
    read_import: Callable[[str], str | None] = lambda _: None,
    keep_unknown: bool = False,
) -> str:
    """Generate the source of a Python module with the messages of a .proto file.

    Args:
        text: The file's content.
        file: Its name, for errors and for the module's docstring.
        read_import: Returns the content of an imported file, or None if it does not exist. That is
            only an error if one of its types is used.
        keep_unknown: Give each message an attribute `unknown_fields` that keeps unknown fields.

    Raises:
        ProtoSyntaxError: The file is not valid, or uses a type that is not declared.
    """
    root = _parsed(text, file)
    scope = Scope()
    scope.add(root)
    seen = {file}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for name, _, _ in node.imports:
            if name in seen:
                continue
            seen.add(name)
            content = read_import(name)
            if content is None:
                scope.missing.append(name)
                continue
            imported = _parsed(content, name)
            scope.add(imported)
            waiting.append(imported)
    return Writer(root, scope, keep_unknown=keep_unknown).write()


def compile_file(path: Path, *, include: Sequence[Path] = (), keep_unknown: bool = False) -> str:
    """Generate the source of a Python module with the messages of a .proto file.

    Args:
        path: The file.
        include: Directories to search for imported files; the file's own directory is searched
            last.
        keep_unknown: See `compile_text`.

    Raises:
        ProtoSyntaxError: A file is not valid.
        OSError: The file cannot be read.
    """
    directories = [*include, path.parent]

    def read_import(name: str) -> str | None:
        for directory in directories:
            candidate = directory / name
            if candidate.is_file():
                return _read(candidate)
        return None

    return compile_text(_read(path), str(path), read_import=read_import, keep_unknown=keep_unknown)


def _parsed(text: str, file: str) -> FileNode:
    node = parse(text, file)
    check(node)
    return node


def _read(path: Path) -> str:
    with path.open("rb") as opened:
        content = opened.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise ProtoSyntaxError(f"expected at most {MAX_FILE} bytes", str(path), 1, 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ProtoSyntaxError("expected UTF-8", str(path), line, 1) from None
