"""Which of the supported Pythons this machine has."""

import os
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")


def adopt_pyenv() -> None:
    """Let pyenv's shims answer for every supported Python that pyenv has installed.

    Without PYENV_VERSION a shim such as python3.12 exists but refuses to run.
    """
    if "PYENV_VERSION" in os.environ:
        return
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    newest = [
        max(found, key=lambda path: [int(part) for part in path.name.split(".")]).name
        for minor in SUPPORTED
        if (found := [p for p in versions.glob(f"{minor}.*") if p.name[len(minor) + 1 :].isdigit()])
    ]
    if newest:
        os.environ["PYENV_VERSION"] = ":".join(newest)


def find() -> list[str]:
    """Give the supported Pythons that really run here; never none of them."""
    adopt_pyenv()
    found = [minor for minor in SUPPORTED if _runs(minor)]
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if running in SUPPORTED and running not in found:
        found = sorted([*found, running])
    if not found:
        message = f"expected one of Python {', '.join(SUPPORTED)} on PATH, found none"
        raise SystemExit(message)
    return found


def _runs(minor: str) -> bool:
    command = [f"python{minor}", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == minor
