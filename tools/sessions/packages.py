"""Sessions that release the members, and try their wheels."""

import nox

from tools.members import ROOT
from tools.sessions.steps import PYTHON, each_member, install_wheels, run_tool, tools_of


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
