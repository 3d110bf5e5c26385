"""Sessions that run the members' own tests."""

import nox

from tools import interpreters, side_by_side, system
from tools.members import BY_NAME, ROOT
from tools.sessions.steps import (
    PYTHON,
    PYTHONS,
    TESTED,
    each_member,
    finish,
    python_for_tests,
    start_environment,
    tools_of,
)

MEASURED = TESTED[0]
"""The Python on which coverage is measured: from Python 3.12 on, to measure branches takes several
times as long."""

FEWER_KILLS = ("KAKURI_CRASHES=250", "KAKURI_KILLS=50")
"""Number of kills in the crash tests on every Python but the newest."""


@nox.session(python=False)
@each_member
def tests(session: nox.Session, member: str) -> None:
    """Run one member's tests on each minor version of Python, or on the Pythons named after `--`.

    One more Python runs at a time than there are cores. MEASURED measures coverage, and only the
    newest runs the full number of kills.
    """
    this = BY_NAME[member]
    system.require(session, *system.DRIVEN_BY_TESTS.get(member, ()))
    directory = this.directory / "tests"
    apart = [f"--ignore={directory / name}" for name in ("conformance", "interop")]
    pytest = ["pytest", "-p", "no:cacheprovider", str(directory), *apart]
    named = session.posargs
    chosen = interpreters.chosen(PYTHONS, named) if named else TESTED
    for interpreter in chosen:
        start_environment(interpreter)
    commands = {}
    for interpreter in chosen:
        command = [] if interpreter == TESTED[-1] else ["env", *FEWER_KILLS]
        command += [python_for_tests(interpreter), "-m"]
        if interpreter == MEASURED:
            data = f"--data-file={ROOT / f'.coverage.{member}'}"
            command += ["coverage", "run", f"--source={this.import_name}", data, "-m"]
        commands[f"{member} on Python {interpreter.name}"] = [*command, *pytest]
    finish(session, side_by_side.Running(commands))


@nox.session(python=PYTHON)
def coverage(session: nox.Session) -> None:
    """Report what the tests sessions covered."""
    session.install("-q", *tools_of("coverage"))
    session.run("coverage", "combine", "--keep", *map(str, ROOT.glob(".coverage.*")))
    session.run("coverage", "report")
