"""The size limits of a workload's document and of the strings in it.

A document has one budget. Linux has limits of its own, which are checked in addition: execve(2)
refuses an argument or an environment entry of more than MAX_ARG_STRLEN bytes. Their sum needs no
check: the strings of a document, with a pointer for each, stay below the 2 MiB that execve(2)
allows under the usual stack limit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

MAX_DOCUMENT_BYTES = 262_144
"""Bytes of a workload in its compact JSON encoding, in UTF-8 and without whitespace."""

MAX_STRING_BYTES = 131_071
"""Bytes of one argument or of one `NAME=value`: MAX_ARG_STRLEN without the final NUL."""

MAX_PATH_BYTES = 4_095
"""Bytes of a path: PATH_MAX without the final NUL."""

_MAX_SHOWN = 100
"""Characters of a variable's name that a path shows."""


class Spec(Protocol):
    """An object with the strings of a workload: a `Workload` or a `ZoneSpec`."""

    @property
    def command(self) -> Sequence[str]:
        """The arguments that replace the image's entry point."""

    @property
    def args(self) -> Sequence[str]:
        """The arguments that replace the image's command."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment by name."""

    @property
    def working_dir(self) -> str | None:
        """The folder in which the process starts."""


def oversized_strings(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the strings of a spec that the kernel would refuse for their length.

    The types of the fields bound characters; this counts bytes of UTF-8, and a variable's name
    and value together.

    Args:
        spec: A workload or a zone's spec.

    Yields:
        The path of the string (`$.args[2]`, `$.env['NAME']`) and a message with both sizes.

    """
    # Most strings are short, and then the longest of them decides for all.
    for field, items in (("command", spec.command), ("args", spec.args)):
        for index, item in enumerate(items if _longest(items) > MAX_STRING_BYTES else ()):
            if (size := _size(item)) > MAX_STRING_BYTES:
                yield f"$.{field}[{index}]", _message("an argument", MAX_STRING_BYTES, size)
    env: Mapping[str, str] = {}
    if _longest(spec.env) + 1 + _longest(spec.env.values()) > MAX_STRING_BYTES:
        env = spec.env
    for name, value in env.items():
        if (size := _size(name) + 1 + _size(value)) > MAX_STRING_BYTES:
            shown = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"
            what = "a variable, NAME=value,"
            yield f"$.env[{shown!r}]", _message(what, MAX_STRING_BYTES, size)
    if spec.working_dir is not None and (size := _size(spec.working_dir)) > MAX_PATH_BYTES:
        yield "$.working_dir", _message("a path", MAX_PATH_BYTES, size)


def _longest(texts: Iterable[str]) -> int:
    """Return how many bytes of UTF-8 the longest of some texts has at most."""
    return 4 * max(map(len, texts), default=0)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _message(what: str, limit: int, size: int) -> str:
    return f"expected {what} of at most {limit} bytes, got {size} bytes"
