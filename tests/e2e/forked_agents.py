"""Forks an agent for each line of options, and prints its process id.

Everything has been imported once, before: so an agent starts in milliseconds. Before its options
may come `clock=jumping`, for an agent whose wall clock is set now and then, and
`die-at=STEP:COUNT`, to have SIGKILL end it when it comes to a step for the n-th time.
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
from kakuri_agent._node_zones import NodeZones
from kakuri_agent._retention import Retention
from kakuri_registry import STORE_FAILPOINTS, WRITER_FAILPOINTS, SQLiteStore, StoreWriter

from services.agent.tests.crash_disk import TORN, TornWrite

MOMENTS = ("before", "under-way", "after")
COMMANDS = ("start", "stop", "remove")
STEPS = (
    *STORE_FAILPOINTS, TORN, *WRITER_FAILPOINTS,
    *(f"{command}.{moment}" for command in COMMANDS for moment in MOMENTS),
    "agent.before-request", "agent.before-answer",
)  # fmt: skip


class Steps:
    """Counts the times of one step, and ends the process at the last of them."""

    def __init__(self, step: str, count: int) -> None:
        self._step, self._left = step, count

    def is_next(self, name: str) -> bool:
        return (name, 1) == (self._step, self._left)

    def __call__(self, name: str) -> None:
        if name == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class TearingStore(SQLiteStore):
    """Dies with its machine, if that is the step to die at: not all of a write is on the disk."""

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


def die_at(step: str, count: int) -> None:
    """Put the steps into the agent's parts."""
    steps = Steps(step, count)
    _state.SQLiteStore = partial(TearingStore, failpoint=steps)
    _state.StoreWriter = partial(StoreWriter, failpoint=steps)
    for zones in (SidecarZones, NodeZones):
        for command in COMMANDS:
            setattr(zones, command, stepping(command, getattr(zones, command), steps))
    handle = Agent.handle

    def stepping_handle(agent, request):
        steps("agent.before-request")
        reply = handle(agent, request)
        steps("agent.before-answer")
        return reply

    Agent.handle = stepping_handle


def stepping(command: str, operation: Callable, steps: Steps) -> Callable:
    """Return an operation on zones that comes to its steps."""

    async def stepped(zones, *arguments):
        steps(f"{command}.before")
        asyncio.get_running_loop().call_later(0.001, steps, f"{command}.under-way")
        result = await operation(zones, *arguments)
        steps(f"{command}.after")
        return result

    return stepped


def be_agent(options: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # its `listening on` is not asked for
    if options[0] == "clock=jumping":
        del options[0]
        clock = jumping_clock()
        for timed in (Agent, Retention):
            timed.__init__.__kwdefaults__["clock"] = clock
    if options[0].startswith("die-at="):
        step, _, count = options.pop(0).removeprefix("die-at=").partition(":")
        die_at(step, int(count))
    main(options)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            be_agent(line.rstrip("\n").split("\t"))
        print(pid, flush=True)
