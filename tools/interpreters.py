"""Which of the supported Pythons this machine has."""

import os
import re
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")
_PATCH = re.compile(r"\d+\.\d+\.\d+")


def adopt_pyenv() -> None:
    """Let pyenv's shims answer for every supported Python that pyenv has installed.

    A shim such as python3.12 refuses to run unless PYENV_VERSION names that version, too.
    """
    chosen = [version for version in os.environ.get("PYENV_VERSION", "").split(":") if version]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in SUPPORTED:
        found = [path.name for path in versions.glob(f"{minor}.*") if _PATCH.fullmatch(path.name)]
        if found and not any(version.startswith(f"{minor}.") for version in chosen):
            chosen.append(max(found, key=lambda name: int(name.rpartition(".")[2])))
    if chosen:
        os.environ["PYENV_VERSION"] = ":".join(chosen)


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
