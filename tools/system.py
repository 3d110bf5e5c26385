"""Programs of the operating system that some sessions drive."""

import nox

from tools import debian

# Real programs that the members' own tests connect to.
DRIVEN_BY_TESTS = {"kakuri": ("bash", "fish", "zsh"), "kakuri-http": ("curl", "nginx")}


HTTP2_PEERS = ("curl", "nghttp", "h2load", "nghttpd")
"""Other implementations of HTTP/2."""


def available(program: str) -> bool:
    """Return whether a program is on PATH, or `require` can install it."""
    return not debian.missing([program]) or debian.can_install()


def require(session: nox.Session, *programs: str) -> None:
    """Ensure that programs are on PATH: install them as root on Debian, else name the command.

    Services of installed packages start neither now nor at boot.
    """
    install_if_possible(session, *programs)
    if missing := debian.missing(programs):
        session.error(f"missing programs; on Debian: sudo apt-get install {' '.join(missing)}")


def install_if_possible(session: nox.Session, *programs: str) -> None:
    """Install programs that are missing, if this is Debian and the user is root."""
    missing = debian.missing(programs)
    if not missing or not debian.can_install():
        return
    session.log(f"installing {' '.join(missing)}")
    if services := debian.install(missing):
        session.log(f"disabled, so that they don't start at boot: {', '.join(services)}")
