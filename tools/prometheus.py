"""Prometheus and its tool for rules, from PATH or from Debian's package.

The package is unpacked into `.nox/prometheus`, where it stays: nothing is installed, and a later
run needs no network.
"""

import os
import shutil
from pathlib import Path

from tools import debian

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".nox" / "prometheus"
PROGRAMS = ("prometheus", "promtool")


def lacks() -> str | None:
    """Return why the programs are not available here; None if they are, or can be fetched."""
    if _directory() is not None or debian.can_install():
        return None
    return "prometheus and promtool are neither on PATH nor can Debian's package be fetched"


def program(name: str) -> Path:
    """Return the path of one of the programs; the package is fetched if it is necessary.

    Raises:
        SystemExit: It can't be fetched.
    """
    directory = _directory()
    if directory is None:
        debian.update()
        packages = HOME / "packages"
        debian.download(["prometheus"], packages)
        debian.unpack(packages, HOME / "unpacked")
        directory = HOME / "unpacked" / "usr" / "bin"
    return directory / name


def _directory() -> Path | None:
    """Return the directory that has all programs; None if there is none."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), str(HOME / "unpacked" / "usr" / "bin")]
    for place in places:
        if all(shutil.which(name, path=place) for name in PROGRAMS):
            return Path(place)
    return None
