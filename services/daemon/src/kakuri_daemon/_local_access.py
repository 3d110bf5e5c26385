"""The options that decide which users of this machine may connect to a daemon."""

import pwd
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from kakuri_tcp import LocalAccess

GROUP_MODE = 0o660
"""The mode of a socket to which its owner, a group and root may connect."""

_MAX_DIGITS = 10  # of a number of 32 bits
_MAX_ID = 2**32 - 2  # of a user or a group; the next number stands for none (chown(2))

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


def user_id(value: object) -> int:
    """Return the uid of a user, given by name or number; for the `type` of a click option."""
    text = str(value)
    uid = _number(text)
    if uid is None:
        try:
            return pwd.getpwnam(text).pw_uid
        except (KeyError, ValueError):  # a name with a NUL is a ValueError
            pass
    elif uid <= _MAX_ID:
        return uid
    raise click.BadParameter(f"expected the name or number of a user, got {text[:40]!r}")


def _group(value: str | None) -> str | int | None:
    gid = None if value is None else _number(value)
    if value is None or gid is None:
        return value
    if gid > _MAX_ID:
        raise click.BadParameter(f"expected the name or number of a group, got {value[:40]!r}")
    return gid


def _number(text: str) -> int | None:
    """Return the number in a text, None for a name.

    Only the first digits of a long one are kept, which still exceed every id.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits[: _MAX_DIGITS + 1])


listen_group: Callable[[_Command], _Command] = click.option(
    "--listen-group",
    callback=lambda _ctx, _param, group: _group(group),
    metavar="GROUP",
    help="A group (a name or a number) that may connect to the Unix socket, besides this user "
    "and root.",
)
"""Decorate a DaemonCommand with `--listen-group`; its function gets `local_access`."""

allow_user: Callable[[_Command], _Command] = click.option(
    "--allow-user",
    "allowed_users",
    type=user_id,
    multiple=True,
    metavar="USER",
    help="A user (a name or a number) who may connect to the port on loopback, besides this user "
    "and root; may be repeated.",
)
"""Decorate a DaemonCommand with `--allow-user`; its function gets `local_access`."""


def local_access(
    daemon: str, group: str | int | None, users: Sequence[int], *, is_exposure_allowed: bool
) -> LocalAccess:
    """Return who may connect.

    Args:
        daemon: The name of the command, for the error that other users get.
        group: The group of `--listen-group`.
        users: The users of `--allow-user`.
        is_exposure_allowed: Whether every process that reaches the port may.
    """
    uids = None if is_exposure_allowed else users
    hint = f"start {daemon} with --allow-user to admit this user"
    if group is None:
        return LocalAccess(uids=uids, hint=hint)
    return LocalAccess(mode=GROUP_MODE, group=group, uids=uids, hint=hint)
