"""Sessions that run the members' own tests."""

import nox

from tools import interpreters, side_by_side, system
from tools.members import BY_NAME, MEMBERS, ROOT, Member
from tools.sessions.steps import (
    FEWER_KILLS,
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


@nox.session(python=False)
def member_tests(session: nox.Session) -> None:
    """Run the tests of all members on each minor version of Python, as `tests` does for one."""
    _run(session, [member.name for member in MEMBERS])


@nox.session(python=False, default=False)
@each_member
def tests(session: nox.Session, member: str) -> None:
    """Run one member's tests on each minor version of Python, or on the Pythons named after `--`.

    One more Python runs at a time than there are cores. MEASURED measures coverage, and only the
    newest runs the full number of kills.
    """
    _run(session, [member])


def _run(session: nox.Session, members: list[str]) -> None:
    programs = {name for member in members for name in system.DRIVEN_BY_TESTS.get(member, ())}
    system.require(session, *sorted(programs))
    named = session.posargs
    chosen = interpreters.chosen(PYTHONS, named) if named else TESTED
    for interpreter in chosen:
        start_environment(interpreter)
    commands = {
        f"{member} on Python {interpreter.name}": _command(BY_NAME[member], interpreter)
        for member in members
        for interpreter in chosen
    }
    finish(session, side_by_side.Running(commands))


def _command(member: Member, interpreter: interpreters.Interpreter) -> list[str]:
    directory = member.directory / "tests"
    command = [] if interpreter == TESTED[-1] else ["env", *FEWER_KILLS]
    command += [python_for_tests(interpreter), "-m"]
    if interpreter == MEASURED:
        data = f"--data-file={ROOT / f'.coverage.{member.name}'}"
        command += ["coverage", "run", f"--source={member.import_name}", data, "-m"]
    apart = [f"--ignore={directory / name}" for name in ("conformance", "interop")]
    return [*command, "pytest", "-p", "no:cacheprovider", str(directory), *apart]


@nox.session(python=PYTHON)
def coverage(session: nox.Session) -> None:
    """Report what the tests sessions covered."""
    session.install("-q", *tools_of("coverage"))
    session.run("coverage", "combine", "--keep", *map(str, ROOT.glob(".coverage.*")))
    session.run("coverage", "report")
