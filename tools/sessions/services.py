"""Sessions that run the services as users do."""

import os
import sys
from pathlib import Path

import nox

from tools import chromium, side_by_side, system
from tools.members import MEMBERS
from tools.sessions.steps import (
    FEWER_KILLS,
    PYTHON,
    closure,
    finish,
    install_editable,
    install_wheels,
    tools_of,
)

WITH_SESSIONS = ("etcd", "interop", "observability", "openapi", "page", "zones")
"""The directories of tests/ that sessions of their own run."""

E2E_PARTS = 3
"""Parts of the end-to-end tests on each event loop."""

PAGE_PARTS = 6
"""Parts of the page's tests: several for each core, so that no core is idle for long at the end."""


@nox.session(python=PYTHON, reuse_venv=False)
def e2e(session: nox.Session) -> None:
    """Run the services as processes, from their wheels, under real curl and nc.

    Twice, side by side: on asyncio's own loop, and on uvloop, which the services use where it is
    installed. The other tests that cross distributions run beside them.
    """
    system.require(session, "curl", "man", "nc", "nginx", "openssl")
    names = [member.name for member in MEMBERS]
    install_wheels(session, *names)
    session.install("-q", *tools_of("test", "coverage"))
    other = f"{session.virtualenv.location}/with-uvloop"
    session.run("python", "-m", "venv", "--without-pip", other)
    install_wheels(session, *names, python=other)
    pip = ["python", "-m", "pip", f"--python={other}"]
    session.run(*pip, "install", "-q", *tools_of("test", "coverage"), "uvloop")
    pytest = ["-m", "pytest", "-p", "no:cacheprovider"]
    on_asyncio = ["env", *FEWER_KILLS, f"{session.bin}/python", *pytest]
    on_uvloop = [f"{other}/bin/python", *pytest]
    others = ["tests", *(f"--ignore=tests/{name}" for name in WITH_SESSIONS)]
    if session.posargs:
        runs = {
            "tests on asyncio": [*on_asyncio, *others, *session.posargs],
            "tests on uvloop": [*on_uvloop, "tests/e2e", *session.posargs],
        }
    else:
        runs = {"other tests": [*on_asyncio, *others, "--ignore=tests/e2e"]}
        runs |= {
            f"part {number} of the end-to-end tests on {name}": [*on_loop, *part]
            for number, part in enumerate(_parts("tests/e2e", E2E_PARTS), 1)
            for name, on_loop in (("asyncio", on_asyncio), ("uvloop", on_uvloop))
        }
    finish(session, side_by_side.Running(runs))


@nox.session(python=PYTHON, reuse_venv=False)
def soak(session: nox.Session) -> None:
    """Run the services from their wheels with every load at its limit at once.

    For half a minute, or for the seconds after `--`.
    """
    install_wheels(session, "kakuri-agent", "kakuri-control-plane", "kakuri-sidecar")
    session.install("-q", *tools_of("test"))
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session(python=PYTHON)
def page(session: nox.Session) -> None:
    """Drive the web page in a real Chromium, with the services from their wheels.

    Debian's Chromium is fetched into .nox if none is on PATH. If that is not possible, the session
    is skipped, unless KAKURI_REQUIRE_BROWSER is set.
    """
    _require_browser(session)
    install_wheels(session, "kakuri-agent", "kakuri-control-plane")
    session.install("-q", *tools_of("test", "page"))
    pytest = [str(Path(session.bin) / "python"), "-m", "pytest", "-p", "no:cacheprovider"]
    parts = _parts("tests/page", PAGE_PARTS)
    if session.posargs:
        parts = [["tests/page", *session.posargs]]
    runs = {
        f"part {number} of the page's tests": [*pytest, *part]
        for number, part in enumerate(parts, 1)
    }
    finish(session, side_by_side.Running(runs))


def _parts(directory: str, count: int) -> list[list[str]]:
    """Divide the files of tests in a directory into as many parts of about equal size."""
    parts: list[list[Path]] = [[] for _ in range(count)]
    files = sorted(Path(directory).glob("test_*.py"), key=_size, reverse=True)
    for file in files:
        min(parts, key=lambda part: sum(map(_size, part))).append(file)
    return [list(map(str, part)) for part in parts]


def _size(file: Path) -> int:
    return file.stat().st_size


def _require_browser(session: nox.Session) -> None:
    """Fetch Chromium if there is none; skip the session, or fail it, if that is not possible."""
    try:
        session.log(chromium.find().version())
    except chromium.NoBrowser as error:
        refuse = session.error if chromium.REQUIRED in os.environ else session.skip
        refuse(f"left out: {error}")


@nox.session(python=PYTHON, default=False)
def screenshots(session: nox.Session) -> None:
    """Replace the documentation's pictures of the web page, made in the Chromium of `page`."""
    _require_browser(session)
    members = closure("kakuri-agent", "kakuri-control-plane")
    install_editable(session, members, *tools_of("test", "page", "pictures"))
    session.run("python", "-m", "tests.page.screenshots", "docs/pictures")


@nox.session(python=PYTHON)
def openapi(session: nox.Session) -> None:
    """Check the control plane's OpenAPI document with tools that others wrote.

    It is validated, schemathesis sends generated requests to a running system and compares the
    responses, and a generated client creates, lists and deletes a workload.
    """
    members = closure("kakuri-agent", "kakuri-control-plane")
    install_editable(session, members, *tools_of("test", "openapi"))
    session.run("pytest", "-p", "no:schemathesis", "tests/openapi", *session.posargs)


@nox.session(python=PYTHON, default=False)
def up(session: nox.Session) -> None:
    """Start an agent and a control plane, and show what to type next; Ctrl-C ends both."""
    install_editable(session, MEMBERS)
    # It replaces nox, which would leave it running when SIGTERM ends nox. It gets the terminal's
    # PATH, so the commands that it shows work in another terminal.
    program = f"{session.bin}/kakuri"
    session.log(f"{program} up")
    sys.stdout.flush()
    os.execv(program, [program, "up", *session.posargs])  # noqa: S606 (a program of this project)
