"""Sessions that build the members' packages, and try them."""

import shutil

import nox

from tools.members import MEMBERS, ROOT, third_party
from tools.sessions.steps import (
    DIST,
    PYTHON,
    WHEELHOUSE,
    each_member,
    install_wheels,
    run_tool,
    tools_of,
)


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


@nox.session(python=PYTHON, default=False)
def release(session: nox.Session) -> None:
    """Check, build and raise the version of one member: `nox -s release -- MEMBER VERSION`."""
    session.install("-q", *tools_of("build", "release"))
    run_tool(session, "release", *session.posargs)


@nox.session(python=PYTHON, reuse_venv=False)
@each_member
def isolation(session: nox.Session, member: str) -> None:
    """Test one member's wheel in an otherwise empty environment.

    Imports all its modules, runs its README's examples, and has its commands print their help. A
    sibling that is imported but not declared is missing here, and only here.
    """
    install_wheels(session, member)
    session.run("pip", "check", silent=True)
    session.run("python", "-W", "error", str(ROOT / "tools/try_wheel.py"), member)
