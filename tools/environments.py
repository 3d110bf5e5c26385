"""Virtual environments for tests: one for each Python, with every member as an editable."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.interpreters import Interpreter
from tools.members import MEMBERS, ROOT


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in which every member can be imported and tested.

    Dependencies that a member fails to declare are present as well, so only the isolation session
    notices them.
    """

    interpreter: Interpreter
    requirements: tuple[str, ...]

    @property
    def directory(self) -> Path:
        """The directory of the environment."""
        return ROOT / ".nox" / f"all-{self.interpreter.name}"

    @property
    def python(self) -> str:
        """The path of the environment's Python."""
        return str(self.directory / "bin" / "python")

    def prepare(self) -> None:
        """Create the environment, unless a complete one with the same contents exists.

        Raises:
            SystemExit: A command failed, after printing its output.
        """
        marker = self.directory / "complete"
        fingerprint = self._fingerprint()
        if marker.exists() and marker.read_text() == fingerprint and Path(self.python).exists():
            return
        marker.unlink(missing_ok=True)
        create = ["-m", "virtualenv", "-q", "--clear", "-p", str(self.interpreter.path)]
        _run([sys.executable, *create, str(self.directory)])
        pip = [self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, *self.requirements])
        editables = [part for member in MEMBERS for part in ("-e", str(member.directory))]
        _run([*pip, "--no-build-isolation", *editables])
        marker.write_text(fingerprint)

    def _fingerprint(self) -> str:
        """Return a digest of everything that determines the environment's contents."""
        digest = hashlib.sha256(f"{ROOT} {self.interpreter} {self.requirements}".encode())
        for member in MEMBERS:
            digest.update((member.directory / "pyproject.toml").read_bytes())
        return digest.hexdigest()


def _run(command: list[str]) -> None:
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
