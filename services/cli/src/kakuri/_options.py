"""Arguments and options that several verbs have."""

from collections.abc import Callable
from typing import Any

import click

from kakuri._complete import complete_ids
from kakuri._types import SECONDS

Decorator = Callable[[Any], Any]

ID = click.argument("id", shell_complete=complete_ids)
IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_ids)
REMOVED = click.option(
    "--removed", is_flag=True, help="Show the workload that was removed last under this id."
)
IF_VERSION = click.option(
    "--if-version", type=int, metavar="NUMBER", help="Only if the workload still has this version."
)


def grace_option(text: str = "Time to end by themselves before they are killed.") -> Decorator:
    """Return the option `--grace`.

    Args:
        text: Its help.
    """
    return click.option(
        "--grace", type=SECONDS, default="10s", show_default=True, metavar="SECONDS", help=text
    )
