"""The command line of a daemon.

Every option can also be given as a variable and in a TOML file; an option beats a variable, a
variable beats the file, the file beats the default. For `kakuri-agent --listen` the variable is
KAKURI_AGENT_LISTEN, or KAKURI_LISTEN for all daemons of an environment; in the file named by
`--config` it is `listen = "…"`. An error names the place that the value came from.
"""

import math
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import structlog
from click.core import ParameterSource
from kakuri_tcp import Endpoint, EndpointError

from kakuri_daemon._errors import EXIT_USAGE, DaemonError
from kakuri_daemon._local_access import local_access
from kakuri_daemon._logs import configure_logs
from kakuri_daemon._process_limits import exhausted_limit
from kakuri_daemon._settings import read_toml
from kakuri_daemon._standard_streams import discard_unread_output, open_standard_streams

EXIT_INTERRUPTED = 130
"""The exit status after Ctrl-C before the daemon was ready: 128 and the signal's number."""

MIN_SIMILARITY = 0.9
"""Similarity, from 0 to 1, above which a variable that other daemons may read is reported."""

LAST_LINES_SECONDS = 1.0
"""Seconds that the end of the process waits until its last log lines are written."""

MAX_WORKERS = 256
"""The largest number of worker processes; a larger one is most likely a typing error."""

log = structlog.get_logger()


def endpoint(value: object) -> Endpoint:
    """Parse an address, HOST:PORT or unix:PATH; for the `type` of a click option."""
    if not isinstance(value, str | Endpoint):
        raise click.BadParameter(f"expected an address like 127.0.0.1:9000, got {value!r}")
    try:
        parsed = value if isinstance(value, Endpoint) else Endpoint.parse(value)
    except EndpointError as error:
        # tls:// is refused below, so the error must not suggest it.
        message = str(error).replace("tcp://, tls:// or", "tcp:// or")
        raise click.BadParameter(message) from error
    if parsed.scheme == "tls":  # the event loop refuses it, see `_without_tls`
        raise click.BadParameter(f"expected HOST:PORT or unix:PATH, got '{parsed}'")
    return parsed


class WorkerCount(click.ParamType[int]):
    """An option's type: a number of processes from 1, or "auto" for one on each CPU."""

    name = "integer or auto"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number."""
        if value == "auto":
            return len(os.sched_getaffinity(0))
        text = str(value).lstrip("0")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_WORKERS:
            self.fail(
                f"expected 'auto' or a whole number from 1 to {MAX_WORKERS}, got {value!r}",
                param,
                ctx,
            )
        return int(text)


class NumberRange(click.FloatRange):
    """An option's type: a number in a range. Unlike `click.FloatRange`, it refuses NaN."""

    name = "number"  # in errors; click's own is "float range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"expected a number, got {value!r}", param, ctx)
        return number


class NonEmptyPath(click.Path):
    """An option's type: a path, but not "", which would be the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("expected a path, got ''", param, ctx)
        return super().convert(value, param, ctx)


class DaemonCommand(click.Command):
    """A command with the options that all daemons share, whose errors are one line each."""

    def __init__(
        self,
        name: str,
        *,
        default_listen: str,
        foreign_variables: Collection[str] = (),
        **attributes: Any,
    ) -> None:
        """Add the shared options, and a variable for each option.

        Args:
            name: The command, like kakuri-agent.
            default_listen: The default of --listen.
            foreign_variables: Names that begin like this daemon's variables and belong to another
                daemon: KAKURI_AGENT_TIMEOUT is the control plane's --agent-timeout. They cause no
                warning.
            attributes: Arguments of click.Command.
        """
        super().__init__(name, **attributes)
        self._foreign_variables = foreign_variables
        own_options = self.params
        self.params: list[click.Parameter] = [
            click.Option(
                ["--config"],
                type=NonEmptyPath(dir_okay=False, path_type=Path),
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
                help="Serve every client that can reach the port, without checking its user, and "
                "allow addresses that are not loopback. Each such client controls this machine's "
                "workloads, and zones can reach 0.0.0.0.",
            ),
            *own_options,
            click.Option(
                ["--log-format"],
                type=click.Choice(["text", "json"], case_sensitive=False),
                default="text",
                show_default=True,
                expose_value=False,
                callback=_keep_log_option,
                help="Format of the log on standard error.",
            ),
            click.Option(
                ["--log-level"],
                type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
                default="info",
                show_default=True,
                expose_value=False,
                callback=_keep_log_option,
                help="Lowest level of the events that are logged.",
            ),
        ]
        prefix = name.upper().replace("-", "_")
        for option in self.params:
            if isinstance(option, click.Option) and option.name != "version":
                suffix = _long_name(option).upper().replace("-", "_")
                option.envvar = [f"{prefix}_{suffix}", f"KAKURI_{suffix}"]
                option.show_envvar = True
            # Otherwise click reports a word as "'x' is not a valid integer range".
            if isinstance(option.type, click.IntRange):
                option.type.name = "integer"

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
            status = super().main(args, prog_name=name, standalone_mode=False)
        except click.ClickException as error:
            if isinstance(error, click.BadParameter):
                _name_origin(error)
            _print_error(name, "; ".join(error.format_message().splitlines()))
            return error.exit_code
        except click.Abort:
            return EXIT_INTERRUPTED
        except (MemoryError, RuntimeError) as error:
            limit = exhausted_limit(error)
            if limit is None:
                raise
            log.debug("a limit of the process is reached", exc_info=True)
            _print_error(name, limit)
            return EXIT_USAGE
        return status if isinstance(status, int) else 0  # an int after `ctx.exit`

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the arguments, which may print the help or the version."""
        try:
            return super().make_context(*args, **options)
        except BrokenPipeError:
            raise  # no reader is left to inform
        except OSError as error:
            raise DaemonError(f"can't write to standard output: {error.strerror}") from error

    def invoke(self, ctx: click.Context) -> Any:
        """Refuse an exposed address, configure the log, then run the daemon."""
        is_exposure_allowed = ctx.params.pop("allow_unauthenticated")
        for option in self.params:
            listen = ctx.params.get(option.name or "") if _is_listen(option) else None
            if listen is None or listen.is_loopback or is_exposure_allowed:
                continue
            message = (
                f"refusing to listen on {listen}: the address is not loopback and callers are not "
                "authenticated; listen on 127.0.0.1 or unix:PATH, or give --allow-unauthenticated"
            )
            raise click.BadParameter(message, ctx, option)
        listen = ctx.params["listen"]
        self._set_local_access(ctx, listen, is_exposure_allowed=is_exposure_allowed)
        stream = configure_logs(**ctx.meta)
        try:
            for line in self.unknown_variables():
                log.warning(line)
            return super().invoke(ctx)
        finally:
            stream.close(LAST_LINES_SECONDS)

    def _set_local_access(
        self, ctx: click.Context, listen: Endpoint, *, is_exposure_allowed: bool
    ) -> None:
        """Replace --listen-group and --allow-user by one `local_access`."""
        if not ctx.params.keys() & {"listen_group", "allowed_users"}:
            return
        group, users = ctx.params.pop("listen_group", None), ctx.params.pop("allowed_users", ())
        if group is not None and listen.scheme != "unix":
            raise DaemonError(f"expected --listen unix:PATH for --listen-group, got {listen}")
        if users and listen.scheme == "unix":
            raise DaemonError(f"expected --listen HOST:PORT for --allow-user, got {listen}")
        if users and is_exposure_allowed:
            message = (
                "--allow-unauthenticated serves every user, so --allow-user has no effect: pass one"
            )
            raise DaemonError(message)
        ctx.params["local_access"] = local_access(
            self.name or "", group, users, is_exposure_allowed=is_exposure_allowed
        )

    def unknown_variables(self) -> list[str]:
        """Return a warning for each unknown variable that resembles one of this daemon's."""
        own = f"{(self.name or '').upper().replace('-', '_')}_"
        known = {name for option in self.params for name in option.envvar or ()}
        shared = tuple(name.removeprefix("KAKURI") for name in known)
        lines = []
        for name in sorted(os.environ.keys() - known - set(self._foreign_variables)):
            if not name.startswith("KAKURI_"):
                continue
            is_own = name.startswith(own)
            if not is_own and name.endswith(shared):
                continue  # KAKURI_OTHER_LISTEN belongs to another daemon
            similar = _similar(name, known, 0.6 if is_own else MIN_SIMILARITY)
            if is_own or similar:
                suggestion = f"; did you mean {similar[0]}?" if similar else ""
                lines.append(f"unknown variable {name}{suggestion}")
        return lines


def _print_error(name: str, line: str) -> None:
    with suppress(OSError):  # standard error may be closed
        click.echo(f"{name}: {line}", err=True)


def _name_origin(error: click.BadParameter) -> None:
    """Set the error's parameter to the variable or the file that the value came from."""
    ctx, param = error.ctx, error.param
    if ctx is None or param is None or param.name is None:
        return
    source = ctx.get_parameter_source(param.name)
    if source is ParameterSource.DEFAULT_MAP:
        error.param_hint = f"'{_long_name(param)}' in {ctx.obj}"
    elif source is ParameterSource.ENVIRONMENT:
        # An empty variable counts as unset.
        error.param_hint = next(name for name in param.envvar or () if os.environ.get(name))


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
        message = f"{path} is not valid TOML: {error}"
        raise DaemonError(message) from error
    options = {
        _long_name(option): option
        for option in sorted(ctx.command.params, key=_long_name)
        if option.name not in ("config", "version")
    }
    unknown = sorted(settings.keys() - options.keys())
    if unknown:
        similar = _similar(unknown[0].lower().replace("_", "-"), options)
        help_ = (
            f"did you mean {similar[0]!r}?" if similar else f"expected any of {', '.join(options)}"
        )
        message = f"{path}: unknown option {unknown[0]!r}; {help_}"
        raise DaemonError(message)
    ctx.obj = path
    for key, value in settings.items():
        _check_setting(path, key, value, options[key])
    ctx.default_map = {str(options[key].name): value for key, value in settings.items()}


def _check_setting(path: Path, key: str, value: object, option: click.Parameter) -> None:
    """Refuse a value whose TOML type is not the option's, which click would convert."""
    if getattr(option, "is_flag", False):
        expected, fits = "true or false", isinstance(value, bool)
    elif option.multiple:
        expected = "an array of strings"
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    elif isinstance(option.type, click.types.IntParamType):
        expected = "a whole number"
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(option.type, WorkerCount):
        expected = 'a whole number or "auto"'
        fits = isinstance(value, int | str) and not isinstance(value, bool)
    elif isinstance(option.type, click.types.FloatParamType):
        expected = "a number"
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        expected, fits = "a string", isinstance(value, str)
    if not fits:
        got = str(value).lower() if isinstance(value, bool) else repr(value)  # as TOML writes it
        hint = f": write [{value!r}]" if option.multiple and isinstance(value, str) else ""
        message = f"{path}: expected {expected} for '{key}', got {got}{hint}"
        raise DaemonError(message)
    if isinstance(value, str | list) and any("\0" in text for text in value):
        # The command line and variables can't have it, so click does not expect it in a path.
        message = f"{path}: expected text without NUL for '{key}', got {value!r}"
        raise DaemonError(message)


def _is_listen(option: click.Parameter) -> bool:
    """Return whether an option is an address to listen on: --listen, --metrics-listen."""
    return (option.name or "").endswith("listen")


def _long_name(option: click.Parameter) -> str:
    """Return the name of an option as it is typed, without dashes."""
    return max(option.opts, key=len).lstrip("-")


def _similar(name: str, known: Collection[str], similarity: float = 0.6) -> list[str]:
    """Return the known name that is most similar to a name, if one is similar enough."""
    from difflib import get_close_matches  # noqa: PLC0415 (few starts have an unknown name)

    return get_close_matches(name, known, 1, similarity)
