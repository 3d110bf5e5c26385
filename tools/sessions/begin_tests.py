"""The session that starts the tests of all members, and the commands that it starts."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import nox

from tools import interpreters, side_by_side, system
from tools.members import BY_NAME, ROOT
from tools.sessions.steps import PYTHONS, python_for_tests

MEASURED = interpreters.oldest(PYTHONS)
"""The Python on which coverage is measured: from Python 3.12 on, to measure branches takes several
times as long."""

FEWER_KILLS = ("KAKURI_CRASHES=250", "KAKURI_KILLS=50")
"""Number of kills in the crash tests on every Python but the first."""

AT_ONCE = len(os.sched_getaffinity(0)) + 1
"""Number of commands that run at a time: more than cores, as tests wait a third of their time."""

_begun: list[side_by_side.Running] = []
"""The tests of all members, once the session begin_tests has started them."""


@nox.session(python=False)
def begin_tests(session: nox.Session) -> None:
    """Start the tests of all members, so that they run beside the sessions that follow.

    Each session tests(<member>) waits for its own. Without this session, it runs them itself.
    """
    for member in BY_NAME:
        system.require(session, *system.DRIVEN_BY_TESTS.get(member, ()))
    pythons = _pythons(session)
    commands: dict[str, Sequence[str]] = {}
    for member in BY_NAME:
        commands |= _commands(member, pythons)
    _begun.append(side_by_side.Running(commands, AT_ONCE))


def run(session: nox.Session, member: str) -> list[str]:
    """Run a member's tests, or wait for those that were begun; return the names of failed runs."""
    if _begun:
        return _begun[0].wait(_commands(member, _pythons(session)))
    system.require(session, *system.DRIVEN_BY_TESTS.get(member, ()))
    return side_by_side.run(_commands(member, _pythons(session)))


def _pythons(session: nox.Session) -> dict[interpreters.Interpreter, str]:
    """Return the Python of the environment for tests, for each interpreter that was chosen.

    The first has the long runs of the tests that kill what they test; MEASURED measures coverage.
    These two begin first, because they take longest.
    """
    chosen = interpreters.chosen(PYTHONS, session.posargs)
    chosen.sort(key=lambda each: each not in (PYTHONS[0], MEASURED))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(chosen, pool.map(python_for_tests, chosen), strict=True))


def _commands(
    member: str, pythons: Mapping[interpreters.Interpreter, str]
) -> dict[str, Sequence[str]]:
    """Return the commands that run a member's tests on Pythons, by name."""
    this = BY_NAME[member]
    directory = this.directory / "tests"
    apart = [f"--ignore={directory / name}" for name in ("conformance", "interop")]
    pytest = ["pytest", "-p", "no:cacheprovider", str(directory), *apart]
    commands: dict[str, Sequence[str]] = {}
    for interpreter, python in pythons.items():
        command = [] if interpreter == PYTHONS[0] else ["env", *FEWER_KILLS]
        command += [python, "-m"]
        if interpreter == MEASURED:
            data = f"--data-file={ROOT / f'.coverage.{member}'}"
            command += ["coverage", "run", f"--source={this.import_name}", data, "-m"]
        commands[f"{member} on Python {interpreter.name}"] = [*command, *pytest]
    return commands
