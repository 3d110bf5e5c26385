"""Which tests run which lines of a member, and how long each test takes.

`record` runs the tests with this module as a plugin of pytest.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from tools.members import ROOT, Member
from tools.mutants.targets import Place

_FOLDER = ROOT / ".nox" / "mutants"
_FILE = "KAKURI_RECORDING"
_PACKAGE = "KAKURI_RECORDED"


@dataclass(frozen=True, slots=True)
class Recording:
    """What one run of a member's tests has shown.

    Attributes:
        seconds: by a test's id, the processor's time that it took.
        lines: by module and number of line, the tests that run the line. Lines that run while the
            module is imported have none.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests_of(self, place: Place) -> dict[str, float]:
        """Return the tests that can notice a change, with the seconds of each.

        What runs at import (a constant, a default, a table) can matter to every test.
        """
        first, last = place.mutant.lines
        lines = self.lines.get(place.module, {})
        covered = [lines[line] for line in range(first, last + 1) if line in lines]
        names = {name for tests in covered for name in tests}
        if covered and not all(covered):
            return self.seconds
        return {name: self.seconds[name] for name in names}


def record(member: Member) -> Recording:
    """Run a member's tests once, unless its source and its tests are those of the last time.

    Tests that fail without any change are left out; pytest says which.

    Raises:
        SystemExit: The tests can't be run.
    """
    file = _FOLDER / f"{member.name}-{_fingerprint(member)}.json"
    if not file.exists():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        environment = {_FILE: str(file), _PACKAGE: member.import_name}
        folder = member.folder / "tests"
        options = ["-q", "-p", "no:cacheprovider", "-p", __name__]
        options += [f"--ignore={folder / 'conformance'}"]
        command = [sys.executable, "-m", "pytest", *options, str(folder)]
        subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
        if not file.exists():
            raise SystemExit(f"expected the tests of {member.name} to run")
    found = json.loads(file.read_text())
    names = list(found["seconds"])
    lines = {
        module: {int(line): [names[each] for each in tests] for line, tests in of_module.items()}
        for module, of_module in found["lines"].items()
    }
    return Recording(found["seconds"], lines)


def _fingerprint(member: Member) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for each in member.closure():
        for path in sorted(each.folder.glob("src/**/*.py")):
            digest.update(path.read_bytes())
    for path in sorted(member.folder.glob("tests/**/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Recorder:
    """Gives the lines that run during a test the test's id as their context."""

    def __init__(self, file: Path, package: str) -> None:
        self._file = file
        self._package = package
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(
            source_pkgs=[package], data_file=None, config_file=False, messages=False
        )
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
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
        data = self._coverage.get_data()
        numbers = {name: number for number, name in enumerate(self._seconds)}
        lines = {
            self._module(path): {
                line: sorted(numbers[name] for name in names if name in numbers)
                for line, names in data.contexts_by_lineno(path).items()
            }
            for path in data.measured_files()
        }
        self._file.write_text(json.dumps({"seconds": self._seconds, "lines": lines}))

    def _module(self, path: str) -> str:
        parts = Path(path).parts
        return "/".join(parts[parts.index("src") + 1 :])


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Record, if the environment says where to, before any conftest.py imports the member."""
    if _FILE in os.environ:
        recorder = _Recorder(Path(os.environ.pop(_FILE)), os.environ.pop(_PACKAGE))
        early_config.pluginmanager.register(recorder, "mutants-recorder")
