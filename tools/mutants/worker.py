"""Run a member's tests against changed modules, each time in a process of its own."""

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
from tools.mutants.targets import Place

_MEMORY = 4 << 30
"""Bytes of address space: a change that never stops collecting fails and harms nothing else."""
_PATIENCE = 10.0
"""How many times as long as before a test may take."""
_LEAST_SECONDS = 60.0
_BROKEN = 70
_CHECKS = 3


class Outcome(Enum):
    """What became of a change."""

    NOTICED = "noticed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    NOT_RUN = "not run"


class Worker:
    """A copy of a member's source, which is changed and tested again and again.

    The tests run from the repository; a process of tests finds the copy before the editable.
    """

    def __init__(self, member: Member, folder: Path) -> None:
        self._source = folder / "src"
        self._member = member
        shutil.rmtree(self._source, ignore_errors=True)
        shutil.copytree(member.folder / "src", self._source)
        for path in self._source.rglob("*.py"):
            py_compile.compile(str(path))

    def run(self, place: Place, tests: dict[str, float]) -> Outcome:
        """Make a change, run tests until one fails, and take the change back.

        Args:
            place: the change.
            tests: the ids of the tests that can notice it, with the seconds that each took.
        """
        if not tests:
            return Outcome.NOT_RUN
        with self._changed(place):
            return self._run(tests)

    def check(self, tests: dict[str, float]) -> None:
        """Run tests without any change; a test that depends on time may fail once.

        Raises:
            SystemExit: They fail each time, so that they could not show anything.
        """
        if all(self._run(tests) is not Outcome.SURVIVED for _ in range(_CHECKS)):
            raise SystemExit(f"expected {len(tests)} tests to pass without a change")

    def _run(self, tests: dict[str, float]) -> Outcome:
        child = os.fork()
        if child == 0:
            self._test(tests)
        return _wait(child, _LEAST_SECONDS + _PATIENCE * sum(tests.values()))

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

    def _test(self, tests: dict[str, float]) -> None:
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
            files = sorted({name.partition("::")[0] for name in tests})
            options = ["-x", "-q", "-p", "no:cacheprovider", f"--timeout={_LEAST_SECONDS:.0f}"]
            options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is here
            status = pytest.main([*options, *files], plugins=[_Chosen(tests)])
        finally:
            os._exit(status)


class _Chosen:
    """Runs the chosen tests alone, the quickest first."""

    def __init__(self, tests: dict[str, float]) -> None:
        self._tests = tests

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._tests]
        items.sort(key=lambda item: self._tests[item.nodeid])


def _wait(child: int, seconds: float) -> Outcome:
    """Wait for a process of tests, and end it and what it started when the time is up."""
    deadline = time.monotonic() + seconds
    ended = 0
    status = 0
    while ended == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
        ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        _kill(child)  # what it started and did not end
        code = os.waitstatus_to_exitcode(status)
        return Outcome.SURVIVED if code == 0 else Outcome.NOTICED
    _kill(child)
    os.waitpid(child, 0)
    return Outcome.TIMED_OUT


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
