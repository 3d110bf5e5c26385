"""The first two processes inside the namespaces (see namespaces.py); not for use by hand.

Usage: python -m tests.cri_node.inside CACHE COMMAND [ARGUMENT…]
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tests.cri_node import cgroups, namespaces
from tests.cri_node.cache import Cache
from tests.cri_node.daemons import NodeError
from tests.cri_node.node import CriNode


def main() -> None:
    """Fork: the parent reaps orphans of the namespace, the child does the work."""
    home, *command = sys.argv[1:]
    child = os.fork()
    if child == 0:
        work(Cache(Path(home)), command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            with suppress(ProcessLookupError):  # there may be no other process
                os.kill(-1, signal.SIGKILL)
            cgroups.thaw(CriNode.from_environment().cgroup_parent)
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def work(cache: Cache, command: list[str]) -> NoReturn:
    """Start the node, then become the command, so that the daemons are the command's children."""
    for hidden in namespaces.HIDDEN:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(hidden))
    _run("ip", "link", "set", "lo", "up")
    node = CriNode.from_environment()
    try:
        node.start(cache)
    except NodeError as error:
        for log in (node.containerd_log, node.registry_log):
            sys.stderr.write(log.read_text() if log.exists() else "")
        raise SystemExit(str(error)) from error
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise SystemExit(f"expected a program, got {command[0]!r}: {error.strerror}") from error


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
