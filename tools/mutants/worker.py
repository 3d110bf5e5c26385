"""Run a member's tests against changed modules, each time in a new process.

Each process is forked from one that has imported pytest and Hypothesis already, because importing
them takes a while. The test files that killed the module's previous change run first, in a process
of their own, and the others afterwards.
"""

import os
import py_compile
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import hypothesis  # noqa: F401 imported once, here, and not by each process
import pytest

from tools.members import ROOT, Member
from tools.mutants.recording import file_of
from tools.mutants.targets import Place

_MEMORY = 4 << 30
"""Limit of address space in bytes, so that a change that allocates endlessly fails by itself."""
_TIMEOUT_FACTOR = 10.0
"""A test may take this many times as long as in the recording."""
_LEAST_SECONDS = 30.0
_BROKEN = 70


class Outcome(Enum):
    """The outcome of testing a change."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    NOT_RUN = "not run"


_OUTCOMES: dict[int, Outcome] = {
    pytest.ExitCode.OK: Outcome.SURVIVED,
    # A recorded test no longer exists; no test has killed the change.
    pytest.ExitCode.NO_TESTS_COLLECTED: Outcome.NOT_RUN,
    pytest.ExitCode.USAGE_ERROR: Outcome.NOT_RUN,
}
"""By exit status of the tests; any other means that a test failed or could not be imported."""


class Worker:
    """A copy of a member's source, which is changed and tested again and again.

    The tests run from the repository, but import the copy instead of the editable.

    Attributes:
        unstable: The tests that failed without a change.
    """

    def __init__(self, member: Member, directory: Path) -> None:
        """Copy a member's source.

        Args:
            member: The member whose modules are changed.
            directory: The directory for the copy.
        """
        self._source = directory / "src"
        self._log = directory / "killed"
        self._killers: dict[str, dict[str, None]] = {}
        self._stable: set[str] = set()
        self.unstable: set[str] = set()
        shutil.rmtree(self._source, ignore_errors=True)
        shutil.copytree(member.directory / "src", self._source)
        for path in self._source.rglob("*.py"):
            py_compile.compile(str(path))

    def run(self, place: Place, tests: dict[str, float]) -> Outcome:
        """Make a change, run tests until one fails, and undo the change.

        A test that also fails without the change is excluded from then on.

        Args:
            place: The change.
            tests: The ids of the tests that can kill it, in the order to run them, with the
                seconds that each took.
        """
        while True:
            tests = {name: took for name, took in tests.items() if name not in self.unstable}
            outcome = self._outcome(place, tests)
            if outcome is not Outcome.KILLED or not self._log.exists():
                return outcome
            name = self._log.read_text()
            if self._is_stable(name, tests):
                self._killers[place.module][name] = None
                return outcome

    def _outcome(self, place: Place, tests: dict[str, float]) -> Outcome:
        killers = self._killers.setdefault(place.module, {})
        likely = {name for name in killers if name in tests}
        files = {file_of(name) for name in [*likely][-1:]}
        first = {name: took for name, took in tests.items() if file_of(name) in files}
        rest = {name: took for name, took in tests.items() if file_of(name) not in files}
        outcome = Outcome.NOT_RUN
        with self._changed(place):
            for group in (first, rest):
                if group:
                    outcome = self._run(group, likely)
                if outcome in (Outcome.KILLED, Outcome.TIMED_OUT):
                    break
        return outcome

    def _is_stable(self, name: str, tests: dict[str, float]) -> bool:
        """Return whether a test passes without any change; run it only the first time."""
        if name not in self._stable:
            if self._run({name: tests[name]}, set()) is not Outcome.SURVIVED:
                self.unstable.add(name)
                return False
            self._stable.add(name)
        return True

    def _run(self, tests: dict[str, float], likely: set[str]) -> Outcome:
        self._log.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            self._test(tests, likely)
        return _wait(child, _LEAST_SECONDS + _TIMEOUT_FACTOR * sum(tests.values()))

    @contextmanager
    def _changed(self, place: Place) -> Iterator[None]:
        copy = self._source / place.module
        original = copy.read_bytes()
        compiled = copy.parent / "__pycache__" / f"{copy.stem}.{sys.implementation.cache_tag}.pyc"
        compiled.unlink(missing_ok=True)
        copy.write_bytes(place.mutant.apply(original))
        try:
            yield
        finally:
            copy.write_bytes(original)
            py_compile.compile(str(copy))

    def _test(self, tests: dict[str, float], likely: set[str]) -> None:
        """Run tests in this process, which never returns from here."""
        status = _BROKEN
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
            os.chdir(ROOT)
            sys.path.insert(0, str(self._source))
            sys.dont_write_bytecode = True
            os.environ |= {"PYTHONPATH": str(self._source), "PYTHONDONTWRITEBYTECODE": "1"}
            files = sorted({file_of(name) for name in tests})
            options = ["-x", "-q", "-p", "no:cacheprovider", f"--timeout={_LEAST_SECONDS:.0f}"]
            options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is here
            status = pytest.main([*options, *files], plugins=[_Chosen(tests, likely, self._log)])
        finally:
            os._exit(status)


class _Chosen:
    """Runs the chosen tests alone: the likely ones first, then the others in their order."""

    def __init__(self, tests: dict[str, float], likely: set[str], log: Path) -> None:
        self._tests = tests
        self._likely = likely
        self._log = log

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._tests]
        order = {name: (name not in self._likely, at) for at, name in enumerate(self._tests)}
        items.sort(key=lambda item: order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._log.write_text(report.nodeid)


def _wait(child: int, seconds: float) -> Outcome:
    """Wait for a process of tests, and end it and what it started when the time is up."""
    deadline = time.monotonic() + seconds
    ended = 0
    status = 0
    while ended == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
        ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        _kill(child)  # and the processes that it left running
        return _OUTCOMES.get(os.waitstatus_to_exitcode(status), Outcome.KILLED)
    _kill(child)
    os.waitpid(child, 0)
    return Outcome.TIMED_OUT


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
