"""The checks of `doctor` on this machine: files, sockets, disks, settings of the runtime."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kakuri._check import FAIL, OK, SKIP, WARN, Check
from kakuri._text import byte_count, printable
from kakuri._toml import parse_toml

CONFIG = Path("/etc/kakuri")
SIDECAR = Path("/run/kakuri/sidecar.sock")
SOCKETS = {"agent socket": Path("/run/kakuri-agent/agent.sock"), "sidecar socket": SIDECAR}
RUNTIME_SOCKETS = (
    Path("/run/containerd/containerd.sock"),
    Path("/var/lib/edera/protect/cri.socket"),
    Path("/run/crio/crio.sock"),
)
DISKS = (Path("/var/lib/kakuri"), Path("/var/log/kakuri"))
CONTAINERD = Path("/etc/containerd/config.toml")
RESTART_MONITOR = "io.containerd.internal.v1.restart"

LOW_DISK_BYTES = 512 << 20
"""Free space below which logs and the store are about to fail."""

HEALTH_SECONDS = 10.0
"""Timeout of the sidecar's health check, for which the sidecar asks the container runtime."""

_HEALTHY = 200

LOCAL_HOSTS = ("127.", "localhost", "[::1]", "unix:")


def is_this_machine(host: str) -> bool:
    """Return whether a control plane's host is on this machine."""
    return host.partition("://")[2].startswith(LOCAL_HOSTS) or host.startswith(LOCAL_HOSTS)


def local_checks() -> Iterator[Check]:
    """Yield the result of each check."""
    yield from _configurations()
    for name, path in SOCKETS.items():
        yield from _socket(name, path)
    if _exists(SIDECAR) and os.access(SIDECAR, os.W_OK):
        yield _sidecar(SIDECAR)
    yield from _runtime_sockets()
    for path in DISKS:
        if _exists(path):
            yield _disk(path)
    yield _cgroups()
    if _exists(RUNTIME_SOCKETS[0]):
        yield _restart_monitor()


def _configurations() -> Iterator[Check]:
    for name in ("agent", "sidecar", "control-plane"):
        path = CONFIG / f"{name}.toml"
        title = f"file {path}"
        try:
            document = parse_toml(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            continue  # all options have defaults
        except PermissionError:
            yield Check(SKIP, title, "this user may not read it")
        except (OSError, ValueError) as error:
            yield Check(FAIL, title, str(error), f"kakuri-{name} will not start with it")
        else:
            yield from _configuration(name, title, document)


def _configuration(name: str, title: str, document: dict[str, object]) -> Iterator[Check]:
    """Check the keys of a daemon's file with the daemon's own options, where it is installed."""
    try:
        options = _options_of(name)
    except ImportError:
        yield Check(SKIP, title, f"kakuri-{name} is not installed beside this command",
                    'pip install "kakuri[node]"')  # fmt: skip
        return
    unknown = [key for key in document if key not in options]
    if unknown:
        detail = f"unknown keys: {', '.join(unknown)}"
        yield Check(FAIL, title, detail, f"kakuri-{name} --help lists the keys")
    elif name == "agent" and document.get("runtime", "auto") == "auto":
        yield Check(WARN, title, "runtime is auto: workloads are simulated if no runtime answers",
                    'write runtime = "sidecar" or "cri"')  # fmt: skip
    else:
        yield Check(OK, title, f"{len(document)} keys")


def _options_of(name: str) -> set[str]:
    """Return the options of a daemon, from its own command."""
    from importlib import import_module  # noqa: PLC0415 (only where there is a file)

    command = import_module(f"kakuri_{name.replace('-', '_')}._cli").main
    return {option.removeprefix("--") for parameter in command.params for option in parameter.opts}


def _socket(name: str, path: Path) -> Iterator[Check]:
    """Check a daemon's default socket; a missing one is not a fault, as it may listen elsewhere."""
    title = f"{name} {path}"
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except PermissionError:
        yield Check(SKIP, title, "this user may not inspect it")
        return
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISSOCK(found.st_mode):
        yield Check(FAIL, title, "it is not a socket", "remove it, and start the daemon again")
    elif mode & 0o007:
        yield Check(FAIL, title, f"mode {mode:04o}: every user may use it", f"chmod o= {path}")
    else:
        yield Check(OK, title, f"mode {mode:04o}")


def _sidecar(path: Path) -> Check:
    """Ask the sidecar whether the runtime can run zones."""
    from kakuri_http import HTTPError, Timeouts  # noqa: PLC0415 (most machines have no sidecar)
    from kakuri_http.blocking import BlockingClient  # noqa: PLC0415
    from kakuri_json import loads  # noqa: PLC0415

    title, advice = "sidecar health", "journalctl -u kakuri-sidecar"
    try:
        timeouts = Timeouts(total=HEALTH_SECONDS)
        with BlockingClient(f"unix:{path}", timeouts=timeouts) as client:
            response = client.get("/healthz")
        document = loads(response.body)
    except (HTTPError, ValueError) as error:
        return Check(FAIL, title, printable(str(error)), advice)
    message = printable("; ".join(_faults(document))) if isinstance(document, dict) else ""
    if response.status != _HEALTHY:
        return Check(FAIL, title, message or f"HTTP {response.status}", advice)
    return Check(WARN if message else OK, title, message or "the runtime can run zones")


def _faults(health: dict[str, Any]) -> Iterator[str]:
    """Yield the faults in a health report: its message, or the conditions that are false."""
    if message := health.get("message"):
        yield str(message)
        return
    conditions = health.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, dict) and condition.get("status") is False:
            yield f"{condition.get('type')}: {condition.get('message') or condition.get('reason')}"


def _runtime_sockets() -> Iterator[Check]:
    for path in filter(_exists, RUNTIME_SOCKETS):
        if os.access(path, os.W_OK):
            yield Check(OK, f"container runtime {path}", "this user may use it")
        else:
            yield Check(SKIP, f"container runtime {path}", "this user may not use it")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def _disk(path: Path) -> Check:
    title = f"disk {path}"
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        return Check(SKIP, title, str(error.strerror).lower())
    detail = f"{byte_count(free)} free"
    if free < LOW_DISK_BYTES:
        return Check(WARN, title, detail, "a full disk stops new workloads, and loses their logs")
    return Check(OK, title, detail)


def _cgroups() -> Check:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return Check(OK, "cgroups", "version 2")
    return Check(WARN, "cgroups", "version 1: memory limits are less exact",
                 "boot with systemd.unified_cgroup_hierarchy=1")  # fmt: skip


def _restart_monitor() -> Check:
    """Check that containerd does not restart containers because a label of their image says so."""
    title = "containerd's restart monitor"
    try:
        settings = parse_toml(CONTAINERD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Check(WARN, title, f"there is no {CONTAINERD}, so it is on", _MONITOR_ADVICE)
    except (OSError, ValueError) as error:
        return Check(SKIP, title, str(error))
    if RESTART_MONITOR in settings.get("disabled_plugins", ()):
        return Check(OK, title, "off")
    return Check(WARN, title, "on: a label of an image can make containerd restart its container",
                 _MONITOR_ADVICE)  # fmt: skip


_MONITOR_ADVICE = f'disabled_plugins = ["{RESTART_MONITOR}"] in {CONTAINERD}'
