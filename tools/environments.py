"""Environments that hold every member as an editable, one for each Python, shared by all tests."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.interpreters import Interpreter
from tools.members import MEMBERS, ROOT


@dataclass(frozen=True, slots=True)
class Environment:
    """A directory with a Python in which every member can be imported and tested.

    What a member fails to declare is there as well: the isolation session finds it.
    """

    interpreter: Interpreter
    requirements: tuple[str, ...]

    @property
    def directory(self) -> Path:
        """Where the environment is."""
        return ROOT / ".nox" / f"all-{self.interpreter.name}"

    @property
    def python(self) -> str:
        """The environment's own Python."""
        return str(self.directory / "bin" / "python")

    def prepare(self) -> None:
        """Make the environment, unless it is there, whole, and made of the same things.

        Raises:
            SystemExit: A command failed; its output has been shown.
        """
        marker = self.directory / "complete"
        made_of = self._fingerprint()
        if marker.exists() and marker.read_text() == made_of and Path(self.python).exists():
            return
        marker.unlink(missing_ok=True)
        make = ["-m", "virtualenv", "-q", "--clear", "-p", str(self.interpreter.path)]
        _run([sys.executable, *make, str(self.directory)])
        pip = [self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, *self.requirements])
        editables = [part for member in MEMBERS for part in ("-e", str(member.directory))]
        _run([*pip, "--no-build-isolation", *editables])
        marker.write_text(made_of)

    def _fingerprint(self) -> str:
        """Return a digest of what the environment is made of."""
        digest = hashlib.sha256(f"{ROOT} {self.interpreter} {self.requirements}".encode())
        for member in MEMBERS:
            digest.update((member.directory / "pyproject.toml").read_bytes())
        return digest.hexdigest()


def _run(command: list[str]) -> None:
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
