"""Types of options: durations, sizes, CPU, pairs."""

from collections.abc import Callable
from typing import Any

import click

from kakuri._text import parse_cpu, parse_duration, parse_size


class Parsed(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no argument for it
    """The type of an option whose text a function converts, which raises ValueError."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a text; return a value that was converted before as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"expected KEY=VALUE, got {text!r}")
    return key, value


SECONDS = Parsed("duration", parse_duration)
SIZE = Parsed("size", parse_size)
CPU = Parsed("cores", parse_cpu)
PAIR = Parsed("pair", _pair)
