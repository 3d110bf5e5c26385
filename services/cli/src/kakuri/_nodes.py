"""The verbs `nodes` and `node`, and the warning that nothing really runs."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from kakuri._exits import NotFound
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._tables import Column, print_table
from kakuri._text import age, cores, printable, seconds_of, size

if TYPE_CHECKING:
    from kakuri._client import API

SIMULATED = "warning: the runtime is simulated: nothing really runs"

Node = dict[str, Any]


@click.command(cls=Verb)
@click.pass_obj
def nodes(invocation: Invocation) -> None:
    """List nodes with their runtime and capacity."""
    with invocation.api() as api:
        response = api.get("/nodes")
    found = response.document["nodes"]
    if invocation.format == "json":
        invocation.out_document(response.body)
        return
    if invocation.format == "jsonl":
        for one in found:
            invocation.out_value(one)
        return
    if invocation.is_name:
        for one in found:
            invocation.out(one["name"])
        return
    columns = [Column("NAME"), Column("STATE", is_colored=True), Column("RUNTIME"),
               Column("CLASS → HANDLER"), Column("MEMORY"), Column("CPU"), Column("WORKLOADS"),
               Column("SEEN"), Column("MESSAGE", may_be_cut=True)]  # fmt: skip
    print_table(invocation, columns, [_row(one) for one in found])
    for one in found:
        warn_if_simulated(invocation, one)


@click.command(cls=Verb)
@click.argument("name")
@click.pass_obj
def node(invocation: Invocation, *, name: str) -> None:
    """Show one node."""
    from kakuri_http import percent_encode  # noqa: PLC0415 (not for --help)

    if not name.strip("."):  # a client removes segments of dots from a path
        raise NotFound(f"no node '{name}'")
    with invocation.api() as api:
        response = api.get(f"/nodes/{percent_encode(name)}")
    one = response.document
    if invocation.is_json:
        invocation.out_document(response.body)
        return
    if invocation.is_name:
        invocation.out(one["name"])
        return
    handlers = one.get("handlers") or {}
    rows = [
        ("state", one["state"]),
        ("message", _message(one)),
        ("runtime", _runtime(one)),
        *[("class", f"{key} → handler {value}") for key, value in handlers.items()],
        ("memory", _used(one, "memory_mb", size)),
        ("cpu", _used(one, "cpu_millicores", cores)),
        ("workloads", str(one.get("workloads", ""))),
        ("agent", f"version {one.get('version', '?')}, store {one.get('store', '?')}"),
        ("started", one.get("started_at") or ""),
        ("events", f"index {one['event_index']}" if "event_index" in one else ""),
    ]
    invocation.out(one["name"])
    for title, text in rows:
        if text:
            invocation.out(f"  {title:<10} {text}")
    warn_if_simulated(invocation, one)


def first_node(api: "API") -> Node:
    """Return the node; an empty document if the request fails."""
    from kakuri._exits import CommandError  # noqa: PLC0415 (not for --help)

    try:
        found: list[Node] = api.get("/nodes").document["nodes"]
    except CommandError:
        return {}  # the verb has its own response; this one only adds to the output
    return found[0] if found else {}


def warn_if_simulated(invocation: Invocation, one: Node) -> None:
    """Print one warning if the node simulates its workloads."""
    if one.get("simulated"):
        invocation.note(SIMULATED, "yellow")


def _row(one: Node) -> list[str]:
    handlers = one.get("handlers") or {}
    seen = one.get("last_heard")
    if seen and sys.stdout.isatty():
        seen = age(time.time() - seconds_of(seen))
    return [
        one["name"],
        one["state"],
        _runtime(one),
        ", ".join(f"{key} → {value}" for key, value in handlers.items()),
        _used(one, "memory_mb", size),
        _used(one, "cpu_millicores", cores),
        str(one.get("workloads", "")),
        seen or "",
        _message(one),
    ]


def _message(one: Node) -> str:
    """Return the node's message, but not that it is simulated: the warning reports that."""
    return "" if one.get("reason") == "Simulated" else printable(one.get("message") or "")


def _runtime(one: Node) -> str:
    runtime = str(one.get("runtime", ""))
    if one.get("simulated"):
        return "simulated"
    return runtime if one.get("runtime_available", True) else f"{runtime}, unavailable"


def _used(one: Node, key: str, show: Any) -> str:
    if one.get(key) is None:
        return ""
    return f"{show(one.get(f'{key}_used', 0))} of {show(one[key])}"
