"""Sessions that make what the others need: the environments for tests, and the wheels."""

import shutil

import nox

from tools import interpreters
from tools.members import MEMBERS, third_party
from tools.sessions.steps import (
    DIST,
    PYTHON,
    TESTED,
    WHEELHOUSE,
    run_tool,
    start_environment,
    tools_of,
)


@nox.session(python=False)
def pythons(session: nox.Session) -> None:
    """Show on which Pythons the tests run, and which of the supported ones this machine lacks."""
    for interpreter in TESTED:
        session.log(f"tests run on Python {interpreter.name:<9} {interpreter.path}")
    if missing := interpreters.missing(TESTED):
        session.warn(f"not found, so not tested: Python {', '.join(missing)}")


@nox.session(python=False)
def environments(session: nox.Session) -> None:
    """Start creating the environments for the members' tests in the background.

    The sessions that follow use one core most of the time. A session that needs an environment
    waits for it.
    """
    for interpreter in TESTED:
        session.log(f"creating the environment for Python {interpreter.name}")
        start_environment(interpreter)


@nox.session(python=PYTHON)
def build(session: nox.Session) -> None:
    """Build every member's wheel and sdist, check them, and collect third-party wheels."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install("-q", *tools_of("build", "release"))
    for member in MEMBERS:
        session.run("python", "-m", "build", "--no-isolation", "-o", str(DIST),
                    str(member.directory), silent=True)  # fmt: skip
    run_tool(session, "wheels", str(DIST))
    session.run("twine", "check", "--strict", *map(str, sorted(DIST.glob("*.*"))), silent=True)
    requirements = third_party(MEMBERS)
    session.run("pip", "wheel", "-q", "-w", str(WHEELHOUSE), *requirements)
