"""Programs of the operating system that some sessions drive."""

import os
import shutil

import nox

DEBIAN_PACKAGES = {
    "curl": "curl",
    "nc": "netcat-openbsd",
    "nginx": "nginx-light",
    "wrk": "wrk",
}

# Real peers that members' own tests talk to.
DRIVEN_BY_TESTS = {"kakuri-http": ("curl", "nginx")}

# Debian keeps servers where an ordinary user's PATH does not lead.
SERVERS = "/usr/sbin"


def require(session: nox.Session, *programs: str) -> None:
    """Have programs on PATH: install them as root on Debian, else fail and say how."""
    path = f"{os.environ['PATH']}{os.pathsep}{SERVERS}"
    missing = [DEBIAN_PACKAGES[name] for name in programs if shutil.which(name, path=path) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        session.error(f"missing programs; on Debian: sudo apt-get install {' '.join(missing)}")
    session.run("apt-get", "update", "-qq", external=True, silent=True)
    session.run(
        "apt-get",
        "install",
        "-y",
        "-qq",
        *missing,
        external=True,
        silent=True,
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )
