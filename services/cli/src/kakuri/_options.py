"""Types of options, and the arguments and options that several verbs share."""

import re
from collections.abc import Callable
from typing import Any

import click

from kakuri._complete import complete_ids
from kakuri._text import parse_cpu, parse_duration, parse_size

Decorator = Callable[[Any], Any]


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


def _restart(text: str) -> dict[str, Any]:
    """Return the fields of a workload that `POLICY[:TIMES]` sets."""
    if text in ("never", "no"):
        return {"restart_policy": "never"}
    policy, separator, times = text.partition(":")
    policy = policy.replace("-", "_")
    is_number = re.fullmatch("[0-9]{1,9}", times)
    if policy not in ("on_failure", "always") or (separator and not is_number):
        is_docker = policy == "unless_stopped"
        hint = "; always is what Docker calls unless-stopped" if is_docker else ""
        expected = "never, on_failure[:TIMES] or always[:TIMES]"
        raise ValueError(f"expected {expected}, got {text!r}{hint}")
    fields: dict[str, Any] = {"restart_policy": policy}
    return {**fields, "max_restarts": int(times)} if times else fields


SECONDS = Parsed("duration", parse_duration)
SIZE = Parsed("size", parse_size)
CPU = Parsed("cores", parse_cpu)
PAIR = Parsed("pair", _pair)
RESTART = Parsed("restart policy", _restart)

ID = click.argument("id", shell_complete=complete_ids)
IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_ids)
REMOVED = click.option(
    "--removed", is_flag=True, help="Show the workload that was removed last under this id."
)
IF_VERSION = click.option(
    "--if-version", type=int, metavar="NUMBER", help="Only if the workload still has this version."
)


def grace_option(text: str = "Grace period before workloads are killed.") -> Decorator:
    """Return the option `--grace`.

    Args:
        text: Its help.
    """
    return click.option(
        "--grace", type=SECONDS, default="10s", show_default=True, metavar="SECONDS", help=text
    )
