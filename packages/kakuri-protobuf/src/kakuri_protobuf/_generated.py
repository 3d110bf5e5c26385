"""Compiles generated functions so that tracebacks and debuggers can show their source."""

from typing import Any


class _Source:
    """A loader from which `linecache` gets the source of generated functions."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, _name: str) -> str:
        return self._text


def define(what: str, cls: type[Any], text: str, names: dict[str, Any]) -> None:
    """Run generated definitions in their own namespace.

    Only that namespace keeps the source text, so it is freed with the functions.

    Args:
        what: The purpose of the functions, such as "decode".
        cls: The message class.
        text: The definitions.
        names: The namespace: contains the objects that the definitions refer to, and receives the
            definitions.
    """
    names["__name__"] = __name__
    names["__loader__"] = _Source(text)
    # coverage ignores files whose name begins with "<"; linecache shows no lines if it also ends
    # with ">".
    code = compile(text, f"<generated> {what} {cls.__qualname__}", "exec")
    exec(code, names)  # noqa: S102 - names of fields are identifiers
