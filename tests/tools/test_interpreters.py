import sys
from pathlib import Path

import pytest

from tools import interpreters
from tools.interpreters import Interpreter


def write_python(path: Path, version: str, name: str = "CPython") -> Path:
    """Write a program that answers as the Python of that version would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' {name} {version} {path}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any Python but those that the test writes."""
    monkeypatch.setattr(interpreters, "SYSTEM_DIRECTORY", tmp_path / "usr")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{tmp_path}/pyenv/shims")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_find_returns_each_build_of_a_minor_version(machine):
    running = write_python(machine / "bin" / "python3.12", "3.12.1")
    write_python(machine / "usr" / "python3", "3.11.2")
    write_python(machine / "pyenv" / "versions" / "3.11.7" / "bin" / "python", "3.11.7")
    write_python(machine / "pyenv" / "versions" / "3.11.2" / "bin" / "python", "3.11.2")
    write_python(machine / "pyenv" / "versions" / "3.10.1" / "bin" / "python", "3.10.1")
    write_python(machine / "pyenv" / "versions" / "pypy3.11" / "bin" / "python", "3.11.1", "PyPy")
    found = interpreters.find(running)
    assert [each.name for each in found] == ["3.12.1", "3.11.2", "3.11.2-2", "3.11.7"]
    assert found[1].path == machine / "usr" / "python3"
    assert interpreters.missing(found) == ["3.13"]


def test_find_of_two_names_for_one_file_is_one_interpreter(machine):
    running = write_python(machine / "usr" / "python3.13", "3.13.0")
    (machine / "bin").mkdir()
    (machine / "bin" / "python3").symlink_to(running)
    assert interpreters.find(running) == [Interpreter("3.13.0", running)]


def test_find_ignores_a_program_that_fails_or_is_not_python(machine):
    running = write_python(machine / "usr" / "python3", "3.11.2")
    for name, text in (("python3.12", "exit 1"), ("python3.13", "echo hello")):
        write_python(machine / "bin" / name, "3").write_text(f"#!/bin/sh\n{text}\n")
    assert [each.name for each in interpreters.find(running)] == ["3.11.2"]


def test_find_without_a_supported_python_exits_with_the_expected_versions(machine):
    running = write_python(machine / "usr" / "python3", "3.14.0")
    with pytest.raises(SystemExit, match=r"expected one of Python 3\.11, 3\.12, 3\.13 on PATH"):
        interpreters.find(running)


def test_find_in_an_environment_returns_its_base_python():
    found = interpreters.find(Path(sys.executable))
    assert found[0].path == Path(sys._base_executable).resolve()
    assert found[0].name.partition("-")[0] == sys.version.split()[0]


def test_chosen_by_minor_version_full_version_or_path():
    found = [Interpreter("3.11.2", Path("/a")), Interpreter("3.11.7", Path("/b/c"))]
    assert interpreters.chosen(found, ["3.11"]) == found
    assert interpreters.chosen(found, ["3.11.7"]) == found[1:]
    assert interpreters.chosen(found, ["/a"]) == found[:1]
    with pytest.raises(SystemExit, match=r"one of 3\.11\.2, 3\.11\.7; got '3\.12'"):
        interpreters.chosen(found, ["3.11", "3.12"])


def test_first_builds_are_the_first_of_each_minor_version_from_the_oldest():
    found = [Interpreter(name, Path("/a")) for name in ("3.12.1", "3.11.2", "3.11.7", "3.13.0")]
    assert [each.name for each in interpreters.first_builds(found)] == [
        "3.11.2",
        "3.12.1",
        "3.13.0",
    ]
    assert interpreters.first_builds(found[:1]) == found[:1]
