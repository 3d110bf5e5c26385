"""The verbs `version` and `api`."""

import re
import sys
from typing import Any

import click

from kakuri._exits import CommandError, Exit, UsageError
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._sources import read_argument, unreadable
from kakuri._text import printable
from kakuri._version import __version__

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@click.command(cls=Verb)
@click.pass_obj
def version(invocation: Invocation) -> int:
    """Show the versions of client, control plane and nodes; warn if they may not work together."""
    server: str | None = None
    found: list[dict[str, Any]] = []
    problem: CommandError | None = None
    try:
        with invocation.api() as api:
            server = str(api.get("/").document["version"])
            found = api.get("/nodes").document["nodes"]
    except CommandError as error:
        problem = error
    if invocation.is_json:
        nodes = [{key: node.get(key) for key in ("name", "version", "runtime")} for node in found]
        document: dict[str, Any] = {"client": __version__, "nodes": nodes}
        if server is not None:
            document = {"client": __version__, "control_plane": server, "nodes": nodes}
        if problem is not None:
            document["problem"] = problem.message
        invocation.out_value(document)
    elif invocation.is_name:
        invocation.out(__version__)
    else:
        _show_versions(invocation, server, found)
    if problem is not None and not invocation.is_json:
        invocation.note(f"{'nodes' if server else 'control plane'}: {problem.message}", "yellow")
    _warn_of_incompatible(invocation, server, found)
    return Exit.OK if problem is None else problem.exit_code


def _show_versions(invocation: Invocation, server: str | None, nodes: list[dict[str, Any]]) -> None:
    invocation.out(f"client          {__version__}")
    if server is not None:
        invocation.out(f"control plane   {server}")
    for node in nodes:
        runtime = "simulated" if node.get("simulated") else node.get("runtime", "")
        invocation.out(f"node            {node.get('version', '?')}   {node['name']}, {runtime}")


def _warn_of_incompatible(
    invocation: Invocation, server: str | None, nodes: list[dict[str, Any]]
) -> None:
    others = [("the control plane", server or "")]
    others += [(str(node["name"]), str(node.get("version", ""))) for node in nodes]
    for name, other in others:
        if _is_incompatible(other):
            invocation.note(
                f"warning: {name} has version {other}, more than one minor version "
                f"from {__version__}",
                "yellow",
            )


def _is_incompatible(other: str) -> bool:
    """Return whether a version differs by more than one minor version from this command's."""
    ours, theirs = _VERSION.match(__version__), _VERSION.match(other)
    if ours is None or theirs is None:
        return False
    return ours[1] != theirs[1] or abs(int(ours[2]) - int(theirs[2])) > 1


@click.command(cls=Verb)
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False), metavar="METHOD")
@click.argument("path")
@click.option("-d", "--data", metavar="TEXT|@FILE|-", help="The body: text, a file, or - for "
              "standard input.")  # fmt: skip
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME:VALUE",
              help="An additional header field.")  # fmt: skip
@click.option(
    "-i", "--include", is_flag=True, help="Print status and header fields before the body."
)
@click.pass_obj
def api(
    invocation: Invocation,
    *,
    method: str,
    path: str,
    data: str | None,
    headers: tuple[str, ...],
    include: bool,
) -> None:
    """Send a request to the control plane, and print the body of its response unchanged.

    PATH is a path with its query, such as /workloads?label=team=a. A stream is printed as it
    arrives.
    """
    if not path.startswith("/"):
        raise UsageError(f"expected a path that begins with '/', got {path!r}")
    fields = {}
    for header in headers:
        name, separator, value = header.partition(":")
        if not separator:
            raise UsageError(f"-H: expected NAME:VALUE, got {header!r}")
        fields[name.strip()] = value.strip()
    body = _content(data)
    with invocation.api() as client:
        if method.upper() == "GET" and not body and not fields and not include:
            with client.stream(path) as streamed:
                for piece in streamed:
                    sys.stdout.buffer.write(piece)
                    sys.stdout.buffer.flush()
            return
        response = client.request(method.upper(), path, body=body, headers=fields)
    if include:
        invocation.out(f"HTTP/1.1 {response.status}")
        for name, value in response.headers:
            invocation.out(f"{name}: {printable(value)}")
        invocation.out("")
    sys.stdout.flush()
    sys.stdout.buffer.write(response.body)
    sys.stdout.buffer.flush()


def _content(data: str | None) -> bytes:
    if data is None:
        return b""
    if data != "-" and not data.startswith("@"):
        return data.encode()
    path = data.removeprefix("@")
    try:
        return read_argument(path)
    except (OSError, ValueError) as error:
        raise unreadable("standard input" if path == "-" else path, error) from error
