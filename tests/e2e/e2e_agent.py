"""Forks an agent for each line of options, and prints its process id.

Everything has been imported once, before: so an agent starts in milliseconds.
"""

import os
import signal
import sys

from kakuri_agent._cli import main


def be_agent(options: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # its `listening on` is not asked for
    main(options)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            be_agent(line.rstrip("\n").split("\t"))
        print(pid, flush=True)
