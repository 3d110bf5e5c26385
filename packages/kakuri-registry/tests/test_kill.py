"""Tests that acknowledged changes survive a SIGKILL at any point."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = int(os.environ.get("KAKURI_KILLS", "200"))
"""Number of kills; KAKURI_KILLS=10000 for more."""


@pytest.mark.timeout(600)  # as long as that where cores are shared
def test_acknowledged_changes_survive_a_kill_at_any_point(tmp_path):
    command = [sys.executable, Path(__file__).with_name("crashing.py"), tmp_path, str(KILLS), "7"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    kills, changes = map(int, re.findall(r"\d+", run.stdout))
    assert kills == KILLS
    assert changes > 10 * kills


@pytest.mark.timeout(600)
def test_reader_of_events_misses_and_repeats_none_after_a_kill_at_any_point(tmp_path):
    rounds = max(1, KILLS // 5)
    command = [sys.executable, Path(__file__).with_name("following.py"), tmp_path, str(rounds), "7"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    kills, events, kept = map(int, re.findall(r"\d+", run.stdout))
    assert kills == rounds
    assert events >= kept > kills
