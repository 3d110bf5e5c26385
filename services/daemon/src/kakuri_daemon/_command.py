"""The command line of a daemon.

Every option can also be given as a variable and in a TOML file; an option beats a variable, a
variable beats the file, the file beats the default. For `kakuri-agent --listen` the variable is
KAKURI_AGENT_LISTEN, or KAKURI_LISTEN for all daemons of an environment; in the file named by
`--config` it is `listen = "…"`.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from kakuri_tcp import Endpoint, EndpointError

from kakuri_daemon._logs import configure_logs
from kakuri_daemon._settings import read_toml
from kakuri_daemon._standard_streams import discard_unread_output, open_standard_streams

EXIT_USAGE = 2
"""The exit status for what the operator has to put right: an option, a file, a port."""

EXIT_INTERRUPTED = 130
"""The exit status after Ctrl-C before the daemon was ready: 128 and the signal's number."""

LAST_LINES_SECONDS = 1.0
"""How long the end of a process waits for its last log lines to be taken."""


class DaemonError(click.ClickException):
    """A daemon can't start or go on for a reason that its operator can put right."""

    exit_code = EXIT_USAGE


def endpoint(value: object) -> Endpoint:
    """Parse an option that is an address: HOST:PORT or unix:PATH. To be an option's `type`."""
    if isinstance(value, Endpoint):
        return value
    if not isinstance(value, str):
        raise click.BadParameter(f"expected an address like 127.0.0.1:9000, got {value!r}")
    try:
        return Endpoint.parse(value)
    except EndpointError as error:
        raise click.BadParameter(str(error)) from error


class DaemonCommand(click.Command):
    """A command with the options that all daemons share, whose errors are one line each."""

    def __init__(self, name: str, *, default_listen: str, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        own_options = self.params
        self.params = [
            click.Option(
                ["--config"],
                type=click.Path(dir_okay=False, path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=_read_config,
                help="A TOML file with any of these options.",
            ),
            click.Option(
                ["--listen"],
                type=endpoint,
                default=default_listen,
                show_default=True,
                metavar="HOST:PORT|unix:PATH",
                help="Where to listen; port 0 lets the kernel choose.",
            ),
            click.Option(
                ["--allow-unauthenticated"],
                is_flag=True,
                help="Listen on an address that is not loopback although nobody is asked who "
                "they are: whoever reaches the port controls this machine's workloads.",
            ),
            *own_options,
            click.Option(
                ["--log-format"],
                type=click.Choice(["text", "json"]),
                default="text",
                show_default=True,
                expose_value=False,
                callback=_keep_log_option,
                help="How the log on standard error is written.",
            ),
            click.Option(
                ["--log-level"],
                type=click.Choice(["debug", "info", "warning", "error"]),
                default="info",
                show_default=True,
                expose_value=False,
                callback=_keep_log_option,
                help="The least important events that are logged.",
            ),
        ]
        prefix = name.upper().replace("-", "_")
        for option in self.params:
            if isinstance(option, click.Option) and option.name != "version":
                suffix = _long_name(option).upper().replace("-", "_")
                option.envvar = [f"{prefix}_{suffix}", f"KAKURI_{suffix}"]
                option.show_envvar = True

    def main(self, args: Sequence[str] | None = None, *_more: Any, **_options: Any) -> Any:
        """Run the command and exit: 0, or 2 with one line on standard error."""
        open_standard_streams()
        try:
            status = self._run(args)
        finally:
            discard_unread_output()
        sys.exit(status)

    def _run(self, args: Sequence[str] | None) -> int:
        name = self.name or ""
        try:
            super().main(args, prog_name=name, standalone_mode=False)
        except click.ClickException as error:
            line = "; ".join(error.format_message().splitlines())
            with suppress(OSError):  # nobody may read it
                click.echo(f"{name}: {line}", err=True)
            return error.exit_code
        except click.exceptions.Exit as asked:
            return asked.exit_code
        except click.Abort:
            return EXIT_INTERRUPTED
        return 0

    def invoke(self, ctx: click.Context) -> Any:
        """Refuse an exposed address, set up the log, then run the daemon."""
        listen: Endpoint = ctx.params["listen"]
        if not listen.is_loopback and not ctx.params.pop("allow_unauthenticated"):
            message = (
                f"refusing to listen on {listen}: the address is not loopback and callers are not "
                "authenticated; listen on 127.0.0.1 or unix:PATH, or give --allow-unauthenticated"
            )
            raise DaemonError(message)
        ctx.params.pop("allow_unauthenticated", None)
        stream = configure_logs(**ctx.meta)
        try:
            return super().invoke(ctx)
        finally:
            stream.close(LAST_LINES_SECONDS)


def _keep_log_option(ctx: click.Context, param: click.Parameter, value: str) -> None:
    ctx.meta[str(param.name)] = value


def _read_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        settings = read_toml(path)
    except OSError as error:
        message = f"can't read {path}: {error.strerror}"
        raise DaemonError(message) from error
    except ValueError as error:
        message = f"{path} is not TOML: {error}"
        raise DaemonError(message) from error
    options = {
        _long_name(option): option
        for option in ctx.command.params
        if option.name not in ("config", "version")
    }
    unknown = sorted(settings.keys() - options.keys())
    if unknown:
        expected = ", ".join(sorted(options))
        message = f"{path}: unknown option {unknown[0]!r}; expected any of {expected}"
        raise DaemonError(message)
    for key, value in settings.items():
        _check_setting(path, key, value, options[key])
    ctx.default_map = {str(options[key].name): value for key, value in settings.items()}


def _check_setting(path: Path, key: str, value: object, option: click.Parameter) -> None:
    """Refuse a value whose TOML type is not the option's; click would take many of them."""
    if getattr(option, "is_flag", False):
        expected, fits = "true or false", isinstance(value, bool)
    elif option.multiple:
        expected = "an array of strings"
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    elif isinstance(option.type, click.types.IntParamType):
        expected = "a whole number"
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(option.type, click.types.FloatParamType):
        expected = "a number"
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        expected, fits = "a string", isinstance(value, str)
    if not fits:
        message = f"{path}: expected {expected} for '--{key}', got {value!r}"
        raise DaemonError(message)


def _long_name(option: click.Parameter) -> str:
    """Give the name of an option as it is typed, without its dashes."""
    return max(option.opts, key=len).lstrip("-")
