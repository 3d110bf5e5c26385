"""The option that permits a group to connect to a daemon's Unix socket."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from kakuri_tcp import UnixAccess

GROUP_MODE = 0o660
"""The mode of a socket to which its owner, a group and root may connect."""

_MAX_GROUP_DIGITS = 10  # of a number of 32 bits

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
    if not (group.isascii() and group.isdigit()):
        return UnixAccess(mode=GROUP_MODE, group=group)
    digits = group.lstrip("0") or "0"
    if len(digits) > _MAX_GROUP_DIGITS:
        raise click.BadParameter(f"expected the name or number of a group, got {group[:40]!r}")
    return UnixAccess(mode=GROUP_MODE, group=int(digits))
