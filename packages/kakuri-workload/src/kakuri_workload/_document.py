"""The strings of a workload that the kernel would refuse for their length."""

from collections.abc import Iterable, Iterator, Mapping

from kakuri_workload._limits import MAX_PATH_BYTES, MAX_STRING_BYTES
from kakuri_workload._workload import Workload

_MAX_SHOWN = 100
"""Maximum number of characters of a variable's name in a path."""


def oversized_strings(workload: Workload) -> Iterator[tuple[str, str]]:
    """Yield the strings of a workload that the kernel would refuse for their length.

    The types of the fields limit characters. This counts bytes of UTF-8, and counts a variable's
    name and value together.

    Args:
        workload: The workload to check.

    Yields:
        The path of the string (`$.args[2]`, `$.env['NAME']`) and a message with both sizes.
    """
    # Most strings are short, so checking the longest one is usually enough.
    for field, items in (("command", workload.command), ("args", workload.args)):
        for index, item in enumerate(items if _longest(items) > MAX_STRING_BYTES else ()):
            if (size := _size(item)) > MAX_STRING_BYTES:
                yield f"$.{field}[{index}]", _message("an argument", MAX_STRING_BYTES, size)
    env: Mapping[str, str] = {}
    if _longest(workload.env) + 1 + _longest(workload.env.values()) > MAX_STRING_BYTES:
        env = workload.env
    for name, value in env.items():
        if (size := _size(name) + 1 + _size(value)) > MAX_STRING_BYTES:
            shown = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"
            what = "a variable, NAME=value,"
            yield f"$.env[{shown!r}]", _message(what, MAX_STRING_BYTES, size)
    if workload.working_dir is not None and (size := _size(workload.working_dir)) > MAX_PATH_BYTES:
        yield "$.working_dir", _message("a path", MAX_PATH_BYTES, size)


def _longest(texts: Iterable[str]) -> int:
    """Return an upper bound for the size in UTF-8 of the longest of some strings."""
    return 4 * max(map(len, texts), default=0)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _message(what: str, limit: int, size: int) -> str:
    return f"expected {what} of at most {limit} bytes, got {size} bytes"
