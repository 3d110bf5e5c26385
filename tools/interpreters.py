"""The Pythons of this machine that the tests run on."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")

SYSTEM_DIRECTORY = Path("/usr/bin")
"""The directory of the system's own Python, which is searched even if PATH lacks it."""

_PATCH = re.compile(r"3\.\d+\.\d+")
_PROBE = """
import os, platform, sys
base = getattr(sys, "_base_executable", None) or sys.executable
print(platform.python_implementation())
print(platform.python_version())
print(os.path.realpath(base))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One build of CPython; two builds of the same minor version count as two."""

    name: str
    """The full version, such as "3.11.2"; a second build of it is "3.11.2-2"."""
    path: Path

    @property
    def minor(self) -> str:
        """The version without its patch number, such as "3.11"."""
        return self.name.rpartition(".")[0]

    def matches(self, name: str) -> bool:
        """Return whether a name such as "3.11" or "3.11.2", or a path, means this interpreter."""
        return name in (self.name, self.minor) or (
            "/" in name and Path(name).resolve() == self.path
        )


def find(running: Path = Path(sys.executable)) -> list[Interpreter]:
    """Return the supported Pythons of this machine; the one that `running` belongs to is first.

    Searches /usr/bin, every directory of PATH, and pyenv's versions. Two names of the same file
    are one interpreter.

    Raises:
        SystemExit: There is none.
    """
    versions: dict[Path, str] = {}
    for candidate in [running, *_candidates()]:
        found = _probe(candidate)
        if found is not None:
            path, version = found
            versions.setdefault(path, version)
    names: dict[Path, str] = {}
    for path, version in versions.items():
        same = sum(name.partition("-")[0] == version for name in names.values())
        names[path] = f"{version}-{same + 1}" if same else version
    if not names:
        raise SystemExit(f"expected one of Python {', '.join(SUPPORTED)} on PATH, found none")
    first, *others = names
    others.sort(key=lambda path: _sort_key(names[path]))
    return [Interpreter(names[path], path) for path in (first, *others)]


def first_builds(found: Sequence[Interpreter]) -> list[Interpreter]:
    """Return the first interpreter of each minor version, the oldest version first."""
    builds = {each.minor: each for each in reversed(found)}
    return [builds[minor] for minor in SUPPORTED if minor in builds]


def missing(found: Iterable[Interpreter]) -> list[str]:
    """Return the supported minor versions that no interpreter has."""
    minors = {interpreter.minor for interpreter in found}
    return [minor for minor in SUPPORTED if minor not in minors]


def chosen(found: Sequence[Interpreter], names: Sequence[str]) -> list[Interpreter]:
    """Return the interpreters that match any of the names.

    Raises:
        SystemExit: A name matches none of them.
    """
    for name in names:
        if not any(interpreter.matches(name) for interpreter in found):
            has = ", ".join(interpreter.name for interpreter in found)
            raise SystemExit(f"expected a Python of this machine, one of {has}; got {name!r}")
    return [each for each in found if any(map(each.matches, names))]


def _candidates() -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    directories = [
        SYSTEM_DIRECTORY,
        *map(Path, filter(None, os.environ.get("PATH", "").split(":"))),
    ]
    for directory in dict.fromkeys(directories):
        if directory == pyenv / "shims":
            continue  # shims are slow, and their interpreters are found below
        for name in ("python3", *(f"python{minor}" for minor in SUPPORTED)):
            if (path := directory / name).exists():
                yield path
    for directory in sorted(pyenv.glob("versions/*")):
        if _PATCH.fullmatch(directory.name):
            yield directory / "bin" / "python"


def _probe(path: Path) -> tuple[Path, str] | None:
    """Return the real path and the version of an interpreter; None if it is not supported.

    A virtual environment's Python and a pyenv shim report the Python that they run.
    """
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != 3 or lines[0] != "CPython":
        return None
    _, version, real = lines
    if version.rpartition(".")[0] not in SUPPORTED:
        return None
    return Path(real), version


def _sort_key(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
