"""Control groups of version 1 and version 2; a version 2 without controllers counts as version 1."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")

_CONTROLLERS = ("blkio", "cpu", "cpuacct", "devices", "freezer", "memory", "pids")

# The value of version 1 for no limit: the greatest number of pages, in bytes.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class Limits:
    """The limits of a group; None where there is no limit."""

    memory_bytes: int | None
    cpu_millicores: int | None


def is_v2() -> bool:
    """Return whether the controllers are those of version 2."""
    return (ROOT / "cgroup.controllers").exists()


def directory(controller: str, path: str) -> Path:
    """Return the directory of a group for a controller, such as memory or cpu."""
    return (ROOT if is_v2() else ROOT / controller) / path.lstrip("/")


def limits(path: str) -> Limits:
    """Read a group's limits back from the kernel."""
    memory, cpu = directory("memory", path), directory("cpu", path)
    if is_v2():
        most = (memory / "memory.max").read_text().strip()
        quota, period = (cpu / "cpu.max").read_text().split()
        memory_bytes = None if most == "max" else int(most)
        return Limits(memory_bytes, None if quota == "max" else _millicores(quota, period))
    bytes_ = int((memory / "memory.limit_in_bytes").read_text())
    quota = (cpu / "cpu.cfs_quota_us").read_text().strip()
    period = (cpu / "cpu.cfs_period_us").read_text().strip()
    return Limits(
        bytes_ if bytes_ < _NO_LIMIT else None,
        None if quota == "-1" else _millicores(quota, period),
    )


def _millicores(quota: str, period: str) -> int:
    return round(int(quota) * 1000 / int(period))


def create(path: str, memory: int | None, quota: int | None, period: int | None) -> list[Path]:
    """Create a group with limits: memory in bytes, CPU as a quota of microseconds per period.

    Returns its directories, one for each hierarchy.
    """
    if is_v2():
        group = directory("", path)
        group.mkdir(parents=True, exist_ok=True)
        for parent in reversed(group.relative_to(ROOT).parents):
            (ROOT / parent / "cgroup.subtree_control").write_text("+cpu +memory +pids")
        if memory:
            (group / "memory.max").write_text(str(memory))
        if quota and period:
            (group / "cpu.max").write_text(f"{quota} {period}")
        return [group]
    made = [directory(name, path) for name in _CONTROLLERS if (ROOT / name).is_dir()]
    for group in made:
        group.mkdir(parents=True, exist_ok=True)
    if memory:
        (directory("memory", path) / "memory.limit_in_bytes").write_text(str(memory))
    if quota and period:
        (directory("cpu", path) / "cpu.cfs_period_us").write_text(str(period))
        (directory("cpu", path) / "cpu.cfs_quota_us").write_text(str(quota))
    return made


def freeze(path: str) -> None:
    """Freeze the processes of a group."""
    _set_frozen(directory("freezer", path), frozen=True)


def thaw(path: str) -> None:
    """Thaw a group and those below it.

    An OCI runtime freezes a container while it kills all its processes. If the runtime is killed
    meanwhile, they stay frozen, and in version 1, frozen processes ignore even SIGKILL.
    """
    for name, _, _ in os.walk(directory("freezer", path), topdown=False):
        with suppress(OSError):
            _set_frozen(Path(name), frozen=False)


def _set_frozen(group: Path, *, frozen: bool) -> None:
    if is_v2():
        (group / "cgroup.freeze").write_text(str(int(frozen)))
    else:
        (group / "freezer.state").write_text("FROZEN" if frozen else "THAWED")


def remove(path: str) -> None:
    """Remove a group and those below it from every hierarchy; those with processes stay.

    Processes are thawed first, so that killed ones can end.
    """
    thaw(path)
    for hierarchy in [ROOT, *ROOT.iterdir()]:
        top = hierarchy / path.lstrip("/")
        if top.is_dir() and not hierarchy.is_symlink():
            for name, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    Path(name).rmdir()
