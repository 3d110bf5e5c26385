"""What readers of the READMEs write passes mypy in its strict mode."""

import subprocess
import sys

from tools.members import ROOT
from tools.readmes import write_examples

CALLS = ROOT / "tests" / "contract" / "typed_calls.py"


def test_examples_of_all_readmes_and_typed_calls_pass_mypy_strict(tmp_path):
    files = write_examples(tmp_path)
    assert len(files) >= 5
    paths = map(str, [*files, CALLS])
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *paths]
    settings = ["--config-file=", "--no-error-summary"]
    ended = subprocess.run(
        [*command, *settings], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)
