"""`./nox` reports why it cannot run, and never uses an incomplete environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "nox"

PYTHON = r"""#!/bin/sh
# Stands for a Python; $VERSION and $PIP say what kind.
case "$*" in
"-c "*) exec {real} -c "import sys; sys.version_info = ($VERSION); $2" ;;
"-m pip --version") [ "$PIP" != none ] ;;
"-m pip install"*)
    case "$PIP $*" in old*--root-user-action*) echo "no such option" >&2; exit 2 ;; esac
    ;;
"-m virtualenv"*)
    mkdir -p .nox/self/bin
    printf '#!/bin/sh\necho "in $(pwd): $*"\n' >.nox/self/bin/python
    chmod +x .nox/self/bin/python
    ;;
*) exit 9 ;;
esac
"""


@pytest.fixture
def nox(tmp_path):
    """Return a function that runs a copy of ./nox in an empty directory, with a fake Python."""
    shutil.copy(COMMAND, tmp_path / "nox")
    python = tmp_path / "python"
    python.write_text(PYTHON.format(real=sys.executable))
    python.chmod(0o755)

    def run(*arguments, version="3, 11, 2", pip="new", python=python):
        environment = {"PATH": os.environ["PATH"], "VERSION": version, "PIP": pip}
        return subprocess.run(
            [tmp_path / "nox", *arguments], env={**environment, "PYTHON": str(python)},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("version", ["3, 9, 18", "3, 10, 13", "2, 7, 18"])
def test_nox_with_an_old_python_fails_with_one_line(nox, version):
    done = nox(version=version)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert f"expected Python 3.11 or newer, got {version.replace(', ', '.')} (" in line
    assert "PYTHON=python3.12 ./nox" in line


def test_nox_without_a_python_fails_with_one_line(nox):
    done = nox(python="/nowhere/python3")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert "'/nowhere/python3', which does not run; name one: PYTHON=python3.12 ./nox" in line


def test_nox_without_pip_fails_with_one_line_on_how_to_install_it(nox):
    done = nox(pip="none")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.endswith("on Debian: sudo apt-get install python3-pip")


def test_nox_with_a_pip_older_than_root_user_action_installs(nox):
    done = nox("-s", "lint", pip="old")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(": -m nox -s lint\n")


def test_nox_installs_itself_once(nox):
    assert "installing nox" in nox().stderr
    assert nox().stderr == ""


def test_nox_installs_itself_again_if_the_first_time_was_interrupted(nox, tmp_path):
    nox()
    (tmp_path / ".nox" / "self" / "complete").unlink()
    assert "installing nox" in nox().stderr


def test_nox_installs_itself_again_for_another_python(nox):
    nox()
    assert "installing nox" in nox(version="3, 12, 1").stderr
