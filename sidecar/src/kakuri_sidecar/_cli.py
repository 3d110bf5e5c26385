"""The command `kakuri-sidecar`."""

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

import click
from kakuri_daemon import DaemonCommand, DaemonError, endpoint, run
from kakuri_registry import WORKLOAD_ID, open_private_folder
from kakuri_tcp import Endpoint

from kakuri_sidecar._images import DEFAULT_PULL_LIMITS, PullLimits
from kakuri_sidecar._service import DEFAULT_HANDLERS, DEFAULT_LOG_DIR, Settings, sidecar_service
from kakuri_sidecar._version import __version__

MIN_PULL_SECONDS, MAX_PULL_SECONDS = 1.0, 86_400.0
"""Below, no pull can be done; above, nobody waits any more."""

_HANDLER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@click.command(
    cls=DaemonCommand, name="kakuri-sidecar", default_listen="unix:///run/kakuri/sidecar.sock"
)
@click.option(
    "--cri",
    type=endpoint,
    callback=lambda _ctx, _param, cri: _check_unix(cri),
    default="unix:///var/lib/edera/protect/cri.socket",
    show_default=True,
    metavar="unix:///PATH",
    help="The container runtime's socket.",
)
@click.option(
    "--handler",
    "handlers",
    multiple=True,
    callback=lambda _ctx, _param, pairs: read_handlers(pairs),
    default=[f"{name}={handler}" for name, handler in DEFAULT_HANDLERS.items()],
    show_default=True,
    metavar="CLASS=HANDLER",
    help="Which of the runtime's handlers runs the zones of a runtime class; may be repeated.",
)
@click.option(
    "--cgroup-parent",
    callback=lambda _ctx, _param, path: _check_cgroup(path),
    metavar="PATH",
    help="Below which cgroup zones lie.  [default: /kakuri, or /kakuri.slice under systemd]",
)
@click.option(
    "--log-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_LOG_DIR,
    show_default=True,
    help="Where the runtime writes what containers say.",
)
@click.option(
    "--pull-timeout",
    type=float,
    callback=lambda _ctx, _param, value: _check_seconds(value),
    default=DEFAULT_PULL_LIMITS.timeout,
    show_default=True,
    help="Seconds that pulling an image may take.",
)
@click.option(
    "--pull-stall-timeout",
    type=float,
    callback=lambda _ctx, _param, value: value if value == 0 else _check_seconds(value),
    default=DEFAULT_PULL_LIMITS.stall_timeout,
    show_default=True,
    help="Seconds that it may take without any sign of progress; 0 for no such limit.",
)
@click.version_option(__version__)
def main(
    listen: Endpoint,
    cri: Endpoint,
    handlers: dict[str, str],
    cgroup_parent: str | None,
    log_dir: Path,
    pull_timeout: float,
    pull_stall_timeout: float,
) -> None:
    """Run zones in a container runtime, for an agent that asks over a Unix socket."""
    _check_log_dir(log_dir)
    settings = Settings(
        cri=cri,
        handlers=handlers,
        cgroup_parent=cgroup_parent,
        log_dir=log_dir.absolute(),
        pulls=PullLimits(timeout=pull_timeout, stall_timeout=pull_stall_timeout),
    )
    logging.getLogger("grpc").setLevel(logging.INFO)  # it has a line for every call
    run(lambda: sidecar_service(listen, settings))


def read_handlers(pairs: Iterable[str]) -> dict[str, str]:
    """Read `CLASS=HANDLER` pairs.

    Raises:
        click.BadParameter: A class comes twice, there is none at all, or a handler is empty: that
            would be the runtime's default one, which isolates nothing.
    """
    handlers: dict[str, str] = {}
    for pair in pairs:
        name, _, handler = pair.partition("=")
        if not re.fullmatch(WORKLOAD_ID, name) or not _HANDLER.fullmatch(handler):
            raise click.BadParameter(f"expected a handler like edera-zone=edera, got {pair!r}")
        if name in handlers:
            raise click.BadParameter(
                f"expected one handler for {name!r}, got another one, {handler!r}"
            )
        handlers[name] = handler
    if not handlers:
        raise click.BadParameter("expected a handler like edera-zone=edera, got none")
    return handlers


def _check_log_dir(log_dir: Path) -> None:
    """Refuse a folder that is another user's, or that others may write to; none is no fault."""
    try:
        os.close(open_private_folder(log_dir, make=False))
    except FileNotFoundError:
        return
    except OSError as error:
        raise DaemonError(f"can't keep logs in {log_dir}: {error.strerror}") from error


def _check_unix(cri: Endpoint) -> Endpoint:
    if cri.scheme != "unix":
        raise click.BadParameter(f"expected unix:///PATH, got {cri}")
    return cri


def _check_cgroup(path: str | None) -> str | None:
    if path is not None and (not path.startswith("/") or "\0" in path or ".." in path.split("/")):
        raise click.BadParameter(f"expected an absolute path below the cgroup root, got {path!r}")
    return path


def _check_seconds(seconds: float) -> float:
    if not MIN_PULL_SECONDS <= seconds <= MAX_PULL_SECONDS:  # which no comparison with NaN is
        expected = f"expected seconds from {MIN_PULL_SECONDS:g} to {MAX_PULL_SECONDS:g}"
        raise click.BadParameter(f"{expected}, got {seconds:g}")
    return seconds
