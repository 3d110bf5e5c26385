"""On a full disk new workloads are refused, and those that are there can be stopped and removed.

The disk is a tmpfs of 12 MiB in a mount namespace of the test's own: nothing outside sees it, and
it is gone with the process. That takes root, or a kernel that gives every user namespaces.
"""

import os
import subprocess
import sys
from pathlib import Path

UNSHARE = ["unshare", "--mount"]
if os.geteuid() != 0:
    UNSHARE += ["--user", "--map-root-user"]
SCRIPT = 'mount -t tmpfs -o size=12m,mode=0700 none "$1" && exec "$2" "$3" "$1"'


def test_on_a_full_disk_all_but_registering_goes_on(tmp_path):
    script = Path(__file__).with_name("filling.py")
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", SCRIPT, "sh", tmp_path, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "then the disk was full; all of it came out right" in run.stdout
    assert list(tmp_path.iterdir()) == []
