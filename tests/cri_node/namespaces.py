"""Run a command in its own mount, network and process namespaces, and clean up after it.

    python -m tests.cri_node      holds the lock, removes the control groups at the end
      setpriv, unshare            die with it, and take the namespaces' first process with them
        inside.py                 pid 1: reaps orphans
          inside.py               starts the node, then becomes the command

The command and its node share these namespaces. When the first process of a process namespace ends,
the kernel kills all others. So every shim and container ends with the outermost process, even after
SIGKILL. Only the node's directory with its logs, and its empty control groups, remain. The next node
removes those of every node whose lock is free.
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from tests.cri_node import cgroups
from tests.cri_node.cache import ROOT as REPOSITORY
from tests.cri_node.cache import Cache
from tests.cri_node.node import ENVIRONMENT, ROOT
from tools import debian

# Nodes write to these directories whatever their configuration, so the host's are hidden by a tmpfs.
HIDDEN = (ROOT, Path("/var/lib/cni"))

PREFIX = "kakuri-node-"

_SEAL = [
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
    "--propagation", "private", "--",
]  # fmt: skip


def run(command: list[str], cache: Cache) -> int:
    """Run a command on a node of its own, in new namespaces, and return its exit status."""
    nodes = cache.home / "nodes"
    nodes.mkdir(parents=True, exist_ok=True)
    sweep(nodes)
    for hidden in HIDDEN:
        hidden.mkdir(parents=True, exist_ok=True)
    with debian.locked(nodes / "lock"):
        directory = nodes / f"{PREFIX}{secrets.token_hex(4)}"
        directory.mkdir()
        lock = (directory / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        inner = [sys.executable, "-m", "tests.cri_node.inside", str(cache.home), *command]
        paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            ENVIRONMENT: str(directory),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the command as well
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGHUP, _leave)
        process = subprocess.Popen([*_SEAL, *inner], env=environment)
        try:
            return process.wait()
        finally:
            process.kill()
            process.wait()
            cgroups.remove(directory.name)


def sweep(nodes: Path) -> None:
    """Remove the directories and control groups of nodes that have ended."""
    with debian.locked(nodes / "lock"):
        for directory in nodes.glob(f"{PREFIX}*"):
            with (directory / "lock").open("a") as lock:
                if _acquired(lock):
                    cgroups.remove(directory.name)
                    shutil.rmtree(directory)


def _acquired(lock: IO[str]) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
