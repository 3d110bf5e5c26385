"""Starting and removing zones leaks nothing in the daemons or on the machine.

KAKURI_ZONE_CYCLES is the number of starts and stops, 48 by default.
"""

import os
from pathlib import Path

import pytest

from .system import IDLE, await_that

AT_ONCE = 8
ROUNDS = int(os.environ.get("KAKURI_ZONE_CYCLES", "48")) // AT_ONCE - 1
POOLED = 2 * AT_ONCE
"""Connections that starts and ends may keep open more than after the first round; a descriptor
lost in each cycle would be more than twice as many."""
MORE_THREADS = 4
"""Threads by which the pool of grpcio may grow with the load; a thread lost in each cycle would be
ten times as many."""
MORE_KB = 4096


def cycle(system):
    names = [f"cycle-{number}" for number in range(AT_ONCE)]
    for name in names:
        system.run(name, *IDLE)
    for name in names:
        system.await_state(name, "running")
    system.remove(*names)


def used(daemon):
    """Descriptors and threads of a daemon, and its memory in kB."""
    directory = Path(f"/proc/{daemon.process.pid}")
    lines = (directory / "status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    resident = int(status["VmRSS"].split()[0])
    return (len(list((directory / "fd").iterdir())), int(status["Threads"])), resident


@pytest.mark.timeout(600)  # it takes a minute, and much longer on busy cores
def test_zones_that_come_and_go_leak_no_descriptor_thread_or_memory(system):
    daemons = [getattr(system, name) for name in system.daemons]
    cycle(system)
    leftovers = system.leftovers()  # of what was before
    before = [used(daemon) for daemon in daemons]
    for _ in range(ROUNDS):
        cycle(system)
    for daemon, (counted, memory) in zip(daemons, before, strict=True):
        descriptors, threads = used(daemon)[0]
        assert descriptors <= counted[0] + POOLED, daemon.name
        assert threads <= counted[1] + MORE_THREADS, daemon.name
        assert used(daemon)[1] - memory < MORE_KB, daemon.name
    assert system.ctr("containers", "ls", "-q") == ""
    await_that("nothing more", lambda: system.leftovers() == leftovers)
    assert system.log_directories() == []
