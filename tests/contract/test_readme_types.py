"""The Python examples of every README pass mypy in its strict mode, as a reader would write them."""

import subprocess
import sys

from tools.members import ROOT
from tools.readmes import write_examples


def test_examples_of_all_readmes_pass_mypy_strict(tmp_path):
    files = write_examples(tmp_path)
    assert len(files) >= 5
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *map(str, files)]
    settings = ["--config-file=", "--no-error-summary"]
    ended = subprocess.run(
        [*command, *settings], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)
