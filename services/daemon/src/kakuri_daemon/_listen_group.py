"""The option that permits a group to connect to a daemon's Unix socket."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from kakuri_tcp import UnixAccess

GROUP_MODE = 0o660
"""The mode of a socket to which its owner, a group and root may connect."""

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)

listen_group: Callable[[_Command], _Command] = click.option(
    "--listen-group",
    "unix_access",
    callback=lambda _ctx, _param, group: _access(group),
    metavar="GROUP",
    help="A group (a name or a number) that may connect to the Unix socket, besides this user "
    "and root.",
)
"""Decorate a command with `--listen-group`; it gets `unix_access`, a UnixAccess or None."""


def _access(group: str | None) -> UnixAccess | None:
    if group is None:
        return None
    number = int(group) if group.isascii() and group.isdigit() else group
    return UnixAccess(mode=GROUP_MODE, group=number)
