"""Record which tests run which lines of a member, and how long each test takes.

`record` runs the tests with this module as a pytest plugin. A test file is recorded again only if
it, a module beside it, or the source under test has changed.
"""

import hashlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
import pytest

from tools.members import ROOT, Member
from tools.mutants.targets import Place

_DIRECTORY = ROOT / ".nox" / "mutants"
_FILES = "KAKURI_RECORDINGS"
_PACKAGE = "KAKURI_RECORDED"
_EVERY = "*"
"""Stands for all tests: the line runs when the member is imported."""


def file_of(name: str) -> str:
    """Return the file of a test's id."""
    return name.partition("::")[0]


@dataclass(frozen=True, slots=True)
class Recording:
    """The result of one run of a member's tests.

    Attributes:
        seconds: CPU time of each usable test, by the test's id.
        lines: The tests that run each line, by module and line number; "*" for all of them.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, set[str]]]

    def tests_of(self, place: Place) -> dict[str, float]:
        """Return the tests that can kill a change, in the order to run them, with their seconds.

        These are the tests that run the line, followed by the others in their files, because a
        line may build something that is cached and used by a later test. A line that runs when the
        member is imported (a constant, a default, a table) can affect every test, and one that
        runs when a test file is imported can affect every test of that file.

        Python 3.11 does not trace the remainder of a coroutine that was resumed with an exception,
        such as a timeout. If no test is recorded for the line, all tests that run any line of its
        function are used instead.
        """
        names = self._names(place, place.mutant.lines) or self._names(place, place.mutant.function)
        files = {file_of(name) for name in names}
        chosen = [name for name in self.seconds if _EVERY in names or file_of(name) in files]
        chosen.sort(key=lambda name: (name not in names, self.seconds[name]))
        return {name: self.seconds[name] for name in chosen}

    def runs(self, place: Place) -> bool:
        """Return whether any test runs the line of a change."""
        return bool(self._names(place, place.mutant.lines))

    def _names(self, place: Place, within: tuple[int, int]) -> set[str]:
        first, last = within
        lines = self.lines.get(place.module, {})
        return {name for line in range(first, last + 1) for name in lines.get(line, ())}


def record(member: Member) -> Recording:
    """Run a member's tests once, except for files whose recording is up to date.

    Tests that fail without any change are excluded; pytest lists them.

    Raises:
        SystemExit: The tests can't be run.
    """
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    files = _recordings(member)
    missing = {test: str(file) for test, file in files.items() if not file.exists()}
    if missing:
        environment = {_FILES: json.dumps(missing), _PACKAGE: member.import_name}
        options = ["-q", "-p", "no:cacheprovider", "-p", __name__]
        command = [sys.executable, "-m", "pytest", *options, *missing]
        subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
    recording = Recording({}, defaultdict(lambda: defaultdict(set)))
    for test, file in files.items():
        if not file.exists():
            raise SystemExit(f"expected {test} to run")
        _add(recording, json.loads(file.read_text()))
    return recording


def _add(recording: Recording, found: dict[str, Any]) -> None:
    """Add the recording of one test file."""
    recording.seconds.update(found["seconds"])
    for module, lines in found["lines"].items():
        for line, names in lines.items():
            recording.lines[module][int(line)].update(names)


def _recordings(member: Member) -> dict[str, Path]:
    """Return the path of each test file's recording."""
    common = hashlib.sha256(sys.version.encode())
    for each in member.closure():
        for path in sorted(each.directory.glob("src/**/*.py")):
            common.update(path.read_bytes())
    tests = sorted((member.directory / "tests").glob("**/test_*.py"))
    for path in sorted({*(member.directory / "tests").glob("**/*.py")} - {*tests}):
        common.update(path.read_bytes())
    files = {}
    for path in tests:
        if "conformance" not in path.parts:
            digest = common.copy()
            digest.update(path.read_bytes())
            name = f"{member.name}-{path.stem}-{digest.hexdigest()[:16]}.json"
            files[path.relative_to(ROOT).as_posix()] = _DIRECTORY / name
    return files


class _Recorder:
    """Records the test's id as the context of the lines that run during it.

    What runs while a file of tests is imported has the file as its context, and what runs before
    has none.
    """

    def __init__(self, files: dict[str, str], package: str) -> None:
        self._files = files
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(
            source_pkgs=[package], data_file=None, config_file=False, messages=False
        )
        self._coverage.start()
        _import_all(package)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        if isinstance(collector, pytest.Module):
            self._coverage.switch_context(collector.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if sys.gettrace() is None:  # the interpreter ends tracing where the stack overflows
            self._coverage.stop()
            self._coverage.start()
        self._coverage.switch_context(item.nodeid)
        start = time.process_time()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = time.process_time() - start
            self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        for name in self._failed:
            del self._seconds[name]
        lines = self._lines()
        for test, file in self._files.items():
            seconds = {name: took for name, took in self._seconds.items() if file_of(name) == test}
            found = {"seconds": seconds, "lines": lines[test]}
            Path(file).write_text(json.dumps(found))

    def _lines(self) -> dict[str, dict[str, dict[int, list[str]]]]:
        """Return the tests that run each line, by test file, module and line number."""
        found: dict[str, dict[str, dict[int, list[str]]]]
        found = {test: defaultdict(lambda: defaultdict(list)) for test in self._files}
        of_file = defaultdict(list)
        for name in self._seconds:
            of_file[file_of(name)].append(name)
        data = self._coverage.get_data()
        for path in data.measured_files():
            for line, contexts in data.contexts_by_lineno(path).items():
                for context in contexts:
                    if context in self._seconds:
                        found[file_of(context)][_module(path)][line].append(context)
                    elif context in found:
                        found[context][_module(path)][line] += of_file[context]
                    elif not context:
                        for lines in found.values():
                            lines[_module(path)][line].append(_EVERY)
        return found


def _module(path: str) -> str:
    """Return a module's path relative to the directory of its package."""
    parts = Path(path).parts
    return "/".join(parts[parts.index("src") + 1 :])


def _import_all(package: str) -> None:
    """Import all modules of a package, even those that it imports lazily."""
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, f"{package}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Record, if the environment names a file, before any conftest.py imports the member."""
    if _FILES in os.environ:
        recorder = _Recorder(json.loads(os.environ.pop(_FILES)), os.environ.pop(_PACKAGE))
        early_config.pluginmanager.register(recorder, "mutants-recorder")
