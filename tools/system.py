"""Programs of the operating system that some sessions drive."""

import nox

from tools import debian

# Real peers that members' own tests talk to.
DRIVEN_BY_TESTS = {"kakuri-http": ("curl", "nginx")}


def available(program: str) -> bool:
    """Return whether a program is on PATH, or could be installed by `require`."""
    return not debian.missing([program]) or debian.can_install()


def require(session: nox.Session, *programs: str) -> None:
    """Have programs on PATH: install them as root on Debian, else fail and say how.

    What is installed does not start, now or at the next boot.
    """
    missing = debian.missing(programs)
    if not missing:
        return
    if not debian.can_install():
        session.error(f"missing programs; on Debian: sudo apt-get install {' '.join(missing)}")
    session.log(f"installing {' '.join(missing)}")
    if services := debian.install(missing):
        session.log(f"disabled, so that they don't start at boot: {', '.join(services)}")
