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
        for node in found:
            invocation.out_value(node)
        return
    if invocation.is_name:
        for node in found:
            invocation.out(node["name"])
        return
    columns = [Column("NAME"), Column("STATE", is_colored=True), Column("RUNTIME"),
               Column("CLASS → HANDLER"), Column("MEMORY"), Column("CPU"), Column("WORKLOADS"),
               Column("SEEN"), Column("MESSAGE", may_be_cut=True)]  # fmt: skip
    print_table(invocation, columns, [_row(node) for node in found])
    for node in found:
        warn_if_simulated(invocation, node)


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
    node = response.document
    if invocation.is_json:
        invocation.out_document(response.body)
        return
    if invocation.is_name:
        invocation.out(node["name"])
        return
    handlers = node.get("handlers") or {}
    rows = [
        ("state", node["state"]),
        ("message", _message(node)),
        ("runtime", _runtime(node)),
        *[("class", f"{key} → handler {value}") for key, value in handlers.items()],
        ("memory", _used(node, "memory_mb", size)),
        ("cpu", _used(node, "cpu_millicores", cores)),
        ("workloads", str(node.get("workloads", ""))),
        ("agent", f"version {node.get('version', '?')}, store {node.get('store', '?')}"),
        ("started", node.get("started_at") or ""),
        ("events", f"index {node['event_index']}" if "event_index" in node else ""),
    ]
    invocation.out(node["name"])
    for title, text in rows:
        if text:
            invocation.out(f"  {title:<10} {text}")
    warn_if_simulated(invocation, node)


def first_node(api: "API") -> Node:
    """Return the node; an empty document if the request fails."""
    from kakuri._exits import CommandError  # noqa: PLC0415 (not for --help)

    try:
        found: list[Node] = api.get("/nodes").document["nodes"]
    except CommandError:
        return {}  # the verb has its own response; this one only adds to the output
    return found[0] if found else {}


def warn_if_simulated(invocation: Invocation, node: Node) -> None:
    """Print a warning if the node simulates its workloads."""
    if node.get("simulated"):
        invocation.note(SIMULATED, "yellow")


def _row(node: Node) -> list[str]:
    handlers = node.get("handlers") or {}
    seen = node.get("last_heard")
    if seen and sys.stdout.isatty():
        seen = age(time.time() - seconds_of(seen))
    return [
        node["name"],
        node["state"],
        _runtime(node),
        ", ".join(f"{key} → {value}" for key, value in handlers.items()),
        _used(node, "memory_mb", size),
        _used(node, "cpu_millicores", cores),
        str(node.get("workloads", "")),
        seen or "",
        _message(node),
    ]


def _message(node: Node) -> str:
    """Return the node's message, but not that it is simulated: the warning reports that."""
    return "" if node.get("reason") == "Simulated" else printable(node.get("message") or "")


def _runtime(node: Node) -> str:
    runtime = str(node.get("runtime", ""))
    if node.get("simulated"):
        return "simulated"
    return runtime if node.get("runtime_available", True) else f"{runtime}, unavailable"


def _used(node: Node, key: str, show: Any) -> str:
    if node.get(key) is None:
        return ""
    return f"{show(node.get(f'{key}_used', 0))} of {show(node[key])}"
