"""The session that starts tests ahead of their own sessions, and the commands that it starts."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import nox

from tools import debian, interpreters, prometheus, side_by_side, system
from tools.members import BY_NAME, ROOT
from tools.sessions.steps import PYTHONS, python_for_tests, tests_command

MEASURED = interpreters.oldest(PYTHONS)
"""The Python on which coverage is measured: from Python 3.12 on, to measure branches takes several
times as long."""

FEWER_KILLS = ("KAKURI_CRASHES=250", "KAKURI_KILLS=50")
"""Number of kills in the crash tests on every Python but the first."""

AT_ONCE = len(os.sched_getaffinity(0)) + 1
"""Number of commands that run at a time: more than cores, as tests wait a third of their time."""

_begun: dict[str, side_by_side.Running] = {}
"""What the session begin_tests has started, by the name of the command."""


@nox.session(python=False)
def begin_tests(session: nox.Session) -> None:
    """Start tests of all members and with etcd and Prometheus, beside the sessions that follow.

    The sessions tests(<member>), etcd and observability then wait for their own. Without this
    session, they run them themselves.
    """
    for member in BY_NAME:
        system.require(session, *system.DRIVEN_BY_TESTS.get(member, ()))
    pythons = _pythons(session)
    commands: dict[str, Sequence[str]] = {}
    for member in BY_NAME:
        commands |= _commands(member, pythons)
    if not session.posargs:
        system.install_if_possible(session, "etcd")
        if "KAKURI_ETCD" in os.environ or not debian.missing(["etcd"]):
            commands["etcd"] = tests_command("tests/etcd")
        if not prometheus.lacks():
            prometheus.program("promtool")
            commands["observability"] = tests_command("tests/observability")
    running = side_by_side.Running(commands, AT_ONCE)
    _begun.update(dict.fromkeys(commands, running))


def run_member(session: nox.Session, member: str) -> None:
    """Run a member's tests, or wait for those that were begun; fail the session if they fail."""
    system.require(session, *system.DRIVEN_BY_TESTS.get(member, ()))
    run(session, _commands(member, _pythons(session)))


def run(session: nox.Session, commands: Mapping[str, Sequence[str]]) -> None:
    """Run commands, or wait for those that were begun; fail the session if one fails."""
    begun = {name: _begun[name] for name in commands if name in _begun}
    failed = [
        *(name for running in set(begun.values()) for name in running.wait(begun)),
        *side_by_side.run({name: commands[name] for name in commands if name not in begun}),
    ]
    if failed:
        session.error(f"failed: {', '.join(failed)}")


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
