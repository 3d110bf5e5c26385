"""Fork an agent for each line of options on standard input, and print its process id.

Everything is imported before the first fork, so an agent starts in milliseconds. Its options may
begin with `clock=jumping` for a wall clock that is set now and then, and
`die-at=FAILPOINT:COUNT` for SIGKILL when it reaches a failpoint for the n-th time.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial

from kakuri_agent import Agent, SidecarZones, _state
from kakuri_agent._cli import main
from kakuri_agent._retention import Retention
from kakuri_agent.runtimes._node_zones import NodeZones
from kakuri_registry import STORE_FAILPOINTS, WRITER_FAILPOINTS, SQLiteStore, StoreWriter

from services.agent.tests.crash_disk import TORN, TornWrite

MOMENTS = ("before", "under-way", "after")
COMMANDS = ("start", "stop", "remove")
FAILPOINTS = (
    *STORE_FAILPOINTS, TORN, *WRITER_FAILPOINTS,
    *(f"{command}.{moment}" for command in COMMANDS for moment in MOMENTS),
    "agent.before-request", "agent.before-answer",
)  # fmt: skip


class Failpoints:
    """Count how often one failpoint is reached, and kill the process at the last time."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._left = name, count

    def is_next(self, name: str) -> bool:
        return (name, 1) == (self._name, self._left)

    def __call__(self, name: str) -> None:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class TearingStore(SQLiteStore):
    """A store that dies with its machine at one failpoint: part of a write is not on the disk."""

    def _transact(self, changes):
        torn = TornWrite(self._path) if self._failpoint.is_next(TORN) else None
        super()._transact(changes)
        if torn is not None:
            torn.tear(random.Random())
        self._failpoint(TORN)


def jumping_clock():
    """Return a clock that is set back or ahead by some hours now and then."""
    ahead = 0

    def clock():
        nonlocal ahead
        if random.random() < 0.02:
            ahead = random.choice((0, -3600, 3600, 6 * 3600))
        return time.time() + ahead

    return clock


def die_at(name: str, count: int) -> None:
    """Install a failpoint in the parts of the agent."""
    failpoints = Failpoints(name, count)
    _state.SQLiteStore = partial(TearingStore, failpoint=failpoints)
    _state.StoreWriter = partial(StoreWriter, failpoint=failpoints)
    for zones in (SidecarZones, NodeZones):
        for command in COMMANDS:
            setattr(zones, command, with_failpoints(command, getattr(zones, command), failpoints))
    handle = Agent.handle

    def handle_with_failpoints(agent, request):
        failpoints("agent.before-request")
        reply = handle(agent, request)
        failpoints("agent.before-answer")
        return reply

    Agent.handle = handle_with_failpoints


def with_failpoints(command: str, operation: Callable, failpoints: Failpoints) -> Callable:
    """Return an operation on zones that reaches its failpoints."""

    async def called(zones, *arguments):
        failpoints(f"{command}.before")
        asyncio.get_running_loop().call_later(0.001, failpoints, f"{command}.under-way")
        result = await operation(zones, *arguments)
        failpoints(f"{command}.after")
        return result

    return called


def be_agent(options: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # drop its line `listening on`
    if options[0] == "clock=jumping":
        del options[0]
        clock = jumping_clock()
        for timed in (Agent, Retention):
            timed.__init__.__kwdefaults__["clock"] = clock
    if options[0].startswith("die-at="):
        name, _, count = options.pop(0).removeprefix("die-at=").partition(":")
        die_at(name, int(count))
    main(options)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            be_agent(line.rstrip("\n").split("\t"))
        print(pid, flush=True)
