"""The verb `context`: the control planes that this user works with."""

import os
import re

import click

from kakuri._contexts import (
    CONTEXT,
    CONTEXT_NAME,
    HOST,
    Context,
    Contexts,
    checked_host,
    expanded,
    read_contexts,
)
from kakuri._credentials import check_transport
from kakuri._exits import CommandError, NotFound, UsageError
from kakuri._group import Verb, shared_options
from kakuri._invocation import Invocation
from kakuri._tables import Column, print_table
from kakuri._text import printable


def _complete_names(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    invocation = context.find_object(Invocation)
    if invocation is None:
        return []
    try:
        names = read_contexts(invocation.environ).named
    except CommandError:
        return []  # a shell has no place for an error
    return [name for name in names if name.startswith(incomplete)]


_NAME = click.argument("name", shell_complete=_complete_names)


@click.group(invoke_without_command=True, params=shared_options())
@click.pass_context
def context(ctx: click.Context) -> None:
    """List, add and choose control planes."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_contexts)


@context.command(cls=Verb, name="ls")
@click.pass_obj
def list_contexts(invocation: Invocation) -> None:
    """List the contexts; an asterisk marks the current one."""
    contexts = read_contexts(invocation.environ)
    used = invocation.target
    rows = [
        {"name": name, "host": context.host, "current": used.name == name}
        for name, context in contexts.named.items()
    ]
    if invocation.format == "json":
        invocation.out_value({"contexts": rows, "host": used.context.host, "source": used.source})
    elif invocation.is_json:
        for row in rows:
            invocation.out_value(row)
    elif invocation.is_name:
        for row in rows:
            invocation.out(str(row["name"]))
    else:
        table = [["*" if row["current"] else "", str(row["name"]), str(row["host"])]
                 for row in rows]  # fmt: skip
        print_table(invocation, [Column(""), Column("NAME"), Column("HOST")], table)
        if used.name is None:
            invocation.note(f"in use: {used.context.host} (from {used.source})")


@context.command(cls=Verb)
@_NAME
@click.pass_obj
def use(invocation: Invocation, *, name: str) -> None:
    """Choose the context of later commands."""
    contexts = read_contexts(invocation.environ)
    _known(contexts, name)
    for variable in (HOST, CONTEXT):
        if value := invocation.environ.get(variable):
            raise UsageError(
                f"{variable}={value} overrides the current context: unset it, then choose {name!r}"
            )
    contexts.current = name
    contexts.write()
    _report(invocation, name, f"commands now use {name} ({contexts.named[name].host})")


@context.command(cls=Verb)
@click.argument("name")
@click.argument("url")
@click.option("--token-file", metavar="PATH", help="A file with the bearer token to send.")
@click.option("--ca", metavar="PATH", help="A PEM file of the certificate authorities to trust.")
@click.option("--server-user", metavar="USER",
              help="The user (a name or a number) that the control plane runs as on this machine. "
              "Requests are sent only if the server runs as this user, root or you. Default: "
              "kakuri-control-plane.")  # fmt: skip
@click.pass_obj
def add(
    invocation: Invocation,
    *,
    name: str,
    url: str,
    token_file: str | None,
    ca: str | None,
    server_user: str | None,
) -> None:
    """Add a context, or replace it."""
    if not re.fullmatch(CONTEXT_NAME, name):
        raise UsageError(f"expected a name of letters, digits, '-', '_' and '.', got {name!r}")
    contexts = read_contexts(invocation.environ)
    for option, path in (("--token-file", token_file), ("--ca", ca)):
        if path == "":
            raise UsageError(f"{option}: expected the path of a file, got an empty string")
        if path == "-":
            raise UsageError(f"{option}: expected a file that later commands can read, got '-'")
    if server_user == "":
        raise UsageError("--server-user: expected the name or number of a user, got ''")
    added = Context(checked_host(url, "URL"), _absolute(token_file), _absolute(ca), server_user)
    check_transport(added)
    contexts.named[name] = added
    contexts.write()
    for path in (token_file, ca):
        if path is not None and not os.access(expanded(path), os.R_OK):
            invocation.note(f"warning: {printable(path)} can't be read", "yellow")
    _report(invocation, name, f"added {name}; to use it: kakuri context use {name}")


@context.command(cls=Verb)
@_NAME
@click.pass_obj
def rm(invocation: Invocation, *, name: str) -> None:
    """Remove a context."""
    contexts = read_contexts(invocation.environ)
    _known(contexts, name)
    del contexts.named[name]
    if contexts.current == name:
        contexts.current = None
    contexts.write()
    _report(invocation, name, f"removed {name}")


@context.command(cls=Verb)
@click.pass_obj
def show(invocation: Invocation) -> None:
    """Show which control plane commands use now, and why."""
    target = invocation.target
    if invocation.is_json:
        invocation.out_value(
            {"name": target.name, "host": target.context.host, "source": target.source}
        )
    elif invocation.is_name:
        invocation.out(target.name or target.context.host)
    else:
        invocation.out(f"{target.label}, from {target.source}")


def _absolute(path: str | None) -> str | None:
    """Return a path that names the same file from every directory; `~` stays as it is."""
    return path if path is None or path.startswith("~") else os.path.abspath(path)  # noqa: PTH100


def _known(contexts: Contexts, name: str) -> None:
    if name not in contexts.named:
        known = ", ".join(contexts.named) or "none"
        raise NotFound(f"there is no context {name!r} in {contexts.path}; it has {known}")


def _report(invocation: Invocation, name: str, text: str) -> None:
    if invocation.is_json:
        invocation.out_value({"name": name})
    elif invocation.is_name:
        invocation.out(name)
    else:
        invocation.note(text)
