"""Steps that several sessions share."""

import atexit
import os
from concurrent.futures import Future, ThreadPoolExecutor

import nox

from tools import interpreters, side_by_side
from tools.environments import Environment
from tools.members import BY_NAME, MEMBERS, ROOT, Member

PYTHONS = interpreters.find()
PYTHON = str(PYTHONS[0].path)
"""The Python that runs nox, and every session that runs once."""

TESTED = interpreters.first_builds(PYTHONS)
"""The Pythons that members' tests run on: one of each minor version, the oldest first."""

FEWER_KILLS = ("KAKURI_CRASHES=250", "KAKURI_KILLS=50")
"""Number of kills in the crash tests, except on the newest Python and on uvloop."""

DIST = ROOT / "dist"
WHEELHOUSE = DIST / "third-party"

each_member = nox.parametrize("member", [nox.param(m.name, id=m.name) for m in MEMBERS])
"""Registers a session once for each member."""

_GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")


def tools_of(*groups: str) -> list[str]:
    """Return the requirements of dependency groups of the root."""
    return list(nox.project.dependency_groups(_GROUPS, *groups))


def closure(*names: str) -> list[Member]:
    """Return members with all members that they need, each once."""
    return list({each.name: each for name in names for each in BY_NAME[name].closure()}.values())


def install_editable(session: nox.Session, members: list[Member], *requirements: str) -> None:
    """Install members as editables, and other requirements of the session, in one call."""
    session.install("-q", *tools_of("build"))
    editables = [part for member in members for part in ("-e", str(member.directory))]
    session.install("-q", "--no-build-isolation", *editables, *requirements)


def install_wheels(session: nox.Session, *names: str, python: str | None = None) -> None:
    """Install members from the wheels of the session build, without any package index.

    Args:
        session: The session.
        names: The members.
        python: The environment's Python, if they don't go into the session's environment.
    """
    if not WHEELHOUSE.is_dir():
        session.error(f"expected wheels in {DIST}; run 'nox -s build' first")
    pip = ["python", "-m", "pip", *([f"--python={python}"] if python else [])]
    finds = [f"--find-links={DIST}", f"--find-links={WHEELHOUSE}"]
    install = ["install", "-q", "--no-index", "--force-reinstall", *finds, *names]
    session.run(*pip, *install, env={"PIP_FIND_LINKS": ""}, silent=True)


def finish(session: nox.Session, running: side_by_side.Running) -> None:
    """Wait for commands and print their output; fail if one of them has failed.

    Its last lines are printed once more when nox exits, because by then other sessions have written
    much more.
    """
    if failed := running.wait():
        for name, lines in failed.items():
            atexit.register(print, f"\n--- the last lines of {name}:\n{lines}", flush=True)
        session.error(f"failed: {', '.join(failed)}")


def run_tool(session: nox.Session, module: str, *arguments: str) -> None:
    """Run a module of tools/ in the session's environment."""
    session.run("python", "-m", f"tools.{module}", *arguments, env={"PYTHONPATH": str(ROOT)})


_pool = ThreadPoolExecutor(os.cpu_count())
_environments: dict[interpreters.Interpreter, Future[str]] = {}
"""The environments for tests of all members that are made, or being made, by interpreter."""


def start_environment(interpreter: interpreters.Interpreter) -> None:
    """Start creating an interpreter's environment for tests, unless that was done before."""
    if interpreter not in _environments:
        _environments[interpreter] = _pool.submit(_prepare_environment, interpreter)


def python_for_tests(interpreter: interpreters.Interpreter = PYTHONS[0]) -> str:
    """Return the Python of the environment for tests of all members; create it if necessary."""
    start_environment(interpreter)
    return _environments[interpreter].result()


def _prepare_environment(interpreter: interpreters.Interpreter) -> str:
    oracles = [requirement for each in MEMBERS for requirement in each.group("test")]
    environment = Environment(interpreter, (*tools_of("build", "test", "coverage"), *oracles))
    environment.prepare()
    return environment.python


def run_tests(session: nox.Session, *arguments: str) -> None:
    """Run pytest on the first Python, in the environment for tests of all members."""
    session.run(python_for_tests(), "-m", "pytest", "-q", *arguments, external=True)
