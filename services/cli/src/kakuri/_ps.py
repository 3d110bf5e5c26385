"""The verb `ps`."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from kakuri._complete import complete_ids
from kakuri._documents import ENDED, Document, reason_text, spec_of
from kakuri._group import Verb
from kakuri._invocation import Invocation, height_of, width_of
from kakuri._tables import Column, print_table
from kakuri._text import age, cores, cut, printable, seconds_of, size

if TYPE_CHECKING:
    from kakuri._client import API

STATES = ("pending", "running", "succeeded", "failed")
_PAGE = "100"
_OTHER_LINES = 3  # besides the workloads: the headings, `and N more`, and the cursor's
_STATE_RANKS = {"failed": 0, "pending": 1, "running": 2, "succeeded": 3}

_SORT_KEYS: dict[str, Callable[[Document], Any]] = {
    "name": lambda workload: workload["id"],
    "state": lambda workload: (_STATE_RANKS.get(workload["state"], 9), workload["id"]),
    "age": lambda workload: (workload.get("created_at", ""), workload["id"]),
    "restarts": lambda workload: (-workload.get("restarts", 0), workload["id"]),
}


@click.command(cls=Verb)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_ids)
@click.option("-a", "--all", "show_all", is_flag=True, help="Include workloads that have ended.")
@click.option("-l", "--label", metavar="KEY=VALUE", help="Only workloads with this label.")
@click.option("--state", type=click.Choice(STATES, case_sensitive=False),
              help="Only workloads in this state.")  # fmt: skip
@click.option("--removed", is_flag=True, help="Only removed workloads, while they are kept.")
@click.option("-w", "--watch", is_flag=True, help="Keep the list up to date, until Ctrl-C.")
@click.option(
    "--sort", type=click.Choice(list(_SORT_KEYS)), default="name", help="Order of the list."
)
@click.pass_obj
def ps(
    invocation: Invocation,
    *,
    ids: tuple[str, ...],
    show_all: bool,
    label: str | None,
    state: str | None,
    removed: bool,
    watch: bool,
    sort: str,
) -> None:
    """List workloads: those that have not ended, or those that are named."""
    params = [("limit", _PAGE)]
    if not invocation.is_name or sort in ("age", "restarts"):
        params.append(("spec", "true"))
    params += [("label", label)] if label is not None else []
    params += [("state", state)] if state else []
    params += [("removed", "true")] if removed else []

    def is_shown(workload: Document) -> bool:
        if ids:
            return workload["id"] in ids
        return show_all or removed or state is not None or workload["state"] not in ENDED

    with invocation.api() as api:
        if watch:
            _watch(invocation, api, params, is_shown, sort)
            return
        bodies, workloads = _read(api, params)
        shown = sorted(filter(is_shown, workloads), key=_SORT_KEYS[sort])
        if invocation.format == "json" and len(bodies) == 1 and shown == workloads:
            invocation.out_document(bodies[0])
        else:
            _print(invocation, shown, _node(invocation, api))
        _check_found(ids, workloads)


def _read(api: "API", params: list[tuple[str, str]]) -> tuple[list[bytes], list[Any]]:
    """Return the pages of a list: their bodies, and all of their workloads."""
    bodies: list[bytes] = []
    workloads: list[Any] = []
    for page in api.pages(params):
        bodies.append(page.body)
        workloads += page.document["workloads"]
    return bodies, workloads


def _check_found(ids: Sequence[str], workloads: list[Any]) -> None:
    found = {workload["id"] for workload in workloads}
    if missing := [workload_id for workload_id in ids if workload_id not in found]:
        from kakuri._exits import NotFound  # noqa: PLC0415 (only on failure)

        raise NotFound(f"no workload {', '.join(map(repr, missing))}")


def _node(invocation: Invocation, api: "API") -> str:
    """Return the name of the node, and warn if nothing really runs there."""
    from kakuri._nodes import first_node, warn_if_simulated  # noqa: PLC0415 (not for --help)

    node = first_node(api)
    warn_if_simulated(invocation, node)
    return str(node.get("name", ""))


def _print(invocation: Invocation, workloads: list[Any], node: str) -> None:
    if invocation.format == "json":
        invocation.out_value({"workloads": workloads})
    elif invocation.format == "jsonl":
        for workload in workloads:
            invocation.out_value(workload)
    elif invocation.is_name:
        for workload in workloads:
            invocation.out(workload["id"])
    else:
        print_table(invocation, _columns(invocation), [_row(invocation, workload, node)
                                                       for workload in workloads])  # fmt: skip


def _columns(invocation: Invocation) -> list[Column]:
    is_live = sys.stdout.isatty()
    columns = [
        Column("NAME"),
        Column("STATE", is_colored=True),
        Column("REASON", may_be_cut=True),
        Column("IMAGE", may_be_cut=True),
        Column("AGE" if is_live else "CREATED"),
        Column("RESTARTS"),
        Column("NODE"),
        Column("ADDRESS"),
    ]
    if invocation.format == "wide":
        columns += [Column("MEMORY"), Column("CPU"), Column("CLASS"), Column("DIGEST"),
                    Column("MESSAGE", may_be_cut=True)]  # fmt: skip
    return columns


def _row(invocation: Invocation, workload: Document, node: str) -> list[str]:
    spec = spec_of(workload)
    created = workload.get("created_at", "")
    if created and sys.stdout.isatty():
        created = age(time.time() - seconds_of(created))
    row = [
        workload["id"],
        workload["state"],
        reason_text(workload),
        printable(spec.get("image", "")),
        created,
        str(workload.get("restarts", 0)),
        node,
        workload.get("address", ""),
    ]
    if invocation.format == "wide":
        row += [
            size(spec["memory_mb"]) if "memory_mb" in spec else "",
            cores(spec["cpu_millicores"]) if "cpu_millicores" in spec else "",
            spec.get("runtime_class", ""),
            workload.get("image_digest", ""),
            printable(workload.get("message", "")),
        ]
    return row


def _watch(
    invocation: Invocation,
    api: "API",
    params: list[tuple[str, str]],
    is_shown: Callable[[Document], bool],
    sort: str,
) -> None:
    """Print the list again after each change; on a terminal, in place of the previous one.

    There, only as many workloads as fit are shown, and long lines are cut off: others would scroll
    the list away.
    """
    from kakuri._events import updates  # noqa: PLC0415 (only here)
    from kakuri._exits import Unreachable  # noqa: PLC0415
    from kakuri._outage import OutageTracker  # noqa: PLC0415
    from kakuri._reader import exit_when_reader_closes  # noqa: PLC0415

    exit_when_reader_closes()
    node = _node(invocation, api)
    outages = OutageTracker(invocation, api.name)
    for _ in updates(invocation, api):
        while True:
            try:
                _, workloads = _read(api, params)
                break
            except Unreachable as error:
                outages.attempt_failed(error)
        outages.response_completed()
        shown = sorted(filter(is_shown, workloads), key=_SORT_KEYS[sort])
        if invocation.is_live(sys.stdout) and not invocation.is_json:
            _redraw(invocation, shown, node)
        else:
            _print(invocation, shown, node)
        sys.stdout.flush()


def _redraw(invocation: Invocation, workloads: list[Document], node: str) -> None:
    # Lines are cut here, because a signal could leave the terminal with wrapping switched off.
    room = max(1, height_of(sys.stdout) - _OTHER_LINES)
    others = max(0, len(workloads) - room)
    shown = workloads[: len(workloads) - others]
    width = width_of(sys.stdout) or 0
    sys.stdout.write("\x1b[H\x1b[J")
    if invocation.is_name:
        for workload in shown:
            invocation.out(cut(workload["id"], width))
    else:
        rows = [_row(invocation, workload, node) for workload in shown]
        print_table(invocation, _columns(invocation), rows, must_fit=True)
    if others:
        invocation.out(cut(f"and {others} more", width))
