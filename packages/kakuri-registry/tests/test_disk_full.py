"""Tests that a full disk refuses new workloads, and that known ones can be stopped and removed.

The disk is a tmpfs of 12 MiB in a separate mount namespace, which ends with the process. That needs
root, or a kernel that allows user namespaces.
"""

import os
import subprocess
import sys
from pathlib import Path

UNSHARE = ["unshare", "--mount"]
if os.geteuid() != 0:
    UNSHARE += ["--user", "--map-root-user"]
SCRIPT = 'mount -t tmpfs -o size=12m,mode=0700 none "$1" && exec "$2" "$3" "$1"'


def test_full_disk_refuses_registrations_and_accepts_all_other_changes(tmp_path):
    script = Path(__file__).with_name("filling.py")
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", SCRIPT, "sh", tmp_path, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "then the disk was full; every check passed" in run.stdout
    assert list(tmp_path.iterdir()) == []
