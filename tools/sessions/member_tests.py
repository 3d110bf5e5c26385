"""Sessions that run the members' own tests."""

import nox

from tools.members import ROOT
from tools.sessions import begin_tests
from tools.sessions.steps import PYTHON, each_member, tools_of


@nox.session(python=False)
@each_member
def tests(session: nox.Session, member: str) -> None:
    """Run one member's tests on every Python that was found, or on those named after `--`.

    As many Pythons at once as there are cores, unless begin_tests has started them already.
    """
    begin_tests.run_member(session, member)


@nox.session(python=PYTHON)
def coverage(session: nox.Session) -> None:
    """Report what the tests sessions covered."""
    session.install("-q", *tools_of("coverage"))
    session.run("coverage", "combine", "--keep", *map(str, ROOT.glob(".coverage.*")))
    session.run("coverage", "report")
