"""The verb `history`."""

import sys
from typing import Any

import click

from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import ID, REMOVED
from kakuri._tables import Column, print_table
from kakuri._text import clock, printable


@click.command(cls=Verb)
@ID
@REMOVED
@click.pass_obj
def history(invocation: Invocation, *, id: str, removed: bool) -> None:  # noqa: A002
    """Show what happened to a workload, oldest first, even after it was removed."""
    from kakuri._tombstones import get_kept  # noqa: PLC0415 (not for --help)

    with invocation.api() as api:
        response = get_kept(invocation, api, id, "/history", is_removed=removed)
    transitions = response.document["transitions"]
    if invocation.format == "json":
        invocation.out_document(response.body)
    elif invocation.format == "jsonl":
        for transition in transitions:
            invocation.out_value(transition)
    elif invocation.is_name:
        invocation.out(id)
    else:
        columns = [Column("AT"), Column("STATE", is_colored=True), Column("REASON"),
                   Column("EXIT"), Column("RESTARTS"), Column("TIMES"),
                   Column("MESSAGE", may_be_cut=True)]  # fmt: skip
        print_table(invocation, columns, [_row(transition) for transition in transitions])


def _row(transition: dict[str, Any]) -> list[str]:
    return [
        clock(transition["at"]) if sys.stdout.isatty() else transition["at"],
        transition["state"],
        printable(transition.get("reason", "")),
        str(transition["exit_code"]) if transition.get("exit_code") is not None else "",
        str(transition["restarts"]) if transition.get("restarts") else "",
        f"{transition['count']}×" if transition.get("count") else "",
        printable(transition.get("message", "")),
    ]
