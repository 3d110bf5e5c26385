"""The command-line options for zones, which the commands of agent and sidecar share."""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from kakuri_daemon import DaemonError, NonEmptyPath, NumberRange, endpoint
from kakuri_tcp import Endpoint
from kakuri_workload import IMAGE_REFERENCE, WORKLOAD_ID
from kakuri_workload.metrics import METRICS_ZONES

from kakuri_zones._resolvers import MAX_SEARCHES, MAX_SERVERS, is_reachable
from kakuri_zones._settings import (
    DEFAULT_COLLECTION,
    DEFAULT_HANDLERS,
    DEFAULT_LOG_DIR,
    DEFAULT_PULL_LIMITS,
    ENDED_LOGS_MB,
    MIB,
    CollectionLimits,
    PullLimits,
    Settings,
)

MIN_PULL_SECONDS, MAX_PULL_SECONDS = 1.0, 86_400.0
"""A shorter pull could not complete; a longer one would outlast every caller."""

MAX_AGE_SECONDS = 100 * 365 * 86_400.0
SECONDS_PER_HOUR = 3600

MAX_ENDED_LOGS_MB = 1_000_000_000
MAX_METRICS_ZONES = 100_000

_DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|\.")
_HANDLER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def read_handlers(pairs: Iterable[str]) -> dict[str, str]:
    """Read `CLASS=HANDLER` pairs.

    Raises:
        click.BadParameter: A class occurs twice, there is none, or a handler is empty, which would
            select the runtime's default handler without isolation.
    """
    handlers: dict[str, str] = {}
    for pair in pairs:
        name, _, handler = pair.partition("=")
        if not re.fullmatch(WORKLOAD_ID, name) or not _HANDLER.fullmatch(handler):
            raise click.BadParameter(f"expected a handler like edera-zone=edera, got {pair!r}")
        if name in handlers:
            raise click.BadParameter(
                f"expected one handler for class {name!r}, got {handlers[name]!r} and {handler!r}"
            )
        handlers[name] = handler
    if not handlers:
        raise click.BadParameter("expected a handler like edera-zone=edera, got none")
    return handlers


def _check_unix(cri: Endpoint) -> Endpoint:
    if cri.scheme != "unix":
        raise click.BadParameter(f"expected unix:///PATH, got {cri}")
    return cri


def _check_cgroup(path: str | None) -> str | None:
    if path is not None and (not path.startswith("/") or "\0" in path or ".." in path.split("/")):
        raise click.BadParameter(f"expected an absolute path below the cgroup root, got {path!r}")
    return path


def _check_servers(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        if not is_reachable(address):
            expected = "expected the IP address of a resolver that zones can reach"
            raise click.BadParameter(f"{expected}, got {address!r}")
    return _check_count(addresses, MAX_SERVERS)


def _check_searches(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _DOMAIN.fullmatch(name):
            raise click.BadParameter(f"expected a domain like example.com, got {name!r}")
    return _check_count(names, MAX_SEARCHES)


def _check_images(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(IMAGE_REFERENCE, name):
            raise click.BadParameter(f"expected an image reference like nginx:1.27, got {name!r}")
    return names


def _check_count(values: tuple[str, ...], limit: int) -> tuple[str, ...]:
    if len(values) > limit:
        raise click.BadParameter(f"expected at most {limit}, got {len(values)}")
    return values


def _check_seconds(seconds: float) -> float:
    if not MIN_PULL_SECONDS <= seconds <= MAX_PULL_SECONDS:  # false for NaN as well
        expected = f"expected seconds from {MIN_PULL_SECONDS:g} to {MAX_PULL_SECONDS:g}"
        raise click.BadParameter(f"{expected}, got {seconds:g}")
    return seconds


def _check_stall_seconds(seconds: float) -> float:
    return seconds if seconds == 0 else _check_seconds(seconds)


def _checked(
    check: Callable[[Any], object],
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback for click that calls a function with only the value."""
    return lambda _context, _parameter, value: check(value)


_OPTIONS = (
    click.option(
        "--cri",
        type=endpoint,
        callback=_checked(_check_unix),
        default="unix:///var/lib/edera/protect/cri.socket",
        show_default=True,
        metavar="unix:///PATH",
        help="The container runtime's socket.",
    ),
    click.option(
        "--handler",
        "handlers",
        multiple=True,
        callback=_checked(read_handlers),
        default=[f"{name}={handler}" for name, handler in DEFAULT_HANDLERS.items()],
        show_default=True,
        metavar="CLASS=HANDLER",
        help="The container runtime's handler for a runtime class; may be repeated.",
    ),
    click.option(
        "--cgroup-parent",
        callback=_checked(_check_cgroup),
        metavar="PATH",
        help="The zones' parent cgroup.  [default: /kakuri, or /kakuri.slice under systemd]",
    ),
    click.option(
        "--log-dir",
        # A process that runs no zones may have it too, and need not be able to read it.
        type=NonEmptyPath(file_okay=False, readable=False, path_type=Path),
        default=DEFAULT_LOG_DIR,
        show_default=True,
        help="Directory to which the runtime writes the logs of containers.",
    ),
    click.option(
        "--ended-logs-mb",
        type=click.IntRange(1, MAX_ENDED_LOGS_MB),
        default=ENDED_LOGS_MB,
        show_default=True,
        help="Most that the logs of all ended zones may take, in units of 2^20 bytes. Above it, "
        "the logs of the zones that ended first are removed.",
    ),
    click.option(
        "--pull-timeout",
        type=float,
        metavar="SECONDS",
        callback=_checked(_check_seconds),
        default=DEFAULT_PULL_LIMITS.timeout,
        show_default=True,
        help="Seconds that pulling an image may take.",
    ),
    click.option(
        "--pull-stall-timeout",
        type=float,
        metavar="SECONDS",
        callback=_checked(_check_stall_seconds),
        default=DEFAULT_PULL_LIMITS.stall_timeout,
        show_default=True,
        help="Seconds without progress after which a pull fails; 0 for no limit.",
    ),
    click.option(
        "--hosts-file/--no-hosts-file",
        default=True,
        show_default=True,
        help="Give each zone a hosts file of its own, mounted from the directory of its log.",
    ),
    click.option(
        "--dns-server",
        "dns_servers",
        multiple=True,
        callback=_checked(_check_servers),
        metavar="ADDRESS",
        help="A DNS server for zones; up to 3.  [default: those of the host that zones can reach]",
    ),
    click.option(
        "--dns-search",
        "dns_searches",
        multiple=True,
        callback=_checked(_check_searches),
        metavar="DOMAIN",
        help="A DNS search domain for zones; up to 32.  [default: the host's]",
    ),
    click.option(
        "--image-gc-high",
        type=click.IntRange(1, 100),
        default=DEFAULT_COLLECTION.high,
        show_default=True,
        help="Percent of disk use above which unused images are removed; 100 for never.",
    ),
    click.option(
        "--image-gc-low",
        type=click.IntRange(0, 100),
        default=DEFAULT_COLLECTION.low,
        show_default=True,
        help="Percent of disk use at which removing images stops.",
    ),
    click.option(
        "--image-min-age",
        type=NumberRange(0, MAX_AGE_SECONDS),
        default=DEFAULT_COLLECTION.min_age,
        show_default=True,
        help="Seconds to keep every image after it was first seen.",
    ),
    click.option(
        "--image-max-age-hours",
        type=NumberRange(0, MAX_AGE_SECONDS / SECONDS_PER_HOUR),
        default=0,
        show_default=True,
        help="Hours after its last use at which an image is removed regardless of disk use; 0 for "
        "never.",
    ),
    click.option(
        "--image-gc-interval",
        type=NumberRange(1, 86_400),
        default=DEFAULT_COLLECTION.interval,
        show_default=True,
        help="Seconds between two checks for images to remove.",
    ),
    click.option(
        "--keep-image",
        "kept_images",
        multiple=True,
        callback=_checked(_check_images),
        metavar="REFERENCE",
        help="An image that is never removed; may be repeated.",
    ),
    click.option(
        "--metrics-zones",
        type=click.IntRange(0, MAX_METRICS_ZONES),
        default=METRICS_ZONES,
        show_default=True,
        help="Number of zones that have series of their own in the metrics; further ones are only "
        "in the totals.",
    ),
)


def zone_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for zones to a click command, which receives them as `zones`, a Settings.

    Example:
        @click.command(cls=DaemonCommand, name="my-command", default_listen="unix:/run/my.sock")
        @zone_options
        def main(listen: Endpoint, *, zones: Settings) -> None: ...
    """

    @functools.wraps(function)
    def command(*args: Any, **values: Any) -> Any:
        return function(*args, zones=_pop_settings(values), **values)

    for option in reversed(_OPTIONS):
        option(command)
    return command


def _pop_settings(values: dict[str, Any]) -> Settings:
    """Remove the values of these options from those of a command, and return them as settings.

    Raises:
        DaemonError: The thresholds of image removal contradict each other.
    """
    high, low = values.pop("image_gc_high"), values.pop("image_gc_low")
    if low > high:
        raise DaemonError(
            f"expected at most --image-gc-high, {high}, for --image-gc-low, got {low}"
        )
    log_dir: Path = values.pop("log_dir")
    return Settings(
        cri=values.pop("cri"),
        handlers=values.pop("handlers"),
        cgroup_parent=values.pop("cgroup_parent"),
        log_dir=log_dir.absolute(),
        ended_log_bytes=values.pop("ended_logs_mb") * MIB,
        has_hosts=values.pop("hosts_file"),
        dns_servers=values.pop("dns_servers"),
        dns_searches=values.pop("dns_searches"),
        collection=CollectionLimits(
            high=high,
            low=low,
            min_age=values.pop("image_min_age"),
            max_age=values.pop("image_max_age_hours") * SECONDS_PER_HOUR,
            interval=values.pop("image_gc_interval"),
            keep=values.pop("kept_images"),
        ),
        metrics_zones=values.pop("metrics_zones"),
        pulls=PullLimits(
            timeout=values.pop("pull_timeout"), stall_timeout=values.pop("pull_stall_timeout")
        ),
    )
