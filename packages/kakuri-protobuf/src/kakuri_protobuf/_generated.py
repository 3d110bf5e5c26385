"""Compiles generated functions so that tracebacks and debuggers can show their lines."""

from typing import Any


class _Source:
    """A loader from which `linecache` gets the source of generated functions."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, _name: str) -> str:
        return self._text


def define(what: str, cls: type[Any], text: str, names: dict[str, Any]) -> None:
    """Run generated definitions in their own namespace.

    The text is kept by that namespace alone, so it goes when the functions go.

    Args:
        what: What the functions do, such as "decode".
        cls: The message class.
        text: The definitions.
        names: The namespace; gets the definitions, and holds what they refer to.
    """
    names["__name__"] = __name__
    names["__loader__"] = _Source(text)
    # For coverage a name that begins with "<" is not a file; for linecache one that also ends with
    # ">" has no lines.
    code = compile(text, f"<generated> {what} {cls.__qualname__}", "exec")
    exec(code, names)  # noqa: S102 - names of fields are identifiers
