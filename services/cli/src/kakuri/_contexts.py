"""Which control plane a command talks to: options, variables, and named contexts of a file.

The first of these that is given decides: `--host`, `--context`, KAKURI_HOST, KAKURI_CONTEXT, the
file's `current`, `http://127.0.0.1:8080`.
"""

import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kakuri._exits import UsageError

if TYPE_CHECKING:
    from kakuri_tcp import Endpoint

DEFAULT_HOST = "http://127.0.0.1:8080"
HOST, CONTEXT, CONFIG = "KAKURI_HOST", "KAKURI_CONTEXT", "KAKURI_CLI_CONFIG"
CONTEXT_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_HOST = r"(?:https?://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?"
SERVICE_USER = "kakuri-control-plane"
"""The user of the control plane's systemd unit; DynamicUser names it after the unit."""

_MAX_UID = 2**32 - 2  # the next number stands for no user (chown(2))
_KEYS = {"host", "token_file", "ca", "server_user"}


class Context(NamedTuple):
    """A control plane: its address, and what a client needs to connect."""

    host: str = DEFAULT_HOST
    token_file: str | None = None
    ca: str | None = None
    server_user: str | None = None


class Target(NamedTuple):
    """The control plane of this command line, and what selected it."""

    context: Context
    source: str
    name: str | None = None

    @property
    def label(self) -> str:
        """The name of the control plane in questions and errors."""
        return f"{self.name} ({self.context.host})" if self.name else self.context.host

    def trusted_uids(self) -> list[int] | None:
        """Return the users who may serve it on this machine, besides root and this process's.

        Returns:
            The users; None if a server on loopback is not to be checked, because https checks its
            certificate, or because only Linux reports who listens.

        Raises:
            UsageError: The user of the context does not exist.
        """
        host, name = self.context.host, self.context.server_user
        if name is None and (host.startswith("https:") or sys.platform != "linux"):
            return None
        if name is not None and re.fullmatch("[0-9]{1,10}", name) and int(name) <= _MAX_UID:
            return [int(name)]
        import pwd  # noqa: PLC0415 (not every system has it)

        try:
            return [pwd.getpwnam(SERVICE_USER if name is None else name).pw_uid]
        except KeyError:
            if name is None:
                return []
            raise UsageError(
                f"server_user of {self.label}: expected the name or number of a user, got {name!r}"
            ) from None


class Contexts:
    """The contents of the file.

    Attributes:
        path: The file.
        current: The name of the context that is used by default.
        named: The contexts.
    """

    def __init__(
        self, path: str, current: str | None = None, named: dict[str, Context] | None = None
    ) -> None:
        self.path = path
        self.current = current
        self.named = {} if named is None else named

    def write(self) -> None:
        """Replace the file atomically; create its directory if it does not exist.

        A symbolic link stays, and the file that it names is replaced.
        """
        lines = [f"current = {_quoted(self.current)}\n"] if self.current else []
        for name, context in self.named.items():
            lines.append(f"\n[context.{_quoted(name)}]\nhost = {_quoted(context.host)}\n")
            if context.token_file:
                lines.append(f"token_file = {_quoted(context.token_file)}\n")
            if context.ca:
                lines.append(f"ca = {_quoted(context.ca)}\n")
            if context.server_user:
                lines.append(f"server_user = {_quoted(context.server_user)}\n")
        from pathlib import Path  # noqa: PLC0415 (its import takes longer than reading the file)

        path = Path(self.path).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.new")
        draft.write_text("".join(lines), encoding="utf-8")
        draft.replace(path)


def config_path(environ: Mapping[str, str]) -> str:
    """Return the path of the file with the contexts."""
    if named := environ.get(CONFIG):
        return named
    directory = environ.get("XDG_CONFIG_HOME", "")
    if not directory.startswith("/"):  # the specification demands that relative paths are ignored
        directory = f"{environ.get('HOME') or _home()}/.config"
    return f"{directory}/kakuri/config.toml"


def _home() -> str:
    """Return this user's home directory from the passwd database; empty without an entry there."""
    import pwd  # noqa: PLC0415 (not every system has it)

    try:
        return pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    except KeyError:
        return ""


def read_contexts(environ: Mapping[str, str]) -> Contexts:
    """Return the contexts of the file; none if it does not exist.

    Raises:
        UsageError: The file can't be read or is not valid.
    """
    path = config_path(environ)
    try:
        os.stat(path)  # noqa: PTH116 (pathlib's import takes longer)
        from kakuri._sources import read_text_file  # noqa: PLC0415 (only where there is a file)

        text = read_text_file(path)
    except (FileNotFoundError, NotADirectoryError):  # some users have the home /dev/null
        return Contexts(path)
    except (OSError, ValueError) as error:
        from kakuri._sources import unreadable  # noqa: PLC0415 (only for the error)

        raise unreadable(path, error) from error
    from kakuri._toml import parse_toml  # noqa: PLC0415 (only where there is a file)

    try:
        document = parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return _contexts_of(path, document)


def _contexts_of(path: str, document: dict[str, Any]) -> Contexts:
    def refuse(place: str, expected: str, got: object) -> UsageError:
        return UsageError(f"{path}: {place}: expected {expected}, got {got!r}")

    for key in document.keys() - {"current", "context"}:
        raise refuse(key, "current or context", key)
    current = document.get("current")
    if not isinstance(current, str | None):
        raise refuse("current", "the name of a context", current)
    tables = document.get("context", {})
    if not isinstance(tables, dict):
        raise refuse("context", "tables [context.NAME]", tables)
    named = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise refuse(f"context.{name}", "a table", table)
        for key, value in table.items():
            if key not in _KEYS:
                raise refuse(f"context.{name}", f"one of {', '.join(sorted(_KEYS))}", key)
            if not isinstance(value, str):
                raise refuse(f"context.{name}.{key}", "a string", value)
            if "\0" in value:  # all of them are addresses, paths or names
                raise refuse(f"context.{name}.{key}", "text without NUL", value)
        if "host" not in table:
            raise refuse(f"context.{name}", "a host", table)
        host = checked_host(table["host"], f"{path}: context.{name}.host")
        named[name] = Context(
            host, table.get("token_file"), table.get("ca"), table.get("server_user")
        )
    return Contexts(path, current, named)


def checked_host(text: str, place: str) -> str:
    """Return a host in its full form: `http://…`, `https://…` or `unix:/path`.

    Raises:
        UsageError: It is something else; the message begins with `place`.
    """
    if text.startswith("unix:") and text[5:].removeprefix("//").startswith("/"):
        return "unix:" + text[5:].removeprefix("//")
    if re.fullmatch(_HOST, text) is None:
        raise UsageError(
            f"{place}: expected http://HOST:PORT, https://HOST:PORT or unix:/PATH, got {text!r}"
        )
    from kakuri_tcp import EndpointError  # noqa: PLC0415 (not for --help)

    try:
        endpoint_of(text)
    except EndpointError as error:
        raise UsageError(f"{place}: {error}") from error
    return (text if "://" in text else f"http://{text}").rstrip("/")


def endpoint_of(url: str) -> "Endpoint":
    """Return the address in an URL of `http` or `https`; without a port, the port is 0.

    Raises:
        EndpointError: The port or the host is not valid.
    """
    from kakuri_tcp import Endpoint  # noqa: PLC0415 (not for --help)

    match = re.fullmatch(_HOST, url)
    assert match is not None
    return Endpoint.tcp(match[1].strip("[]"), int((match[2] or ":0")[1:]))


def expanded(path: str) -> str:
    """Return a path in which `~` is replaced by the home directory."""
    # Without pathlib, whose import takes longer than a request.
    return os.path.expanduser(path)  # noqa: PTH111


def find_target(host: str | None, context: str | None, environ: Mapping[str, str]) -> Target:
    """Return the control plane that options, variables and the file select.

    Args:
        host: The value of `--host`, if it is given.
        context: The value of `--context`, if it is given.
        environ: The environment variables.

    Raises:
        UsageError: A value is not valid, or there is no such context.
    """
    if host is not None:
        return Target(Context(checked_host(host, "--host")), "--host")
    if context is not None:
        return _named(context, "--context", read_contexts(environ))
    if value := environ.get(HOST):
        return Target(Context(checked_host(value, HOST)), HOST)
    if value := environ.get(CONTEXT):
        return _named(value, CONTEXT, read_contexts(environ))
    contexts = read_contexts(environ)
    if contexts.current is not None:
        return _named(contexts.current, "current", contexts)._replace(source=contexts.path)
    return Target(Context(), "default")


def _named(name: str, source: str, contexts: Contexts) -> Target:
    if name not in contexts.named:
        known = ", ".join(contexts.named) or "none"
        raise UsageError(
            f"{source}: there is no context {name!r} in {contexts.path}; it has {known}"
        )
    return Target(contexts.named[name], source, name)


def _quoted(text: str) -> str:
    """Return text as a string of TOML: a JSON string in which DEL is escaped as well."""
    from kakuri_json import JSONError, dumps  # noqa: PLC0415 (only where a file is written)

    try:
        return dumps(text).replace("\x7f", "\\u007f")
    except JSONError as error:
        raise UsageError(f"{text!r} can't be written to the file: {error}") from error
