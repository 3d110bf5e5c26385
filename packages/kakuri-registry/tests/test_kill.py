"""Whatever was acknowledged is there after a SIGKILL, at whatever point it comes."""

import os
import re
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("KAKURI_KILLS", "200"))
"""More on demand: KAKURI_KILLS=10000."""


def test_what_was_acknowledged_survives_a_kill_at_any_point(tmp_path):
    command = [sys.executable, Path(__file__).with_name("crashing.py"), tmp_path, str(KILLS), "7"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    kills, changes = map(int, re.findall(r"\d+", run.stdout))
    assert kills == KILLS
    assert changes > 10 * kills
